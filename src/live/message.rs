//! What `/ws` says: one JSON object a message, told apart by `type`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::gallery::{EventId, GalleryEvent};
use crate::domain::{Name, Timestamp, number};
use crate::envelope::{CameraState, Detections, NodeState};
use crate::telemetry;

/// A message of `/ws`. The first is a `snapshot`; the others come as things happen, `figures` and `buses` once a second.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    Snapshot(Box<Snapshot>),
    /// As on the bus with `payload: full`, whatever the camera's own payload and encoding.
    Detections(Arc<Detections>),
    /// As on the bus, with the address of its picture once there is one.
    Event(GalleryEvent),
    /// The picture of an event is there now.
    Picture {
        camera: Name,
        id: EventId,
        /// Its address on this server.
        picture: String,
    },
    /// As on the camera's `state` topic.
    State(CameraState),
    /// As on the node's `state` topic.
    Node(NodeState),
    Figures(CameraFigures),
    Buses {
        timestamp: Timestamp,
        buses: Vec<BusFigures>,
    },
    /// This viewer was too slow: so many messages (of all cameras) were not sent to it.
    Missed {
        count: u64,
    },
}

/// How everything stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Snapshot {
    pub node: NodeState,
    pub cameras: Vec<LiveCamera>,
    pub buses: Vec<BusFigures>,
}

/// A camera's state and the latest of what it saw.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LiveCamera {
    pub state: CameraState,
    /// Its latest detections message; absent while it is not running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<Arc<Detections>>,
}

/// What a camera did in the last second. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CameraFigures {
    pub timestamp: Timestamp,
    pub camera: Name,
    /// Frames inferred a second, over the last five seconds.
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub fps: f32,
    /// In the last second.
    pub frames: FrameFigures,
    /// Frames that were read and wait for their turn, or are in the works.
    pub queue: u64,
    /// From capture until the message was handed to the first bus; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Spread>,
    /// By stage (decode, wait, preprocess, inference, postprocess, track, encode, deliver); those without a sample are absent.
    pub stages: BTreeMap<&'static str, Spread>,
    /// Objects published in the last second, by label.
    pub labels: BTreeMap<String, u64>,
}

/// Frames of the last second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct FrameFigures {
    pub read: u64,
    pub inferred: u64,
    /// Not inferred, for nothing had changed (`skip_static`).
    pub still: u64,
    /// For whatever reason but `max_fps` and `skip_static`.
    pub dropped: u64,
}

/// Milliseconds, each within 5 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub p50: f32,
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub p95: f32,
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub p99: f32,
}

impl From<telemetry::Spread> for Spread {
    fn from(spread: telemetry::Spread) -> Self {
        let millis = |span: Duration| span.as_secs_f32() * 1e3;
        Self { p50: millis(spread.p50), p95: millis(spread.p95), p99: millis(spread.p99) }
    }
}

/// How a bus does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BusFigures {
    /// `mqtt` or `nats`.
    pub name: String,
    pub connected: bool,
    /// Why it is not connected, or what is wrong although it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Of the last delivery probe that came back, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub round_trip: Option<f64>,
    pub messages: MessageFigures,
}

/// Messages of a bus since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct MessageFigures {
    /// In memory, on the way, or in the spool.
    pub waiting: u64,
    /// Sent (QoS 0, core NATS) or acknowledged.
    pub delivered: u64,
    /// Dropped or refused.
    pub lost: u64,
}

/// The JSON Schema of a message of `/ws`.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<LiveMessage>();
    schema.insert("title".into(), "sightwire live".into());
    schema.into()
}
