//! The stop button: pressed from anywhere, answered with what was applied, remembered, and never pressed by mistake.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, Node, SHAPES, Silent, buses, scene, wait_for};
use crate::witness::{Inbox, MqttWitness, NatsWitness, Received, assert_valid, publish};

/// Long enough for whatever was still under way to show itself.
const SETTLE: Duration = Duration::from_millis(1500);

/// `left` and `right`, each with a keyframe a detections message; `left` alone is in the group `outdoor`.
pub fn two_cameras(buses: &str) -> Home {
    let camera = |name: &str, groups: &str, seed: u32| {
        format!(
            "  {name}:\n    source: {}\n    model: shapes\n    groups: [{groups}]\n    max_fps: 0\n    \
             keyframes: {{ when: [detections, event], every: 0s }}\n",
            scene(15, &format!("&objects=9&seed={seed}"))
        )
    };
    Home::new(&format!("{buses}{SHAPES}cameras:\n{}{}", camera("left", "outdoor", 5), camera("right", "", 6)))
}

pub fn ready(node: &Node) {
    node.wait_until("left", "running");
    node.wait_until("right", "running");
    wait_for("the buses are connected", || (node.get("/readyz").0 == 200).then_some(()));
}

pub fn flows(inbox: &Inbox, camera: &str) {
    let before = inbox.of(camera, "detections").len();
    inbox.wait_many(&format!("more of {camera}"), before + 3, |m| m.is_of(camera, "detections"));
}

fn is_output_of(message: &Received, camera: &str) -> bool {
    ["detections", "events", "keyframe"].iter().any(|kind| message.is_of(camera, kind))
}

fn frames(node: &Node, camera: &str) -> u64 {
    node.camera(camera)["frames"]["read"].as_u64().unwrap()
}

/// Commands by MQTT 5, with a response topic and correlation data.
pub struct Asker<'a> {
    pub port: u16,
    pub inbox: &'a Inbox,
}

impl Asker<'_> {
    pub fn ask(&self, target: &str, payload: &str, mark: &str) -> Value {
        self.ask_many(target, payload, mark, 1).remove(0)
    }

    pub fn ask_many(&self, target: &str, payload: &str, mark: &str, count: usize) -> Vec<Value> {
        let topic = format!("sightwire/{target}");
        let response = ["-V", "mqttv5", "-D", "publish", "response-topic", "test/replies"];
        let correlation = ["-D", "publish", "correlation-data", mark];
        publish(self.port, &topic, payload.as_bytes(), &[&response[..], &correlation[..]].concat());
        let answers = self.inbox.wait_many(mark, count, |m| is_answer(m, mark));
        answers
            .iter()
            .map(|answer| {
                assert_eq!(answer.content_type.as_deref(), Some("application/json"));
                assert!(!answer.retain);
                let answer = answer.json();
                assert_valid("reply", &answer);
                answer
            })
            .collect()
    }
}

fn is_answer(message: &Received, mark: &str) -> bool {
    message.topic == "test/replies" && message.correlation == mark
}

