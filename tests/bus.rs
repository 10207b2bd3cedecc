//! The bus room against real servers: mosquitto (MQTT 5 and 3.1.1), nats-server (with and without JetStream), and the
//! embedded broker, watched by mosquitto's own clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use common::{Mosquitto, NatsServer, PATIENCE, Subscriber, context, eventually, message, name, publish};
use futures_util::StreamExt;
use sightwire::bus::{
    BusConfig, BusError, Link, Message, MessageKind, MqttConfig, MqttVersion, Publisher, Secret, Topic, embedded,
    probe, start_mqtt, start_nats, tail,
};
use sightwire::domain::Target;
use tokio::time::timeout;

const DETECTIONS: &str = "sightwire/cameras/front-door/detections";
const EVENTS: &str = "sightwire/cameras/front-door/events";

fn law_holds(link: &Link) {
    for kind in MessageKind::ALL {
        let tally = link.outbox().tally(kind);
        assert!(tally.law_holds(), "{kind:?}: {tally:?}");
    }
}

async fn connected(link: &Link) {
    let mut state = link.state();
    timeout(PATIENCE, state.wait_for(|state| state.connected)).await.expect("connects in time").unwrap();
}

async fn down_because(link: &Link, word: &str) -> String {
    let mut state = link.state();
    let wanted = state.wait_for(|state| !state.connected && state.detail.contains(word));
    timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("never down because of '{word}'")).unwrap().detail.clone()
}

async fn drained(link: &Link) {
    let waited = timeout(PATIENCE, link.outbox().drained()).await;
    assert!(waited.is_ok(), "still waiting: {:?}, {:?}", link.outbox().waiting(), link.state().borrow());
}

fn birth(text: &'static str) -> Message {
    let mut birth = message(MessageKind::State, text);
    birth.topic = Topic::NodeStatus(name("garage"));
    birth.camera = None;
    birth
}

