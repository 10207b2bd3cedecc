//! `check --explain`: every topic of this configuration, with a sample of what is published there.

use super::say;
use crate::bus::{ControlTopics, Topic};
use crate::codec;
use crate::config::Config;
use crate::domain::{BBox, BootId, Detection, Frame, Name, Timestamp};
use crate::envelope::{Encoding, EnvelopeBuilder, EventKind, Origin, Timing, TrackSpan};
use crate::pipeline::CameraConfig;

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
        line(Topic::NodeStatus(node.clone()), 1, true, "online"),
        line(Topic::NodeState(node.clone()), 1, true, "JSON: sightwire schema node-state"),
        line(Topic::Replies(node.clone()), 1, false, "JSON: sightwire schema reply"),
    ];
    for (name, camera) in &config.cameras {
        lines.extend(of_camera(node, name, camera));
    }
    for Line { topic, qos, retain, sample } in &lines {
        if let Some(prefix) = mqtt {
            say(&format!("{}  (QoS {qos}{})", topic.mqtt(prefix), if *retain { ", retained" } else { "" }));
        }
        if let Some(prefix) = nats {
            let kept = stream && matches!(topic, Topic::Events(_) | Topic::Keyframe(_));
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
}

fn line(topic: Topic, qos: u8, retain: bool, sample: impl Into<String>) -> Line {
    Line { topic, qos, retain, sample: sample.into() }
}

fn of_camera(node: &Name, name: &Name, camera: &CameraConfig) -> Vec<Line> {
    let label = camera.labels.as_ref().and_then(|l| l.first()).map_or("person", String::as_str);
    let detections = if camera.publish.encoding == Encoding::Protobuf {
        "protobuf: sightwire.v1.Detections (proto/sightwire/v1/sightwire.proto)".to_owned()
    } else {
        sample_detections(node, name, camera, label)
    };
    let event = if camera.publish.encoding == Encoding::Protobuf {
        "protobuf: sightwire.v1.Event".to_owned()
    } else {
        sample_event(node, name, label)
    };
    let mut lines = vec![
        line(Topic::Detections(name.clone()), camera.publish.qos, false, detections),
        line(Topic::Events(name.clone()), 1, false, event),
        line(Topic::Count(name.clone(), label.to_owned()), 1, true, "1"),
        line(Topic::CameraStatus(name.clone()), 1, true, "online"),
        line(Topic::CameraState(name.clone()), 1, true, "JSON: sightwire schema state"),
    ];
    if let Some(keyframes) = &camera.keyframes {
        let what = format!("JPEG, at most {} pixels wide, quality {}", keyframes.max_width, keyframes.quality);
        lines.push(line(Topic::Keyframe(name.clone()), 1, true, what));
        lines.push(line(Topic::KeyframeMeta(name.clone()), 1, true, "JSON: sightwire schema keyframe-meta"));
    }
    lines
}

fn builder(node: &Name, camera: &Name) -> EnvelopeBuilder {
    EnvelopeBuilder::new(Origin { camera: camera.clone(), node: node.clone(), boot_id: BootId::new() })
}

fn sample_detections(node: &Name, name: &Name, camera: &CameraConfig, label: &str) -> String {
    let found = Detection {
        label: label.into(),
        score: 0.94,
        bbox: BBox::from([0.11, 0.33, 0.28, 0.77]),
        class_id: 0,
        track_id: Some(17),
    };
    let frame = Frame { id: 5210, captured_at: Timestamp::now(), width: 1920, height: 1080, ..Frame::empty() };
    let timing = Timing {
        decode: 4.1,
        wait: 0.3,
        preprocess: 0.9,
        inference: 11.8,
        postprocess: 0.1,
        track: 0.05,
        encode: 0.02,
    };
    let message = builder(node, name).detections(&frame, vec![found], timing);
    let (bytes, _) = codec::encode_detections(&message, camera.publish.payload, Encoding::Json);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sample_event(node: &Name, camera: &Name, label: &str) -> String {
    let now = Timestamp::now();
    let bbox = BBox::from([0.11, 0.33, 0.28, 0.77]);
    let track = TrackSpan { id: 17, label: label.into(), score: 0.94, bbox, first_seen: now, last_seen: now };
    let event = builder(node, camera).event(EventKind::Started, now, track);
    String::from_utf8_lossy(&codec::encode_event(&event, Encoding::Json).0).into_owned()
}
