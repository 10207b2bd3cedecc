//! Live video by WebRTC: the real program, watched by a client that is no browser. `tests/page` watches with Chromium.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::format_push_string, reason = "short texts")]
#![allow(dead_code, reason = "the node of tests/e2e can do more than is needed here")]

mod bad_offers;
mod crowd;
mod http;
mod lines;
#[path = "../e2e/metrics.rs"]
mod metrics;
#[path = "../e2e/node.rs"]
mod node;
mod strangers;
mod viewer;
mod watching;

use node::{Home, Node, SHAPES};

/// A node with one camera, whose picture tells the time.
pub fn node(webrtc: &str) -> Node {
    node_at("127.0.0.1:0", webrtc)
}

/// As [`node`], listening elsewhere.
pub fn node_at(listen: &str, webrtc: &str) -> Node {
    let source = "\"synthetic:shapes?width=480&height=240&fps=15&clock=true\"";
    let camera = format!("cameras:\n  cam: {{ source: {source}, model: shapes, max_fps: 15 }}\n");
    let home = Home::new(&format!("{SHAPES}{camera}"));
    let path = home.path().join("sightwire.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let http = format!("listen: \"{listen}\", webrtc: {{ {webrtc} }}");
    std::fs::write(&path, text.replace("listen: \"127.0.0.1:0\"", &http)).unwrap();
    let node = home.start_owned();
    node.wait_until("cam", "running");
    node
}

/// A counter or gauge of the node's, by its labels.
pub fn figure(node: &Node, name: &str, labels: &[(&str, &str)]) -> f64 {
    let page = node.metrics();
    let found = page.samples.iter().find(|sample| {
        sample.name == name
            && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|found| found == value))
    });
    found.unwrap_or_else(|| panic!("no {name} {labels:?}")).value
}

/// A command to the camera, by the node's own broker.
pub fn say(node: &Node, word: &str) {
    let line = node.log.wait("of the broker", |line| line.contains("an embedded MQTT broker listens"));
    let record: serde_json::Value = serde_json::from_str(&line).unwrap();
    let (_, port) = record["fields"]["addr"].as_str().unwrap().rsplit_once(':').unwrap();
    let arguments = ["-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "sightwire/cameras/cam/control", "-m", word];
    assert!(std::process::Command::new("mosquitto_pub").args(arguments).status().unwrap().success());
}
