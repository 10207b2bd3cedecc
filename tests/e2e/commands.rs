//! Every other verb, over MQTT 5 and NATS: what is answered was applied, shows itself on the topics, and holds.

use serde_json::{Value, json};

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, Node, buses, scene, wait_for};
use crate::stop_button::{Asker, flows, ready, two_cameras};
use crate::witness::{Inbox, MqttWitness, NatsWitness, Received, assert_valid};

fn set(args: &Value) -> String {
    json!({"command": "set", "args": args}).to_string()
}

fn settings(answer: &Value) -> &Value {
    assert_eq!(answer["ok"], true, "{answer}");
    &answer["state"]["settings"]
}

/// The detections messages of frames that were read after the camera's state had this many.
fn later(inbox: &Inbox, camera: &str, frame: u64, count: usize) -> Vec<Value> {
    let of = |m: &Received| m.is_of(camera, "detections") && m.json()["frame"]["id"].as_u64().unwrap() > frame;
    inbox.wait_many("detections by the new settings", count, of).iter().map(Received::json).collect()
}

fn frames(answer: &Value) -> u64 {
    answer["state"]["frames"]["read"].as_u64().unwrap()
}

fn found(messages: &[Value]) -> Vec<(String, f64)> {
    let of = |message: &Value| message["detections"].as_array().unwrap().clone();
    let pair = |d: Value| (d["label"].as_str().unwrap().to_owned(), d["score"].as_f64().unwrap());
    messages.iter().flat_map(of).map(pair).collect()
}

/// `left` and `right` of one model that makes nothing below 0.9, no tracker.
fn strict(bus: &str) -> Home {
    let camera = |name: &str| {
        format!(
            "  {name}: {{ source: {}, model: shapes, max_fps: 0, tracker: none }}\n",
            scene(15, "&objects=9&seed=5")
        )
    };
    let model = "models: { shapes: { path: \"bundled:shapes\", confidence: 0.9 } }\n";
    Home::new(&format!("{bus}{model}cameras:\n{}{}", camera("left"), camera("right")))
}

