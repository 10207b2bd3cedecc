//! Model files that are none, or of a shape nobody knows.

use crate::onnx::{FLOAT, INT64, Model, UINT8};
use crate::program::{Folder, small};

const NAMES: &str = "{0: 'ball', 1: \"driver's seat\"}";

/// `check` of these models, each `name: settings`.
fn check(folder: &Folder, models: &[(&str, &str)]) -> crate::program::Outcome {
    let models: String = models.iter().map(|(name, settings)| format!("  {name}: {{ {settings} }}\n")).collect();
    let base = small(folder, "").replace("models: { m: { path: m.onnx } }", "models:\n  m: { path: m.onnx }");
    folder.with(&base.replace("http:", &format!("{models}http:")), &["check"])
}

#[test]
fn files_that_are_no_models_are_called_what_they_are() {
    let folder = Folder::new();
    let whole = Model::new([1, 3, 64, 64]).output("output", &[1, 84, 7]).bytes();
    folder.write("half.onnx", &whole[..whole.len() / 2]);
    folder.write("empty.onnx", "");
    folder.write("text.onnx", "this is my model\n");
    folder.write("lfs.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    folder.write("noise.onnx", (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
    let models = ["half", "empty", "text", "lfs", "noise"].map(|name| (name, format!("path: {name}.onnx")));
    let outcome = check(&folder, &models.each_ref().map(|(name, path)| (*name, path.as_str())));
    assert_eq!(outcome.code, 1);
    outcome
        .row("model", "half", &["FAIL", "half.onnx: is no ONNX model", "cut short, or not ONNX"])
        .row("model", "empty", &["FAIL", "0 bytes"])
        .row("model", "text", &["FAIL", "a text file"])
        .row("model", "lfs", &["FAIL", "git lfs pull"])
        .row("model", "noise", &["FAIL", "is no ONNX model"])
        .row("model", "m", &["ok", "yolox, 64x64, 2 classes"])
        .row("camera", "good", &["ok"]);
    assert!(outcome.stdout.contains("5 of 7 do not work"), "{}", outcome.stdout);
}

#[test]
fn a_model_file_that_is_not_there_is_a_problem_of_the_configuration() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("folder.onnx")).unwrap();
    let outcome = check(
        &folder,
        &[("gone", "path: gone.onnx"), ("folder", "path: folder.onnx"), ("labels", "path: m.onnx, labels: gone.txt")],
    );
    outcome.fails(
        2,
        &["models.gone.path: there is no file", "folder.onnx is a folder", "models.labels.labels: there is no file"],
    );
}

#[test]
fn inputs_and_outputs_nobody_knows_are_printed() {
    let folder = Folder::new();
    let picture = || Model::new([1, 3, 64, 64]);
    let save = |name: &str, model: Model| folder.write(&format!("{name}.onnx"), model.bytes());
    save("several", picture().output("scores", &[1, 100, 2]).output("boxes", &[1, 100, 4]));
    save("flat", picture().output("logits", &[1, 1000]));
    save("five", picture().output("output", &[1, 253, 7]));
    save("end", picture().output("output", &[1, 300, 7]));
    save("none", picture());
    save("two", picture().input("more", FLOAT, &[1]).output("output", &[1, 84, 7]));
    save("whole", Model::default().input("images", INT64, &[1, 64, 64, 3]).output("output", &[1, 84, 7]));
    save("grey", Model::new([1, 1, 64, 64]).output("output", &[1, 84, 7]));
    save("batch", Model::new([800, 3, 64, 64]).output("output", &[800, 84, 7]));
    save("vast", Model::new([256, 3, 8192, 8192]).output("output", &[1, 84, 7]));
    save(
        "huge",
        Model::new([1, 3, -1, -1]).output("output", &[1, 84, 7]).metadata("imgsz", "[4000000000, 4000000000]"),
    );
    let names = ["several", "flat", "five", "end", "none", "two", "whole", "grey", "batch", "vast", "huge"];
    let models = names.map(|name| (name, format!("path: {name}.onnx")));
    let outcome = check(&folder, &models.each_ref().map(|(name, path)| (*name, path.as_str())));
    assert_eq!(outcome.code, 1);
    let known = "yolox, yolo_end2end, detr, ssd, yolo";
    outcome
        .row("model", "several", &["not ultraface:", "not ssd:", "scores: ", "[1, 100, 2]", "images: ", known])
        .row("model", "flat", &["not yolo:", "logits: ", "[1, 1000]", known])
        .row("model", "five", &["not yolox:", "not yolov5: it has 252 rows", "this model has 253"])
        .row("model", "end", &["not yolo_end2end: a box has 6 values", known])
        .row("model", "none", &["FAIL"])
        .row("model", "two", &["beside the picture it wants `more`", "more: "])
        .row("model", "whole", &["float32, float16 or uint8 is expected"])
        .row("model", "grey", &["[batch, 3, height, width]"])
        .row("model", "batch", &["a batch of 800 pictures"])
        .row("model", "vast", &["256 pictures of 8192x8192 a run are too many pixels"])
        .row("model", "huge", &["a side of 4000000000 pixels"]);
}

