//! A message on its way out, the same for every bus.

use std::time::Instant;

use bytes::Bytes;

use super::Topic;
use crate::domain::Name;
pub use crate::telemetry::MessageKind;

/// MQTT's quality of service; on NATS `AtLeastOnce` means JetStream where the kind goes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

/// Encoded once, then shared by all buses (`payload` is reference-counted).
#[derive(Debug, Clone)]
pub struct Message {
    pub kind: MessageKind,
    pub topic: Topic,
    pub payload: Bytes,
    /// `application/json`, `application/x-protobuf`, `image/jpeg`, `text/plain`: MQTT 5 Content Type, NATS `Content-Type`.
    pub content_type: &'static str,
    pub qos: Qos,
    pub retain: bool,
    /// MQTT 5 user properties and NATS headers.
    pub properties: Vec<(&'static str, String)>,
    /// MQTT 5 correlation data of a reply.
    pub correlation: Option<Bytes>,
    /// `Nats-Msg-Id`: a message that is sent again is stored once.
    pub id: Option<String>,
    /// The camera it speaks of, for the latency histograms.
    pub camera: Option<Name>,
    /// When its frame was captured; latencies are measured from here.
    pub captured_at: Option<Instant>,
}
