//! What is retained at Frigate's topics is true, whatever ends: the node, a camera, the wish to have them.

use std::collections::BTreeMap;

use crate::common::Mosquitto;
use crate::node::{Home, wait_for};
use crate::witness::publish;
use crate::{ON, camera, counted, counts, retained, text, wait_retained, witness};

const AVAILABLE: &str = "frigate/available";

fn is_pictured(broker: &Mosquitto, camera: &str) {
    let picture = |(topic, _): (&String, &String)| topic.ends_with("/snapshot");
    wait_for("a picture", || retained(broker, &format!("frigate/{camera}/#")).iter().any(picture).then_some(()));
}

fn is_empty(broker: &Mosquitto, filter: &str) {
    wait_for(&format!("nothing is retained at {filter}"), || retained(broker, filter).is_empty().then_some(()));
}

#[test]
fn a_node_that_is_killed_is_offline_and_leaves_no_counts_when_it_comes_back() {
    let broker = Mosquitto::open();
    let home = Home::new(&text(&broker, ON, &camera("left", "")));
    let mut node = home.start();
    wait_retained(&broker, AVAILABLE, "online");
    counted(&broker, "left");
    wait_for("labels are remembered", || {
        let text = std::fs::read_to_string(home.path().join("state/garage/frigate.json")).unwrap_or_default();
        let counts = std::fs::read_to_string(home.path().join("state/garage/counts.json")).unwrap_or_default();
        let seen: BTreeMap<_, _> = counts_above_zero(&broker);
        let there = |text: &str| seen.keys().all(|label| text.contains(&format!("\"{label}\"")));
        (!seen.is_empty() && there(&text) && there(&counts)).then_some(())
    });
    node.process.signal("KILL");
    node.process.wait();
    wait_retained(&broker, AVAILABLE, "offline");
    let ghosts = counts(&broker, "left");
    assert!(ghosts["all"] > 0, "{ghosts:?}");
    // It comes back with a camera that finds nothing: whatever was counted is not there any more.
    let dark =
        camera("left", "").replace("seed=5", "seed=5&frames=1").replace("max_fps: 0", "max_fps: 0, confidence: 1.0");
    home.rewrite(&text(&broker, ON, &dark));
    let node = home.start();
    node.wait_until("left", "ended");
    wait_retained(&broker, AVAILABLE, "online");
    wait_for("no ghosts", || counts(&broker, "left").values().all(|count| *count == 0).then_some(()));
    assert!(ghosts.keys().all(|topic| counts(&broker, "left").contains_key(topic)));

    // An orderly end says so itself.
    let (status, _log) = node.end();
    assert!(status.success());
    wait_retained(&broker, AVAILABLE, "offline");
}

fn counts_above_zero(broker: &Mosquitto) -> BTreeMap<String, u32> {
    counts(broker, "left")
        .into_iter()
        .filter(|(topic, count)| *count > 0 && !topic.contains('/') && topic != "all")
        .collect()
}

#[test]
fn a_camera_that_a_reload_takes_away_leaves_nothing_and_a_new_one_gets_its_own() {
    let broker = Mosquitto::open();
    let home = Home::new(&text(&broker, ON, &[camera("stays", ""), camera("goes", "")].concat()));
    let node = home.start();
    counted(&broker, "goes");
    is_pictured(&broker, "goes");
    wait_retained(&broker, "frigate/goes/enabled/state", "ON");

    home.rewrite(&text(&broker, ON, &[camera("stays", ""), camera("comes", "")].concat()));
    node.process.signal("HUP");
    wait_retained(&broker, "frigate/comes/enabled/state", "ON");
    counted(&broker, "comes");
    is_empty(&broker, "frigate/goes/#");
    assert!(counts(&broker, "stays").len() > 2);
    let witness = witness(&broker);
    publish(broker.port, "frigate/goes/enabled/set", b"OFF", &[]);
    publish(broker.port, "frigate/comes/enabled/set", b"OFF", &[]);
    let reply = witness.inbox.wait("an answer", |m| m.topic == "sightwire/nodes/garage/replies").json();
    assert_eq!((&reply["target"], &reply["ok"]), (&"camera/comes".into(), &true.into()), "{reply}");
    wait_retained(&broker, "frigate/comes/enabled/state", "OFF");

    // It comes back in the same boot, and with it all of its own.
    home.rewrite(&text(&broker, ON, &[camera("stays", ""), camera("goes", "")].concat()));
    node.process.signal("HUP");
    wait_retained(&broker, "frigate/goes/enabled/state", "ON");
    counted(&broker, "goes");
    is_empty(&broker, "frigate/comes/#");

    // Labels that are looked for no more.
    let circles = [camera("stays", ", labels: [circle]"), camera("goes", "")].concat();
    home.rewrite(&text(&broker, ON, &circles));
    node.process.signal("HUP");
    let only = |all: &BTreeMap<String, String>| {
        all.keys().all(|topic| {
            ["circle", "all", "enabled"].iter().any(|word| topic.starts_with(&format!("frigate/stays/{word}")))
        })
    };
    wait_for("only circles", || only(&retained(&broker, "frigate/stays/#")).then_some(()));
    assert!(counts(&broker, "stays").contains_key("circle"));
}

