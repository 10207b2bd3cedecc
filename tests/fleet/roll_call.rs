//! `sightwire ctl stop --all`.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::common::{Mosquitto, NatsServer, Subscriber};
use crate::nodes::{Called, Fleet, size, whole};

/// Long enough for whatever was still under way to show itself.
const SETTLE: Duration = Duration::from_millis(2500);

/// A camera's message, or a reply of it: topic or subject, and payload; in the order in which the broker passed them on.
type Passed = (String, String);

/// The camera whose picture was looked at for this message.
fn camera_of(address: &str) -> Option<&str> {
    let words: Vec<&str> = address.split(['/', '.']).collect();
    match words.as_slice() {
        ["sightwire", "cameras", camera, "detections" | "events" | "keyframe", ..] => Some(camera),
        _ => None,
    }
}

/// Nobody said anything after it had answered that it stopped, and everybody answered.
fn none_ran_on(passed: &[Passed], id: &str, cameras: usize) {
    let mut stopped = BTreeSet::new();
    for (address, payload) in passed {
        if let Some(camera) = camera_of(address) {
            assert!(!stopped.contains(&format!("camera/{camera}")), "{address} after its answer: {payload}");
        } else if let Ok(reply) = serde_json::from_str::<Value>(payload)
            && reply["id"] == id
            && reply["ok"] == true
            && reply["applied_at"].is_number()
        {
            assert_eq!(reply["state"]["actual"], "stopped");
            stopped.insert(reply["target"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(stopped.len(), cameras, "answers seen on the bus");
}

fn all_stopped(called: &Called, cameras: usize, bus: &str) {
    assert_eq!((called.code, called.rows().len()), (0, cameras), "{}", called.said);
    assert_eq!(called.with("ok").len(), cameras, "{}", called.said);
    assert_eq!(called.roll["summary"], format!("{cameras} of {cameras} stopped"));
    let latencies = called.rows().iter().map(|row| row["latency_ms"].as_f64().unwrap());
    let slowest = latencies.fold(0.0, f64::max);
    println!(
        "fleet: {bus}: {cameras} cameras: all answered `stop --all` within {slowest:.0} ms; ctl took {:?}",
        called.took
    );
    // On a machine that does nothing else. The short form runs beside other tests, where a figure tells nothing.
    if whole() {
        assert!(slowest < 2000.0, "the last answered after {slowest} ms");
    }
}

/// The last two nodes are away, one killed and one frozen: who is there stops, who is not is named.
fn who_says_nothing_is_named(fleet: &mut Fleet, more: &[&str], killed_is: &str) {
    let (nodes, cameras) = size();
    assert_eq!(fleet.ctl(&["start", "--all"]).code, 0);
    fleet.nodes[nodes - 1].kill();
    fleet.nodes[nodes - 2].signal("STOP");
    std::thread::sleep(Duration::from_secs(1));
    let called = fleet.ctl(&[&["stop", "--all", "--timeout", "3s"], more].concat());
    fleet.nodes[nodes - 2].signal("CONT");
    assert_eq!((called.code, called.with("ok").len()), (1, (nodes - 2) * cameras), "{}", called.said);
    let of = |node: usize, outcome: &str| {
        let rows = called.rows().iter().filter(|row| row["node"] == format!("n{node}"));
        let outcomes: Vec<_> = rows.map(|row| row["outcome"].as_str().unwrap()).collect();
        assert!(
            !outcomes.is_empty() && outcomes.iter().all(|o| *o == outcome),
            "n{node}: {outcomes:?}\n{}",
            called.said
        );
    };
    of(nodes - 1, killed_is);
    of(nodes - 2, "no_answer");
    let summary = called.roll["summary"].as_str().unwrap();
    assert!(summary.contains("did not answer: ") && summary.contains(&format!("n{}", nodes - 2)), "{summary}");
    // The frozen one finds the command when it wakes up: too late to be carried out.
    let node = format!("n{}", nodes - 2);
    let status =
        (0..40).map(|_| fleet.ctl(&["status", "--node", &node, "--timeout", "2s"])).find(|status| status.code == 0);
    let status = status.expect("it answers again");
    let running = status.rows().iter().filter(|row| row["state"]["desired"] == "running").count();
    assert_eq!(running, cameras, "{}", status.said);
}

#[test]
fn mqtt_a_fleet_is_stopped_at_once_and_who_is_away_is_named() {
    let broker = Mosquitto::open();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let mut fleet = Fleet::start(&format!("mqtt: {{ url: \"{url}\" }}"), &url, "");
    let (nodes, cameras) = size();
    // QoS 0: what the broker passes on comes in its order.
    let mut witness = Subscriber::with(broker.port, "sightwire/#", &["-q", "0", "-F", "%t %p"]);
    std::thread::sleep(SETTLE);
    let called = fleet.ctl(&["stop", "--all", "--timeout", "30s"]);
    all_stopped(&called, nodes * cameras, "mqtt");
    std::thread::sleep(SETTLE);
    let split = |line: &String| line.split_once(' ').map(|(topic, payload)| (topic.to_owned(), payload.to_owned()));
    let passed: Vec<Passed> = witness.seen().iter().filter_map(split).collect();
    assert!(passed.iter().any(|(topic, _)| camera_of(topic).is_some()), "they ran before");
    none_ran_on(&passed, called.roll["id"].as_str().unwrap(), nodes * cameras);
    // A group of one camera a node, over MQTT 3.1.1, where answers go to the nodes' replies.
    let group = fleet.ctl(&["start", "--group", "g1", "--mqtt-version", "3.1.1", "--timeout", "30s"]);
    assert_eq!((group.code, group.rows().len()), (0, nodes), "{}", group.said);
    let unknown = fleet.ctl(&["stop", "--group", "nowhere"]);
    assert!(
        unknown.code == 2 && unknown.said.contains("there is no group 'nowhere' here; there are: g0, g1"),
        "{}",
        unknown.said
    );
    who_says_nothing_is_named(&mut fleet, &[], "offline");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_fleet_is_stopped_at_once_and_who_is_away_is_named() {
    let server = NatsServer::with("");
    let url = server.url();
    let mut fleet = Fleet::start(&format!("nats: {{ url: \"{url}\", jetstream: false }}"), &url, "");
    let (nodes, cameras) = size();
    let client = server.client().await;
    // One subscription for all: the order is the server's.
    let mut all = client.subscribe(">").await.unwrap();
    client.flush().await.unwrap();
    tokio::time::sleep(SETTLE).await;
    let called = fleet.ctl(&["stop", "--all", "--timeout", "30s"]);
    all_stopped(&called, nodes * cameras, "nats");
    tokio::time::sleep(SETTLE).await;
    let mut passed: Vec<Passed> = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(200), all.next()).await {
        passed.push((message.subject.to_string(), String::from_utf8_lossy(&message.payload).into_owned()));
    }
    assert!(passed.iter().any(|(subject, _)| camera_of(subject).is_some()), "they ran before");
    none_ran_on(&passed, called.roll["id"].as_str().unwrap(), nodes * cameras);
    let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
    who_says_nothing_is_named(&mut fleet, &["--expect", &names.join(",")], "no_answer");
}

#[test]
fn a_bus_that_is_not_there_or_empty_is_said() {
    let broker = Mosquitto::open();
    let server = NatsServer::with("");
    let folder = tempfile::tempdir().unwrap();
    let ctl = |url: &str, more: &[&str]| {
        let output =
            crate::nodes::sightwire(folder.path()).args(["ctl", "stop", "--bus", url]).args(more).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for url in [format!("mqtt://127.0.0.1:{}", broker.port), server.url()] {
        let (code, said) = ctl(&url, &["--all", "--timeout", "1s"]);
        assert!(code == 1 && said.contains("no node of sightwire is known on this bus"), "{said}");
    }
    let (code, said) = ctl("mqtt://u:geheim@127.0.0.1:1", &["--all", "--timeout", "1s"]);
    assert!(code == 1 && said.contains("cannot connect") && !said.contains("geheim"), "{said}");
    for (args, why) in [
        (&[][..], "--camera"),
        (&["--all", "--camera", "x"], "cannot be used with"),
        (&["--all", "confidence=1"], "goes with set"),
        (&["--all", "--operator", "ana"], "--key-file"),
        (&["--all", "--operator", "ana", "--key-file", "nothing.key"], "--key-file nothing.key"),
        (&["--all", "--timeout", "soon"], "soon"),
        (&["--all", "--timeout", "0s"], "nobody can answer within 0s"),
        (&["--all", "--prefix", "a/#"], "--prefix: 'a/#' is no topic"),
        (&["--camera", "Not A Name"], "is not a name"),
    ] {
        let (code, said) = ctl("mqtt://127.0.0.1:1", args);
        assert!(code == 2 && said.contains(why), "{args:?}: {code} {said}");
    }
}
