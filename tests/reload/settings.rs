//! Settings that are changed without a restart, and sections that need one.

use crate::node::wait_for;
use crate::witness::{Received, publish};
use crate::{Yard, camera, names};

#[test]
fn live_settings_and_groups_change_without_a_restart() {
    let yard = Yard::open(&camera("a", 15, 1, ", max_fps: 0, groups: [old]"));
    yard.flows("a");
    let read = yard.node.camera("a")["frames"]["read"].as_u64().unwrap();
    yard.write(&camera("a", 15, 1, ", max_fps: 3, labels: [circle], confidence: 0.5, groups: [new]"));
    let done = yard.hang_up();
    assert_eq!((names(&done["changed"]), names(&done["restarted"])), (vec!["a"], vec![]), "{done}");
    let state = yard.node.camera("a");
    let settings = &state["settings"];
    assert_eq!(settings["max_fps"], 3.0, "{settings}");
    assert_eq!((&settings["labels"][0], &settings["groups"][0]), (&"circle".into(), &"new".into()), "{settings}");
    assert!(settings.get("changed").is_none(), "the file says so: {settings}");
    assert!(state["frames"]["read"].as_u64().unwrap() >= read);
    // The group's topics are exchanged with it.
    publish(yard.broker.port, "sightwire/groups/old/control", b"stop", &[]);
    publish(yard.broker.port, "sightwire/groups/new/control", b"status", &[]);
    let answer = yard.witness.inbox.wait("an answer", |m| m.topic == "sightwire/nodes/garage/replies").json();
    assert_eq!((&answer["command"], &answer["state"]["actual"]), (&"status".into(), &"running".into()), "{answer}");
    // Labels that are not looked for any more leave no count behind.
    wait_for("the other counts are cleared", || {
        let left = ["square", "triangle"]
            .map(|label| crate::common::retained(yard.broker.port, &format!("sightwire/cameras/a/counts/{label}")));
        left.iter().all(Option::is_none).then_some(())
    });
    assert!(crate::common::retained(yard.broker.port, "sightwire/cameras/a/counts/circle").is_some());
    yard.flows("a");
    yard.is_whole("a");
    let words: Vec<String> = yard.witness.inbox.of("a", "status").iter().map(Received::text).collect();
    assert_eq!(words, ["offline", "online"], "it was never away");
    // What a command set gives way to the file where the file was changed.
    publish(
        yard.broker.port,
        "sightwire/cameras/a/control",
        br#"{"command":"set","args":{"max_fps":2,"confidence":0.9}}"#,
        &[],
    );
    wait_for("it is set", || (yard.node.camera("a")["settings"]["max_fps"] == 2.0).then_some(()));
    yard.write(&camera("a", 15, 1, ", max_fps: 8, labels: [circle], confidence: 0.5, groups: [new]"));
    yard.hang_up();
    let settings = yard.node.camera("a")["settings"].clone();
    assert_eq!((&settings["max_fps"], &settings["confidence"]), (&8.0.into(), &0.9.into()), "{settings}");
    assert_eq!(names(&settings["changed"]), ["confidence"], "{settings}");
    // What gave way is forgotten, and does not come back with the file's old value.
    yard.write(&camera("a", 15, 1, ", max_fps: 3, labels: [circle], confidence: 0.5, groups: [new]"));
    yard.hang_up();
    assert_eq!(yard.node.camera("a")["settings"]["max_fps"], 3.0);
}

#[test]
fn sections_that_need_a_restart_are_named_and_the_rest_is_applied() {
    let a = camera("a", 10, 1, "");
    let yard = Yard::open(&a);
    yard.flows("a");
    let text = yard.text(crate::SHAPES, &[a.as_str(), &camera("b", 10, 2, "")].concat());
    let text = text.replace("127.0.0.1:0", "127.0.0.1:1").replace("version: 5", "version: 3.1.1");
    std::fs::write(yard.file(), text).unwrap();
    for _ in 0..2 {
        let done = yard.hang_up();
        assert_eq!(names(&done["needs_restart"]), ["buses.mqtt", "http"], "said until it is done: {done}");
    }
    yard.flows("b");
    yard.node.log.wait("of what needs a restart", |line| line.contains("buses.mqtt was changed"));
    yard.is_whole("a");
}
