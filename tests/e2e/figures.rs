//! The figures: complete, readable, and true.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;
use sightwire::telemetry::names;

use crate::common::{Mosquitto, NatsServer, free_port};
use crate::metrics::Page;
use crate::node::{Home, Node, Running, SHAPES, Silent, buses, scene, wait_for};
use crate::witness::{MqttWitness, publish};

const KINDS: [&str; 5] = ["state", "event", "keyframe", "detections", "reply"];

/// offered + restored = sent + acked + dropped + refused + kept + waiting: by how much it is off at most, over all buses and kinds.
fn off_the_law(page: &Page, buses: &[&str]) -> f64 {
    let off = |bus: &str, kind: &str| {
        let outcome =
            |outcome| page.sum("sightwire_messages_total", &[("bus", bus), ("kind", kind), ("outcome", outcome)]);
        let waiting = page.sum("sightwire_outbox_messages", &[("bus", bus), ("kind", kind)]);
        let settled: f64 = ["sent", "acked", "dropped", "refused", "kept"].into_iter().map(outcome).sum();
        (outcome("offered") + outcome("restored") - settled - waiting).abs()
    };
    buses.iter().flat_map(|bus| KINDS.iter().map(move |kind| off(bus, kind))).fold(0.0, f64::max)
}

fn busy_home(mqtt: &Mosquitto, nats: &NatsServer, source: &str) -> Home {
    Home::new(&format!(
        "{}telemetry: {{ traces: {{ endpoint: \"http://127.0.0.1:9\" }} }}\n{SHAPES}cameras:\n  door:\n    source: {source}\n    model: shapes\n    max_fps: 0\n    \
         queue: {{ depth: 2, when_full: block }}\n    publish: {{ qos: 1 }}\n    keyframes: {{ when: [detections] }}\n",
        buses(Some((mqtt.port, "5")), Some(nats.port))
    ))
}

#[test]
fn every_metric_of_the_list_is_on_the_page_with_its_labels() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let node = busy_home(&broker, &server, &scene(8, "&seed=3")).start_owned();
    let witness = MqttWitness::v5(broker.port);
    witness.inbox.wait("an event", |m| m.is_of("door", "events"));
    witness.inbox.wait("a count", |m| m.topic.contains("/counts/"));
    publish(broker.port, "sightwire/cameras/door/control", b"status", &[]);
    witness.inbox.wait("a reply", |m| m.topic == "sightwire/nodes/garage/replies");
    let camera = [("camera", "door")];
    let has = |page: &Page, name: &str, labels: &[(&str, &str)]| page.find(name, labels).next().is_some();
    let page = wait_for("figures of everything", || {
        let page = node.metrics();
        let published = ["mqtt", "nats"].iter().all(|bus| {
            has(&page, "sightwire_capture_to_publish_seconds_count", &[camera[0], ("bus", bus)])
                && page.sum("sightwire_capture_to_ack_seconds_count", &[camera[0], ("bus", bus)]) > 0.0
        });
        (published && has(&page, "sightwire_detections_total", &camera)).then_some(page)
    });

    for metric in names::ALL {
        let name = metric.name;
        let kind = format!("{:?}", metric.kind).to_lowercase();
        assert_eq!(page.types.get(name), Some(&kind), "{name}");
        assert!(page.helps.get(name).is_some_and(|help| !help.is_empty()), "{name} has no help");
    }
    for sample in &page.samples {
        let family = page.family(&sample.name);
        assert!(names::ALL.iter().any(|metric| metric.name == family), "{} is in no list", sample.name);
    }
    let expect = |name: &str, labels: &[(&str, &str)]| assert!(has(&page, name, labels), "no {name} {labels:?}");
    for stage in ["decode", "wait", "preprocess", "inference", "postprocess", "track", "encode", "deliver"] {
        let labels = [camera[0], ("stage", stage)];
        expect("sightwire_stage_duration_seconds_bucket", &labels);
        assert!(page.sum("sightwire_stage_duration_seconds_count", &labels) > 0.0, "{stage} never measured");
    }
    for outcome in ["inferred", "dropped_stale", "dropped_paused", "skipped_rate", "skipped_static", "failed"] {
        expect("sightwire_frames_total", &[camera[0], ("outcome", outcome)]);
    }
    for state in ["connecting", "running", "paused", "stopped", "failed", "ended"] {
        let value = page.sum("sightwire_camera_state", &[camera[0], ("state", state)]);
        assert_eq!(value, f64::from(u8::from(state == "running")), "{state}");
    }
    for bus in ["mqtt", "nats"] {
        for kind in KINDS {
            for outcome in ["offered", "restored", "sent", "acked", "dropped", "refused", "kept"] {
                expect("sightwire_messages_total", &[("bus", bus), ("kind", kind), ("outcome", outcome)]);
            }
            for reason in ["full", "spool_full", "damaged", "closed"] {
                expect("sightwire_messages_dropped_total", &[("bus", bus), ("kind", kind), ("reason", reason)]);
            }
            expect("sightwire_outbox_messages", &[("bus", bus), ("kind", kind)]);
            expect("sightwire_outbox_bytes", &[("bus", bus), ("kind", kind)]);
        }
        assert_eq!(page.sum("sightwire_bus_connected", &[("bus", bus)]), 1.0);
        expect("sightwire_bus_reconnects_total", &[("bus", bus)]);
        let detections = [("bus", bus), ("kind", "detections")];
        let count =
            |outcome| page.sum("sightwire_messages_total", &[&detections[..], &[("outcome", outcome)]].concat());
        // QoS 1 over MQTT is acknowledged; core NATS knows no acknowledgement.
        let (told, untold) = if bus == "mqtt" { ("acked", "sent") } else { ("sent", "acked") };
        assert!(count(told) > 0.0 && count(untold) == 0.0, "{bus}");
    }
    expect("sightwire_source_reconnects_total", &camera);
    expect("sightwire_camera_fps", &camera);
    expect("sightwire_control_commands_total", &[("command", "status"), ("result", "ok")]);
    let info = page.find("sightwire_build_info", &[("version", env!("CARGO_PKG_VERSION"))]).next().unwrap();
    assert!(info.value == 1.0 && !info.labels["onnxruntime"].is_empty());
    assert_eq!(node.get("/healthz"), (200, "ok\n".into()));
    assert_eq!(node.get("/readyz").0, 200);
}

