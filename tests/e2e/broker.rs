//! Brokers that are late, go away, come back, or want a password.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, buses, scene, wait_for};
use crate::witness::{Inbox, MqttWitness, NatsWitness, assert_valid};

fn home(buses: &str, source: &str) -> Home {
    Home::new(&format!(
        "{buses}{SHAPES}cameras:\n  door:\n    source: {source}\n    model: shapes\n    max_fps: 0\n    \
         publish: {{ qos: 1 }}\n"
    ))
}

#[test]
fn a_broker_that_comes_late_gets_every_state() {
    let (mut broker, mut server) = (Mosquitto::down("allow_anonymous true\n"), NatsServer::down(""));
    let node = home(&buses(Some((broker.port, "5")), Some(server.port)), &scene(5, "&seed=7")).start_owned();
    node.wait_until("door", "running");
    wait_for("something was seen", || {
        (!node.camera("door")["latest"]["detections"].as_array()?.is_empty()).then_some(())
    });
    assert_eq!(node.get("/readyz").0, 503);
    broker.start();
    server.start();
    wait_for("connected", || (node.get("/readyz").0 == 200).then_some(()));
    let late = MqttWitness::v311(broker.port);
    let kept = |topic: &str| late.inbox.wait(topic, |m| m.topic == format!("sightwire/{topic}"));
    assert_eq!(kept("nodes/garage/status").text(), "online");
    assert_eq!(kept("cameras/door/status").text(), "online");
    let state = late.inbox.wait("a running state", |m| m.is_of("door", "state") && m.json()["actual"] == "running");
    assert_valid("state", &state.json());
    late.inbox.wait("the node's state", |m| {
        m.topic == "sightwire/nodes/garage/state"
            && m.json()["buses"].as_array().unwrap().iter().all(|b| b["connected"] == true)
    });
    late.inbox.wait("a count", |m| m.topic.starts_with("sightwire/cameras/door/counts/"));
    late.inbox.wait("detections", |m| m.is_of("door", "detections"));
}

#[test]
fn a_broker_that_forgot_everything_is_told_every_state_again() {
    for version in ["5", "3.1.1"] {
        let mut broker = Mosquitto::open();
        let node = home(&buses(Some((broker.port, version)), None), &scene(5, "&seed=7")).start_owned();
        node.wait_until("door", "running");
        let counts = |inbox: &Inbox| -> BTreeSet<String> {
            inbox.all().into_iter().map(|m| m.topic).filter(|topic| topic.contains("/counts/")).collect()
        };
        let witness = MqttWitness::v311(broker.port);
        witness.inbox.wait("a count", |m| m.topic.contains("/counts/"));
        let known = counts(&witness.inbox);
        // It keeps nothing on disk.
        broker.stop();
        broker.start();
        let late = MqttWitness::v311(broker.port);
        for topic in ["nodes/garage/status", "nodes/garage/state", "cameras/door/status", "cameras/door/state"] {
            late.inbox.wait(topic, |m| m.topic == format!("sightwire/{topic}"));
        }
        wait_for("every known count", || known.is_subset(&counts(&late.inbox)).then_some(()));
    }
}

/// Numbers 1 to the last, doubles aside.
fn assert_no_gap(inbox: &Inbox, kind: &str, last: u64) {
    let messages = inbox.of("door", kind);
    let seqs: BTreeSet<u64> = messages.iter().map(|m| m.json()["seq"].as_u64().unwrap()).collect();
    let missing: Vec<u64> = (1..=last).filter(|seq| !seqs.contains(seq)).collect();
    assert!(missing.is_empty(), "{kind} lost: {missing:?} of {last}");
}

fn counter(page: &crate::metrics::Page, bus: &str, kind: &str, outcome: &str) -> f64 {
    page.sum("sightwire_messages_total", &[("bus", bus), ("kind", kind), ("outcome", outcome)])
}

