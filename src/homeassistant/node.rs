//! A node's entities: what people look at when something is wrong.

use serde_json::json;

use super::device::{Builder, Device, availability};
use super::words::{root, title};
use crate::domain::Name;

/// What there is to know of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    pub name: Name,
    /// Sightwire's.
    pub version: String,
    /// First words of all topics.
    pub topic_prefix: String,
    pub topics: NodeTopics,
    /// The buses it speaks on, `mqtt` and `nats`.
    pub buses: Vec<&'static str>,
    /// Its live page, where others can reach it.
    pub page: Option<String>,
}

/// Where a node is heard and spoken to, as addresses on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTopics {
    pub status: String,
    pub state: String,
    pub control: String,
}

/// The node's device.
#[must_use]
pub fn node(facts: &NodeFacts) -> Device {
    let id = format!("{}_node_{}", root(&facts.topic_prefix), facts.name);
    let mut about = json!({
        "identifiers": [id],
        "name": format!("Sightwire {}", title(facts.name.as_str())),
        "manufacturer": "Sightwire",
        "model": "Node",
        "sw_version": facts.version,
    });
    if let Some(page) = &facts.page {
        about["configuration_url"] = page.as_str().into();
    }
    let NodeTopics { status, state, control } = &facts.topics;
    let up = availability(&[status]);
    let mut device = Builder::new(id, format!("sightwire_{}", facts.name.as_str().replace('-', "_")), about);
    // Always available: it is what tells that the node is not.
    device.add(
        "binary_sensor",
        "connectivity",
        "connectivity",
        &availability(&[]),
        json!({
            "name": "Connectivity", "device_class": "connectivity", "entity_category": "diagnostic",
            "state_topic": status, "payload_on": "online", "payload_off": "offline",
        }),
    );
    for bus in &facts.buses {
        device.add("binary_sensor", &format!("bus_{bus}"), bus, &up, json!({
            "name": bus.to_uppercase(), "device_class": "connectivity", "entity_category": "diagnostic", "state_topic": state,
            "value_template": format!(
                "{{{{ 'ON' if value_json.buses | selectattr('name', 'eq', '{bus}') | selectattr('connected') | list else 'OFF' }}}}"
            ),
        }));
    }
    device.add("binary_sensor", "problem", "problem", &up, json!({
        "name": "Problem", "device_class": "problem", "entity_category": "diagnostic", "state_topic": state,
        "value_template": "{{ 'ON' if value_json.buses | selectattr('problem', 'defined') | list else 'OFF' }}",
        "json_attributes_topic": state,
        "json_attributes_template":
            "{{ {'problems': value_json.buses | selectattr('problem', 'defined') | map(attribute='problem') | list} | tojson }}",
    }));
    device.add("sensor", "running_cameras", "running_cameras", &up, json!({
        "name": "Running cameras", "icon": "mdi:cctv", "entity_category": "diagnostic", "state_class": "measurement",
        "suggested_display_precision": 0, "state_topic": state,
        "value_template": "{{ value_json.cameras | selectattr('state', 'eq', 'running') | list | count }}",
    }));
    device.add(
        "sensor",
        "version",
        "version",
        &up,
        json!({
            "name": "Version", "icon": "mdi:tag", "entity_category": "diagnostic",
            "state_topic": state, "value_template": "{{ value_json.version }}",
        }),
    );
    device.add(
        "sensor",
        "onnxruntime",
        "onnx_runtime",
        &up,
        json!({
            "name": "ONNX Runtime", "icon": "mdi:brain", "entity_category": "diagnostic",
            "state_topic": state, "value_template": "{{ value_json.onnxruntime | default('None') }}",
        }),
    );
    device.add(
        "sensor",
        "started",
        "started",
        &up,
        json!({
            "name": "Started", "device_class": "timestamp", "entity_category": "diagnostic",
            "state_topic": state, "value_template": "{{ (value_json.started_at | as_datetime).isoformat() }}",
        }),
    );
    for (command, name, icon) in [
        ("stop", "Stop all cameras", "mdi:stop-circle-outline"),
        ("start", "Start all cameras", "mdi:play-circle-outline"),
    ] {
        let key = format!("{command}_all");
        let body = json!({ "name": name, "icon": icon, "command_topic": control, "payload_press": command });
        device.add("button", &key, &key, &up, body);
    }
    device.add(
        "button",
        "reload",
        "reload",
        &up,
        json!({
            "name": "Reload configuration", "icon": "mdi:reload", "entity_category": "config",
            "command_topic": control, "payload_press": "reload",
        }),
    );
    device.build()
}
