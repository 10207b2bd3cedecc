//! A CONNACK that says no is told as what it is. Brokers that can be made to say all this are rare: one is played.

use sightwire::bus::{BusConfig, BusError, MqttConfig, MqttVersion, probe, start_mqtt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::{PATIENCE, context};
use crate::down_because;

/// Answers every CONNECT with these bytes, and closes.
async fn broker_that_answers(bytes: &'static [u8]) -> MqttConfig {
    counted_broker(bytes, Arc::default()).await
}

async fn counted_broker(bytes: &'static [u8], connections: Arc<AtomicU32>) -> MqttConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let mut connect = [0; 1024];
            let _read = stream.read(&mut connect).await;
            let _written = stream.write_all(bytes).await;
            let _closed = stream.shutdown().await;
        }
    });
    MqttConfig { url, ..MqttConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_said_in_words() {
    use MqttVersion::{V5, V311};
    let cases: [(MqttVersion, &'static [u8], &str, bool); 12] = [
        (V5, &[0x20, 3, 0, 0x86, 0], "bad user name or password", true),
        (V5, &[0x20, 3, 0, 0x87, 0], "not authorized", true),
        (V5, &[0x20, 3, 0, 0x8A, 0], "banned", true),
        (V5, &[0x20, 3, 0, 0x84, 0], "set version: 3.1.1", true),
        (V5, &[0x20, 3, 0, 0x85, 0], "client id", true),
        (V5, &[0x20, 3, 0, 0x89, 0], "it is busy", false),
        (V5, &[0x20, 3, 0, 0x9F, 0], "at this rate", false),
        // An old broker answers in its own version.
        (V5, &[0x20, 2, 0, 1], "MQTT 5", false),
        (V311, &[0x20, 2, 0, 1], "set version: 5", true),
        (V311, &[0x20, 2, 0, 4], "bad user name or password", true),
        (V311, &[0x20, 2, 0, 5], "not authorized", true),
        (V311, &[0x20, 2, 0, 3], "not ready", false),
    ];
    for (version, bytes, words, refused) in cases {
        let config = MqttConfig { version, ..broker_that_answers(bytes).await };
        let error = probe(&BusConfig::Mqtt(config.clone()), PATIENCE).await.unwrap_err();
        assert_eq!(matches!(error, BusError::Refused { .. }), refused, "{error}");
        assert!(error.to_string().contains(words) || !refused, "{version:?} {bytes:?}: {error}");
        let link = start_mqtt(&config, context().0).unwrap();
        let detail = down_because(&link, words).await;
        assert_eq!(detail.contains("the broker refused: "), refused, "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_take_over_is_named_and_starts_no_war() {
    let connections = Arc::<AtomicU32>::default();
    // CONNACK, then DISCONNECT with reason 0x8E: session taken over.
    let config = counted_broker(&[0x20, 3, 0, 0, 0, 0xE0, 2, 0x8E, 0], connections.clone()).await;
    let link = start_mqtt(&config, context().0).unwrap();
    let why = down_because(&link, "took the session over").await;
    assert!(why.contains("running twice"), "{why}");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1, "it was taken back at once");
}