#[test]
fn no_event_is_lost_when_the_mqtt_broker_restarts() {
    for version in ["5", "3.1.1"] {
        // It keeps what it acknowledged for the witness, who is thrown out too.
        let mut broker = Mosquitto::with(
            "allow_anonymous true\npersistence true\npersistence_location {dir}/\nmax_queued_messages 0\n",
        );
        let arguments = ["-V", "mqttv311", "-c", "-i", "witness", "-t", "sightwire/cameras/door/+"];
        let witness = MqttWitness::with(broker.port, &arguments);
        let source = scene(10, "&frames=90&seed=5&objects=6");
        let node = home(&buses(Some((broker.port, version)), None), &source).start_until_done();
        for _ in 0..2 {
            let seen = witness.inbox.of("door", "events").len();
            witness.inbox.wait_many("events", seen + 1, |m| m.is_of("door", "events"));
            broker.stop();
            // Long enough that what was captured at its beginning is late by any measure.
            std::thread::sleep(Duration::from_millis(1500));
            broker.start();
        }
        let summary = node.done();
        assert_eq!(summary["cameras"][0]["messages_lost"], 0, "{summary}");
        let inferred = summary["cameras"][0]["frames_inferred"].as_u64().unwrap();
        witness.inbox.wait("the end", |m| m.is_of("door", "status") && m.text() == "offline");
        witness.inbox.wait("the last message", |m| m.is_of("door", "detections") && m.detections().seq == inferred);
        assert_no_gap(&witness.inbox, "detections", inferred);
        let last = witness.inbox.of("door", "events").iter().map(|m| m.event().seq).max().unwrap();
        assert_no_gap(&witness.inbox, "events", last);
        let said = witness.inbox.of("door", "detections");
        let late = said.iter().filter(|m| m.detections().replayed).count();
        assert!(late > 0 && late < said.len(), "{late} of {} say that they come late", said.len());
        // The end of every track is among them: the last event is an end.
        let ended = witness.inbox.of("door", "events").iter().filter(|m| m.json()["event"] == "ended").count();
        assert!(ended * 2 >= usize::try_from(last).unwrap(), "{ended} of {last} are ends");
    }
}

#[test]
fn no_event_is_lost_or_stored_twice_when_the_nats_server_crashes() {
    let mut server = NatsServer::with_jetstream();
    let source = scene(10, "&frames=90&seed=5&objects=6");
    let node = home(&buses(None, Some(server.port)), &source).start_until_done();
    wait_for("an event is stored", || (counter(&node.metrics(), "nats", "event", "acked") > 0.0).then_some(()));
    server.kill();
    std::thread::sleep(Duration::from_millis(700));
    server.start();
    let summary = node.done();
    assert_eq!(summary["cameras"][0]["state"], "ended");
    let witness = NatsWitness::new(server.port);
    let seqs: Vec<u64> = witness.stored("sightwire.cameras.door.events").iter().map(|m| m.event().seq).collect();
    let all: BTreeSet<u64> = seqs.iter().copied().collect();
    assert!(seqs.len() > 2 && all.len() == seqs.len(), "stored twice: {seqs:?}");
    assert!(all.iter().copied().eq(1..=seqs.len() as u64), "lost: {seqs:?}");
}

#[test]
fn refused_credentials_are_named_and_never_shown() {
    const PASSWORD: &str = "hunter2-and-more";
    let broker = Mosquitto::with("allow_anonymous false\n");
    let server = NatsServer::with("authorization { user: somebody, password: else }\n");
    let buses = format!(
        "buses:\n  mqtt: {{ url: \"mqtt://127.0.0.1:{}\", username: me, password: {PASSWORD} }}\n  \
         nats: {{ url: \"nats://me:{PASSWORD}@127.0.0.1:{}\" }}\n",
        broker.port, server.port
    );
    let node = home(&buses, &scene(5, "")).start_owned();
    let mut told = node.get("/readyz");
    for bus in ["mqtt", "nats"] {
        let line = node.log.wait("of the refusal", |line| line.contains(bus) && line.contains("not connected"));
        assert!(line.to_lowercase().contains("refused"), "{line}");
        told = wait_for("readiness names it", || {
            let told = node.get("/readyz");
            let parts: serde_json::Value = serde_json::from_str(&told.1).unwrap();
            let part = parts["buses"].as_array().unwrap().iter().find(|part| part["name"] == bus).cloned().unwrap();
            let refused = part["detail"].as_str().unwrap().to_lowercase().contains("refused");
            (refused && part["ready"] == false).then_some(told)
        });
    }
    assert_eq!(told.0, 503);
    node.wait_until("door", "running");
    let pages = [told.1, node.get("/metrics").1, node.get("/api/cameras").1].concat();
    let out = node.out.clone();
    let (status, log) = node.end();
    assert!(status.success());
    assert!(!pages.contains(PASSWORD) && !log.text().contains(PASSWORD) && !out.text().contains(PASSWORD));
}
