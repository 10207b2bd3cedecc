//! `check` and `watch`.

use bytes::Bytes;
use sightwire::bus::{
    BusConfig, BusError, Link, MessageKind, MqttVersion, Publisher, probe, start_mqtt, start_nats, tail,
};
use std::time::Duration;
use tokio::time::timeout;

use crate::common::{Mosquitto, NatsServer, PATIENCE, context, eventually, message, name};

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
