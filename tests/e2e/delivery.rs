//! Every message that was made arrives, on every bus, in every form, and says the same.

use std::collections::BTreeMap;

use serde_json::Value;
use sightwire::codec;
use sightwire::envelope::{EventKind, Minimal};

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, buses, scene, test_data};
use crate::witness::{Inbox, MqttWitness, NatsWitness, assert_valid};

const FRAMES: usize = 40;

/// Four cameras that see the same scene and say it in the four ways there are.
fn cameras(frames: usize) -> String {
    let source = scene(15, &format!("&frames={frames}&seed=4"));
    let camera = |(name, encoding, payload, qos): (&str, &str, &str, u8)| {
        format!(
            "  {name}:\n    source: {source}\n    model: shapes\n    pace: asap\n    max_fps: 0\n    \
             queue: {{ depth: 2, when_full: block }}\n    \
             publish: {{ encoding: {encoding}, payload: {payload}, qos: {qos} }}\n"
        )
    };
    let ways = [
        ("json-full", "json", "full", 0),
        ("json-minimal", "json", "minimal", 1),
        ("protobuf-full", "protobuf", "full", 1),
        ("protobuf-minimal", "protobuf", "minimal", 0),
    ];
    format!("{SHAPES}cameras:\n{}", ways.map(camera).concat())
}

#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Mqtt5,
    Mqtt311,
    Nats,
}

fn row<'a>(summary: &'a Value, camera: &str) -> &'a Value {
    summary["cameras"].as_array().unwrap().iter().find(|row| row["camera"] == camera).unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))).unwrap()
}

fn check_everything(inbox: &Inbox, summary: &Value, wire: Wire) {
    let full = ["json-full", "protobuf-full"];
    let mut said: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for camera in ["json-full", "json-minimal", "protobuf-full", "protobuf-minimal"] {
        let json = camera.starts_with("json");
        let row = row(summary, camera);
        assert_eq!(number(&row["frames_inferred"]), FRAMES, "{row}");
        assert_eq!((&row["messages_lost"], &row["state"]), (&0.into(), &"ended".into()), "{row}");

        let messages = inbox.wait_many(camera, FRAMES, |m| m.is_of(camera, "detections"));
        let qos = u8::from(["json-minimal", "protobuf-full"].contains(&camera));
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        let minimal_encoding = codec::encoding_of(Some(content_type));
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(message.content_type.as_deref().unwrap_or(content_type), content_type);
            assert_eq!(
                message.content_type.is_none(),
                wire == Wire::Mqtt311,
                "3.1.1 has no content type, the others do"
            );
            assert!(!message.retain);
            assert!(wire == Wire::Nats || message.qos == qos, "{camera}: QoS {}", message.qos);
            let mut message = message.clone();
            message.content_type = Some(content_type.into());
            if full.contains(&camera) {
                let read = message.detections();
                assert_eq!(read.seq, index as u64 + 1, "{camera}: a gap");
                assert_eq!((read.frame.width, read.frame.height), (320, 240));
                let value = serde_json::to_value(&read).unwrap();
                assert_valid("detections", &value);
                if json {
                    assert_eq!(message.json(), value, "nothing but what the type says");
                }
            } else if json {
                assert_valid("minimal", &message.json());
            }
            let read: Minimal = if full.contains(&camera) {
                Minimal::from(&message.detections())
            } else {
                codec::decode_minimal(&message.payload, minimal_encoding).unwrap()
            };
            said.entry(camera).or_default().push(serde_json::to_value(&read.detections).unwrap());
        }
        check_events(inbox, camera, wire);
    }
    // The same scene, the same model: what is found does not depend on how it is said.
    assert!(said["json-full"].iter().any(|found| found != &Value::Array(vec![])), "nothing was ever found");
    for camera in ["json-minimal", "protobuf-full", "protobuf-minimal"] {
        assert_eq!(said[camera], said["json-full"], "{camera}");
    }
}

