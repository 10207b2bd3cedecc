//! Models come, go and are loaded anew.

use crate::node::{Node, wait_for};
use crate::{SHAPES, Yard, bundled, camera, names};

fn on(model: &str, name: &str, seed: u32) -> String {
    camera(name, 10, seed, "").replace("model: shapes", &format!("model: {model}"))
}

fn loaded(node: &Node) -> Vec<String> {
    let page = node.metrics();
    let mut models: Vec<String> = page.find("sightwire_model_info", &[]).map(|s| s.labels["model"].clone()).collect();
    models.sort();
    models
}

/// The threads that work for models.
fn workers(node: &Node) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.process.0.id())).unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    let mut workers: Vec<String> =
        names.map(|name| name.trim().to_owned()).filter(|n| n.starts_with("worker")).collect();
    workers.sort();
    workers
}

#[test]
fn models_are_loaded_anew_when_they_changed_and_unloaded_when_nobody_uses_them() {
    let a = on("shapes", "a", 1);
    let yard = Yard::open(&a);
    yard.flows("a");
    assert_eq!((loaded(&yard.node), workers(&yard.node)), (vec!["shapes".into()], vec!["worker shapes 1".into()]));

    // A second model beside, with two workers: `a` does not notice.
    let models = "models:\n  shapes: { path: \"bundled:shapes\" }\n  more: { path: \"bundled:shapes\", workers: 2 }\n";
    std::fs::write(yard.file(), yard.text(models, &[a.as_str(), &on("more", "b", 2)].concat())).unwrap();
    let done = yard.hang_up();
    assert_eq!((names(&done["added"]), names(&done["restarted"])), (vec!["b"], vec![]), "{done}");
    yard.flows("b");
    assert_eq!(loaded(&yard.node), ["more", "shapes"]);
    assert_eq!(workers(&yard.node), ["worker more 1", "worker more 2", "worker shapes 1"]);

    // It changes: its camera begins anew, the other goes on.
    std::fs::write(
        yard.file(),
        yard.text(
            &models.replace("workers: 2", "workers: 1, confidence: 0.3"),
            &[a.as_str(), &on("more", "b", 2)].concat(),
        ),
    )
    .unwrap();
    let done = yard.hang_up();
    assert_eq!((names(&done["restarted"]), names(&done["changed"])), (vec!["b"], vec![]), "{done}");
    yard.flows("b");
    assert_eq!(yard.node.camera("b")["settings"]["confidence"], 0.3);
    assert_eq!(workers(&yard.node), ["worker more 1", "worker shapes 1"]);

    // Nobody uses it any more.
    std::fs::write(yard.file(), yard.text(SHAPES, &a)).unwrap();
    assert_eq!(names(&yard.hang_up()["removed"]), ["b"]);
    assert_eq!((loaded(&yard.node), workers(&yard.node)), (vec!["shapes".into()], vec!["worker shapes 1".into()]));
    yard.flows("a");
    yard.is_whole("a");
    yard.is_whole("b");
}

#[test]
fn a_model_whose_file_was_written_anew_is_loaded_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.onnx");
    std::fs::copy(bundled(), &file).unwrap();
    let models = format!("models: {{ shapes: {{ path: \"{}\" }} }}\n", file.display());
    let a = camera("a", 10, 1, "");
    let yard = Yard::with_models(&models, &a);
    yard.flows("a");
    assert_eq!(names(&yard.hang_up()["restarted"]), Vec::<&str>::new());
    std::fs::copy(bundled(), folder.path().join("new")).unwrap();
    std::fs::rename(folder.path().join("new"), &file).unwrap();
    assert_eq!(names(&yard.hang_up()["restarted"]), ["a"]);
    yard.flows("a");
    yard.is_whole("a");
    // One that is damaged is refused, and the one that was loaded goes on.
    std::fs::write(&file, "no model").unwrap();
    let answer = yard.reload("damaged");
    assert_eq!(answer["error"]["code"], "model_failed", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("m.onnx"), "{answer}");
    yard.flows("a");
    yard.is_whole("a");
}

#[test]
fn a_model_that_does_not_load_refuses_the_reload_and_nothing_changes() {
    let a = camera("a", 10, 1, "");
    let yard = Yard::open(&a);
    yard.flows("a");
    let broken = yard.home.path().join("broken.onnx");
    std::fs::write(&broken, "no model").unwrap();
    let models = format!(
        "models:\n  shapes: {{ path: \"bundled:shapes\" }}\n  good: {{ path: \"bundled:shapes\" }}\n  bad: {{ path: \"{}\" }}\n",
        broken.display()
    );
    let cameras = [on("good", "a", 1), on("good", "b", 2), on("bad", "c", 3)].concat();
    std::fs::write(yard.file(), yard.text(&models, &cameras)).unwrap();
    let answer = yard.reload("bad");
    assert_eq!((&answer["ok"], &answer["error"]["code"]), (&false.into(), &"model_failed".into()), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("bad: "), "{answer}");
    assert_eq!(loaded(&yard.node), ["shapes"]);
    wait_for("what was loaded in vain is given back", || (workers(&yard.node) == ["worker shapes 1"]).then_some(()));
    assert_eq!(yard.node.get("/api/cameras/b").0, 404);
    assert_eq!(yard.node.camera("a")["settings"]["model"], "shapes");
    yard.flows("a");
    yard.is_whole("a");
}
