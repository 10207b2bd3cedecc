//! Which device a model took is said everywhere: on the bus, over HTTP, in the metrics and in the log.

use serde_json::{Value, json};

use crate::common::Mosquitto;
use crate::node::{Home, buses, scene};
use crate::witness::{MqttWitness, assert_valid};

#[test]
fn the_device_that_was_taken_is_in_the_state_the_api_the_metrics_and_the_log() {
    let broker = Mosquitto::open();
    let witness = MqttWitness::v5(broker.port);
    let node = Home::new(&format!(
        "{}models:\n  first: {{ path: \"bundled:shapes\", device: [cuda, cpu], workers: 2 }}\n  \
         none: {{ path: \"bundled:shapes\", device: cuda }}\n\
         cameras:\n  door: {{ source: {}, model: first }}\n  gate: {{ source: {}, model: none }}\n",
        buses(Some((broker.port, "5")), None),
        scene(5, ""),
        scene(5, "")
    ))
    .start_owned();
    node.wait_until("door", "running");
    let size = json!({ "width": 320, "height": 320 });
    let models = json!([{ "name": "first", "family": "yolo", "device": "cpu", "input": size }, { "name": "none" }]);
    let state = witness.inbox.wait("the node's state", |m| m.topic == "sightwire/nodes/garage/state").json();
    assert_valid("node-state", &state);
    assert_eq!(state["models"], models);
    let said: Value = serde_json::from_str(&node.get("/api/node").1).unwrap();
    assert_valid("node-state", &said);
    assert_eq!(said["models"], models);
    let labels = [("model", "first"), ("family", "yolo"), ("device", "cpu")];
    let page = node.metrics();
    assert_eq!(page.sum("sightwire_model_info", &labels), 1.0);
    assert_eq!(page.find("sightwire_model_info", &[]).count(), 1, "the one that did not load runs nowhere");

    // A camera whose model has no device says why, with what there is instead.
    let camera = node.camera("gate");
    assert_eq!(camera["reason"]["code"], "device_unusable");
    let why = camera["reason"]["message"].as_str().unwrap();
    assert!(why.contains("built without CUDAExecutionProvider") && why.contains("has: cpu"), "{why}");
    let (_, log) = node.end();
    let warned = log.all().iter().filter(|line| line.contains("device cuda cannot be used")).count();
    assert_eq!(warned, 1, "once for both workers:\n{}", log.text());
    assert!(log.text().contains(r#""device":"cpu""#), "{}", log.text());
}
