//! MQTT when brokers and nodes come and go.

use sightwire::bus::{MessageKind, MqttVersion, Publisher, start_mqtt};
use std::collections::HashSet;
use std::time::Duration;

use crate::common::{Mosquitto, PATIENCE, Subscriber, context, eventually, message, publish};
use crate::{EVENTS, birth, connected, down_because, drained, law_holds};

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
    // A node that goes with things unsaid leaves the word to the will.
    let link = start_mqtt(&broker.config(version), context().0).unwrap();
    connected(&link).await;
    link.outbox().offer(message(MessageKind::Keyframe, vec![0; 30 << 20]));
    let left = link.shutdown(Duration::ZERO).await;
    assert_eq!(left.waiting.total_messages(), 1);
    eventually("the will speaks again", async || {
        subscriber.seen().iter().filter(|line| line.ends_with("offline")).count() == 2
    })
    .await;
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
async fn mqtt_5_a_second_node_with_the_same_id_is_named() {
    let broker = Mosquitto::open();
    let (first, _commands) = context();
    let link = start_mqtt(&broker.config(MqttVersion::V5), first.clone()).unwrap();
    connected(&link).await;
    let twin = start_mqtt(&broker.config(MqttVersion::V5), first).unwrap();
    down_because(&link, "running twice").await;
    drop(twin);
}
