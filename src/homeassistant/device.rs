//! A device and its entities, as discovery writes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One entity: its platform and its settings. All of them, availability too: so it reads the same in both styles.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// `sensor`, `switch`, …
    pub platform: &'static str,
    pub body: Map<String, Value>,
}

/// One device with its entities.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Letters, digits, `-` and `_`: it is a word of topics.
    pub id: String,
    /// The `device` block.
    pub about: Value,
    /// By a key that is unique within the device.
    pub components: BTreeMap<String, Component>,
}

/// Who announces.
pub(super) fn origin(version: &str) -> Value {
    json!({ "name": "Sightwire", "sw_version": version })
}

/// Topics that must all say `online` for an entity to be available.
pub(super) fn availability(topics: &[&str]) -> Value {
    topics.iter().map(|topic| json!({ "topic": topic })).collect()
}

/// Puts a device together.
pub(super) struct Builder {
    device: Device,
    /// The first words of its entities' names in Home Assistant.
    entity: String,
}

impl Builder {
    pub(super) fn new(id: String, entity: String, about: Value) -> Self {
        Self { device: Device { id, about, components: BTreeMap::new() }, entity }
    }

    /// An entity `key`; `suffix` ends its id in Home Assistant (`sensor.front_door_<suffix>`), `body` is the rest of it.
    pub(super) fn add(&mut self, platform: &'static str, key: &str, suffix: &str, available: &Value, body: Value) {
        let Value::Object(mut body) = body else { return };
        let entity = if suffix.is_empty() { self.entity.clone() } else { format!("{}_{suffix}", self.entity) };
        body.insert("unique_id".into(), format!("{}_{key}", self.device.id).into());
        body.insert("default_entity_id".into(), format!("{platform}.{entity}").into());
        body.insert("qos".into(), 1.into());
        if available.as_array().is_some_and(|topics| !topics.is_empty()) {
            body.insert("availability".into(), available.clone());
            body.insert("availability_mode".into(), "all".into());
        }
        self.device.components.insert(key.into(), Component { platform, body });
    }

    pub(super) fn build(self) -> Device {
        self.device
    }
}
