//! A camera's entities.

use serde_json::{Value, json};

use super::device::{Builder, Device, availability};
use super::words::{icon, root, slug, title};
use crate::domain::Name;

/// What there is to know of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraFacts {
    pub name: Name,
    /// The node that runs it, and that node's status topic.
    pub node: Name,
    pub node_status: String,
    /// Sightwire's.
    pub version: String,
    /// First words of all topics.
    pub topic_prefix: String,
    pub topics: CameraTopics,
    /// Labels with entities of their own.
    pub counts: Vec<CountTopic>,
    /// Whether its events can be read: they are JSON, and there are any (a tracker).
    pub events: bool,
}

/// Where a camera is heard and spoken to, as addresses on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraTopics {
    pub status: String,
    pub state: String,
    pub control: String,
    pub events: String,
    pub keyframe: String,
    pub objects: String,
}

/// A label, and where it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountTopic {
    pub label: String,
    pub topic: String,
}

const SEEN: &str = "{{ 'ON' if value | int(0) > 0 else 'OFF' }}";

/// The camera's device.
#[must_use]
pub fn camera(facts: &CameraFacts) -> Device {
    let root = root(&facts.topic_prefix);
    let about = json!({
        "identifiers": [format!("{root}_camera_{}", facts.name)],
        "name": title(facts.name.as_str()),
        "manufacturer": "Sightwire",
        "model": "Camera",
        "sw_version": facts.version,
        "via_device": format!("{root}_node_{}", facts.node),
    });
    let entity = facts.name.as_str().replace('-', "_");
    let mut device = Builder::new(format!("{root}_camera_{}", facts.name), entity, about);
    let node = availability(&[&facts.node_status]);
    // What is measured is there only while the camera is: a count of a camera that was stopped says nothing.
    let seeing = availability(&[&facts.node_status, &facts.topics.status]);
    objects(&mut device, facts, &seeing);
    controls(&mut device, &facts.topics, &node);
    health(&mut device, &facts.topics, &node);
    figures(&mut device, &facts.topics, &seeing);
    device.add(
        "image",
        "keyframe",
        "keyframe",
        &node,
        json!({
            "name": "Keyframe", "image_topic": facts.topics.keyframe, "content_type": "image/jpeg",
        }),
    );
    if facts.events {
        device.add("event", "object", "object", &node, event(&facts.topics));
    }
    device.build()
}

/// What is seen: all together, and each label.
fn objects(device: &mut Builder, facts: &CameraFacts, available: &Value) {
    device.add("binary_sensor", "occupancy", "occupancy", available, json!({
        "name": "Occupancy", "device_class": "occupancy", "state_topic": facts.topics.objects, "value_template": SEEN,
    }));
    device.add(
        "sensor",
        "objects",
        "objects",
        available,
        json!({
            "name": "Objects", "state_topic": facts.topics.objects, "state_class": "measurement",
            "suggested_display_precision": 0, "icon": "mdi:shape",
        }),
    );
    for CountTopic { label, topic } in &facts.counts {
        let (word, name) = (slug(label), title(label));
        device.add(
            "binary_sensor",
            &format!("label_{word}_occupancy"),
            &word,
            available,
            json!({
                "name": name, "device_class": "occupancy", "state_topic": topic, "value_template": SEEN,
            }),
        );
        device.add(
            "sensor",
            &format!("label_{word}_count"),
            &format!("{word}_count"),
            available,
            json!({
                "name": format!("{name} count"), "state_topic": topic, "state_class": "measurement",
                "suggested_display_precision": 0, "icon": icon(label),
            }),
        );
    }
}

