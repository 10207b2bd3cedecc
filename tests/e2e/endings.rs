//! How it ends: in order, at once, or by a crash.

use std::time::Duration;

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, Silent, buses, scene, wait_for};
use crate::witness::{Inbox, MqttWitness, NatsWitness};

fn home(buses: &str, source: &str) -> Home {
    Home::new(&format!("{buses}{SHAPES}cameras:\n  door: {{ source: {source}, model: shapes, max_fps: 0 }}\n"))
}

/// Numbered without a gap, and whatever started has ended.
fn assert_complete(inbox: &Inbox) {
    let events: Vec<_> = inbox.of("door", "events").iter().map(crate::witness::Received::event).collect();
    assert!(events.iter().map(|e| e.seq).eq(1..=events.len() as u64), "a gap");
    let ends = events.iter().filter(|e| e.event == sightwire::envelope::EventKind::Ended).count();
    assert!(ends > 0 && ends * 2 == events.len(), "{ends} of {} are ends", events.len());
    let seqs: Vec<u64> = inbox.of("door", "detections").iter().map(|m| m.detections().seq).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
}

#[test]
fn sigterm_delivers_what_was_accepted_and_says_offline() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let (mqtt, nats) = (MqttWitness::v5(broker.port), NatsWitness::new(server.port));
    let node = home(&buses(Some((broker.port, "5")), Some(server.port)), &scene(10, "&seed=5")).start_owned();
    for inbox in [&mqtt.inbox, &nats.inbox] {
        inbox.wait("an event", |m| m.is_of("door", "events"));
        inbox.wait("a detections message", |m| m.is_of("door", "detections"));
    }
    let (status, log) = node.end();
    assert_eq!(status.code(), Some(0), "{}", log.text());
    for inbox in [&mqtt.inbox, &nats.inbox] {
        inbox.wait("the node's good-bye", |m| m.topic == "sightwire/nodes/garage/status" && m.text() == "offline");
        inbox.wait("the camera's good-bye", |m| m.is_of("door", "status") && m.text() == "offline");
        assert_complete(inbox);
    }
    let late = MqttWitness::v311(broker.port).inbox.all();
    for topic in ["sightwire/nodes/garage/status", "sightwire/cameras/door/status"] {
        let kept = late.iter().find(|m| m.topic == topic && m.retain).expect("it is retained");
        assert_eq!(kept.text(), "offline", "{topic}");
    }
    assert!(!log.text().contains("late:"), "{}", log.text());
}

#[test]
fn a_crash_is_told_by_the_will() {
    for version in ["5", "3.1.1"] {
        let broker = Mosquitto::open();
        let mut node = home(&buses(Some((broker.port, version)), None), &scene(5, "")).start_owned();
        let witness = MqttWitness::v5(broker.port);
        let status = |text: &'static str| {
            let is = move |m: &crate::witness::Received| m.topic == "sightwire/nodes/garage/status" && m.text() == text;
            witness.inbox.wait(text, is)
        };
        status("online");
        node.process.signal("KILL");
        node.process.wait();
        let will = status("offline");
        assert!(will.retain && will.qos == 1);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    // The broker never comes, so the first signal leaves the node waiting for it.
    let broker = Mosquitto::down("");
    let mut node = home(&buses(Some((broker.port, "5")), None), &scene(10, "")).start_owned();
    node.wait_until("door", "running");
    node.process.signal("TERM");
    node.log.wait("of the first", |line| line.contains("a second one ends at once"));
    node.process.signal("TERM");
    assert_eq!(node.process.wait().code(), Some(130), "{}", node.log.text());
    node.log.wait("of the second", |line| line.contains("second signal"));
    assert!(!node.log.text().contains("ended in"), "it did not wait");
}

#[test]
fn what_hangs_does_not_hold_up_the_end() {
    let (broker, silent) = (Mosquitto::open(), Silent::open());
    let node =
        home(&buses(Some((broker.port, "5")), None), &format!("\"rtsp://127.0.0.1:{}/s\"", silent.port)).start_owned();
    wait_for("connected", || (node.metrics().sum("sightwire_bus_connected", &[("bus", "mqtt")]) > 0.0).then_some(()));
    // Well into the opening of the source.
    std::thread::sleep(Duration::from_millis(500));
    let witness = MqttWitness::v5(broker.port);
    let (status, log) = node.end();
    assert_eq!(status.code(), Some(0), "{}", log.text());
    witness.inbox.wait("good-bye", |m| m.topic == "sightwire/nodes/garage/status" && m.text() == "offline");
}

#[test]
fn a_broker_that_never_came_does_not_hold_up_the_end_and_the_loss_is_told() {
    let broker = Mosquitto::down("");
    let node = home(&buses(Some((broker.port, "5")), None), &scene(10, "&seed=5")).start_owned();
    node.wait_until("door", "running");
    let (status, log) = node.end();
    assert_eq!(status.code(), Some(0), "{}", log.text());
    log.wait("of the loss", |line| line.contains("not delivered"));
}