#[test]
fn a_confidence_below_the_models_is_reached_and_is_that_cameras_alone() {
    let broker = Mosquitto::open();
    let node = strict(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    let answer = asker.ask("cameras/left/control", &set(&json!({"confidence": 0.02})), "lower");
    assert_eq!(
        (&settings(&answer)["confidence"], &settings(&answer)["changed"]),
        (&json!(0.02), &json!(["confidence"]))
    );
    let left = found(&later(&witness.inbox, "left", frames(&answer) + 5, 30));
    assert!(left.iter().any(|(_, score)| *score < 0.5), "the model is asked for less: {left:?}");
    let right = found(&later(&witness.inbox, "right", 0, 30));
    assert!(right.iter().all(|(_, score)| *score >= 0.9), "{right:?}");
    let answer = asker.ask("cameras/left/control", &set(&json!({"confidence": null})), "model's");
    assert_eq!((&settings(&answer)["confidence"], &settings(&answer)["changed"]), (&json!(0.9), &Value::Null));
    let left = found(&later(&witness.inbox, "left", frames(&answer) + 5, 10));
    assert!(left.iter().all(|(_, score)| *score >= 0.9), "{left:?}");
}

#[test]
fn set_holds_live_is_all_or_nothing_and_outlives_a_crash_until_reset() {
    let broker = Mosquitto::open();
    let home = two_cameras(&buses(Some((broker.port, "5")), None));
    let mut node = home.start();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    // One bad key, and nothing is changed.
    for (n, (args, code, word)) in [
        (json!({"max_fps": 2, "confidence": 7}), "bad_value", "'7' is too large: at most 1"),
        (json!({"max_fps": 2, "labels": ["circel"]}), "bad_value", "did you mean 'circle'"),
        (json!({"max_fps": 2, "source": "webcam:0"}), "not_live", "`reload`"),
        (json!({"max_fbs": 2}), "unknown_key", "did you mean 'max_fps'"),
        (json!({}), "bad_args", "args"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = asker.ask("cameras/left/control", &set(&args), &format!("bad-{n}"));
        assert_eq!((&answer["ok"], &answer["error"]["code"]), (&false.into(), &code.into()), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer}");
        assert_eq!(node.camera("left")["settings"]["max_fps"], 0.0);
    }
    let args = json!({"max_fps": 6, "labels": ["star"], "publish": {"payload": "full"}, "publish.min_interval": "100ms",
        "keyframes": null});
    let answer = asker.ask("cameras/left/control", &set(&args), "set");
    let changed = json!(["keyframes", "labels", "max_fps", "publish.min_interval"]);
    assert_eq!(settings(&answer)["changed"], changed);
    let is = |m: &Received| m.is_of("left", "state") && m.json()["settings"]["changed"] == changed;
    assert_valid("state", &witness.inbox.wait("the state tells", is).json());
    let after = later(&witness.inbox, "left", frames(&answer) + 5, 10);
    assert!(found(&after).iter().all(|(label, _)| label == "star"));
    // What is no longer wanted stands at zero, and what was never seen is known.
    let counts = || {
        let mut last = std::collections::BTreeMap::new();
        let all = witness.inbox.all();
        for message in all.iter().filter(|m| m.topic.starts_with("sightwire/cameras/left/counts/")) {
            last.insert(message.topic.rsplit('/').next().unwrap().to_owned(), message.text());
        }
        last
    };
    wait_for("zero counts", || {
        let counts = counts();
        let others = counts.iter().filter(|(label, _)| *label != "star").all(|(_, count)| count == "0");
        (others && counts.len() > 1 && counts.contains_key("star")).then_some(())
    });
    assert_eq!(node.camera("right")["settings"]["changed"], Value::Null);
    // A crash: what was answered holds.
    node.process.signal("KILL");
    node.process.wait();
    let file = home.path().join("sightwire.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut node = home.start();
    node.wait_until("left", "running");
    assert_eq!(node.camera("left")["settings"]["changed"], changed);
    assert_eq!(node.camera("left")["settings"]["max_fps"], 6.0);
    // The file was changed since, in one key of one camera: there it holds, and that is said.
    node.process.signal("TERM");
    node.process.wait();
    std::fs::write(&file, text.replacen("max_fps: 0", "max_fps: 9", 1)).unwrap();
    let node = home.start();
    node.wait_until("left", "running");
    assert_eq!(node.camera("left")["settings"]["max_fps"], 9.0);
    assert_eq!(node.camera("left")["settings"]["changed"], json!(["keyframes", "labels", "publish.min_interval"]));
    node.log.wait("of the file", |line| line.contains("the file's value holds") && line.contains("max_fps"));
    ready(&node);
    let answer = asker.ask("cameras/left/control", "reset", "reset");
    assert_eq!((&settings(&answer)["changed"], &settings(&answer)["labels"]), (&Value::Null, &Value::Null));
    assert_eq!(settings(&answer)["keyframes"]["when"], json!(["detections", "event"]));
    node.end();
    let node = home.start();
    assert_eq!(node.camera("left")["settings"]["changed"], Value::Null);
    assert_eq!(std::fs::read_to_string(home.path().join("state/garage/settings.json")).unwrap(), "{}");
}

#[test]
fn a_restart_opens_the_source_again_and_numbers_go_on() {
    let broker = Mosquitto::open();
    let node = two_cameras(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    for round in 0..3 {
        let answer = asker.ask("cameras/left/control", "restart", &format!("restart-{round}"));
        assert_eq!((&answer["ok"], &answer["state"]["desired"]), (&true.into(), &"running".into()), "{answer}");
        node.wait_until("left", "running");
        later(&witness.inbox, "left", frames(&answer) + 3, 5);
    }
    let seqs: Vec<u64> =
        witness.inbox.of("left", "detections").iter().map(|m| m.json()["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    // A track that ended does not come back, and ids are not given twice.
    let events: Vec<Value> = witness.inbox.of("left", "events").iter().map(Received::json).collect();
    let ids = |kind: &str| -> Vec<u64> {
        events.iter().filter(|e| e["event"] == kind).map(|e| e["track_id"].as_u64().unwrap()).collect()
    };
    let started = ids("started");
    assert!(started.windows(2).all(|pair| pair[1] > pair[0]), "{started:?}");
    let last = events.iter().rposition(|e| e["event"] == "ended").expect("tracks ended with their session");
    let open: Vec<u64> =
        events[..=last].iter().filter(|e| e["event"] == "started").map(|e| e["track_id"].as_u64().unwrap()).collect();
    assert!(ids("ended").iter().all(|id| open.contains(id)));
    let session = witness.inbox.of("left", "status");
    assert!(session.iter().filter(|m| m.text() == "offline").count() >= 3, "the source was closed");
    asker.ask("cameras/left/control", "stop", "stop");
    let refused = asker.ask("cameras/left/control", "restart", "refused");
    assert_eq!((&refused["ok"], &refused["error"]["code"]), (&false.into(), &"stopped".into()));
    assert!(refused["error"]["message"].as_str().unwrap().contains("start"));
}

#[test]
fn a_snapshot_is_answered_with_the_picture_that_was_said() {
    let broker = Mosquitto::open();
    // No keyframes are configured, and a frame is due every hundred seconds only.
    let camera = format!("  door: {{ source: {}, model: shapes, max_fps: 0.01 }}\n", scene(15, "&objects=9&seed=5"));
    let home =
        Home::new(&format!("{}{}cameras:\n{camera}", buses(Some((broker.port, "5")), None), crate::node::SHAPES));
    let node = home.start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    node.wait_until("door", "running");
    wait_for("connected", || (node.get("/readyz").0 == 200).then_some(()));
    for (round, prepare) in ["", "pause", "resume"].into_iter().enumerate() {
        if !prepare.is_empty() {
            asker.ask("cameras/door/control", prepare, prepare);
        }
        let answer = asker.ask("cameras/door/control", r#"{"command":"snapshot","id":"x"}"#, &format!("shot-{round}"));
        let (keyframe, id) = (&answer["keyframe"], &answer["keyframe"]["frame"]["id"]);
        assert_eq!((&answer["ok"], &keyframe["reason"]), (&true.into(), &"snapshot".into()), "{answer}");
        let is = |m: &Received| m.is_of("door", "keyframe/meta") && m.json()["frame"]["id"] == *id;
        assert_eq!(witness.inbox.wait("its metadata", is).json(), *keyframe);
        let number = id.to_string();
        let is = |m: &Received| m.is_of("door", "keyframe") && m.properties["frame_id"] == number;
        let picture = witness.inbox.wait("the picture", is);
        assert!(picture.payload.starts_with(&[0xff, 0xd8]) && picture.properties["reason"] == "snapshot");
        assert_eq!(picture.payload.len() as u64, keyframe["bytes"].as_u64().unwrap());
        assert_eq!(answer["state"]["actual"], if prepare == "pause" { "paused" } else { "running" });
    }
    asker.ask("cameras/door/control", "stop", "stop");
    let refused = asker.ask("cameras/door/control", "snapshot", "stopped");
    assert_eq!(refused["error"]["code"], "stopped", "{refused}");
}

#[test]
fn a_snapshot_of_a_camera_that_does_not_connect_says_why() {
    let (broker, silent) = (Mosquitto::open(), crate::node::Silent::open());
    let node = silent.home(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    wait_for("connected", || (node.metrics().sum("sightwire_bus_connected", &[("bus", "mqtt")]) > 0.0).then_some(()));
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    let refused = asker.ask("cameras/hung/control", "snapshot", "shot");
    assert_eq!(refused["error"]["code"], "timeout", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("the camera is connecting"), "{refused}");
}

#[test]
fn shutdown_is_answered_and_ends_the_node_in_order() {
    let broker = Mosquitto::open();
    let mut node = two_cameras(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    flows(&witness.inbox, "left");
    for target in ["cameras/left/control", "groups/outdoor/control"] {
        let refused = asker.ask(target, "shutdown", target);
        assert_eq!(refused["error"]["code"], "wrong_target", "{refused}");
    }
    let refused = asker.ask("nodes/garage/control", r#"{"command":"shutdown","args":{"now":true}}"#, "args");
    assert_eq!(refused["error"]["code"], "bad_args", "{refused}");
    let answer = asker.ask("nodes/garage/control", r#"{"command":"shutdown","id":"bye"}"#, "shutdown");
    assert_eq!((&answer["ok"], &answer["target"], &answer["id"]), (&true.into(), &"node/garage".into(), &"bye".into()));
    assert!(node.process.wait().success());
    for topic in ["sightwire/nodes/garage/status", "sightwire/cameras/left/status"] {
        let last = witness.inbox.all().into_iter().rfind(|m| m.topic == topic).unwrap();
        assert_eq!(last.text(), "offline", "{topic}");
    }
    assert!(!node.log.text().contains("late:"), "{}", node.log.text());
}

/// What is asked, and how many answer from a camera, a group of one, a node of two, and all.
fn every_verb(node: &Node, ask: impl Fn(&str, &str, usize) -> Vec<Value>) {
    let all_ok = |answers: &[Value], what: &str| {
        assert!(answers.iter().all(|answer| answer["ok"] == true), "{what}: {answers:?}");
    };
    for (target, cameras) in [("cameras/left", 1), ("groups/outdoor", 1), ("nodes/garage", 2), ("", 2)] {
        let target = if target.is_empty() { "control".to_owned() } else { format!("{target}/control") };
        for command in [
            set(&json!({"max_fps": 8, "publish.when": "non_empty"})),
            "snapshot".into(),
            "pause".into(),
            "restart".into(),
            "reset".into(),
            "stop".into(),
        ] {
            node.wait_until("left", "running");
            node.wait_until("right", "running");
            all_ok(&ask(&target, &command, cameras), &format!("{target} {command}"));
            if command == "pause" {
                let shot = ask(&target, "snapshot", cameras);
                all_ok(&shot, "a snapshot in pause");
                all_ok(&ask(&target, "resume", cameras), "resume");
            }
            if command == "stop" {
                all_ok(&ask(&target, "start", cameras), "start");
            }
        }
        assert_eq!(node.camera("left")["settings"]["changed"], Value::Null, "{target}");
    }
    for verb in ["reload", "shutdown"] {
        for target in ["cameras/left/control", "groups/outdoor/control"] {
            assert_eq!(ask(target, verb, 1)[0]["error"]["code"], "wrong_target");
        }
    }
    for verb in ["start", "stop", "pause", "resume", "snapshot", "restart", "status", "reset", "reload", "shutdown"] {
        let command = json!({"command": verb, "args": {"x": 1}}).to_string();
        assert_eq!(ask("control", &command, 1)[0]["error"]["code"], "bad_args", "{verb}");
        let late = json!({"command": verb, "expires_at": 1000}).to_string();
        assert_eq!(ask("control", &late, 1)[0]["error"]["code"], "expired", "{verb}");
    }
    node.wait_until("left", "running");
    node.wait_until("right", "running");
}

#[test]
fn every_verb_is_answered_once_by_every_target_over_mqtt() {
    let broker = Mosquitto::open();
    let node = two_cameras(&buses(Some((broker.port, "5")), None)).start_owned();
    let witness = MqttWitness::v5(broker.port);
    let asker = Asker { port: broker.port, inbox: &witness.inbox };
    ready(&node);
    let (count, asked) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    every_verb(&node, |target, command, answers| {
        count.set(count.get() + 1);
        asked.set(asked.get() + answers);
        asker.ask_many(target, command, &format!("ask-{}", count.get()), answers)
    });
    // Nobody answered twice.
    asker.ask("cameras/left/control", "status", "the last");
    assert_eq!(witness.inbox.all().iter().filter(|m| m.topic == "test/replies").count(), asked.get() + 1);
    let pressed = node.metrics().sum("sightwire_control_commands_total", &[("result", "ok"), ("command", "set")]);
    assert_eq!(pressed, 6.0, "a camera, a group of one, a node of two, all");
}

#[test]
fn every_verb_is_answered_once_by_every_target_over_nats() {
    let server = NatsServer::with_jetstream();
    let node = two_cameras(&buses(None, Some(server.port))).start_owned();
    let witness = NatsWitness::new(server.port);
    ready(&node);
    every_verb(&node, |target, command, answers| {
        witness.ask(&format!("sightwire.{}", target.replace('/', ".")), command, answers)
    });
}