#[test]
fn what_was_taken_out_while_the_node_was_away_is_cleared_when_it_comes_back() {
    let broker = Mosquitto::open();
    let home = Home::new(&text(&broker, ON, &[camera("stays", ""), camera("goes", "")].concat()));
    let node = home.start();
    for name in ["stays", "goes"] {
        counted(&broker, name);
        is_pictured(&broker, name);
        wait_retained(&broker, &format!("frigate/{name}/enabled/state"), "ON");
    }
    node.end();
    home.rewrite(&text(&broker, ON, &camera("stays", "")));
    let node = home.start();
    is_empty(&broker, "frigate/goes/#");
    counted(&broker, "stays");
    node.end();

    // Another prefix; and none at all.
    home.rewrite(&text(&broker, "frigate: { topics: true, prefix: home/nvr }\n", &camera("stays", "")));
    let node = home.start();
    is_empty(&broker, "frigate/#");
    wait_retained(&broker, "home/nvr/available", "online");
    wait_retained(&broker, "home/nvr/stays/enabled/state", "ON");
    wait_for("a picture", || {
        retained(&broker, "home/nvr/stays/#").keys().any(|topic| topic.ends_with("/snapshot")).then_some(())
    });
    node.end();
    home.rewrite(&text(&broker, "", &camera("stays", "")));
    let node = home.start();
    is_empty(&broker, "home/nvr/#");
    wait_for("and forgotten", || {
        let text = std::fs::read_to_string(home.path().join("state/garage/frigate.json")).unwrap();
        (text.trim() == "{}").then_some(())
    });
    assert_eq!(node.camera("stays")["actual"], "running");
}

#[test]
fn a_broker_that_forgot_everything_is_told_again() {
    let mut broker = Mosquitto::open();
    let node = Home::new(&text(&broker, ON, &camera("left", ""))).start_owned();
    let before = counted(&broker, "left");
    wait_retained(&broker, "frigate/left/enabled/state", "ON");
    broker.kill();
    broker.start();
    wait_retained(&broker, AVAILABLE, "online");
    wait_retained(&broker, "frigate/left/enabled/state", "ON");
    wait_for("all counts", || before.keys().all(|topic| counts(&broker, "left").contains_key(topic)).then_some(()));
    assert_eq!(node.camera("left")["actual"], "running");
}

#[test]
fn a_broker_that_does_not_let_the_node_say_that_it_is_there_is_named_in_the_log() {
    let mut broker = Mosquitto::configured("allow_anonymous true\nacl_file {dir}/acl\n", |dir| {
        std::fs::write(dir.join("acl"), "topic readwrite sightwire/#\ntopic readwrite test/#\n").unwrap();
    });
    broker.start();
    let node = Home::new(&text(&broker, ON, &camera("left", ""))).start_owned();
    let line = node.log.wait("of the refusal", |line| line.contains("does not let us say that we are there"));
    assert!(line.contains("frigate/available") && line.contains("allow both"), "{line}");
    node.wait_until("left", "running");
}
