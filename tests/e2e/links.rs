//! What a server takes, and whether it delivers, told where people and machines look.

use crate::common::{Mosquitto, NatsServer, Proxy, Way};
use crate::keyframes::size_of;
use crate::node::{Home, Node, SHAPES, buses, scene, wait_for};
use crate::witness::{MqttWitness, NatsWitness};

#[test]
fn a_keyframe_too_large_for_its_servers_arrives_smaller_and_says_its_size() {
    const LIMIT: usize = 12_000;
    let broker = Mosquitto::with(&format!("allow_anonymous true\nmax_packet_size {LIMIT}"));
    let server = NatsServer::with(&format!("max_payload: {LIMIT}\njetstream {{ store_dir: \"{{dir}}/js\" }}"));
    let (mqtt, nats) = (MqttWitness::v5(broker.port), NatsWitness::new(server.port));
    let source = "\"synthetic:shapes?width=1280&height=960&fps=3&seed=3&objects=8\"";
    let node = Home::new(&format!(
        "{}{SHAPES}cameras:\n  door:\n    source: {source}\n    model: shapes\n    keyframes: {{ when: [detections], every: 0s, quality: 95 }}\n",
        buses(Some((broker.port, "5")), Some(server.port))
    ))
    .start_owned();
    for (bus, inbox) in [("mqtt", &mqtt.inbox), ("nats", &nats.inbox)] {
        let picture = inbox.wait("a keyframe", |m| m.is_of("door", "keyframe"));
        assert!(picture.payload.len() < LIMIT, "{}", picture.payload.len());
        let (width, height) = size_of(&picture.payload);
        assert_eq!(
            (picture.properties["width"].clone(), picture.properties["height"].clone()),
            (width.to_string(), height.to_string())
        );
        let page = node.metrics();
        assert!(page.sum("sightwire_keyframes_shrunk_total", &[("bus", bus)]) >= 1.0);
        let of_keyframes = |outcome| [("bus", bus), ("kind", "keyframe"), ("outcome", outcome)];
        assert_eq!(page.sum("sightwire_messages_total", &of_keyframes("refused")), 0.0);
    }
    // The page still has it as it was made.
    let (status, jpeg) = node.get("/cameras/door/keyframe.jpg");
    assert!(status == 200 && jpeg.len() > LIMIT, "{}", jpeg.len());
}

/// Status of `/readyz`, and this bus's part of it.
fn readiness(node: &Node, bus: &str) -> (u16, serde_json::Value) {
    let (status, body) = node.get("/readyz");
    let parts: serde_json::Value = serde_json::from_str(&body).unwrap();
    (status, parts["buses"].as_array().unwrap().iter().find(|part| part["name"] == bus).cloned().unwrap())
}

#[test]
fn a_broker_that_delivers_nothing_is_told_by_page_metrics_log_and_the_other_bus() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let proxy = Proxy::to(broker.port);
    let nats = NatsWitness::new(server.port);
    let node = Home::new(&format!(
        "buses:\n  mqtt: {{ url: \"mqtt://127.0.0.1:{}\", probe_interval: 300ms, keep_alive: 60s }}\n  \
         nats: {{ url: \"nats://127.0.0.1:{}\" }}\n{SHAPES}cameras:\n  door: {{ source: {}, model: shapes }}\n",
        proxy.port,
        server.port,
        scene(5, "&seed=7")
    ))
    .start_owned();
    let figure = |name: &str, bus: &str| node.metrics().sum(name, &[("bus", bus)]);
    for bus in ["mqtt", "nats"] {
        wait_for("the probe came back", || (figure("sightwire_bus_delivering", bus) == 1.0).then_some(()));
        assert!(figure("sightwire_bus_round_trip_seconds_count", bus) >= 1.0);
        assert_eq!(figure("sightwire_bus_control_connected", bus), 1.0);
    }
    wait_for("ready", || (readiness(&node, "mqtt").0 == 200).then_some(()));
    proxy.stall(Way::FromServer, true);
    let part = wait_for("the page tells", || {
        let (status, part) = readiness(&node, "mqtt");
        (status == 503).then_some(part)
    });
    assert!(part["ready"] == false && part["detail"].as_str().unwrap().contains("nobody would receive"), "{part}");
    assert_eq!(figure("sightwire_bus_delivering", "mqtt"), 0.0);
    assert_eq!(figure("sightwire_bus_connected", "mqtt"), 1.0);
    assert_eq!(figure("sightwire_bus_delivering", "nats"), 1.0);
    let noticed = |page: crate::metrics::Page| {
        page.sum("sightwire_bus_notices_total", &[("bus", "mqtt"), ("notice", "not_delivering")])
    };
    assert_eq!(noticed(node.metrics()), 1.0);
    let state = nats.inbox.wait("the node's state tells", |m| {
        m.topic == "sightwire/nodes/garage/state" && m.text().contains("nobody would receive")
    });
    let state = state.json();
    crate::witness::assert_valid("node-state", &state);
    assert_eq!(state["buses"][0]["connected"], true);
    proxy.mend();
    wait_for("all is well", || (readiness(&node, "mqtt").0 == 200).then_some(()));
    assert_eq!(figure("sightwire_bus_delivering", "mqtt"), 1.0);
    let said = node.log.all().iter().filter(|line| line.contains("nobody would receive")).count();
    assert_eq!(said, 1, "once: {}", node.log.text());
    node.log.wait("of the relief", |line| line.contains("comes back again"));
}

