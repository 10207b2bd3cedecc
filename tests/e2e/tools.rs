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

fn detections(boot: &str, seq: u64, more: &str) -> String {
    let timing = r#"{"decode":1,"wait":1,"preprocess":1,"inference":1,"postprocess":1,"track":1,"encode":1}"#;
    format!(
        r#"{{"timestamp":1763683200.5,"detections":[],"camera":"door","node":"garage","boot_id":"{boot}","seq":{seq}{more},
        "frame":{{"id":{seq},"width":8,"height":8,"timestamp_source":"host"}},"timing":{timing}}}"#
    )
}

fn event(seq: u64) -> String {
    format!(
        r#"{{"timestamp":1763683200.123,"event":"started","camera":"door","node":"garage","boot_id":"a","seq":{seq},
        "track_id":17,"label":"car","score":0.94,"bbox":[0.1,0.3,0.2,0.7],"first_seen":1763683199.9,"last_seen":1763683200.1}}"#
    )
}

#[test]
fn watch_sums_up_what_was_lost_came_twice_or_out_of_order() {
    let broker = Mosquitto::open();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let folder = tempfile::tempdir().unwrap();
    let mut people = Program::start(folder.path(), &["watch", "--bus", &url]);
    let mut machine = Program::start(folder.path(), &["watch", "--bus", &url, "--json", "--seconds", "600"]);
    let say = |kind: &str, payload: String| {
        publish(broker.port, &format!("sightwire/cameras/door/{kind}"), payload.as_bytes(), &["-q", "1"]);
    };
    let mut boot = 0;
    crate::node::wait_for("both watch", || {
        boot += 1;
        say("detections", detections(&format!("before-{boot}"), 1, ""));
        (!people.out.all().is_empty() && !machine.out.all().is_empty()).then_some(())
    });
    for seq in [1, 2, 6, 6, 4] {
        say("detections", detections("a", seq, ""));
    }
    say("detections", detections("b", 1, r#","replayed":true"#));
    for seq in [1, 2] {
        say("events", event(seq));
    }
    for (line, words) in [
        ("of the start", "(the node was started anew)"),
        ("of the gap", "(3 missed)"),
        ("of the double", "(came before)"),
        ("of the late one", "(out of order)"),
        ("of the replayed one", "(the node was started anew, replayed)"),
        ("of the event", "started car #17"),
    ] {
        people.out.wait(line, |line| line.contains(words));
    }
    let double = machine.out.wait("of the double", |line| line.contains(r#""duplicate":true"#));
    assert_eq!(serde_json::from_str::<Value>(&double).unwrap()["payload"]["seq"], 6);
    machine.out.wait("of the event", |line| line.contains("\"event\":\"started\"") && line.contains("\"seq\":2"));
    for program in [&mut people, &mut machine] {
        program.process.signal("INT");
        assert_eq!(program.process.wait().code(), Some(1), "two were lost");
    }
    let words = people.out.wait("of the sum", |line| line.starts_with("door") && line.contains("detections"));
    assert!(words.contains("2 lost, 1 out of order, 1 twice, 1 replayed"), "{words}");
    people.out.wait("of the events", |line| line.contains("events            2 messages, 0 lost"));
    let sum = machine.out.wait("of the sum", |line| line.contains("summary"));
    let sum: Value = serde_json::from_str(&sum).unwrap();
    assert_eq!((&sum["lost"], &sum["summary"][0]["total"]["out_of_order"]), (&2.into(), &1.into()), "{sum}");
    let mut short = Program::start(folder.path(), &["watch", "--bus", &url, "--seconds", "1"]);
    assert!(short.process.wait().success(), "nothing was lost");
}

#[test]
fn watch_subscribes_again_after_a_restart_and_says_so() {
    let (mut broker, mut server) = (Mosquitto::open(), NatsServer::with(""));
    let folder = tempfile::tempdir().unwrap();
    let urls = [format!("mqtt://127.0.0.1:{}", broker.port), format!("nats://127.0.0.1:{}", server.port)];
    let programs = urls.map(|url| Program::start(folder.path(), &["watch", "--bus", &url]));
    let client = tokio::runtime::Runtime::new().unwrap();
    let say = |broker: &Mosquitto, server: &NatsServer| {
        publish(broker.port, "sightwire/cameras/door/events", event(1).as_bytes(), &[]);
        let server = server.url();
        client.block_on(async {
            let client = async_nats::connect(server).await.unwrap();
            client.publish("sightwire.cameras.door.events", event(1).into()).await.unwrap();
            client.flush().await.unwrap();
        });
    };
    let count = |program: &Program| program.out.all().iter().filter(|line| line.contains("started car")).count();
    crate::node::wait_for("both watch", || {
        say(&broker, &server);
        programs.iter().all(|program| count(program) > 0).then_some(())
    });
    broker.stop();
    server.kill();
    for program in &programs {
        program.log.wait("of the loss", |line| line.contains("connecting again"));
    }
    broker.start();
    server.start();
    for program in &programs {
        program.log.wait("of the return", |line| line.contains("subscribed again"));
    }
    let before: Vec<usize> = programs.iter().map(count).collect();
    crate::node::wait_for("both see again", || {
        say(&broker, &server);
        programs.iter().zip(&before).all(|(program, before)| count(program) > *before).then_some(())
    });
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
