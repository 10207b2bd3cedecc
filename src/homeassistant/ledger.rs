//! What is to be published, and what is to be cleared of what was published before, by an earlier run too.
//!
//! Home Assistant keeps what was announced until it is taken back, and the broker keeps the announcement: so whoever announces
//! has to remember. A device is taken back by an empty payload; a single entity of one that stays by sending only its
//! `platform`, and that stays in the payload: Home Assistant may be away when it is said first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::device::{Component, Device, origin};
use super::{HomeAssistantConfig, Style};

/// One discovery message.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub topic: String,
    about: Value,
    origin: Value,
    /// By key; a message for one entity has that one.
    components: BTreeMap<String, Component>,
    style: Style,
}

/// What stands on the broker, as far as this node put it there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// By topic: the entities that were ever announced there, and their platforms.
    published: BTreeMap<String, BTreeMap<String, String>>,
    /// Topics that are to be cleared and may not have been yet.
    cleared: BTreeSet<String>,
}

/// The messages that announce these devices.
#[must_use]
pub fn documents(config: &HomeAssistantConfig, version: &str, devices: Vec<Device>) -> Vec<Document> {
    let style = config.style;
    let of_device = |device: Device| -> Vec<Document> {
        let Device { id, about, components } = device;
        let document = |topic, about, components| Document { topic, about, origin: origin(version), components, style };
        match style {
            Style::Device => vec![document(config.device_topic(&id), about, components)],
            Style::Components => {
                let one = |(key, component): (String, Component)| {
                    let topic = config.component_topic(component.platform, &id, &key);
                    document(topic, about.clone(), BTreeMap::from([(key, component)]))
                };
                components.into_iter().map(one).collect()
            }
        }
    };
    devices.into_iter().flat_map(of_device).collect()
}

impl Document {
    /// With `gone`, keys and platforms of entities that are no more.
    fn payload<'a>(&'a self, gone: impl Iterator<Item = (&'a String, &'a String)>) -> Value {
        let mut whole = match self.style {
            Style::Device => {
                let gone = gone.map(|(key, platform)| (key.clone(), json!({ "platform": platform })));
                let here = self.components.iter().map(|(key, Component { platform, body })| {
                    let mut body = body.clone();
                    body.insert("platform".into(), (*platform).into());
                    (key.clone(), Value::Object(body))
                });
                Map::from_iter([("components".to_owned(), Value::Object(gone.chain(here).collect()))])
            }
            Style::Components => {
                self.components.values().flat_map(|component| component.body.clone()).filter_map(older).collect()
            }
        };
        whole.insert("device".into(), self.about.clone());
        whole.insert("origin".into(), self.origin.clone());
        Value::Object(whole)
    }
}

/// Releases that want a message for each entity know `object_id`, without its domain, and no list of a sensor's `options`.
fn older((key, value): (String, Value)) -> Option<(String, Value)> {
    match (key.as_str(), value.as_str().and_then(|id| id.split_once('.'))) {
        ("default_entity_id", Some((_, id))) => Some(("object_id".into(), id.into())),
        ("options", _) => None,
        _ => Some((key, value)),
    }
}

impl Ledger {
    /// What to publish so that exactly `wanted` is announced: topics and payloads, an empty one clears. What goes comes first:
    /// an entity that moves to another topic must have left the old one.
    pub fn settle(&mut self, wanted: &[Document]) -> Vec<(String, Vec<u8>)> {
        let topics: BTreeSet<&String> = wanted.iter().map(|document| &document.topic).collect();
        let gone: Vec<String> = self.published.keys().filter(|topic| !topics.contains(topic)).cloned().collect();
        for topic in gone {
            self.published.remove(&topic);
            self.cleared.insert(topic);
        }
        self.cleared.retain(|topic| !topics.contains(topic));
        let clear = self.cleared.iter().map(|topic| (topic.clone(), Vec::new()));
        let mut said: Vec<(String, Vec<u8>)> = clear.collect();
        for document in wanted {
            let known = self.published.entry(document.topic.clone()).or_default();
            let here = document.components.iter();
            known.extend(here.map(|(key, component)| (key.clone(), component.platform.to_owned())));
            let gone = known.iter().filter(|(key, _)| !document.components.contains_key(*key));
            said.push((document.topic.clone(), document.payload(gone).to_string().into_bytes()));
        }
        said
    }

