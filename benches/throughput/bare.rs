//! The same by the clients alone, tuned as they want to be: as many on the way as help, several messages a write.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use rumqttc_v5::mqttbytes::QoS;
use rumqttc_v5::mqttbytes::v5::Packet;
use rumqttc_v5::{AsyncClient, Event, MqttOptions, PublishOptions};

use super::{Servers, Way};

/// Messages on their way before the loop waits for an acknowledgement.
const WINDOW: usize = 1000;

pub async fn run(servers: &Servers, way: Way, payload: &Bytes, count: u64) -> Duration {
    match way {
        Way::MqttQos0 => mqtt(servers.mosquitto.port, QoS::AtMostOnce, payload, count).await,
        Way::MqttQos1 => mqtt(servers.mosquitto.port, QoS::AtLeastOnce, payload, count).await,
        Way::NatsCore => core(servers.nats.port, payload, count, |_| None).await,
        Way::JetStream => jetstream(servers.nats.port, payload, count, |_| None).await,
    }
}

/// With the headers that the node's messages have; `None` where they cost next to nothing.
pub async fn run_with_headers(servers: &Servers, way: Way, payload: &Bytes, count: u64) -> Option<Duration> {
    let headers = |number| {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        headers.insert("Nats-Msg-Id", Way::id(number));
        Some(headers)
    };
    Some(match way {
        Way::MqttQos0 | Way::MqttQos1 => return None,
        Way::NatsCore => core(servers.nats.port, payload, count, headers).await,
        Way::JetStream => jetstream(servers.nats.port, payload, count, headers).await,
    })
}

async fn mqtt(port: u16, qos: QoS, payload: &Bytes, count: u64) -> Duration {
    let mut options = MqttOptions::new("bare", ("127.0.0.1", port));
    options.set_max_request_batch(64).set_outgoing_inflight_upper_limit(u16::try_from(WINDOW).unwrap());
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    let (client, mut events) = AsyncClient::builder(options).capacity(WINDOW).build();
    while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::ConnAck(_))) {}
    // Of QoS 0 the last is sent at QoS 1: the broker has taken all before it.
    let awaited = if qos == QoS::AtMostOnce { 1 } else { count };
    let acked = tokio::spawn(async move {
        let mut acked = 0;
        while acked < awaited {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                acked += 1;
            }
        }
    });
    let begun = Instant::now();
    let topic = "sightwire/cameras/front-door/detections";
    let last = count - 1;
    for number in 0..count {
        let qos = if number == last { QoS::AtLeastOnce } else { qos };
        client.publish(topic, payload.clone(), PublishOptions::new(qos)).await.unwrap();
    }
    acked.await.unwrap();
    begun.elapsed()
}

async fn core(port: u16, payload: &Bytes, count: u64, headers: impl Fn(u64) -> Option<HeaderMap>) -> Duration {
    let client = async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let subject = async_nats::Subject::from_static("sightwire.cameras.front-door.detections");
    let begun = Instant::now();
    for number in 0..count {
        match headers(number) {
            Some(headers) => client.publish_with_headers(subject.clone(), headers, payload.clone()).await.unwrap(),
            None => client.publish(subject.clone(), payload.clone()).await.unwrap(),
        }
    }
    client.flush().await.unwrap();
    begun.elapsed()
}

async fn jetstream(port: u16, payload: &Bytes, count: u64, headers: impl Fn(u64) -> Option<HeaderMap>) -> Duration {
    let client = async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let jetstream = ContextBuilder::new().max_ack_inflight(WINDOW + 1).build(client);
    let (name, subject) = ("BARE".to_owned(), "bare.events");
    let config = Config { name: name.clone(), subjects: vec![subject.into()], ..Config::default() };
    let _fresh = jetstream.delete_stream(&name).await;
    jetstream.create_stream(config).await.unwrap();
    let begun = Instant::now();
    let mut flying = VecDeque::new();
    for number in 0..count {
        if flying.len() == WINDOW {
            let ack: async_nats::jetstream::context::PublishAckFuture = flying.pop_front().unwrap();
            ack.await.unwrap();
        }
        flying.push_back(match headers(number) {
            Some(headers) => jetstream.publish_with_headers(subject, headers, payload.clone()).await.unwrap(),
            None => jetstream.publish(subject, payload.clone()).await.unwrap(),
        });
    }
    for ack in flying {
        ack.await.unwrap();
    }
    begun.elapsed()
}
