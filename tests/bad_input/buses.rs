//! Buses that are down, refuse, or are no buses.

use std::net::TcpListener;

use crate::common::{Mosquitto, Subscriber, free_port};
use crate::program::{Folder, small};

#[test]
fn an_unknown_scheme_is_refused_wherever_a_bus_is_named() {
    let folder = Folder::new();
    let config = small(&folder, "");
    let with = |buses: &str| folder.with(&format!("buses: {{ {buses} }}\n{config}"), &["run"]);
    with("mqtt: { url: \"amqp://u:geheim@h\" }").fails(2, &["buses.mqtt.url", "amqp://***@h", "mqtt://host:1883"]);
    with("mqtt: { url: \"localhost\" }").fails(2, &["buses.mqtt.url", "is not an address"]);
    with("nats: { url: \"mqtt://h\" }").fails(2, &["buses.nats.url", "nats://host:4222"]);
    with("nats: { url: \"nats://h\", password: geheim }").fails(2, &["a password without a user"]);
    with("mqtt: { url: \"mqtt://h\", password_file: nowhere }")
        .fails(2, &["buses.mqtt.password_file", "there is no file"]);
    for url in ["amqp://u:geheim@h", "nonsense"] {
        let outcome = folder.sightwire(&["watch", "--bus", url]);
        outcome.fails(2, &["--bus"]);
    }
    folder.sightwire(&["watch", "--camera", "Not A Name"]).fails(2, &["--camera"]);
}

#[test]
fn check_says_which_bus_answers() {
    let folder = Folder::new();
    let broker = Mosquitto::open();
    let config = format!(
        "buses:\n  mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }}\n  nats: {{ url: \"nats://u:geheim@127.0.0.1:{}\" }}\n{}",
        broker.port,
        free_port(),
        small(&folder, "")
    );
    let outcome = folder.with(&config, &["check"]);
    assert_eq!(outcome.code, 1);
    outcome
        .row("spool", "mqtt", &["ok", "mqtt.db: 0 messages wait, room for 1GiB"])
        .row("bus", "mqtt", &["ok", "MQTT 5"])
        .row("bus", "nats", &["FAIL", "refused", "is the server running"])
        .row("model", "m", &["ok"])
        .row("camera", "good", &["ok"]);
    assert!(outcome.stdout.contains("1 of 6 do not work"), "{}", outcome.stdout);
}

#[test]
fn a_node_whose_buses_are_down_still_sees_and_says_so() {
    let folder = Folder::new();
    let config =
        format!("buses: {{ mqtt: {{ url: \"mqtt://u:geheim@127.0.0.1:{}\" }} }}\n{}", free_port(), small(&folder, ""));
    let mut node = folder.node(&config);
    node.goes_on("good");
    let (status, body) = crate::program::request(&node.http, &crate::program::get("/readyz"));
    crate::program::decent(&body);
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("\"mqtt\"") && body.contains("refused"), "{body}");
    node.end();
}

#[test]
fn two_nodes_with_embedded_brokers_run_side_by_side() {
    let folders = [Folder::new(), Folder::new()];
    let mut nodes = folders.each_ref().map(|folder| folder.node(&small(folder, "")));
    for node in &mut nodes {
        node.goes_on("good");
    }
    let address = |log: &str| {
        let rest = log.split("embedded MQTT broker listens addr=").nth(1).expect("an embedded broker");
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let [a, b] = nodes.map(|node| address(&node.end()));
    assert_ne!(a, b);
}

#[test]
fn a_page_port_in_use_ends_the_start_before_anything_is_said() {
    let folder = Folder::new();
    let broker = Mosquitto::open();
    let mut subscriber = Subscriber::new(broker.port, "sightwire/#");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = small(&folder, "").replace("127.0.0.1:0", &address.to_string());
    let config = format!("buses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n{config}", broker.port);
    let outcome = folder.with(&config, &["run"]);
    outcome.fails(1, &["http.listen", &address.to_string(), "in use", "0 takes a free one"]);
    let said = subscriber.seen().iter().find(|line| line.starts_with("sightwire/"));
    assert_eq!(said, None);
}
