//! A message on its way out, the same for every bus.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Topic;
use crate::domain::Name;
pub use crate::telemetry::MessageKind;
use crate::telemetry::Traced;

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
    /// Makes the payload say that it comes late, after an outage (`"replayed": true`); `None` for kinds that do not say it.
    pub late: Option<fn(&Bytes) -> Bytes>,
    /// Makes it again with a payload of at most so many bytes, for a server that takes no larger one; `None` for kinds that
    /// cannot be made smaller. It may take as long as encoding a picture takes.
    pub shrink: Option<Shrink>,
    /// Its frame is traced, and the buses add what they do.
    pub trace: Option<Traced>,
}

/// See [`Message::shrink`].
pub type Shrink = fn(&Message, usize) -> Option<Message>;

impl Message {
    /// A retained value: the latest wins, and it is said again on every connect.
    #[must_use]
    pub fn state(topic: Topic, payload: Bytes, content_type: &'static str, camera: Option<Name>) -> Self {
        Self {
            kind: MessageKind::State,
            topic,
            payload,
            content_type,
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: Vec::new(),
            correlation: None,
            id: None,
            camera,
            captured_at: None,
            late: None,
            shrink: None,
            trace: None,
        }
    }

    /// A retained value that is a plain word or number: a status, a count.
    #[must_use]
    pub fn word(topic: Topic, word: impl Into<Bytes>, camera: Option<Name>) -> Self {
        Self::state(topic, word.into(), "text/plain", camera)
    }

    /// Clears what is retained at this topic: said once on MQTT, until it is acknowledged, and then forgotten. It goes
    /// the way of what it clears, so that none of that comes after it.
    #[must_use]
    pub fn tombstone(topic: Topic, camera: Option<Name>) -> Self {
        let kind = if matches!(topic, Topic::Keyframe(_)) { MessageKind::Keyframe } else { MessageKind::State };
        Self { kind, ..Self::state(topic, Bytes::new(), "text/plain", camera) }
    }

    /// It clears what is retained at its topic.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.retain && self.payload.is_empty()
    }

    /// An answer to a command, JSON.
    #[must_use]
    pub fn reply(topic: Topic, payload: Bytes, correlation: Option<Bytes>) -> Self {
        Self {
            kind: MessageKind::Reply,
            retain: false,
            correlation,
            ..Self::state(topic, payload, "application/json", None)
        }
    }

    /// What was commanded: kept by a stream where there is one, as events are. `late`: see the field.
    #[must_use]
    pub fn audit(node: Name, payload: Bytes, id: String, late: fn(&Bytes) -> Bytes) -> Self {
        Self {
            kind: MessageKind::Event,
            retain: false,
            id: Some(id),
            late: Some(late),
            ..Self::state(Topic::Audit(node), payload, "application/json", None)
        }
    }

    /// The same with a payload of at most `limit` bytes, made beside the tasks that talk to servers.
    pub(super) async fn shrunk(self: &Arc<Self>, limit: usize) -> Option<Arc<Self>> {
        let shrink = self.shrink?;
        let message = Arc::clone(self);
        let smaller = tokio::task::spawn_blocking(move || shrink(&message, limit)).await.ok()??;
        (smaller.payload.len() <= limit).then(|| Arc::new(smaller))
    }
}
