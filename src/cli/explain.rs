//! `check --explain`: every topic of this configuration, with a sample of what is published there.

use super::samples::{self, Samples};
use super::say;
use crate::app;
use crate::bus::{ControlTopics, Kept, Qos, Topic};
use crate::config::Config;
use crate::domain::Name;
use crate::envelope::Encoding;
use crate::pipeline::TrackerChoice;

struct Line {
    topic: Topic,
    qos: u8,
    retain: bool,
    sample: String,
}

pub fn topics(node: &Name, config: &Config) {
    let mqtt = config.buses.mqtt.as_ref().map(|m| m.topic_prefix.as_str());
    let stream = config.buses.nats.as_ref().is_some_and(|n| n.jetstream);
    let nats = config.buses.nats.as_ref().map(|n| n.subject_prefix.as_str());
    // Without a bus the embedded MQTT broker is used, with its default prefix.
    let mqtt = mqtt.or(if nats.is_none() { Some("sightwire") } else { None });
    let mut lines = vec![
        line(Topic::NodeStatus(node.clone()), "online"),
        line(Topic::NodeState(node.clone()), samples::node_state(node, config)),
        line(Topic::Replies(node.clone()), samples::reply(node)),
        line(Topic::Probe(node.clone()), "to itself, to see whether the broker delivers; the node listens here too"),
    ];
    for name in config.cameras.keys() {
        lines.extend(of_camera(node, name, config));
    }
    if config.frigate.topics {
        lines.extend(of_frigate(node, config));
    }
    for Line { topic, qos, retain, sample } in &lines {
        if let Some(prefix) = mqtt {
            say(&format!("{}  (QoS {qos}{})", topic.mqtt(prefix), if *retain { ", retained" } else { "" }));
        }
        if let Some(prefix) = nats.filter(|_| !matches!(topic, Topic::Absolute(_))) {
            let kept = stream && topic.channel().is_some_and(|row| row.kept() != Kept::No);
            say(&format!("{}  ({})", topic.nats(prefix), if kept { "JetStream" } else { "core NATS" }));
        }
        say(&format!("    {sample}"));
    }
    let groups =
        config.cameras.values().flat_map(|c| c.groups.iter().cloned()).collect::<std::collections::BTreeSet<_>>();
    let control = ControlTopics::new(node, config.cameras.keys().cloned(), groups);
    for (prefix, separator) in [mqtt.map(|p| (p, "/")), nats.map(|p| (p, "."))].into_iter().flatten() {
        for (address, target) in control.addresses(prefix, separator) {
            say(&format!("{address}  (listens: commands to {target})"));
        }
    }
    for name in config.cameras.keys().filter(|_| config.frigate.topics) {
        let address = config.frigate.switch(name.as_str());
        say(&format!("{address}  (listens: ON starts and OFF stops camera/{name})"));
    }
    home_assistant(node, config);
}

/// Over MQTT only.
fn of_frigate(node: &Name, config: &Config) -> Vec<Line> {
    let frigate = &config.frigate;
    let there = |address: String, sample: &str| line(Topic::Absolute(address), sample);
    let mut lines = vec![there(frigate.available(), "online")];
    for (name, camera) in &config.cameras {
        let samples = Samples::new(node, name, config);
        let (camera_name, label) = (name.as_str(), samples.label());
        if camera.tracker != TrackerChoice::None {
            // All cameras' are there.
            let events = Line { retain: false, ..line(Topic::Absolute(frigate.events()), samples.frigate_event()) };
            if lines.iter().all(|line| line.topic != events.topic) {
                lines.push(events);
            }
            let keyframes = camera.keyframes.clone().unwrap_or_default();
            let what = format!("JPEG, at most {} pixels wide, quality {}", keyframes.max_width, keyframes.quality);
            lines.push(there(frigate.snapshot(camera_name, label), &what));
        }
        for (label, active) in [(label, false), (label, true), ("all", false), ("all", true)] {
            lines.push(there(frigate.count(camera_name, label, active), "1"));
        }
        lines.push(there(frigate.enabled(camera_name), "ON"));
    }
    lines
}

/// Labels that a camera shows later come on top.
fn home_assistant(node: &Name, config: &Config) {
    let Some(said) = config.homeassistant.as_ref().filter(|said| said.discovery) else { return };
    for (topic, payload) in app::announced(config, node) {
        say(&format!("{topic}  (QoS 1, retained)"));
        say(&format!("    {payload}"));
    }
    say(&format!("{}  (listens: Home Assistant has started)", said.birth_topic()));
}

/// As the table of topics says it is delivered; what others read is retained and acknowledged.
fn line(topic: Topic, sample: impl Into<String>) -> Line {
    let (qos, retain) = topic.channel().map_or((Qos::AtLeastOnce, true), |row| (row.qos(), row.retain()));
    Line { topic, qos: u8::from(qos == Qos::AtLeastOnce), retain, sample: sample.into() }
}

fn of_camera(node: &Name, name: &Name, config: &Config) -> Vec<Line> {
    let camera = &config.cameras[name];
    let samples = Samples::new(node, name, config);
    let protobuf = camera.publish.encoding == Encoding::Protobuf;
    let said = |message: &str, sample: String| {
        if protobuf { format!("protobuf: sightwire.v1.{message} (proto/sightwire/v1/sightwire.proto)") } else { sample }
    };
    let count = Topic::Count(name.clone(), samples.label().to_owned());
    let mut lines = vec![
        Line {
            qos: camera.publish.qos,
            ..line(Topic::Detections(name.clone()), said("Detections", samples.detections()))
        },
        line(Topic::Events(name.clone()), said("Event", samples.event())),
        line(count, "1"),
        line(Topic::Objects(name.clone()), "1"),
        line(Topic::CameraStatus(name.clone()), "online"),
        line(Topic::CameraState(name.clone()), samples.state()),
    ];
    if let Some(keyframes) = &camera.keyframes {
        let what = format!("JPEG, at most {} pixels wide, quality {}", keyframes.max_width, keyframes.quality);
        lines.push(line(Topic::Keyframe(name.clone()), what));
        lines.push(line(Topic::KeyframeMeta(name.clone()), said("KeyframeMeta", samples.keyframe_meta())));
    }
    lines
}
