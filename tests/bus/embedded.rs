//! The broker inside the process.

use sightwire::bus::{MessageKind, MqttConfig, Publisher, embedded, start_mqtt};

use crate::common::{Subscriber, context, message};
use crate::{DETECTIONS, EVENTS, down_because, drained, law_holds};

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
    assert!(taken.contains("in use") && !taken.contains("Attempted") && !taken.contains(":;"), "{taken}");
    broker.stop().await;
    down_because(&link, "").await;
    // The port is free again.
    embedded::start(([127, 0, 0, 1], port).into()).await.unwrap().stop().await;
}