#[test]
fn no_message_is_unaccounted_for_at_any_moment() {
    let (mut broker, mut server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let node = busy_home(&broker, &server, &scene(20, "&seed=3")).start_owned();
    let witness = MqttWitness::v5(broker.port);
    node.wait_until("door", "running");
    witness.inbox.wait("an event", |m| m.is_of("door", "events"));
    for outage in [false, true, false] {
        if outage {
            broker.stop();
            server.kill();
        }
        for _ in 0..15 {
            let page = node.metrics();
            // The page reads the counters one after the other while they move on: a few may pass in between.
            let off = off_the_law(&page, &["mqtt", "nats"]);
            assert!(off <= 3.0, "{off} messages are nowhere");
            std::thread::sleep(std::time::Duration::from_millis(80));
        }
        if outage {
            assert!(node.metrics().sum("sightwire_outbox_messages", &[("kind", "detections")]) > 0.0, "they wait");
            broker.start();
            server.start();
        }
    }
    let fresh = MqttWitness::v5(broker.port);
    // At rest nothing moves while the page is read: the law holds to the last message.
    wait_for("connected again", || (node.get("/readyz").0 == 200).then_some(()));
    publish(broker.port, "sightwire/control", b"stop", &[]);
    fresh.inbox.wait("the answer", |m| m.topic.ends_with("/replies") && m.json()["ok"] == true);
    let page = wait_for("nothing waits", || {
        let page = node.metrics();
        (page.sum("sightwire_outbox_messages", &[]) == 0.0).then_some(page)
    });
    assert_eq!(off_the_law(&page, &["mqtt", "nats"]), 0.0);
    assert_eq!(page.sum("sightwire_outbox_bytes", &[]), 0.0);
    assert!(page.sum("sightwire_bus_reconnects_total", &[("bus", "mqtt")]) >= 1.0);
    // Frames too: whatever was read has an outcome.
    let camera = node.camera("door");
    let read = camera["frames"]["read"].as_f64().unwrap();
    // The one that was at the model when the stop came is counted when the model is through with it.
    let page = wait_for("every frame has an outcome", || {
        let page = node.metrics();
        (page.sum("sightwire_frames_total", &[("camera", "door")]) == read).then_some(page)
    });
    let inferred = page.sum("sightwire_frames_total", &[("outcome", "inferred")]);
    assert_eq!(camera["frames"]["inferred"].as_f64().unwrap(), inferred);
    assert_eq!(
        page.sum("sightwire_messages_total", &[("bus", "mqtt"), ("kind", "detections"), ("outcome", "offered")]),
        inferred
    );
}

fn readiness(node: &Node) -> (u16, Value) {
    let (status, text) = node.get("/readyz");
    (status, serde_json::from_str(&text).unwrap())
}

fn part<'a>(readiness: &'a Value, kind: &str, name: &str) -> &'a Value {
    readiness[kind].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap()
}