#[test]
fn stop_and_start_by_mqtt_5_hold_for_that_camera_alone() {
    let broker = Mosquitto::open();
    let node = two_cameras(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    witness.inbox.wait("a picture", |m| m.is_of("left", "keyframe"));

    // Pressed several times, for what is under way differs each time.
    for round in 0..6 {
        let (stop, start) = (format!("stop-{round}"), format!("start-{round}"));
        let reply = asker.ask("cameras/left/control", &json!({"command": "stop", "id": stop}).to_string(), &stop);
        assert_eq!((&reply["ok"], &reply["id"]), (&true.into(), &stop.as_str().into()), "{reply}");
        assert_eq!((&reply["target"], &reply["node"]), (&"camera/left".into(), &"garage".into()));
        assert_eq!(reply["state"]["actual"], "stopped");
        assert_eq!(reply["state"]["desired"], "stopped");
        let told = |m: &Received| m.is_of("left", "state") && m.json()["actual"] == "stopped";
        witness.inbox.wait("the state", told);
        witness.inbox.wait("the status", |m| m.is_of("left", "status") && m.text() == "offline");
        let read = frames(&node, "left");
        std::thread::sleep(SETTLE);
        let late: Vec<_> = witness.inbox.after(|m| is_answer(m, &stop));
        let of = |camera: &str| late.iter().filter(|m| is_output_of(m, camera)).map(|m| &m.topic).collect::<Vec<_>>();
        assert_eq!(of("left"), Vec::<&String>::new(), "round {round}: after the answer");
        assert!(!of("right").is_empty(), "the other camera goes on");
        assert_eq!(frames(&node, "left"), read, "nothing more is captured");
        let reply = asker.ask("cameras/left/control", "start", &start);
        assert_eq!(reply["ok"], true, "{reply}");
        flows(&witness.inbox, "left");
    }
    let page = node.metrics();
    assert_eq!(page.sum("sightwire_control_commands_total", &[("command", "stop"), ("result", "ok")]), 6.0);
}

#[test]
fn pause_keeps_the_source_open_and_resume_goes_on() {
    let broker = Mosquitto::open();
    let node = two_cameras(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    let reply = asker.ask("cameras/left/control", "pause", "pause");
    assert_eq!(reply["state"]["actual"], "paused", "{reply}");
    let inferred = node.camera("left")["frames"]["inferred"].clone();
    let read = frames(&node, "left");
    std::thread::sleep(SETTLE);
    let late = witness.inbox.after(|m| is_answer(m, "pause"));
    assert!(!late.iter().any(|m| is_output_of(m, "left")), "after the answer");
    assert_eq!(node.camera("left")["frames"]["inferred"], inferred);
    wait_for("frames are still read", || (frames(&node, "left") > read).then_some(()));
    assert_eq!(asker.ask("cameras/left/control", "status", "status")["state"]["actual"], "paused");
    assert_eq!(asker.ask("cameras/left/control", "resume", "resume")["ok"], true);
    flows(&witness.inbox, "left");
    let stopped = asker.ask("cameras/left/control", "stop", "stop");
    assert_eq!(stopped["ok"], true);
    let refused = asker.ask("cameras/left/control", "resume", "resume-stopped");
    assert_eq!((&refused["ok"], &refused["error"]["code"]), (&false.into(), &"not_paused".into()), "{refused}");
}

#[test]
fn by_mqtt_3_1_1_camera_group_node_and_all_answer_on_the_nodes_replies() {
    let broker = Mosquitto::open();
    let node = two_cameras(&buses(Some((broker.port, "3.1.1")), None)).start_owned();
    let witness = MqttWitness::v311(broker.port);
    ready(&node);
    let answers = |target: &str, word: &str, id: &str, cameras: &[&str]| {
        let command = json!({"command": word, "id": id}).to_string();
        publish(broker.port, &format!("sightwire/{target}"), command.as_bytes(), &[]);
        let is = |m: &Received| m.topic == "sightwire/nodes/garage/replies" && m.json()["id"] == id;
        let got = witness.inbox.wait_many(id, cameras.len(), is);
        for (message, camera) in got.iter().zip(cameras) {
            let answer = message.json();
            assert_valid("reply", &answer);
            assert_eq!((&answer["ok"], &answer["target"]), (&true.into(), &format!("camera/{camera}").into()));
        }
        got.iter().map(|m| m.json()["state"]["actual"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(answers("cameras/left/control", "stop", "a", &["left"]), ["stopped"]);
    answers("cameras/left/control", "start", "b", &["left"]);
    assert_eq!(answers("groups/outdoor/control", "stop", "c", &["left"]), ["stopped"]);
    assert_eq!(answers("nodes/garage/control", "stop", "d", &["left", "right"]), ["stopped", "stopped"]);
    answers("control", "start", "e", &["left", "right"]);
    flows(&witness.inbox, "left");
    flows(&witness.inbox, "right");
    assert_eq!(answers("control", "stop", "f", &["left", "right"]), ["stopped", "stopped"]);
    // A node that is asked how it is says so itself, before its cameras.
    publish(broker.port, "sightwire/nodes/garage/control", br#"{"command":"status","id":"g"}"#, &[]);
    let is = |m: &Received| m.topic == "sightwire/nodes/garage/replies" && m.json()["id"] == "g";
    let all = witness.inbox.wait_many("the roll-call", 3, is);
    assert_eq!(all[0].json()["target"], "node/garage");
    assert_valid("node-state", &all[0].json()["state"]);
}

#[test]
fn by_nats_whoever_asks_is_answered() {
    let server = NatsServer::with_jetstream();
    let node = two_cameras(&buses(None, Some(server.port))).start_owned();
    let witness = NatsWitness::new(server.port);
    ready(&node);
    flows(&witness.inbox, "left");
    let stopped = witness.ask("sightwire.cameras.left.control", "stop", 1).remove(0);
    assert_eq!((&stopped["ok"], &stopped["state"]["actual"]), (&true.into(), &"stopped".into()), "{stopped}");
    let seen = witness.inbox.all().len();
    std::thread::sleep(SETTLE);
    let late = &witness.inbox.all()[seen..];
    assert!(!late.iter().any(|m| is_output_of(m, "left")), "after the answer");
    assert!(late.iter().any(|m| is_output_of(m, "right")));
    assert_eq!(witness.ask("sightwire.cameras.left.control", "start", 1)[0]["ok"], true);
    // A camera that is paused while it still connects says `connecting`.
    node.wait_until("left", "running");
    assert_eq!(witness.ask("sightwire.groups.outdoor.control", "pause", 1)[0]["state"]["actual"], "paused");
    assert_eq!(witness.ask("sightwire.groups.outdoor.control", "resume", 1)[0]["ok"], true);
    for target in ["nodes.garage.control", "control"] {
        let all = witness.ask(&format!("sightwire.{target}"), "stop", 2);
        assert!(all.iter().all(|a| a["ok"] == true && a["state"]["actual"] == "stopped"), "{all:?}");
        witness.ask(&format!("sightwire.{target}"), "start", 2);
    }
    let refused = witness.ask("sightwire.control", "explode", 1).remove(0);
    assert_eq!((&refused["ok"], &refused["error"]["code"]), (&false.into(), &"unknown_command".into()));
    flows(&witness.inbox, "left");
}

#[test]
fn a_camera_that_never_connected_can_be_stopped() {
    let (broker, silent) = (Mosquitto::open(), Silent::open());
    let home = silent.home(&buses(Some((broker.port, "5")), None));
    let node = home.start();
    let witness = MqttWitness::v5(broker.port);
    wait_for("the bus is connected", || {
        (node.metrics().sum("sightwire_bus_connected", &[("bus", "mqtt")]) > 0.0).then_some(())
    });
    let begin = Instant::now();
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    let reply = asker.ask("cameras/hung/control", "stop", "stop");
    assert_eq!((&reply["ok"], &reply["state"]["actual"]), (&true.into(), &"stopped".into()), "{reply}");
    assert!(begin.elapsed() < Duration::from_secs(20), "it waited for the camera");
    node.wait_until("hung", "stopped");
    assert_eq!(node.camera("hung")["frames"]["read"], 0);
}

#[test]
fn a_stop_is_remembered_over_a_restart_and_a_crash() {
    let broker = Mosquitto::open();
    let home = two_cameras(&buses(Some((broker.port, "5")), None));
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    let mut node = home.start();
    ready(&node);
    assert_eq!(asker.ask("cameras/left/control", "stop", "stop")["ok"], true);
    // Right after the answer: what was answered must hold.
    node.process.signal("KILL");
    node.process.wait();
    for ending in ["TERM", "KILL"] {
        let mut node = home.start();
        node.wait_until("right", "running");
        node.wait_until("left", "stopped");
        let fresh = MqttWitness::v5(broker.port);
        flows(&fresh.inbox, "right");
        assert!(fresh.inbox.of("left", "detections").is_empty() && frames(&node, "left") == 0);
        node.process.signal(ending);
        node.process.wait();
    }
    let node = home.start();
    node.wait_until("left", "stopped");
    wait_for("connected", || (node.get("/readyz").0 == 200).then_some(()));
    assert_eq!(asker.ask("cameras/left/control", "start", "start")["ok"], true);
    node.wait_until("left", "running");
    flows(&witness.inbox, "left");
    node.end();
    let node = home.start();
    node.wait_until("left", "running");
}

#[test]
fn a_retained_stop_is_refused_and_stops_nothing() {
    for version in ["5", "3.1.1"] {
        let broker = Mosquitto::open();
        let witness = MqttWitness::v5(broker.port);
        for target in ["cameras/left/control", "control", "nodes/garage/control", "groups/outdoor/control"] {
            publish(broker.port, &format!("sightwire/{target}"), b"stop", &["-r"]);
        }
        let node = two_cameras(&buses(Some((broker.port, version)), None)).start_owned();
        let is = |m: &Received| m.topic == "sightwire/nodes/garage/replies";
        let answers = witness.inbox.wait_many("a refusal each", 4, is);
        for answer in answers {
            assert_valid("reply", &answer.json());
            assert_eq!(answer.json()["error"]["code"], "retained");
        }
        ready(&node);
        flows(&witness.inbox, "left");
        assert_eq!(node.metrics().sum("sightwire_control_commands_total", &[("result", "retained")]), 4.0);
        assert!(node.get("/readyz").0 == 200 && node.camera("left")["desired"] == "running");
        if version == "5" {
            // Retained while the node listens, and cleared again.
            publish(broker.port, "sightwire/cameras/left/control", b"stop", &["-r"]);
            publish(broker.port, "sightwire/cameras/left/control", b"", &["-r"]);
            let answer = witness.inbox.wait_many("the refusal", 5, is).pop().unwrap().json();
            assert_eq!((&answer["error"]["code"], &answer["command"]), (&"retained".into(), &"stop".into()));
            publish(broker.port, "sightwire/cameras/left/control", b"status", &[]);
            let after = witness.inbox.wait_many("an answer to what is not retained", 6, is).pop().unwrap().json();
            assert_eq!((&after["command"], &after["state"]["desired"]), (&"status".into(), &"running".into()));
        }
    }
}

#[test]
fn bad_commands_are_refused_by_their_reason_and_stop_nothing() {
    let broker = Mosquitto::open();
    let nested = format!(r#"{{"command":"stop","args":{}{}}}"#, r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    let big = vec![b'x'; 10_000_000];
    let commands: [(&[u8], &str); 10] = [
        (b" ", "malformed"),
        (b"\x00\xff\xfe\x01stop", "malformed"),
        (b"stop now please", "malformed"),
        (b"{\"command\":\"stop\"", "malformed"),
        (br#"{"command":"stop","colour":"red"}"#, "malformed"),
        (br#"{"command":["stop"]}"#, "malformed"),
        (nested.as_bytes(), "malformed"),
        (br#"{"command":"explode","id":"7"}"#, "unknown_command"),
        (br#"{"command":"stop","expires_at":1000000000}"#, "expired"),
        (&big, "too_large"),
    ];
    let node = two_cameras(&buses(Some((broker.port, "3.1.1")), None)).start_owned();
    let witness = MqttWitness::v311(broker.port);
    ready(&node);
    for (index, (payload, code)) in commands.iter().enumerate() {
        let targets = ["cameras/left/control", "control", "nodes/garage/control", "groups/outdoor/control"];
        publish(broker.port, &format!("sightwire/{}", targets[index % 4]), payload, &[]);
        let is = |m: &Received| m.topic == "sightwire/nodes/garage/replies";
        let answer = witness.inbox.wait_many(code, index + 1, is).pop().unwrap().json();
        assert_valid("reply", &answer);
        assert_eq!((&answer["ok"], &answer["error"]["code"]), (&false.into(), &(*code).into()), "{answer}");
    }
    let page = node.metrics();
    for (code, count) in [("malformed", 7.0), ("unknown_command", 1.0), ("expired", 1.0), ("too_large", 1.0)] {
        assert_eq!(page.sum("sightwire_control_commands_total", &[("result", code)]), count, "{code}");
    }
    assert_eq!(page.sum("sightwire_bus_reconnects_total", &[]), 0.0);
    flows(&witness.inbox, "left");
    flows(&witness.inbox, "right");
}

#[test]
fn a_huge_command_by_mqtt_5_or_nats_harms_nothing() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let node = two_cameras(&buses(Some((broker.port, "5")), Some(server.port))).start_owned();
    let (mqtt, nats) = (MqttWitness::v5(broker.port), NatsWitness::new(server.port));
    ready(&node);
    // The broker keeps the largest to itself, as it was asked to.
    publish(broker.port, "sightwire/control", &vec![b'{'; 10_000_000], &[]);
    let asker = Asker { port: broker.port, inbox: &mqtt.inbox };
    let mut large = "stop".to_owned();
    large.push_str(&" ".repeat(100_000));
    let refused = asker.ask("control", &large, "large");
    assert_eq!(refused["error"]["code"], "too_large", "{refused}");
    assert_eq!(nats.ask("sightwire.control", &large, 1)[0]["error"]["code"], "too_large");
    flows(&mqtt.inbox, "left");
    flows(&nats.inbox, "right");
    assert_eq!(node.metrics().sum("sightwire_bus_reconnects_total", &[]), 0.0);
}

#[test]
fn what_has_ended_begins_again_at_start_and_not_at_resume() {
    let broker = Mosquitto::open();
    let inbox = MqttWitness::v5(broker.port);
    let config = format!(
        "{}{SHAPES}cameras:\n  left:\n    source: {}\n    model: shapes\n    max_fps: 0\n",
        buses(Some((broker.port, "5")), None),
        scene(30, "&frames=6")
    );
    let node = Home::new(&config).start_owned();
    node.wait_until("left", "ended");
    let asker = Asker { port: broker.port, inbox: &inbox.inbox };
    for (at, word) in ["pause", "resume", "resume"].into_iter().enumerate() {
        let answer = asker.ask("cameras/left/control", word, &format!("mark-{at}"));
        assert_eq!((&answer["ok"], &answer["state"]["actual"]), (&json!(true), &json!("ended")), "{word}: {answer}");
    }
    assert_eq!(frames(&node, "left"), 6);
    assert_eq!(node.camera("left")["fps"], 0.0, "nothing flows any more");
    assert_eq!(asker.ask("cameras/left/control", "start", "again")["ok"], true);
    wait_for("the scene plays again", || (frames(&node, "left") == 12).then_some(()));
}

#[test]
fn a_disk_that_takes_nothing_does_not_keep_a_camera_from_stopping() {
    let broker = Mosquitto::open();
    let inbox = MqttWitness::v5(broker.port);
    let home = two_cameras(&buses(Some((broker.port, "5")), None));
    let node = home.start();
    ready(&node);
    // Where the new file would be written there is a folder now: permissions would not stop root.
    let beside = home.path().join("state/garage/switches.json.new");
    std::fs::create_dir_all(&beside).unwrap();
    let asker = Asker { port: broker.port, inbox: &inbox.inbox };
    let answer = asker.ask("cameras/left/control", "stop", "full");
    assert_eq!((&answer["ok"], &answer["error"]["code"]), (&json!(false), &json!("not_remembered")), "{answer}");
    node.wait_until("left", "stopped");
    std::fs::remove_dir(&beside).unwrap();
    assert_eq!(asker.ask("cameras/left/control", "stop", "room")["ok"], true);
}
