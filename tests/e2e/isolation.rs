//! What breaks, breaks alone.

use crate::common::{Mosquitto, free_port};
use crate::node::{Home, Silent, buses, scene};
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
