//! MQTT 5's topic aliases and message expiry, as they are on the wire.

use sightwire::bus::{Link, MessageKind, MqttConfig, MqttVersion, Publisher, start_mqtt};
use sightwire::domain::Span;

use crate::common::{Mosquitto, Proxy, Subscriber, Way, context, message};
use crate::{DETECTIONS, EVENTS, connected, down_because, drained};

const COUNT: usize = 200;

async fn say(link: &Link, from: usize) {
    for i in from..from + COUNT {
        link.outbox().offer(message(MessageKind::Detections, format!("frame-{i}")));
        link.outbox().offer(message(MessageKind::Event, format!("event-{i}")));
        // Not more at once than the lanes hold.
        if i % 50 == 0 {
            drained(link).await;
        }
    }
    drained(link).await;
}

/// Bytes to the broker for the same messages, sent before and after a cut.
async fn bytes_with(aliases: &str) -> u64 {
    let broker = Mosquitto::with(&format!("allow_anonymous true\nmax_queued_messages 0\n{aliases}"));
    let mut subscriber = Subscriber::with(broker.port, "sightwire/cameras/#", &["-F", "%t %p"]);
    let proxy = Proxy::to(broker.port);
    let url = format!("mqtt://127.0.0.1:{}", proxy.port);
    let config = MqttConfig { url, probe_interval: Span::default(), ..MqttConfig::default() };
    let link = start_mqtt(&config, context().0).unwrap();
    connected(&link).await;
    say(&link, 0).await;
    proxy.cut();
    down_because(&link, "").await;
    proxy.mend();
    connected(&link).await;
    say(&link, COUNT).await;
    let bytes = proxy.bytes(Way::ToServer);
    for (topic, kind) in [(DETECTIONS, "frame"), (EVENTS, "event")] {
        for i in [0, 3, 4, COUNT - 1, COUNT, COUNT + 3, COUNT + 4, 2 * COUNT - 1] {
            let wanted = format!("{topic} {kind}-{i}");
            subscriber.wait_for(&wanted, |line| line == wanted);
        }
    }
    let received = subscriber.seen().len();
    assert_eq!(received, 4 * COUNT, "each under its own topic, once");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_topics_said_often_are_said_by_number_before_and_after_a_cut() {
    let plain = bytes_with("max_topic_alias 0").await;
    let short = bytes_with("max_topic_alias 2").await;
    // All but the first few of 800 topics, 37 and 41 bytes long, became 3 bytes of alias.
    let saved = plain.saturating_sub(short);
    assert!(saved > 750 * 33, "{plain} bytes without aliases, {short} with them");
    println!("{plain} bytes without aliases, {short} with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_what_grows_stale_expires_and_what_must_not_be_lost_does_not() {
    let broker = Mosquitto::open();
    let mut subscriber = Subscriber::with(broker.port, "sightwire/#", &["-V", "mqttv5", "-F", "%t expires:%E %p"]);
    let link = start_mqtt(&broker.config(MqttVersion::V5), context().0).unwrap();
    for kind in [MessageKind::Event, MessageKind::Keyframe, MessageKind::Reply, MessageKind::State] {
        link.outbox().offer(message(kind, "payload"));
    }
    link.outbox().offer(message(MessageKind::Detections, "payload"));
    drained(&link).await;
    // mosquitto tells what is left of it, and nothing of one that never expires.
    for (topic, least, most) in [("keyframe", 86_000, 86_400), ("replies", 290, 300)] {
        let line = subscriber.wait_for(topic, |line| line.contains(topic));
        let left: u32 = line.split("expires:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((least..=most).contains(&left), "{line}");
    }
    for topic in ["detections", "events", "status"] {
        let line = subscriber.wait_for(topic, |line| line.contains(topic));
        assert!(line.contains("expires: ") || line.contains("expires:0 "), "{line}");
    }
}