/// Numbered without a gap, and whatever started has ended.
fn check_events(inbox: &Inbox, camera: &str, wire: Wire) {
    let content_type = if camera.starts_with("json") { "application/json" } else { "application/x-protobuf" };
    let mut open = BTreeMap::new();
    let messages = inbox.of(camera, "events");
    assert!(!messages.is_empty(), "{camera}: no events");
    for (index, message) in messages.iter().enumerate() {
        assert!(!message.retain && (wire == Wire::Nats || message.qos == 1));
        let mut message = message.clone();
        message.content_type = Some(content_type.into());
        let event = message.event();
        assert_valid("event", &serde_json::to_value(&event).unwrap());
        assert_eq!(event.seq, index as u64 + 1, "{camera}: a gap");
        match event.event {
            EventKind::Started => assert!(open.insert(event.track_id, event).is_none(), "started twice"),
            EventKind::Ended => {
                let started = open.remove(&event.track_id).expect("ended, but never started");
                assert_eq!(started.label, event.label);
                assert!(event.last_seen >= started.last_seen);
            }
        }
    }
    assert!(open.is_empty(), "{camera}: never ended: {open:?}");
}

/// The last words: zeros and `offline`, kept by the broker for whoever comes later.
fn check_retained(port: u16) {
    let late = MqttWitness::v311(port).inbox.all();
    let kept: BTreeMap<_, _> = late.iter().filter(|m| m.retain).map(|m| (m.topic.clone(), m.text())).collect();
    let offline = |topic: &str| assert_eq!(kept.get(topic).map(String::as_str), Some("offline"), "{topic}");
    offline("sightwire/nodes/garage/status");
    for camera in ["json-full", "json-minimal", "protobuf-full", "protobuf-minimal"] {
        offline(&format!("sightwire/cameras/{camera}/status"));
        let state: Value = serde_json::from_str(&kept[&format!("sightwire/cameras/{camera}/state")]).unwrap();
        assert_valid("state", &state);
        assert_eq!(state["frames"]["inferred"], FRAMES);
        let counts: Vec<_> = kept
            .iter()
            .filter(|(topic, _)| topic.starts_with(&format!("sightwire/cameras/{camera}/counts/")))
            .collect();
        assert!(!counts.is_empty() && counts.iter().all(|(_, count)| *count == "0"), "{camera}: {counts:?}");
    }
    assert_valid("node-state", &serde_json::from_str(&kept["sightwire/nodes/garage/state"]).unwrap());
}

fn over_both(version: &str, wire: Wire) {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let nats = NatsWitness::new(server.port);
    let mqtt = if wire == Wire::Mqtt5 { MqttWitness::v5(broker.port) } else { MqttWitness::v311(broker.port) };
    let home = Home::new(&format!("{}{}", buses(Some((broker.port, version)), Some(server.port)), cameras(FRAMES)));
    let summary = home.run_until_done();
    check_everything(&mqtt.inbox, &summary, wire);
    check_everything(&nats.inbox, &summary, Wire::Nats);
    check_retained(broker.port);
    // JetStream keeps each event once.
    let stored = nats.stored("sightwire.cameras.json-full.events");
    assert_eq!(stored.len(), nats.inbox.of("json-full", "events").len());
    // Two buses: twice as many messages as one would have had.
    let row = row(&summary, "json-full");
    assert_eq!(number(&row["messages_sent"]) + number(&row["messages_acknowledged"]), number(&row["messages_offered"]));
}

#[test]
fn everything_arrives_over_mqtt_5_and_nats_at_once() {
    over_both("5", Wire::Mqtt5);
}

#[test]
fn everything_arrives_over_mqtt_3_1_1_and_nats_at_once() {
    over_both("3.1.1", Wire::Mqtt311);
}

#[test]
fn everything_arrives_over_mqtt_alone() {
    for (version, wire) in [("5", Wire::Mqtt5), ("3.1.1", Wire::Mqtt311)] {
        let broker = Mosquitto::open();
        let witness = if wire == Wire::Mqtt5 { MqttWitness::v5(broker.port) } else { MqttWitness::v311(broker.port) };
        let home = Home::new(&format!("{}{}", buses(Some((broker.port, version)), None), cameras(FRAMES)));
        check_everything(&witness.inbox, &home.run_until_done(), wire);
        check_retained(broker.port);
    }
}

