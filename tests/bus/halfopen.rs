//! A server that is frozen: its machine still answers TCP, and nobody is behind it.

use sightwire::bus::{Link, MessageKind, MqttConfig, MqttVersion, NatsConfig, Publisher, start_mqtt, start_nats};
use sightwire::domain::Span;
use std::time::{Duration, Instant};

use crate::common::{Mosquitto, NatsServer, context, message};
use crate::{connected, down_because, drained, law_holds};

const KEEP_ALIVE: Span = Span::secs(2);

/// Noticed by the keep-alive, within twice its time; this is far more.
const LONGEST: Duration = Duration::from_secs(15);

async fn noticed_and_nothing_lost(link: &Link, signal: impl Fn(&str)) {
    connected(link).await;
    let acked = link.outbox().tally(MessageKind::Event).acked;
    signal("STOP");
    let frozen = Instant::now();
    for i in 0..50 {
        link.outbox().offer(message(MessageKind::Event, format!("event-{i}")));
    }
    let why = down_because(link, "").await;
    assert!(frozen.elapsed() < LONGEST, "{why} after {:?}", frozen.elapsed());
    println!("noticed after {:?}: {why}", frozen.elapsed());
    assert_eq!(link.outbox().waiting().messages(MessageKind::Event), 50);
    signal("CONT");
    drained(link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked - acked, 50);
    law_holds(link);
}

async fn mqtt(version: MqttVersion) {
    let broker = Mosquitto::open();
    let config = MqttConfig { keep_alive: KEEP_ALIVE, probe_interval: Span::default(), ..broker.config(version) };
    let link = start_mqtt(&config, context().0).unwrap();
    noticed_and_nothing_lost(&link, |name| broker.signal(name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_frozen_broker_is_noticed_in_time_and_nothing_is_lost() {
    mqtt(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_frozen_broker_is_noticed_in_time_and_nothing_is_lost() {
    mqtt(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_frozen_server_is_noticed_in_time_and_nothing_is_lost() {
    let server = NatsServer::with_jetstream();
    let config = NatsConfig { keep_alive: KEEP_ALIVE, probe_interval: Span::default(), ..server.config() };
    let link = start_nats(&config, context().0).unwrap();
    noticed_and_nothing_lost(&link, |name| server.signal(name)).await;
}
