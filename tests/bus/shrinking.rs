//! A picture that is too large for a server is made smaller, whichever way the server says so.

use bytes::Bytes;
use sightwire::bus::{Link, Message, MessageKind, MqttVersion, Publisher, start_mqtt, start_nats};

use crate::common::{Mosquitto, NatsServer, Subscriber, context, message};
use crate::{connected, drained, law_holds};

fn picture(bytes: usize) -> Message {
    let shrink = |message: &Message, limit: usize| {
        let payload = Bytes::from(vec![b's'; message.payload.len().min(limit)]);
        (limit > 1000).then(|| Message { payload, ..message.clone() })
    };
    Message { shrink: Some(shrink), ..message(MessageKind::Keyframe, vec![b'l'; bytes]) }
}

async fn is_taken(link: &Link) {
    connected(link).await;
    link.outbox().offer(picture(150_000));
    link.outbox().offer(message(MessageKind::Event, "small"));
    drained(link).await;
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).acked, 1);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    law_holds(link);
}

async fn mqtt(version: MqttVersion) {
    let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 50000");
    let link = start_mqtt(&broker.config(version), context().0).unwrap();
    is_taken(&link).await;
    let mut late = Subscriber::with(broker.port, "sightwire/cameras/front-door/keyframe", &["-F", "%l %p"]);
    let line = late.wait_for("the keyframe", |line| line.contains("ssss"));
    let size: usize = line.split(' ').next().unwrap().parse().unwrap();
    assert!((1000..50_000).contains(&size), "{size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_keyframe_is_made_to_fit_the_limit_that_the_broker_names() {
    mqtt(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_keyframe_is_made_smaller_when_links_die_with_it() {
    mqtt(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_keyframe_is_made_to_fit_max_payload() {
    let server = NatsServer::with("max_payload: 50000\njetstream { store_dir: \"{dir}/js\" }");
    let link = start_nats(&server.config(), context().0).unwrap();
    is_taken(&link).await;
}