/// What can be asked of it.
fn controls(device: &mut Builder, topics: &CameraTopics, available: &Value) {
    // The wish, not the deed: a camera that cannot be reached stays on, and only a stop takes it off. Not optimistic: the
    // switch moves when the wish was applied.
    device.add(
        "switch",
        "switch",
        "",
        available,
        json!({
            "name": null, "icon": "mdi:cctv", "optimistic": false,
            "command_topic": topics.control, "payload_on": "start", "payload_off": "stop",
            "state_topic": topics.state, "state_on": "ON", "state_off": "OFF",
            "value_template": "{{ 'OFF' if value_json.desired == 'stopped' else 'ON' }}",
        }),
    );
    device.add("number", "confidence", "confidence", available, json!({
        "name": "Confidence", "icon": "mdi:percent", "entity_category": "config", "optimistic": false,
        "command_topic": topics.control, "command_template": "{\"command\":\"set\",\"args\":{\"confidence\":{{ value }}}}",
        "state_topic": topics.state, "value_template": "{{ value_json.settings.confidence }}",
        "min": 0, "max": 1, "step": 0.01, "mode": "slider",
    }));
    device.add("number", "max_fps", "max_fps", available, json!({
        "name": "Frame rate limit", "icon": "mdi:speedometer-slow", "entity_category": "config", "optimistic": false,
        "command_topic": topics.control, "command_template": "{\"command\":\"set\",\"args\":{\"max_fps\":{{ value }}}}",
        "state_topic": topics.state, "value_template": "{{ value_json.settings.max_fps }}",
        "min": 0, "max": 1000, "step": 0.1, "mode": "box", "unit_of_measurement": "fps",
    }));
    device.add(
        "button",
        "snapshot",
        "snapshot",
        available,
        json!({
            "name": "Snapshot", "icon": "mdi:camera", "command_topic": topics.control, "payload_press": "snapshot",
        }),
    );
    device.add(
        "button",
        "restart",
        "restart",
        available,
        json!({
            "name": "Restart", "device_class": "restart", "entity_category": "config",
            "command_topic": topics.control, "payload_press": "restart",
        }),
    );
}

/// Whether it is well.
fn health(device: &mut Builder, topics: &CameraTopics, available: &Value) {
    device.add(
        "binary_sensor",
        "connectivity",
        "connectivity",
        available,
        json!({
            "name": "Connectivity", "device_class": "connectivity", "entity_category": "diagnostic",
            "state_topic": topics.status, "payload_on": "online", "payload_off": "offline",
        }),
    );
    // A reason without a failure: the picture is frozen, black or covered.
    device.add(
        "binary_sensor",
        "problem",
        "problem",
        available,
        json!({
            "name": "Problem", "device_class": "problem", "entity_category": "diagnostic", "state_topic": topics.state,
            "value_template": "{{ 'ON' if value_json.actual == 'failed' or (value_json.reason is defined and \
                               value_json.actual != 'stopped') else 'OFF' }}",
            "json_attributes_topic": topics.state,
            "json_attributes_template": "{{ value_json.reason | default({'code': none, 'message': none}) | tojson }}",
        }),
    );
    device.add(
        "sensor",
        "state",
        "state",
        available,
        json!({
            "name": "State", "device_class": "enum", "entity_category": "diagnostic", "icon": "mdi:state-machine",
            "options": ["connecting", "running", "paused", "stopped", "failed", "ended"],
            "state_topic": topics.state, "value_template": "{{ value_json.actual }}",
        }),
    );
}

/// How it does.
fn figures(device: &mut Builder, topics: &CameraTopics, available: &Value) {
    device.add("sensor", "fps", "fps", available, json!({
        "name": "Frame rate", "icon": "mdi:speedometer", "entity_category": "diagnostic", "state_class": "measurement",
        "unit_of_measurement": "fps", "suggested_display_precision": 1,
        "state_topic": topics.state, "value_template": "{{ value_json.fps }}",
    }));
    for (key, name, quantile) in [("latency", "Latency", "p50"), ("latency_p95", "Latency p95", "p95")] {
        device.add("sensor", key, key, available, json!({
            "name": name, "icon": "mdi:timer-outline", "entity_category": "diagnostic", "state_class": "measurement",
            "device_class": "duration", "unit_of_measurement": "ms", "suggested_display_precision": 0,
            "state_topic": topics.state,
            // `None` is Home Assistant's word for a value that is not known.
            "value_template":
                format!("{{{{ value_json.latency.{quantile} if value_json.latency is defined else 'None' }}}}"),
        }));
    }
}

/// What comes late, after an outage, moves nothing: nobody wants to be woken for what was an hour ago. Kinds of events that
/// are not listed become an empty text, which Home Assistant passes over.
fn event(topics: &CameraTopics) -> Value {
    json!({
        "name": "Object", "icon": "mdi:motion-sensor", "event_types": ["started", "ended"], "state_topic": topics.events,
        "value_template": "{% if value_json.event in ['started', 'ended'] and not value_json.replayed | default(false) %}\
            {{ {'event_type': value_json.event, 'label': value_json.label, 'score': value_json.score, \
            'track_id': value_json.track_id, 'bbox': value_json.bbox, 'timestamp': value_json.timestamp} | tojson }}\
            {% endif %}",
    })
}