#[test]
fn a_command_that_came_during_a_cut_is_judged_by_its_own_time() {
    let broker = Mosquitto::open();
    let proxy = Proxy::to(broker.port);
    let witness = MqttWitness::v5(broker.port);
    let node = Home::new(&format!(
        "buses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n{SHAPES}cameras:\n  door: {{ source: {}, model: shapes }}\n  \
         gate: {{ source: {}, model: shapes }}\n",
        proxy.port,
        scene(5, "&seed=7"),
        scene(5, "&seed=8")
    ))
    .start_owned();
    for camera in ["door", "gate"] {
        node.wait_until(camera, "running");
    }
    wait_for("connected", || (readiness(&node, "mqtt").0 == 200).then_some(()));
    proxy.cut();
    wait_for("cut off", || (readiness(&node, "mqtt").1["ready"] == false).then_some(()));
    let command = |camera: &str, text: &str| {
        crate::witness::publish(
            broker.port,
            &format!("sightwire/cameras/{camera}/control"),
            text.as_bytes(),
            &["-q", "1"],
        );
    };
    command("door", r#"{"command":"stop","id":"late","expires_at":1763683200}"#);
    command("gate", "stop");
    proxy.mend();
    let answer = witness.inbox.wait("an answer", |m| m.topic.ends_with("/replies") && m.text().contains("late")).json();
    assert_eq!((&answer["ok"], &answer["error"]["code"]), (&false.into(), &"expired".into()), "{answer}");
    node.wait_until("gate", "stopped");
    node.wait_until("door", "running");
}

#[test]
fn a_stop_button_that_is_not_connected_is_told_by_page_and_metrics() {
    let server = NatsServer::with(
        "authorization { users: [ { user: me, password: pw, permissions: { subscribe: { deny: [\"sightwire.control\"] } } } ] }",
    );
    let node = Home::new(&format!(
        "buses: {{ nats: {{ url: \"nats://me:pw@127.0.0.1:{}\", jetstream: false }} }}\n{SHAPES}cameras:\n  door: {{ source: {}, model: shapes }}\n",
        server.port,
        scene(5, "&seed=7")
    ))
    .start_owned();
    let part = wait_for("the page tells", || {
        let (status, part) = readiness(&node, "nats");
        let told = part["detail"].as_str().is_some_and(|detail| detail.contains("stop button is not connected"));
        (status == 503 && told).then_some(part)
    });
    assert!(part["detail"].as_str().unwrap().contains("sightwire.control"), "{part}");
    let page = node.metrics();
    assert_eq!(page.sum("sightwire_bus_control_connected", &[("bus", "nats")]), 0.0);
    assert_eq!(page.sum("sightwire_bus_connected", &[("bus", "nats")]), 1.0);
    let refused = [("bus", "nats"), ("notice", "control_refused")];
    assert_eq!(page.sum("sightwire_bus_notices_total", &refused), 1.0);
}