async fn mqtt_delivers(version: MqttVersion) {
    let broker = Mosquitto::open();
    let mut subscriber = Subscriber::new(broker.port, "sightwire/#");
    let link = start_mqtt(&broker.config(version), context().0).unwrap();
    link.outbox().offer(message(MessageKind::State, "online"));
    for i in 0..20 {
        link.outbox().offer(message(MessageKind::Detections, format!("frame-{i}")));
        link.outbox().offer(message(MessageKind::Event, format!("event-{i}")));
    }
    link.outbox().offer(message(MessageKind::Keyframe, vec![b'x'; 300_000]));
    drained(&link).await;
    subscriber.wait_for("the last event", |line| line == format!("{EVENTS} 0 1 event-19"));
    subscriber.wait_for("the last frame", |line| line == format!("{DETECTIONS} 0 0 frame-19"));
    subscriber.wait_for("the keyframe", |line| line.len() > 300_000);
    let outbox = link.outbox();
    assert_eq!(outbox.tally(MessageKind::Detections).sent, 20);
    assert_eq!(outbox.tally(MessageKind::Event).acked, 20);
    assert_eq!(outbox.camera_tally(&name("front-door")).delivered(), 42);
    law_holds(&link);
    assert_eq!(link.shutdown(Duration::from_secs(5)).await.waiting.total_messages(), 0);
    // Retained: whoever comes later sees the state.
    let mut late = Subscriber::new(broker.port, "sightwire/cameras/front-door/status");
    late.wait_for("the retained status", |line| line.ends_with("/status 1 1 online"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_delivers_every_kind_and_counts_it() {
    mqtt_delivers(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_delivers_every_kind_and_counts_it() {
    mqtt_delivers(MqttVersion::V311).await;
}

/// The broker is restarted again and again under a stream of events; a subscriber with a lasting session misses none.
async fn mqtt_restart_loses_no_event(version: MqttVersion) {
    let lasting = "allow_anonymous true\npersistence true\npersistence_location {dir}/\nmax_queued_messages 0";
    let mut broker = Mosquitto::with(lasting);
    let session = ["-V", "mqttv311", "-c", "-i", "witness", "-F", "%p"];
    let mut subscriber = Subscriber::with(broker.port, EVENTS, &session);
    let link = start_mqtt(&broker.config(version), context().0).unwrap();
    connected(&link).await;
    let mut sent = HashSet::new();
    for round in 0..3 {
        for i in 0..400 {
            let event = format!("event-{round}-{i}");
            link.outbox().offer(message(MessageKind::Event, event.clone()));
            sent.insert(event);
            if i == 200 {
                broker.stop();
            }
        }
        broker.start();
        connected(&link).await;
    }
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, sent.len() as u64);
    law_holds(&link);
    eventually("every event arrives", async || {
        let got: HashSet<String> = subscriber.seen().iter().cloned().collect();
        sent.is_subset(&got)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_broker_restart_in_mid_stream_loses_no_event() {
    mqtt_restart_loses_no_event(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_broker_restart_in_mid_stream_loses_no_event() {
    mqtt_restart_loses_no_event(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_every_connect_publishes_the_birth_first_and_all_state_again() {
    let mut broker = Mosquitto::open();
    let link = start_mqtt(&broker.config(MqttVersion::V5), context().0).unwrap();
    link.outbox().offer(message(MessageKind::State, "camera-online"));
    link.outbox().offer(birth("node-online"));
    drained(&link).await;
    // A broker that forgets everything; the witness is there before the node comes back.
    broker.stop();
    down_because(&link, "").await;
    broker.start();
    let mut subscriber = Subscriber::new(broker.port, "sightwire/#");
    subscriber.wait_for("the birth", |line| line.ends_with("node-online"));
    subscriber.wait_for("the camera's status", |line| line.ends_with("camera-online"));
    let order: Vec<_> = subscriber.seen().iter().filter(|line| line.ends_with("-online")).cloned().collect();
    // Retained ones, which a subscriber gets in any order, do not count.
    if order.iter().all(|line| line.contains(" 0 1 ")) {
        assert!(order[0].ends_with("node-online"), "{order:?}");
    }
    law_holds(&link);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_a_broker_that_is_down_at_the_start_is_found_later() {
    let mut broker = Mosquitto::down("allow_anonymous true");
    let link = start_mqtt(&broker.config(MqttVersion::V5), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "early"));
    down_because(&link, "refused").await;
    broker.start();
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
}

async fn mqtt_refuses_credentials(version: MqttVersion) {
    let broker = Mosquitto::configured("password_file {dir}/passwords\nallow_anonymous false", |dir| {
        let file = dir.join("passwords");
        let status = Command::new("mosquitto_passwd").arg("-c").arg("-b").arg(&file).args(["me", "right"]).status();
        assert!(status.unwrap().success());
    });
    let mut broker = broker;
    broker.start();
    let with = |password: &str| MqttConfig {
        username: Some("me".into()),
        password: Some(Secret::new(password)),
        ..broker.config(version)
    };
    let link = start_mqtt(&with("wr0ng-secret"), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "waits"));
    let detail = down_because(&link, "refused").await;
    assert!(detail.contains("uthorized") || detail.contains("user name or password"), "{detail}");
    assert!(!detail.contains("wr0ng-secret"), "{detail}");
    assert_eq!(link.outbox().waiting().total_messages(), 1);
    let refused = probe(&BusConfig::Mqtt(with("wr0ng-secret")), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, BusError::Refused { .. }), "{refused}");
    let found = probe(&BusConfig::Mqtt(with("right")), PATIENCE).await.unwrap();
    assert!(found.contains("session ok"), "{found}");
    // Nothing gets through: what was accepted is counted as lost at the end.
    let left = link.shutdown(Duration::from_millis(50)).await;
    assert_eq!(left.waiting.messages(MessageKind::Event), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_refused_credentials_are_said_and_the_messages_wait() {
    mqtt_refuses_credentials(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_refused_credentials_are_said_and_the_messages_wait() {
    mqtt_refuses_credentials(MqttVersion::V311).await;
}

/// Runs the link in a runtime that is torn down like a process that is killed: no DISCONNECT.
async fn mqtt_will_speaks(version: MqttVersion) {
    let broker = Mosquitto::open();
    let mut subscriber = Subscriber::new(broker.port, "sightwire/nodes/garage/status");
    let node = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = broker.config(version);
    let killed = node
        .spawn(async move {
            let link = start_mqtt(&config, context().0).unwrap();
            link.outbox().offer(birth("online"));
            drained(&link).await;
            link
        })
        .await
        .unwrap();
    node.shutdown_background();
    subscriber.wait_for("the will", |line| line.ends_with("status 0 1 offline"));
    drop(killed);
    // A clean stop says its own farewell, and the will is not needed.
    let link = start_mqtt(&broker.config(version), context().0).unwrap();
    link.outbox().offer(birth("good-bye"));
    link.shutdown(PATIENCE).await;
    subscriber.wait_for("the farewell", |line| line.ends_with("good-bye"));
    publish(broker.port, "sightwire/nodes/garage/status", "end-mark", &[]);
    subscriber.wait_for("the end", |line| line.ends_with("end-mark"));
    assert_eq!(subscriber.seen().iter().filter(|line| line.ends_with("offline")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_the_will_speaks_for_a_node_that_was_killed() {
    mqtt_will_speaks(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_the_will_speaks_for_a_node_that_was_killed() {
    mqtt_will_speaks(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_message_too_large_for_the_broker_is_refused_and_the_link_survives() {
    let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 20000");
    let link = start_mqtt(&broker.config(MqttVersion::V5), context().0).unwrap();
    connected(&link).await;
    let mut state = link.state();
    state.mark_unchanged();
    link.outbox().offer(message(MessageKind::Keyframe, vec![1; 50_000]));
    link.outbox().offer(message(MessageKind::Event, "small"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).refused, 1);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    assert!(!state.has_changed().unwrap(), "the link was lost");
    law_holds(&link);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_message_that_kills_the_link_again_and_again_is_given_up() {
    let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 80000");
    let link = start_mqtt(&broker.config(MqttVersion::V311), context().0).unwrap();
    connected(&link).await;
    link.outbox().offer(message(MessageKind::Keyframe, vec![1; 100_000]));
    link.outbox().offer(message(MessageKind::Event, "small"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).refused, 1);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    law_holds(&link);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_publish_without_permission_is_counted_as_refused() {
    let mut broker = Mosquitto::configured("allow_anonymous true\nacl_file {dir}/acl", |dir| {
        std::fs::write(dir.join("acl"), "topic read #\ntopic write sightwire/cameras/+/detections\n").unwrap();
    });
    broker.start();
    let link = start_mqtt(&broker.config(MqttVersion::V5), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "forbidden"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).refused, 1);
    law_holds(&link);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_second_node_with_the_same_id_is_named() {
    let broker = Mosquitto::open();
    let (first, _commands) = context();
    let link = start_mqtt(&broker.config(MqttVersion::V5), first.clone()).unwrap();
    connected(&link).await;
    let twin = start_mqtt(&broker.config(MqttVersion::V5), first).unwrap();
    down_because(&link, "running twice").await;
    drop(twin);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_command_brings_its_response_topic_and_the_reply_its_correlation() {
    let broker = Mosquitto::open();
    let (context, mut commands) = context();
    let link = start_mqtt(&broker.config(MqttVersion::V5), context).unwrap();
    connected(&link).await;
    let mut answers = Subscriber::with(broker.port, "my/answers", &["-V", "mqttv5", "-F", "%t %D %C %p"]);
    let ask =
        ["-V", "mqttv5", "-D", "publish", "response-topic", "my/answers", "-D", "publish", "correlation-data", "42"];
    publish(broker.port, "sightwire/cameras/front-door/control", "stop", &ask);
    let command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    assert_eq!((command.bus, command.target), ("mqtt", Target::Camera(name("front-door"))));
    assert_eq!((&command.payload[..], command.retained), (&b"stop"[..], false));
    let reply_to = command.reply_to.unwrap();
    let mut reply = message(MessageKind::Reply, "done");
    reply.topic = Topic::reply(Some(&reply_to), &name("garage"));
    reply.correlation = reply_to.correlation;
    link.outbox().offer(reply);
    answers.wait_for("the reply", |line| line == "my/answers 42 application/json done");
    // An address that no broker takes is refused, not a reason to lose the link.
    let mut astray = message(MessageKind::Reply, "astray");
    astray.topic = Topic::Reply("a/#".into());
    link.outbox().offer(astray);
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Reply).refused, 1);
    assert!(link.state().borrow().connected);
}

async fn mqtt_retained_and_huge_commands(version: MqttVersion) {
    let broker = Mosquitto::open();
    publish(broker.port, "sightwire/control", "old", &["-r"]);
    let (context, mut commands) = context();
    let link = start_mqtt(&broker.config(version), context).unwrap();
    let old = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    assert!(old.retained && old.target == Target::All, "{old:?}");
    let dir = tempfile::tempdir().unwrap();
    let huge = dir.path().join("huge");
    std::fs::write(&huge, vec![b'x'; 10 << 20]).unwrap();
    let port = broker.port.to_string();
    let sent = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "sightwire/groups/outdoor/control", "-f"])
        .arg(&huge)
        .status();
    assert!(sent.unwrap().success());
    publish(broker.port, "sightwire/nodes/garage/control", "status", &["-q", "1"]);
    let mut command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    if version == MqttVersion::V311 {
        // It cannot be kept away; the control room refuses it by its size.
        assert_eq!(command.payload.len(), 10 << 20);
        command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    }
    assert_eq!((&command.payload[..], &command.target), (&b"status"[..], &Target::Node(name("garage"))));
    assert!(link.state().borrow().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_retained_and_huge_commands_do_no_harm() {
    mqtt_retained_and_huge_commands(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_retained_and_huge_commands_do_no_harm() {
    mqtt_retained_and_huge_commands(MqttVersion::V311).await;
}

fn openssl(dir: &Path, args: &str) {
    let status = Command::new("openssl").args(args.split(' ')).current_dir(dir).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "openssl {args}");
}

/// `ca.pem`, and `server` and `client` with certificates from it.
fn make_certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(dir, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca"));
    std::fs::write(dir.join("san"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
    for who in ["server", "client"] {
        openssl(dir, &format!("req {key} -keyout {who}.key -out {who}.csr -subj /CN={who}"));
        openssl(
            dir,
            &format!(
                "x509 -req -in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {who}.pem -days 2 -extfile san"
            ),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_speaks_tls_with_client_certificates_and_websockets() {
    let ws = common::free_port();
    let tls = "allow_anonymous true\ncafile {dir}/ca.pem\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key\nrequire_certificate true";
    let both = format!("{tls}\nlistener {ws} 127.0.0.1\nprotocol websockets\nallow_anonymous true");
    let mut broker = Mosquitto::configured(&both, make_certificates);
    broker.start();
    let file = |name: &str| Some(broker.dir().join(name));
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let with_cert = MqttConfig {
            url: format!("mqtts://localhost:{}", broker.port),
            ca_file: file("ca.pem"),
            cert_file: file("client.pem"),
            key_file: file("client.key"),
            ..broker.config(version)
        };
        probe(&BusConfig::Mqtt(with_cert.clone()), PATIENCE).await.unwrap();
        let without = MqttConfig { cert_file: None, key_file: None, ..with_cert.clone() };
        probe(&BusConfig::Mqtt(without), PATIENCE).await.unwrap_err();
        let stranger = MqttConfig { ca_file: file("client.pem"), ..with_cert };
        probe(&BusConfig::Mqtt(stranger), PATIENCE).await.unwrap_err();
        let websocket = MqttConfig { url: format!("ws://127.0.0.1:{ws}/mqtt"), ..broker.config(version) };
        let link = start_mqtt(&websocket, context().0).unwrap();
        link.outbox().offer(message(MessageKind::Event, vec![b'x'; 200_000]));
        drained(&link).await;
        assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_something_else_says_so_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in [format!("mqtt://u:s3cret@127.0.0.1:{port}"), format!("nats://u:s3cret@127.0.0.1:{port}")] {
        let config = BusConfig::from_url(&url, "sightwire").unwrap();
        let error = probe(&config, Duration::from_millis(300)).await.unwrap_err();
        assert!(matches!(error, BusError::Timeout { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_serves_both_versions_on_one_port() {
    let broker = embedded::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = broker.addr().port();
    let link = start_mqtt(&MqttConfig { url: broker.url(), ..MqttConfig::default() }, context().0).unwrap();
    link.outbox().offer(message(MessageKind::State, "online"));
    drained(&link).await;
    for version in ["mqttv5", "mqttv311"] {
        let mut subscriber = Subscriber::with(port, "sightwire/#", &["-V", version, "-F", "%t %r %q %p"]);
        subscriber.wait_for("the retained status", |line| line.ends_with("/status 1 1 online"));
        link.outbox().offer(message(MessageKind::Event, format!("event-{version}")));
        link.outbox().offer(message(MessageKind::Detections, format!("frame-{version}")));
        link.outbox().offer(message(MessageKind::Keyframe, vec![b'x'; 400_000]));
        subscriber.wait_for("the event", |line| line == format!("{EVENTS} 0 1 event-{version}"));
        subscriber.wait_for("the frame", |line| line == format!("{DETECTIONS} 0 0 frame-{version}"));
        subscriber.wait_for("the keyframe", |line| line.len() > 400_000);
        let with_will = ["-V", version, "--will-topic", "test/will", "--will-payload", version, "-F", "%p"];
        let mut mortal = Subscriber::with(port, "nothing/here", &with_will);
        let mut heir = Subscriber::new(port, "test/will");
        mortal.kill();
        heir.wait_for("the will", |line| line.ends_with(version));
    }
    drained(&link).await;
    law_holds(&link);
    let taken = embedded::start(broker.addr()).await.unwrap_err().to_string();
    assert!(taken.contains(&port.to_string()) && taken.contains("free the port"), "{taken}");
    broker.stop().await;
    down_because(&link, "").await;
    // The port is free again.
    embedded::start(([127, 0, 0, 1], port).into()).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_delivers_and_the_stream_keeps_events_and_keyframes_once() {
    let server = NatsServer::with_jetstream();
    let client = server.client().await;
    let all = client.subscribe("sightwire.>").await.unwrap();
    client.flush().await.unwrap();
    let link = start_nats(&server.config(), context().0).unwrap();
    for i in 0..20 {
        link.outbox().offer(message(MessageKind::Detections, format!("frame-{i}")));
        let mut event = message(MessageKind::Event, format!("event-{i}"));
        event.id = Some(format!("front-door/boot/event/{i}"));
        link.outbox().offer(event.clone());
        // The same again, as after a lost acknowledgement.
        link.outbox().offer(event);
    }
    link.outbox().offer(message(MessageKind::Keyframe, vec![1; 300_000]));
    link.outbox().offer(message(MessageKind::State, "online"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Detections).sent, 20);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 40);
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).acked, 1);
    assert_eq!(link.outbox().tally(MessageKind::State).sent, 1);
    law_holds(&link);
    let mut stream = async_nats::jetstream::new(client).get_stream("SIGHTWIRE").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 21);
    let mut frames = all.filter(|m| std::future::ready(m.payload.starts_with(b"frame-19")));
    let frame = timeout(PATIENCE, frames.next()).await.unwrap().unwrap();
    assert_eq!(frame.subject.as_str(), "sightwire.cameras.front-door.detections");
    let headers = frame.headers.unwrap();
    assert_eq!(headers.get("Content-Type").unwrap().as_str(), "application/json");
    assert_eq!(headers.get("camera").unwrap().as_str(), "front-door");
    assert_eq!(link.shutdown(PATIENCE).await.waiting.total_messages(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_server_crash_in_mid_stream_loses_no_event() {
    let mut server = NatsServer::with_jetstream();
    let link = start_nats(&server.config(), context().0).unwrap();
    connected(&link).await;
    let mut sent = 0;
    for _round in 0..3 {
        for i in 0..400 {
            let mut event = message(MessageKind::Event, format!("event-{sent}"));
            event.id = Some(format!("event-{sent}"));
            link.outbox().offer(event);
            sent += 1;
            if i == 200 {
                server.kill();
            }
        }
        server.start();
        connected(&link).await;
    }
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, sent);
    law_holds(&link);
    let mut stream = async_nats::jetstream::new(server.client().await).get_stream("SIGHTWIRE").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_without_jetstream_everything_goes_by_core() {
    let server = NatsServer::with("");
    let mut all = server.client().await.subscribe("sightwire.cameras.*.events").await.unwrap();
    let link = start_nats(&server.config(), context().0).unwrap();
    connected(&link).await;
    assert!(link.state().borrow().detail.contains("core only"));
    eventually("the event arrives", async || {
        link.outbox().offer(message(MessageKind::Event, "event"));
        timeout(Duration::from_millis(100), all.next()).await.is_ok()
    })
    .await;
    drained(&link).await;
    let tally = link.outbox().tally(MessageKind::Event);
    assert_eq!((tally.sent, tally.acked), (tally.offered, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_stream_of_somebody_elses_is_left_alone() {
    let server = NatsServer::with_jetstream();
    let jetstream = async_nats::jetstream::new(server.client().await);
    let theirs = async_nats::jetstream::stream::Config {
        name: "SIGHTWIRE".into(),
        subjects: vec!["something.else".into()],
        ..Default::default()
    };
    jetstream.create_stream(theirs.clone()).await.unwrap();
    let link = start_nats(&server.config(), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "event"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).sent, 1);
    let stream = jetstream.get_stream("SIGHTWIRE").await.unwrap();
    assert_eq!(stream.cached_info().config.subjects, theirs.subjects);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_server_that_is_down_at_the_start_is_found_later() {
    let mut server = NatsServer::down("");
    let link = start_nats(&server.config(), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Detections, "early"));
    down_because(&link, "refused").await;
    server.start();
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Detections).sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_refused_credentials_are_said_and_the_messages_wait() {
    let server = NatsServer::with("authorization { user: me, password: right }");
    let with = |password: &str| sightwire::bus::NatsConfig {
        username: Some("me".into()),
        password: Some(Secret::new(password)),
        ..server.config()
    };
    let link = start_nats(&with("wr0ng-secret"), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "waits"));
    let detail = down_because(&link, "refused").await;
    assert!(detail.contains("authorization") && !detail.contains("wr0ng-secret"), "{detail}");
    let refused = probe(&BusConfig::Nats(with("wr0ng-secret")), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, BusError::Refused { .. }), "{refused}");
    let found = probe(&BusConfig::Nats(with("right")), PATIENCE).await.unwrap();
    assert!(found.contains("no JetStream"), "{found}");
    assert_eq!(link.shutdown(Duration::from_millis(50)).await.waiting.total_messages(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_message_over_max_payload_is_refused_and_the_link_survives() {
    let server = NatsServer::with("max_payload: 20000\njetstream { store_dir: \"{dir}/js\" }");
    let link = start_nats(&server.config(), context().0).unwrap();
    connected(&link).await;
    let mut state = link.state();
    state.mark_unchanged();
    link.outbox().offer(message(MessageKind::Keyframe, vec![1; 50_000]));
    link.outbox().offer(message(MessageKind::Detections, vec![1; 19_990]));
    link.outbox().offer(message(MessageKind::Event, "small"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).refused, 1);
    assert_eq!(link.outbox().tally(MessageKind::Detections).refused, 1);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    assert!(!state.has_changed().unwrap(), "the link was lost");
    law_holds(&link);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_request_is_answered_on_its_reply_subject() {
    let server = NatsServer::with("");
    let (context, mut commands) = context();
    let link = start_nats(&server.config(), context).unwrap();
    connected(&link).await;
    let client = server.client().await;
    let asked = tokio::spawn(async move { client.request("sightwire.nodes.garage.control", "status".into()).await });
    let command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    assert_eq!((command.bus, &command.target), ("nats", &Target::Node(name("garage"))));
    let mut reply = message(MessageKind::Reply, "fine");
    reply.topic = Topic::reply(command.reply_to.as_ref(), &name("garage"));
    link.outbox().offer(reply);
    let answer = timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap();
    assert_eq!(&answer.payload[..], b"fine");
}

async fn tail_shows(config: BusConfig, link: &Link) {
    let (sender, mut received) = tokio::sync::mpsc::channel(16);
    let watcher = tokio::spawn(async move { tail(&config, Some(&name("front-door")), sender).await });
    let mut got: Option<Bytes> = None;
    eventually("the watcher sees a message", async || {
        link.outbox().offer(message(MessageKind::Detections, "frame"));
        if let Ok(Some(tailed)) = timeout(Duration::from_millis(100), received.recv()).await {
            assert_eq!(tailed.content_type.as_deref(), Some("application/json"));
            assert!(tailed.address.contains("front-door"), "{tailed:?}");
            got = Some(tailed.payload);
        }
        got.is_some()
    })
    .await;
    assert_eq!(got.unwrap(), "frame");
    drop(received);
    timeout(PATIENCE, watcher).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_what_goes_by_on_either_bus() {
    let broker = Mosquitto::open();
    let config = broker.config(MqttVersion::V5);
    let link = start_mqtt(&config, context().0).unwrap();
    tail_shows(BusConfig::from_url(&config.url, "sightwire").unwrap(), &link).await;
    let server = NatsServer::with("");
    let link = start_nats(&server.config(), context().0).unwrap();
    tail_shows(BusConfig::from_url(&server.url(), "sightwire").unwrap(), &link).await;
}
