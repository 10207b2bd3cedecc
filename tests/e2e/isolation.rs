//! What breaks, breaks alone.

use std::time::Duration;

use crate::common::{Mosquitto, NatsServer, free_port};
use crate::node::{Home, Node, SHAPES, Silent, buses, scene, wait_for};
use crate::witness::{MqttWitness, Received, assert_valid, publish};

#[test]
fn broken_cameras_and_models_leave_the_healthy_camera_alone() {
    let (broker, silent) = (Mosquitto::open(), Silent::open());
    let home = Home::new(&format!(
        "{}models: {{ shapes: {{ path: \"bundled:shapes\" }}, junk: {{ path: junk.onnx }} }}\ncameras:\n  \
         healthy: {{ source: {}, model: shapes }}\n  \
         gone: {{ source: \"rtsp://127.0.0.1:{}/s\", model: shapes }}\n  \
         hung: {{ source: \"rtsp://127.0.0.1:{}/s\", model: shapes }}\n  \
         missing: {{ source: nowhere.mp4, model: shapes }}\n  \
         garbage: {{ source: garbage.mp4, model: shapes }}\n  \
         brainless: {{ source: {}, model: junk }}\n",
        buses(Some((broker.port, "5")), None),
        scene(5, "&seed=5"),
        free_port(),
        silent.port,
        scene(5, ""),
    ));
    std::fs::write(home.path().join("garbage.mp4"), [7; 5000]).unwrap();
    std::fs::write(home.path().join("junk.onnx"), [7; 5000]).unwrap();
    let witness = MqttWitness::v5(broker.port);
    let node = home.start();
    for camera in ["gone", "missing", "garbage", "brainless"] {
        node.wait_until(camera, "failed");
        let reason = node.camera(camera)["reason"].clone();
        assert!(!reason["code"].as_str().unwrap().is_empty() && !reason["message"].as_str().unwrap().is_empty());
        let told = witness.inbox.wait(camera, |m| m.is_of(camera, "state") && m.json()["actual"] == "failed");
        assert_eq!(told.json()["reason"]["code"], reason["code"]);
        witness.inbox.wait(camera, |m| m.is_of(camera, "status") && m.text() == "offline");
    }
    // Also what is broken can be switched off, and says why it cannot be switched on.
    for (word, ok) in [("stop", true), ("start", false)] {
        publish(broker.port, "sightwire/cameras/brainless/control", word.as_bytes(), &[]);
        let is = |m: &Received| m.topic == "sightwire/nodes/garage/replies" && m.json()["command"] == word;
        let answer = witness.inbox.wait(word, is).json();
        assert_valid("reply", &answer);
        assert_eq!(answer["ok"], ok, "{answer}");
        assert!(ok || answer["error"]["code"] == "camera_failed", "{answer}");
    }
    let before = witness.inbox.of("healthy", "detections").len();
    let flowing = witness.inbox.wait_many("detections", before + 8, |m| m.is_of("healthy", "detections"));
    let seqs: Vec<u64> = flowing.iter().map(|m| m.detections().seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    assert_eq!(node.camera("healthy")["actual"], "running");
}

/// Frames read and inferred, detections that MQTT has and that NATS has.
fn counts(node: &Node) -> [f64; 4] {
    let page = node.metrics();
    let sent = |bus| {
        ["sent", "acked"].map(|outcome| {
            page.sum("sightwire_messages_total", &[("bus", bus), ("kind", "detections"), ("outcome", outcome)])
        })
    };
    let inferred = page.sum("sightwire_frames_total", &[("camera", "door"), ("outcome", "inferred")]);
    let read = page.sum("sightwire_stage_duration_seconds_count", &[("camera", "door"), ("stage", "decode")]);
    [read, inferred, sent("mqtt").iter().sum(), sent("nats").iter().sum()]
}

#[test]
fn a_broker_that_hangs_slows_neither_capture_nor_the_model_nor_the_other_bus() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let home = Home::new(&format!(
        "{}{SHAPES}cameras:\n  door: {{ source: {}, model: shapes, max_fps: 0, publish: {{ qos: 1 }} }}\n",
        buses(Some((broker.port, "5")), Some(server.port)),
        scene(10, "&seed=5&objects=6"),
    ));
    let node = home.start();
    wait_for("both buses are connected", || (node.get("/readyz").0 == 200).then_some(()));
    // Counted over the same time each; half as many would be enough, for the machine does other things, too.
    let over = |span: Duration| {
        let before = counts(&node);
        std::thread::sleep(span);
        let after = counts(&node);
        std::array::from_fn::<f64, 4, _>(|at| after[at] - before[at])
    };
    let span = Duration::from_secs(5);
    let healthy = over(span);
    assert!(healthy.iter().all(|&count| count >= 20.0), "{healthy:?}");
    broker.signal("STOP");
    // What was on its way may still be acknowledged.
    std::thread::sleep(Duration::from_secs(1));
    let hanging = over(span);
    for (what, at) in [("read", 0), ("inferred", 1), ("said to NATS", 3)] {
        assert!(hanging[at] >= healthy[at] / 2.0, "{what}: {healthy:?}, {hanging:?}");
    }
    assert_eq!(hanging[2], 0.0, "the broker does hang: {hanging:?}");
    broker.signal("CONT");
    let behind = counts(&node);
    wait_for("MQTT catches up", || (counts(&node)[2] >= behind[1]).then_some(()));
}
