//! What Home Assistant is told, by the real program over a real mosquitto, held to the rules that were read from Home
//! Assistant's own schemas (`rules-*.json`, made by `tests/clients/home-assistant/rules.py`). The real one is run by
//! `make clients`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "what the end-to-end tests have and these do not use")]

mod births;
#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod gone;
mod guide;
#[path = "../e2e/metrics.rs"]
mod metrics;
#[path = "../e2e/node.rs"]
mod node;
mod rules;
#[path = "../e2e/witness.rs"]
mod witness;
mod works;

use std::collections::BTreeMap;

use serde_json::Value;

use common::Mosquitto;
use node::{Home, SHAPES, buses, scene, wait_for};
use witness::{Inbox, MqttWitness, Received, publish};

/// A node `garage` with its broker, and a witness of all that it and Home Assistant's topics say.
struct House {
    broker: Mosquitto,
    home: Home,
    witness: MqttWitness,
}

/// Two labels of their own, and an event entity.
const FRONT: &str = "front-door: { source: SOURCE, model: shapes, labels: [circle, square] }";
/// Whatever it sees, and no tracker: no events.
const YARD: &str = "yard: { source: SOURCE, model: shapes, tracker: none }";

impl House {
    /// `section`: what stands under `homeassistant:`; none, where it is empty.
    fn new(section: &str, cameras: &[&str]) -> Self {
        let broker = Mosquitto::open();
        let topics = ["-V", "mqttv5", "--retain-as-published", "-t", "sightwire/#", "-t", "homeassistant/#"];
        let witness = MqttWitness::with(broker.port, &topics);
        let home = Home::new("");
        let house = Self { broker, home, witness };
        house.configure(section, cameras);
        house
    }

    fn configure(&self, section: &str, cameras: &[&str]) {
        let section = if section.is_empty() { String::new() } else { format!("homeassistant: {section}\n") };
        let bus = buses(Some((self.broker.port, "5")), None);
        let source = scene(5, "&objects=9&seed=5");
        let cameras: Vec<String> =
            cameras.iter().map(|line| format!("  {}\n", line.replace("SOURCE", &source))).collect();
        let cameras = cameras.concat();
        self.home.rewrite(&format!("{bus}{SHAPES}{section}cameras:\n{cameras}"));
    }

    /// What stands announced, by topic, as whoever follows from the beginning knows it.
    fn announced(&self) -> BTreeMap<String, Value> {
        let mut standing = BTreeMap::new();
        for message in announcements(&self.witness.inbox) {
            assert!(
                message.retain && message.qos == 1,
                "{}: not kept for a Home Assistant that starts later",
                message.topic
            );
            if message.payload.is_empty() {
                standing.remove(&message.topic);
            } else {
                standing.insert(message.topic.clone(), message.json());
            }
        }
        standing
    }

    /// Waits until an entity of this id is announced.
    fn entity(&self, id: &str) -> Value {
        wait_for(id, || self.find(id))
    }

    fn find(&self, id: &str) -> Option<Value> {
        entities(&self.announced()).into_iter().find(|entity| entity["default_entity_id"] == id)
    }

    fn last(&self, topic: &str) -> Option<String> {
        self.witness.inbox.all().iter().rfind(|message| message.topic == topic).map(Received::text)
    }

    fn state(&self, camera: &str) -> Option<Value> {
        serde_json::from_str(&self.last(&format!("sightwire/cameras/{camera}/state"))?).ok()
    }

    /// As Home Assistant reckons: all topics of the entity must say the word.
    fn is_available(&self, entity: &Value) -> bool {
        assert!(entity["availability"].is_null() || entity["availability_mode"] == "all", "{entity}");
        let topics = entity["availability"].as_array().into_iter().flatten();
        topics.into_iter().all(|one| self.last(one["topic"].as_str().unwrap()).as_deref() == Some("online"))
    }

    /// What Home Assistant would publish, where it would.
    fn send(&self, entity: &Value, payload: &str) {
        publish(self.broker.port, entity["command_topic"].as_str().unwrap(), payload.as_bytes(), &[]);
    }
}

fn announcements(inbox: &Inbox) -> Vec<Received> {
    inbox.all().into_iter().filter(|message| message.topic.ends_with("/config")).collect()
}

/// The entities of discovery messages of the device style, without those that are named only to be taken back.
fn entities(announced: &BTreeMap<String, Value>) -> Vec<Value> {
    let components = announced.values().filter_map(|device| device["components"].as_object());
    components.flat_map(|all| all.values().cloned()).filter(|entity| entity.as_object().unwrap().len() > 1).collect()
}
