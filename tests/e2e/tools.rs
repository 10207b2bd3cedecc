//! `watch` and `demo`, as somebody at a terminal sees them.

use serde_json::Value;

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, Program, SHAPES, buses, scene};
use crate::witness::{MqttWitness, publish};

fn both() -> (Mosquitto, NatsServer, Home) {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let home = Home::new(&format!(
        "{}{SHAPES}cameras:\n  door: {{ source: {}, model: shapes }}\n  gate: {{ source: {}, model: shapes, publish: {{ encoding: protobuf }} }}\n",
        buses(Some((broker.port, "5")), Some(server.port)),
        scene(5, "&seed=5"),
        scene(5, "&seed=6")
    ));
    (broker, server, home)
}

#[test]
fn watch_shows_what_arrives_over_either_bus() {
    let (broker, server, home) = both();
    let node = home.start();
    for url in [format!("mqtt://127.0.0.1:{}", broker.port), format!("nats://127.0.0.1:{}", server.port)] {
        let mut people = Program::start(home.path(), &["watch", "--bus", &url]);
        let machine = Program::start(home.path(), &["watch", "--bus", &url, "--json", "--camera", "gate"]);
        for camera in ["door", "gate"] {
            let line = people.out.wait(camera, |line| line.contains(camera) && line.contains(" ms"));
            assert!(line.contains("Z  "), "the time comes first: {line}");
        }
        people
            .out
            .wait("of an object", |line| line.contains("circle") || line.contains("square") || line.contains('#'));
        machine.out.wait("of the gate", |line| line.contains("gate"));
        for line in machine.out.all() {
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["payload"]["camera"], "gate", "{line}");
            let latency = value["latency_ms"].as_f64().unwrap();
            assert!((0.0..30_000.0).contains(&latency), "{line}");
            assert_eq!(value["missed"], 0);
        }
        people.process.signal("TERM");
        assert!(people.process.wait().success());
    }
    drop(node);
}

#[test]
fn watch_counts_what_it_missed() {
    let broker = Mosquitto::open();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let folder = tempfile::tempdir().unwrap();
    let people = Program::start(folder.path(), &["watch", "--bus", &url]);
    let machine = Program::start(folder.path(), &["watch", "--bus", &url, "--json"]);
    let say = |seq: u64| {
        let timing = r#"{"decode":1,"wait":1,"preprocess":1,"inference":1,"postprocess":1,"track":1,"encode":1}"#;
        let payload = format!(
            r#"{{"timestamp":1763683200.5,"detections":[],"camera":"door","node":"garage","boot_id":"b","seq":{seq},
            "frame":{{"id":{seq},"width":8,"height":8,"timestamp_source":"host"}},"timing":{timing}}}"#
        );
        publish(broker.port, "sightwire/cameras/door/detections", payload.as_bytes(), &[]);
    };
    // Until both have subscribed.
    let mut seq = 0;
    crate::node::wait_for("both watch", || {
        seq += 1;
        say(seq);
        (!people.out.all().is_empty() && !machine.out.all().is_empty()).then_some(())
    });
    say(seq + 1);
    say(seq + 5);
    people.out.wait("that tells of the gap", |line| line.contains("(3 missed)"));
    let line = machine.out.wait("that tells of the gap", |line| !line.contains(r#""missed":0"#));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&value["missed"], &value["payload"]["seq"]), (&3.into(), &(seq + 5).into()));
    publish(broker.port, "sightwire/cameras/door/detections", b"\x00\xff what is this", &[]);
    people.out.wait("of foreign bytes", |line| line.contains("no payload of sightwire"));
}

#[test]
fn watch_says_that_no_broker_is_there() {
    let port = crate::common::free_port();
    let folder = tempfile::tempdir().unwrap();
    let mut program =
        Program::start(folder.path(), &["watch", "--bus", &format!("mqtt://me:hunter2@127.0.0.1:{port}")]);
    assert_eq!(program.process.wait().code(), Some(1));
    program.log.wait("of the error", |line| line.contains("error:") && line.contains("refused"));
    assert!(!program.log.text().contains("hunter2"));
}

#[test]
fn the_demo_needs_nothing_and_reaches_any_subscriber() {
    let folder = tempfile::tempdir().unwrap();
    // Beside another one, which may have the usual ports.
    let _neighbour = Program::start(folder.path(), &["demo", "--cameras", "1"]);
    let mut demo = Program::start(folder.path(), &["demo", "--seconds", "8", "--cameras", "2"]);
    let page = demo.out.wait("of the page", |line| line.starts_with("live page:"));
    let addr = page.split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    let hint = demo.out.wait("for subscribers", |line| line.contains("mosquitto_sub -p "));
    let port: u16 = hint.split("-p ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let (new, old) = (MqttWitness::v5(port), MqttWitness::v311(port));
    for inbox in [&new.inbox, &old.inbox] {
        for camera in ["demo-1", "demo-2"] {
            inbox.wait(camera, |m| m.is_of(camera, "detections"));
        }
        inbox.wait("a status", |m| m.topic == "sightwire/nodes/demo/status" && m.text() == "online");
    }
    let (status, html) = crate::node::get(&addr, "/").unwrap();
    assert!(status == 200 && html.contains("<html"), "{status}");
    demo.out.wait("of detections", |line| line.contains("demo-1") && line.contains(" ms"));
    assert!(demo.process.wait().success(), "{}", demo.log.text());
    demo.out.wait("of the summary", |line| line.starts_with("demo-2") && line.contains("running"));
}