#[test]
fn everything_arrives_over_nats_alone_with_and_without_jetstream() {
    for extra in ["jetstream { store_dir: \"{dir}/js\" }\n", ""] {
        let server = NatsServer::with(extra);
        let witness = NatsWitness::new(server.port);
        let home = Home::new(&format!("{}{}", buses(None, Some(server.port)), cameras(FRAMES)));
        check_everything(&witness.inbox, &home.run_until_done(), Wire::Nats);
    }
}

/// Real pictures and somebody else's model.
#[test]
fn a_recorded_street_arrives_over_both_buses() {
    let data = test_data();
    let (model, video) =
        (data.join("models/yolox_nano_416.onnx"), data.join("videos/person-bicycle-car-detection.mp4"));
    if !model.is_file() || !video.is_file() {
        println!("skipped: {} and {} are not there; set SIGHTWIRE_TEST_DATA", model.display(), video.display());
        return;
    }
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let (mqtt, nats) = (MqttWitness::v5(broker.port), NatsWitness::new(server.port));
    let home = Home::new(&format!(
        "{}models: {{ street: {{ path: \"{}\", labels: coco }} }}\ncameras:\n  street:\n    source: \"{}\"\n    \
         model: street\n    pace: asap\n    max_fps: 0\n    labels: [person, bicycle, car]\n    \
         queue: {{ depth: 2, when_full: block }}\n",
        buses(Some((broker.port, "5")), Some(server.port)),
        model.display(),
        video.display()
    ));
    let summary = home.run_until_done();
    let inferred = number(&row(&summary, "street")["frames_inferred"]);
    assert_eq!(inferred, 459, "as many as `ffprobe -count_frames` counts: {summary}");
    for inbox in [&mqtt.inbox, &nats.inbox] {
        let messages = inbox.wait_many("every message", inferred, |m| m.is_of("street", "detections"));
        let seqs: Vec<u64> = messages.iter().map(|m| m.detections().seq).collect();
        assert!(seqs.iter().copied().eq(1..=inferred as u64), "{seqs:?}");
        let mut labels: Vec<String> =
            messages.iter().flat_map(|m| m.detections().detections).map(|d| d.label.to_string()).collect();
        labels.sort();
        labels.dedup();
        assert_eq!(labels, ["bicycle", "car", "person"], "what the video shows");
        for message in &messages {
            assert_valid("detections", &message.json());
        }
        check_numbered_events(inbox, "street");
    }
}

fn check_numbered_events(inbox: &Inbox, camera: &str) {
    let seqs: Vec<u64> = inbox.of(camera, "events").iter().map(|m| m.event().seq).collect();
    assert!(!seqs.is_empty() && seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
}

/// While it runs, whoever comes late learns how things stand from what the broker keeps.
#[test]
fn a_late_subscriber_learns_every_state_from_what_is_retained() {
    let broker = Mosquitto::open();
    let home = Home::new(&format!(
        "{}{SHAPES}cameras:\n  front-door: {{ source: {}, model: shapes, groups: [outdoor] }}\n",
        buses(Some((broker.port, "5")), None),
        scene(5, "&seed=7")
    ));
    let node = home.start();
    node.wait_until("front-door", "running");
    let early = MqttWitness::v5(broker.port);
    early.inbox.wait("a count above zero", |m| m.topic.contains("/counts/") && m.text() != "0");
    let late = MqttWitness::v311(broker.port);
    let kept = |topic: &str| late.inbox.wait(topic, |m| m.topic == format!("sightwire/{topic}") && m.retain);
    assert_eq!(kept("nodes/garage/status").text(), "online");
    assert_eq!(kept("cameras/front-door/status").text(), "online");
    let state = kept("cameras/front-door/state").json();
    assert_valid("state", &state);
    assert_eq!((&state["actual"], &state["desired"]), (&"running".into(), &"running".into()));
    let node_state = kept("nodes/garage/state").json();
    assert_valid("node-state", &node_state);
    assert_eq!(node_state["cameras"][0]["name"], "front-door");
    let counts: Vec<_> = late.inbox.all().into_iter().filter(|m| m.topic.contains("/counts/") && m.retain).collect();
    assert!(!counts.is_empty() && counts.iter().all(|m| m.qos == 1 && m.text().parse::<u32>().is_ok()));
    let (status, _) = node.end();
    assert!(status.success());
}
