//! The configuration is read again while the node runs: the real program, a real mosquitto, and witnesses that share no code
//! with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "what the end-to-end tests have and these do not use")]

mod cameras;
#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod endings;
#[path = "../e2e/metrics.rs"]
mod metrics;
mod models;
#[path = "../e2e/node.rs"]
mod node;
mod operators;
mod races;
mod refused;
mod settings;
#[path = "../e2e/witness.rs"]
mod witness;

use std::path::{Path, PathBuf};

use serde_json::Value;

use common::Mosquitto;
use node::{Home, Node, SHAPES, buses, scene, wait_for};
use witness::{MqttWitness, Received, assert_valid, publish};

/// A node with a file that changes, its broker and a witness of all it says.
struct Yard {
    broker: Mosquitto,
    home: Home,
    node: Node,
    witness: MqttWitness,
}

impl Yard {
    /// `cameras`: the lines under `cameras:`.
    fn open(cameras: &str) -> Self {
        Self::with_models(SHAPES, cameras)
    }

    fn with_models(models: &str, cameras: &str) -> Self {
        let broker = Mosquitto::open();
        let witness = MqttWitness::v5(broker.port);
        let home = Home::new(&format!("{}{models}cameras:\n{cameras}", buses(Some((broker.port, "5")), None)));
        let node = home.start();
        wait_for("the bus is connected", || {
            (node.metrics().sum("sightwire_bus_control_connected", &[]) > 0.0).then_some(())
        });
        Self { broker, home, node, witness }
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("sightwire.yaml")
    }

    /// The file with these cameras.
    fn text(&self, models: &str, cameras: &str) -> String {
        Home::text(&format!("{}{models}cameras:\n{cameras}", buses(Some((self.broker.port, "5")), None)))
    }

    fn write(&self, cameras: &str) {
        std::fs::write(self.file(), self.text(SHAPES, cameras)).unwrap();
    }

    /// SIGHUP, as an operator sends it; what the node's state says of it.
    fn hang_up(&self) -> Value {
        let before = self.last();
        self.node.process.signal("HUP");
        wait_for("the reload is over", || self.last().filter(|last| Some(last) != before.as_ref()))
    }

    fn last(&self) -> Option<Value> {
        let state: Value = serde_json::from_str(&self.node.get("/api/node").1).unwrap();
        assert_valid("node-state", &state);
        state.get("reload").cloned()
    }

    /// The command, and its answer.
    fn reload(&self, mark: &str) -> Value {
        let more =
            ["-V", "mqttv5", "-D", "publish", "response-topic", "test/replies", "-D", "publish", "correlation-data"];
        publish(self.broker.port, "sightwire/nodes/garage/control", b"reload", &[&more[..], &[mark]].concat());
        let answer = |m: &Received| m.topic == "test/replies" && m.correlation == mark;
        let answer = self.witness.inbox.wait(mark, answer).json();
        assert_valid("reply", &answer);
        answer
    }

    fn flows(&self, camera: &str) {
        let before = self.witness.inbox.of(camera, "detections").len();
        let of_camera = |m: &Received| m.is_of(camera, "detections");
        self.witness.inbox.wait_many(&format!("more of {camera}"), before + 3, of_camera);
    }

    /// All detections and events of the camera: one boot, and no number missing or said twice. How many.
    fn is_whole(&self, camera: &str) -> (usize, usize) {
        let inbox = &self.witness.inbox;
        let mut boots = std::collections::BTreeSet::new();
        let mut counts = [0, 0];
        for (at, kind) in ["detections", "events"].into_iter().enumerate() {
            for (place, message) in inbox.of(camera, kind).iter().enumerate() {
                let message = message.json();
                boots.insert(message["boot_id"].as_str().unwrap().to_owned());
                assert_eq!(message["seq"], place + 1, "{camera}: {kind}");
                counts[at] += 1;
            }
        }
        assert_eq!(boots.len(), 1, "{camera}: one boot");
        (counts[0], counts[1])
    }
}

/// One camera's line, `more` are further keys.
fn camera(name: &str, fps: u32, seed: u32, more: &str) -> String {
    format!("  {name}: {{ source: {}, model: shapes{more} }}\n", scene(fps, &format!("&objects=6&seed={seed}")))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shapes.onnx")
}
