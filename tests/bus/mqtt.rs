//! MQTT while all is well, and what a broker refuses.

use sightwire::bus::{
    BusConfig, BusError, MessageKind, MqttConfig, MqttVersion, Publisher, Qos, Secret, probe, start_mqtt,
};
use sightwire::domain::Span;
use sightwire::telemetry::CameraMetrics;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Mosquitto, PATIENCE, Subscriber, context, free_port, message, name};
use crate::{DETECTIONS, EVENTS, connected, down_because, drained, law_holds, make_certificates};

async fn mqtt_delivers(version: MqttVersion) {
    let broker = Mosquitto::open();
    let mut subscriber = Subscriber::new(broker.port, "sightwire/#");
    let (mut context, _commands) = context();
    let metrics = Arc::new(CameraMetrics::new("front-door"));
    context.cameras.insert(name("front-door"), Arc::clone(&metrics));
    let link = start_mqtt(&broker.config(version), context).unwrap();
    link.outbox().offer(message(MessageKind::State, "online"));
    for i in 0..20 {
        link.outbox().offer(message(MessageKind::Detections, format!("frame-{i}")));
        link.outbox().offer(message(MessageKind::Event, format!("event-{i}")));
    }
    link.outbox().offer(message(MessageKind::Keyframe, vec![b'x'; 300_000]));
    let mut acked = message(MessageKind::Detections, "frame-acked");
    acked.qos = Qos::AtLeastOnce;
    link.outbox().offer(acked);
    drained(&link).await;
    subscriber.wait_for("the last event", |line| line == format!("{EVENTS} 0 1 event-19"));
    subscriber.wait_for("the last frame", |line| line == format!("{DETECTIONS} 0 0 frame-19"));
    subscriber.wait_for("the keyframe", |line| line.len() > 300_000);
    let outbox = link.outbox();
    assert_eq!((outbox.tally(MessageKind::Detections).sent, outbox.tally(MessageKind::Detections).acked), (20, 1));
    assert_eq!(outbox.tally(MessageKind::Event).acked, 20);
    assert_eq!(outbox.camera_tally(&name("front-door")).delivered(), 43);
    assert!(metrics.totals.latency.quantile(0.99).is_some_and(|latency| latency < PATIENCE));
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

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_message_too_large_for_the_broker_is_refused_and_the_link_survives() {
    let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 20000");
    let config = MqttConfig { probe_interval: Span::default(), ..broker.config(MqttVersion::V5) };
    let link = start_mqtt(&config, context().0).unwrap();
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
async fn mqtt_speaks_tls_with_client_certificates_and_websockets() {
    let ws = free_port();
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
