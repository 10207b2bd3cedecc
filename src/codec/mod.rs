//! How it is said: the envelope's types as bytes, and back.

mod json;

use bytes::Bytes;

use crate::envelope::{Detections, Encoding, Event, Minimal, PayloadChoice};

/// MQTT 5 Content Type and NATS `Content-Type` of JSON.
pub const JSON: &str = "application/json";
/// MQTT 5 Content Type and NATS `Content-Type` of protobuf.
pub const PROTOBUF: &str = "application/x-protobuf";

/// Bytes that are not the payload they were taken for.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("this is not the JSON expected: {0}")]
    Json(#[from] serde_json::Error),
}
pub use json::encode as encode_json;