#[test]
fn readiness_names_the_bus_that_is_down_and_is_well_again_after_it_returns() {
    let (mut broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let home = Home::new(&format!(
        "{}{SHAPES}cameras:\n  door: {{ source: {}, model: shapes }}\n",
        buses(Some((broker.port, "5")), Some(server.port)),
        scene(5, "")
    ));
    let node = home.start();
    wait_for("all is well", || (readiness(&node).0 == 200).then_some(()));
    broker.stop();
    let (_, told) = wait_for("it is not ready", || Some(readiness(&node)).filter(|(status, _)| *status == 503));
    assert_eq!((&told["ready"], &part(&told, "buses", "mqtt")["ready"]), (&false.into(), &false.into()), "{told}");
    assert_eq!(
        (&part(&told, "buses", "nats")["ready"], &part(&told, "cameras", "door")["ready"]),
        (&true.into(), &true.into())
    );
    assert_eq!(node.get("/healthz").0, 200, "the process lives");
    broker.start();
    wait_for("all is well again", || (readiness(&node).0 == 200).then_some(()));
}

#[test]
fn readiness_names_the_camera_that_failed_and_is_well_again_after_it_returns() {
    let broker = Mosquitto::open();
    let port = free_port();
    // Not there yet; ffmpeg plays the camera later.
    let home = Home::new(&format!(
        "{}{SHAPES}cameras:\n  yard: {{ source: \"http://127.0.0.1:{port}/video\", model: shapes }}\n",
        buses(Some((broker.port, "5")), None)
    ));
    let node = home.start();
    node.wait_until("yard", "failed");
    wait_for("the bus is connected", || (part(&readiness(&node).1, "buses", "mqtt")["ready"] == true).then_some(()));
    let (status, told) = readiness(&node);
    let yard = part(&told, "cameras", "yard");
    assert_eq!((status, &yard["ready"]), (503, &false.into()));
    assert!(yard["detail"].as_str().unwrap().contains("source_open_failed"), "{yard}");
    serve_video(port);
    wait_for("it is well again", || (readiness(&node).0 == 200).then_some(()));
    assert!(node.metrics().sum("sightwire_source_reconnects_total", &[("camera", "yard")]) >= 1.0);
}

/// A motion-JPEG camera: anyone who connects is sent pictures without end.
fn serve_video(port: u16) {
    let folder = tempfile::tempdir().unwrap();
    let still = folder.path().join("still.jpg");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240", "-frames:v", "1"]).arg(&still);
    let mut made = Running::spawn(ffmpeg.stdout(Stdio::null()));
    assert!(made.wait().success());
    let jpeg = std::fs::read(&still).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let jpeg = jpeg.clone();
            std::thread::spawn(move || {
                use std::io::Write;
                let head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";
                let part = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
                let mut sent = stream.write_all(head.as_bytes());
                while sent.is_ok() {
                    sent = stream
                        .write_all(part.as_bytes())
                        .and_then(|()| stream.write_all(&jpeg))
                        .and_then(|()| stream.write_all(b"\r\n"));
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            });
        }
    });
}

#[test]
fn a_camera_that_connects_for_ever_is_not_ready() {
    let (broker, silent) = (Mosquitto::open(), Silent::open());
    let home = silent.home(&buses(Some((broker.port, "5")), None));
    let node = home.start();
    wait_for("the bus is connected", || (part(&readiness(&node).1, "buses", "mqtt")["ready"] == true).then_some(()));
    assert_eq!(readiness(&node).0, 503);
}
