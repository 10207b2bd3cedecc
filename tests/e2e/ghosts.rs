//! What retained topics say is true: after a crash, with other labels, for a bus that comes back, and for one that retains nothing.

use std::collections::BTreeMap;

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, buses, scene, wait_for};
use crate::stop_button::{Asker, flows, ready, two_cameras};
use crate::witness::{Inbox, MqttWitness, NatsWitness, Received};

/// The last count of every label of `left`.
fn counts(inbox: &Inbox) -> BTreeMap<String, String> {
    let mut last = BTreeMap::new();
    for message in inbox.all() {
        if let Some(label) = message.topic.strip_prefix("sightwire/cameras/left/counts/") {
            last.insert(label.to_owned(), message.text());
        }
    }
    last
}

fn last(inbox: &Inbox, topic: &str) -> Option<String> {
    inbox.all().iter().rfind(|m| m.topic == format!("sightwire/{topic}")).map(Received::text)
}

#[test]
fn a_label_that_was_counted_before_a_crash_and_is_no_longer_wanted_stands_at_zero() {
    let broker = Mosquitto::open();
    let bus = buses(Some((broker.port, "5")), None);
    let camera = |labels: &str| {
        let source = scene(15, "&objects=9&seed=5");
        format!("{bus}{SHAPES}cameras:\n  left: {{ source: {source}, model: shapes, max_fps: 0{labels} }}\n")
    };
    let home = Home::new(&camera(""));
    let mut node = home.start();
    let witness = MqttWitness::v5(broker.port);
    let seen = wait_for("two labels are counted", || {
        let counts = counts(&witness.inbox);
        (counts.values().filter(|count| *count != "0").count() >= 2).then_some(counts)
    });
    let text = || std::fs::read_to_string(home.path().join("state/garage/counts.json")).unwrap_or_default();
    wait_for("they are remembered", || seen.keys().all(|label| text().contains(label.as_str())).then_some(()));
    node.process.signal("KILL");
    node.process.wait();
    drop(witness);
    // Only one of them is wanted now. What the first run said is retained at the broker.
    let kept = seen.keys().next().unwrap();
    home.rewrite(&camera(&format!(", labels: [{kept}]")));
    let node = home.start();
    node.wait_until("left", "running");
    let witness = MqttWitness::v5(broker.port);
    wait_for("no ghosts", || {
        let counts = counts(&witness.inbox);
        let gone = |label: &String| counts.get(label).is_some_and(|count| count == "0");
        seen.keys().filter(|label| *label != kept).all(gone).then_some(())
    });
}

#[test]
fn a_node_that_comes_back_with_a_stopped_camera_leaves_nothing_of_its_last_life() {
    let broker = Mosquitto::open();
    let home = two_cameras(&buses(Some((broker.port, "5")), None));
    let mut node = home.start();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    assert_eq!(asker.ask("cameras/left/control", "stop", "stop")["ok"], true);
    node.process.signal("KILL");
    node.process.wait();
    let node = home.start();
    node.wait_until("left", "stopped");
    node.wait_until("right", "running");
    let fresh = MqttWitness::v5(broker.port);
    wait_for("the state of this boot", || {
        let state: serde_json::Value = serde_json::from_str(&last(&fresh.inbox, "cameras/left/state")?).ok()?;
        (state["actual"] == "stopped" && state["boot_id"] == node.camera("left")["boot_id"]).then_some(())
    });
    assert_eq!(last(&fresh.inbox, "cameras/left/status").as_deref(), Some("offline"));
    let counts = counts(&fresh.inbox);
    assert!(!counts.is_empty() && counts.values().all(|count| count == "0"), "{counts:?}");
}

#[test]
fn a_bus_that_comes_back_is_told_how_things_stand_now() {
    let mut broker = Mosquitto::open();
    let mut server = NatsServer::with_jetstream();
    let node = two_cameras(&buses(Some((broker.port, "5")), Some(server.port))).start_owned();
    ready(&node);
    let witness = MqttWitness::v5(broker.port);
    flows(&witness.inbox, "left");
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    // A broker without a memory, and NATS, which has none: both are away, and one camera is stopped meanwhile.
    assert_eq!(asker.ask("cameras/left/control", "stop", "stop")["ok"], true);
    let known: Vec<String> = counts(&witness.inbox).into_keys().collect();
    drop(witness);
    broker.kill();
    server.kill();
    wait_for("both are gone", || (node.get("/readyz").0 == 503).then_some(()));
    broker.start();
    let mqtt = MqttWitness::v5(broker.port);
    server.start();
    let nats = NatsWitness::new(server.port);
    for inbox in [&mqtt.inbox, &nats.inbox] {
        wait_for("all is told again", || {
            let state: serde_json::Value = serde_json::from_str(&last(inbox, "cameras/left/state")?).ok()?;
            let counts = counts(inbox);
            let zeros = known.iter().all(|label| counts.get(label).is_some_and(|count| count == "0"));
            let told = state["actual"] == "stopped" && last(inbox, "cameras/left/status")? == "offline";
            let online =
                last(inbox, "nodes/garage/status")? == "online" && last(inbox, "cameras/right/status")? == "online";
            (zeros && told && online).then_some(())
        });
    }
}
