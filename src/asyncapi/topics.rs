//! Which addresses there are: the bus's table for each bus, and what Frigate and Home Assistant chose, over MQTT only.

use serde_json::{Value, json};

use super::messages::{self, Message};
use crate::bus::{Channel, Direction, Kept, Qos};
use crate::frigate::FrigateConfig;
use crate::homeassistant::HomeAssistantConfig;

pub(super) const TAGS: [(&str, &str); 5] = [
    ("camera", "What a camera sees, and how it is. Its topics never name its node: a camera may move to another"),
    ("node", "One process on one machine"),
    ("control", "The stop button and everything else that can be asked"),
    ("frigate", "With `frigate.topics: true`: the topics that automations for Frigate read"),
    ("homeassistant", "With a `homeassistant:` section: discovery"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Mqtt,
    Nats,
}

/// One address of one bus.
pub(super) struct Entry {
    pub key: String,
    pub wire: Wire,
    pub address: String,
    pub title: &'static str,
    pub says: &'static str,
    pub tag: &'static str,
    pub direction: Direction,
    pub messages: Vec<Message>,
    /// The channel where answers go if a command names no address.
    pub replies: Option<String>,
    pub stream: bool,
    qos: Qos,
    retain: bool,
}

impl Entry {
    pub(super) fn bindings(&self) -> Value {
        match self.wire {
            Wire::Mqtt => {
                let qos = u8::from(self.qos == Qos::AtLeastOnce);
                json!({ "mqtt": { "qos": qos, "retain": self.retain, "bindingVersion": "0.2.0" } })
            }
            Wire::Nats => json!({ "nats": { "bindingVersion": "0.1.0" } }),
        }
    }
}

pub(super) fn all() -> Vec<Entry> {
    let of = |wire| Channel::ALL.iter().map(move |channel| entry(*channel, wire));
    of(Wire::Mqtt).chain(frigate()).chain(home_assistant()).chain(of(Wire::Nats)).collect()
}

fn entry(channel: Channel, wire: Wire) -> Entry {
    let (key, tag, title, says) = named(channel);
    let (separator, suffix) = match wire {
        Wire::Mqtt => ("/", ""),
        Wire::Nats => (".", "Nats"),
    };
    let is_control = channel.direction() == Direction::Hears;
    Entry {
        key: format!("{key}{suffix}"),
        wire,
        address: [&["{prefix}"], channel.words()].concat().join(separator),
        title,
        says,
        tag,
        direction: channel.direction(),
        messages: messages::of(channel),
        replies: is_control.then(|| format!("{}{suffix}", named(Channel::Replies).0)),
        stream: channel.kept() != Kept::No,
        qos: channel.qos(),
        retain: channel.retain(),
    }
}

fn named(channel: Channel) -> (&'static str, &'static str, &'static str, &'static str) {
    match channel {
        Channel::Detections => (
            "detections",
            "camera",
            "Detections",
            "Everything found in one frame, when `publish.when` wants it said. MQTT's quality of service is `publish.qos`",
        ),
        Channel::Events => {
            ("events", "camera", "Events", "A track began or ended; never lost, sent again until acknowledged")
        }
        Channel::Keyframe => (
            "keyframe",
            "camera",
            "Keyframe",
            "The latest picture that was worth keeping; what it shows is in its properties",
        ),
        Channel::KeyframeMeta => ("keyframeMeta", "camera", "Keyframe, what it shows", "The same as JSON or protobuf"),
        Channel::Count => {
            ("count", "camera", "Count of a label", "How many of a label are seen now; blanks in labels become `_`")
        }
        Channel::Objects => ("objects", "camera", "Count of all", "How many objects are seen now, of all labels"),
        Channel::CameraStatus => ("cameraStatus", "camera", "Camera: status", "Whether the camera delivers"),
        Channel::CameraState => {
            ("cameraState", "camera", "Camera: state", "Desired and actual state, reason, settings, figures")
        }
        Channel::CameraControl => {
            ("cameraControl", "control", "Commands to a camera", "Carries out commands to one camera")
        }
        Channel::GroupControl => {
            ("groupControl", "control", "Commands to a group", "Carries out commands to a group's cameras")
        }
        Channel::NodeStatus => (
            "nodeStatus",
            "node",
            "Node: status",
            "`offline` comes by the broker's hand (the will) when the node is gone",
        ),
        Channel::NodeState => ("nodeState", "node", "Node: state", "Version, cameras, models, buses, the last reload"),
        Channel::NodeControl => {
            ("nodeControl", "control", "Commands to a node", "Carries out commands to the node or all its cameras")
        }
        Channel::Replies => ("replies", "control", "Replies", "Answers to commands that named no address for them"),
        Channel::Audit => ("audit", "control", "Audit", "What was commanded, by whom, and what came of it"),
        Channel::Probe => ("probe", "node", "Probe", "The node to itself, to see whether the broker delivers"),
        Channel::Control => ("control", "control", "Commands to all", "Carries out commands to every node and camera"),
    }
}

/// Addresses that others chose are made by the same functions that the node uses, with the parameters' names for names.
struct Foreign(&'static str);

impl Foreign {
    fn at(&self, key: &str, address: String, (title, says): (&'static str, &'static str), message: Message) -> Entry {
        Entry {
            key: key.into(),
            wire: Wire::Mqtt,
            address,
            title,
            says,
            tag: self.0,
            direction: Direction::Says,
            messages: vec![message],
            replies: None,
            stream: false,
            qos: Qos::AtLeastOnce,
            retain: true,
        }
    }
}

fn frigate() -> Vec<Entry> {
    let config = FrigateConfig { prefix: "{frigatePrefix}".into(), ..FrigateConfig::default() };
    let (camera, label, of) = ("{camera}", "{label}", Foreign("frigate"));
    let events = ("Frigate: events", "An object came, was updated or went");
    let count = ("Frigate: count", "How many of a label are seen, or of `all`");
    let active = ("Frigate: count of the active", "Only those that do not stand still");
    let switch = ("Frigate: switch", "Starts or stops the camera");
    vec![
        of.at(
            "frigateAvailable",
            config.available(),
            ("Frigate: available", "Whether the node is there"),
            messages::status(),
        ),
        Entry { retain: false, ..of.at("frigateEvents", config.events(), events, messages::frigate_event()) },
        of.at("frigateCount", config.count(camera, label, false), count, messages::count()),
        of.at("frigateActive", config.count(camera, label, true), active, messages::count()),
        of.at(
            "frigateSnapshot",
            config.snapshot(camera, label),
            ("Frigate: snapshot", "The best picture of an object of this label"),
            messages::snapshot(),
        ),
        of.at(
            "frigateEnabled",
            config.enabled(camera),
            ("Frigate: enabled", "Whether the camera runs"),
            messages::switch(),
        ),
        Entry {
            retain: false,
            direction: Direction::Hears,
            ..of.at("frigateSwitch", config.switch(camera), switch, messages::switch())
        },
    ]
}

fn home_assistant() -> Vec<Entry> {
    let config = HomeAssistantConfig { prefix: "{discoveryPrefix}".into(), ..HomeAssistantConfig::default() };
    let of = Foreign("homeassistant");
    let device = ("Home Assistant: a device", "A camera or node with all its entities; an empty payload takes it back");
    let component = ("Home Assistant: an entity", "With `style: components`, for releases before 2024.11");
    let birth = ("Home Assistant: birth", "Home Assistant has started: everything is announced again");
    vec![
        of.at("discoveryDevice", config.device_topic("{device}"), device, messages::discovery()),
        of.at(
            "discoveryEntity",
            config.component_topic("{platform}", "{device}", "{entity}"),
            component,
            messages::discovery(),
        ),
        Entry {
            retain: false,
            direction: Direction::Hears,
            ..of.at("homeAssistantBirth", config.birth_topic(), birth, messages::status())
        },
    ]
}

/// The names in braces.
pub(super) fn parameters(address: &str) -> impl Iterator<Item = &str> {
    address.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

pub(super) fn parameter(name: &str, wire: Wire) -> Value {
    let (says, default) = match (name, wire) {
        ("prefix", Wire::Mqtt) => ("`buses.mqtt.topic_prefix`", Some("sightwire")),
        ("prefix", Wire::Nats) => ("`buses.nats.subject_prefix`", Some("sightwire")),
        ("frigatePrefix", _) => ("`frigate.prefix`", Some("frigate")),
        ("discoveryPrefix", _) => ("`homeassistant.prefix`", Some("homeassistant")),
        ("camera" | "node" | "group", _) => ("A name of the configuration: `[a-z0-9][a-z0-9_-]{0,63}`", None),
        ("label", _) => ("A class of the camera's model, as one word", None),
        ("device", _) => ("Its id: of the camera or node", None),
        ("platform", _) => ("Home Assistant's kind of entity: `sensor`, `switch`, …", None),
        _ => ("The entity's id within the device", None),
    };
    let mut said = json!({ "description": says });
    if let Some(default) = default {
        said["default"] = default.into();
    }
    said
}