    /// Topics that are to be cleared and may not have been yet.
    #[must_use]
    pub fn cleared(&self) -> &BTreeSet<String> {
        &self.cleared
    }

    /// What was to be cleared is.
    pub fn has_cleared(&mut self) {
        self.cleared.clear();
    }

    /// Nothing stands on the broker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.published.is_empty() && self.cleared.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, sensors: &[&str]) -> Device {
        let component = |key: &&str| {
            let Value::Object(body) = json!({ "unique_id": key, "default_entity_id": format!("sensor.{key}") }) else {
                unreachable!()
            };
            ((*key).to_owned(), Component { platform: "sensor", body })
        };
        Device {
            id: id.into(),
            about: json!({ "identifiers": [id] }),
            components: sensors.iter().map(component).collect(),
        }
    }

    fn config(style: Style, prefix: &str) -> HomeAssistantConfig {
        HomeAssistantConfig { style, prefix: prefix.into(), ..HomeAssistantConfig::default() }
    }

    /// Topics, and the payloads as JSON; null for a cleared one.
    fn settle(ledger: &mut Ledger, config: &HomeAssistantConfig, devices: Vec<Device>) -> Vec<(String, Value)> {
        // As over a restart.
        *ledger = serde_json::from_str(&serde_json::to_string(ledger).unwrap()).unwrap();
        let said = ledger.settle(&documents(config, "1", devices));
        let parsed = |payload: Vec<u8>| serde_json::from_slice(&payload).unwrap_or(Value::Null);
        said.into_iter().map(|(topic, payload)| (topic, parsed(payload))).collect()
    }

    #[test]
    fn a_device_that_is_gone_is_cleared_until_that_has_arrived() {
        let (mut ledger, config) = (Ledger::default(), config(Style::Device, "ha"));
        settle(&mut ledger, &config, vec![device("a", &["x"]), device("b", &["y"])]);
        for _ in 0..2 {
            let said = settle(&mut ledger, &config, vec![device("a", &["x"])]);
            assert_eq!(said[0], ("ha/device/b/config".into(), Value::Null));
            assert_eq!((said.len(), &said[1].0), (2, &"ha/device/a/config".to_owned()));
        }
        ledger.has_cleared();
        assert_eq!(settle(&mut ledger, &config, vec![device("a", &["x"])]).len(), 1);
        assert_eq!(settle(&mut ledger, &config, vec![]), [("ha/device/a/config".into(), Value::Null)]);
        ledger.has_cleared();
        assert!(ledger.is_empty());
    }

    #[test]
    fn an_entity_that_is_gone_is_named_by_its_platform_alone_and_may_come_back() {
        let (mut ledger, config) = (Ledger::default(), config(Style::Device, "ha"));
        settle(&mut ledger, &config, vec![device("a", &["x", "y"])]);
        for _ in 0..2 {
            let said = settle(&mut ledger, &config, vec![device("a", &["x"])]);
            assert_eq!(said[0].1["components"]["y"], json!({ "platform": "sensor" }));
            assert_eq!(said[0].1["components"]["x"]["default_entity_id"], "sensor.x");
        }
        let said = settle(&mut ledger, &config, vec![device("a", &["x", "y"])]);
        assert_eq!(said[0].1["components"]["y"]["unique_id"], "y");
    }

    #[test]
    fn another_style_or_prefix_clears_what_stands_under_the_old_one_first() {
        let mut ledger = Ledger::default();
        settle(&mut ledger, &config(Style::Device, "ha"), vec![device("a", &["x", "y"])]);
        let said = settle(&mut ledger, &config(Style::Components, "ha"), vec![device("a", &["x", "y"])]);
        let topics: Vec<&str> = said.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(topics, ["ha/device/a/config", "ha/sensor/a/x/config", "ha/sensor/a/y/config"]);
        assert_eq!(
            said[1].1,
            json!({ "unique_id": "x", "object_id": "x", "device": { "identifiers": ["a"] },
            "origin": { "name": "Sightwire", "sw_version": "1" } })
        );
        ledger.has_cleared();
        let said = settle(&mut ledger, &config(Style::Components, "other"), vec![device("a", &["x"])]);
        let cleared: Vec<&str> = said.iter().filter(|(_, p)| p.is_null()).map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(cleared, ["ha/sensor/a/x/config", "ha/sensor/a/y/config"]);
    }
}
