//! Frigate's topics: the real program, a real mosquitto, and its own clients as witnesses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "what the end-to-end tests have and these do not use")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod events;
mod ghosts;
mod herald;
#[path = "../e2e/metrics.rs"]
mod metrics;
#[path = "../e2e/node.rs"]
mod node;
mod switch;
#[path = "../e2e/witness.rs"]
mod witness;

use std::collections::BTreeMap;
use std::process::Command;

use common::Mosquitto;
use node::{SHAPES, buses, scene, wait_for};
use witness::MqttWitness;

const ON: &str = "frigate: { topics: true }\n";

/// A configuration; `more` are further sections.
fn text(broker: &Mosquitto, more: &str, cameras: &str) -> String {
    format!("{}{more}{SHAPES}cameras:\n{cameras}", buses(Some((broker.port, "5")), None))
}

/// One camera's line, `more` are further keys.
fn camera(name: &str, more: &str) -> String {
    format!("  {name}: {{ source: {}, model: shapes, max_fps: 0{more} }}\n", scene(15, "&objects=9&seed=5"))
}

/// Of Frigate's topics and Sightwire's, with the retain flag as it was published.
fn witness(broker: &Mosquitto) -> MqttWitness {
    let topics = ["-t", "frigate/#", "-t", "sightwire/#", "-t", "test/replies"];
    MqttWitness::with(broker.port, &[&["-V", "mqttv5", "--retain-as-published"][..], &topics].concat())
}

/// What the broker retains under this filter; a payload that is no text by its length.
fn retained(broker: &Mosquitto, filter: &str) -> BTreeMap<String, String> {
    let said = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", filter, "--retained-only", "-W", "1"])
        .args(["-F", "%t\t%x"])
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let pair = |line: &str| {
        let (topic, hex) = line.split_once('\t').unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let text = String::from_utf8(bytes).unwrap_or_else(|e| format!("{} bytes", e.into_bytes().len()));
        (topic.to_owned(), text)
    };
    said.lines().map(pair).collect()
}

/// The camera's counts as the broker retains them, its switch and its pictures apart.
fn counts(broker: &Mosquitto, camera: &str) -> BTreeMap<String, u32> {
    let prefix = format!("frigate/{camera}/");
    let all = retained(broker, &format!("{prefix}#"));
    let of = |(topic, text): (String, String)| Some((topic.strip_prefix(&prefix)?.to_owned(), text.parse().ok()?));
    all.into_iter().filter_map(of).collect()
}

/// Waits until some objects are counted, and gives the counts.
fn counted(broker: &Mosquitto, camera: &str) -> BTreeMap<String, u32> {
    wait_for("objects are counted", || {
        let counts = counts(broker, camera);
        counts.get("all").is_some_and(|all| *all > 0).then_some(counts)
    })
}

fn wait_retained(broker: &Mosquitto, topic: &str, text: &str) {
    wait_for(&format!("{topic} says {text}"), || {
        (common::retained(broker.port, topic).as_deref() == Some(text)).then_some(())
    });
}