#[test]
fn known_shapes_are_recognised_and_their_names_read() {
    let folder = Folder::new();
    let save = |name: &str, model: Model| folder.write(&format!("{name}.onnx"), model.metadata("names", NAMES).bytes());
    save("v8", Model::new([1, 3, 64, 64]).output("output0", &[1, 6, 84]));
    save("x", Model::new([1, 3, 64, 64]).output("output", &[1, 84, 7]));
    save("open", Model::new([-1, 3, -1, -1]).output("output0", &[1, 6, 84]).metadata("imgsz", "[64, 96]"));
    save("wide", Model::new([1, 3, -1, -1]).output("output0", &[1, 6, 8400]));
    save("bytes", Model::default().input("images", UINT8, &[1, 64, 64, 3]).output("output", &[1, 84, 7]));
    save("batch", Model::new([4, 3, 64, 64]).output("output", &[4, 84, 7]));
    let models = ["v8", "x", "open", "wide", "bytes", "batch"].map(|name| (name, format!("path: {name}.onnx")));
    let outcome = check(&folder, &models.each_ref().map(|(name, path)| (*name, path.as_str())));
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    outcome
        .row("model", "v8", &["ok", "yolo, 64x64, 2 classes, on cpu"])
        .row("model", "x", &["ok", "yolox, 64x64, 2 classes"])
        .row("model", "open", &["ok", "yolo, 96x64, 2 classes"])
        .row("model", "wide", &["ok", "yolo, 640x640, 2 classes"])
        .row("model", "bytes", &["ok", "yolox, 64x64, 2 classes"])
        .row("model", "batch", &["ok", "yolox, 64x64, 2 classes"]);
}

#[test]
fn labels_that_do_not_fit_are_counted() {
    let folder = Folder::new();
    folder.write("one.txt", "ball\n\n");
    folder.write("noise.txt", [0xff, 0xfe, 0x00]);
    folder.write("nameless.onnx", Model::new([1, 3, 64, 64]).output("output", &[1, 84, 7]).bytes());
    let named = Model::new([1, 3, 64, 64]).output("output", &[1, 84, 7]).metadata("names", "{0: 'only'}");
    folder.write("named.onnx", named.bytes());
    let outcome = check(
        &folder,
        &[
            ("list", "path: m.onnx, labels: [a, b, c]"),
            ("coco", "path: m.onnx, labels: coco"),
            ("file", "path: m.onnx, labels: one.txt"),
            ("noise", "path: m.onnx, labels: noise.txt"),
            ("nameless", "path: nameless.onnx"),
            ("named", "path: named.onnx"),
        ],
    );
    assert_eq!(outcome.code, 1);
    outcome
        .row("model", "list", &["`labels:` gives 3 labels, but the model has 2 classes"])
        .row("model", "coco", &["`labels: coco` gives 80 labels, but the model has 2 classes"])
        .row("model", "file", &["one.txt", "1 label", "2 classes"])
        .row("model", "noise", &["noise.txt", "UTF-8"])
        .row("model", "nameless", &["no names in its metadata", "set `labels:`"])
        .row("model", "named", &["the model's metadata gives 1 label"]);
}

#[test]
fn a_device_this_library_does_not_have_is_said_and_the_next_one_taken() {
    let folder = Folder::new();
    let devices = [("cuda", "cuda"), ("either", "[cuda, cpu]"), ("list", "[openvino, tensorrt]")];
    let models = devices.map(|(name, device)| (name, format!("path: m.onnx, device: {device}")));
    let outcome = check(&folder, &models.each_ref().map(|(name, settings)| (*name, settings.as_str())));
    assert_eq!(outcome.code, 1);
    let without = "this library was built without CUDAExecutionProvider";
    outcome
        .row(
            "model",
            "cuda",
            &["FAIL", "none of the devices", without, "has: cpu (CPUExecutionProvider)", "`device: cpu`"],
        )
        .row("model", "either", &["ok", "on cpu (not on cuda: ", without])
        .row("model", "list", &["FAIL", "openvino (this library", "; tensorrt (this library", "`device: cpu`"]);
    let config = small(&folder, "").replace("path: m.onnx", "path: m.onnx, device: [cuda, cpu]");
    let mut node = folder.node(&config);
    node.goes_on("good");
    let log = node.end();
    assert!(log.contains("device cuda cannot be used") && log.contains("device=\"cpu\""), "{log}");
}

#[test]
fn a_broken_model_stops_only_its_own_cameras() {
    let folder = Folder::new();
    folder.write("text.onnx", "not a model");
    let config = small(&folder, "  bad: { source: synthetic:shapes, model: broken }\n")
        .replace("models: { m: { path: m.onnx } }", "models: { m: { path: m.onnx }, broken: { path: text.onnx } }");
    let mut node = folder.node(&config);
    node.until_reason("bad", "model_not_loadable");
    node.goes_on("good");
    let log = node.end();
    assert!(log.contains("text.onnx: is no ONNX model"), "{log}");

    let alone =
        "models: { broken: { path: text.onnx } }\ncameras: { bad: { source: synthetic:shapes, model: broken } }\n";
    let outcome = folder.with(alone, &["run"]);
    outcome.fails(1, &["error: text.onnx: is no ONNX model"]);
    assert_eq!(outcome.stderr.matches("text.onnx").count(), 1, "said once: {}", outcome.stderr);
}
