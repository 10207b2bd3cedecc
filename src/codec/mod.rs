//! How it is said: the envelope's types as bytes, and back.

mod h264;
mod jpeg;
mod json;
mod overlay;
mod png;
mod protobuf;
mod scale;

pub use h264::{H264Encoder, H264Picture};
pub use jpeg::{JpegEncoder, shrink_jpeg};
pub use overlay::Overlay;
pub use png::encode_png;
pub use scale::{scale, shown_size};

use bytes::Bytes;
use serde::Serialize;

use crate::envelope::{Detections, Encoding, Event, KeyframeMeta, Minimal, PayloadChoice};

/// MQTT 5 Content Type and NATS `Content-Type` of JSON.
pub const JSON: &str = "application/json";
/// MQTT 5 Content Type and NATS `Content-Type` of protobuf.
pub const PROTOBUF: &str = "application/x-protobuf";

/// Content type of plain words and numbers.
pub const TEXT: &str = "text/plain";

/// Content type of keyframes.
pub const JPEG: &str = "image/jpeg";

/// Bytes that are not the payload they were taken for. Drop them: they will not become better.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("this is not the JSON expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("this is not protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("the protobuf message has no usable '{0}'")]
    Field(&'static str),
    #[error("the picture cannot be written as JPEG: {0}")]
    Jpeg(String),
    #[error("the picture cannot be written as PNG: {0}")]
    Png(String),
    #[error("the picture cannot be shown as video: {0}")]
    Video(String),
}

/// The content type that goes with an encoding.
#[must_use]
pub fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => JSON,
        Encoding::Protobuf => PROTOBUF,
    }
}

/// The encoding a content type names (parameters such as `; charset` aside); none named is JSON.
#[must_use]
pub fn encoding_of(content_type: Option<&str>) -> Encoding {
    let named = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    if named == Some(PROTOBUF) { Encoding::Protobuf } else { Encoding::Json }
}

/// A detections message and its content type.
#[must_use]
pub fn encode_detections(full: &Detections, payload: PayloadChoice, encoding: Encoding) -> (Bytes, &'static str) {
    let bytes = match (payload, encoding) {
        (PayloadChoice::Full, Encoding::Json) => json::encode(full),
        (PayloadChoice::Minimal, Encoding::Json) => json::encode(&Minimal::from(full)),
        (PayloadChoice::Full, Encoding::Protobuf) => protobuf::encode_detections(full),
        (PayloadChoice::Minimal, Encoding::Protobuf) => protobuf::encode_minimal(full),
    };
    (bytes, content_type(encoding))
}

/// An event and its content type.
#[must_use]
pub fn encode_event(event: &Event, encoding: Encoding) -> (Bytes, &'static str) {
    let bytes = match encoding {
        Encoding::Json => json::encode(event),
        Encoding::Protobuf => protobuf::encode_event(event),
    };
    (bytes, content_type(encoding))
}

/// A keyframe's metadata and its content type.
#[must_use]
pub fn encode_keyframe_meta(meta: &KeyframeMeta, encoding: Encoding) -> (Bytes, &'static str) {
    let bytes = match encoding {
        Encoding::Json => json::encode(meta),
        Encoding::Protobuf => protobuf::encode_keyframe_meta(meta),
    };
    (bytes, content_type(encoding))
}

/// States, commands and replies are always JSON.
#[must_use]
pub fn encode_json<T: Serialize>(payload: &T) -> (Bytes, &'static str) {
    (json::encode(payload), JSON)
}

/// Reads what [`encode_detections`] wrote with `payload: full`.
///
/// # Errors
/// When the bytes are something else, a minimal payload say.
pub fn decode_detections(bytes: &[u8], encoding: Encoding) -> Result<Detections, CodecError> {
    match encoding {
        Encoding::Json => json::decode(bytes),
        Encoding::Protobuf => protobuf::decode_detections(bytes),
    }
}

/// Reads what [`encode_detections`] wrote, full or minimal.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_minimal(bytes: &[u8], encoding: Encoding) -> Result<Minimal, CodecError> {
    match encoding {
        Encoding::Json => json::decode(bytes),
        Encoding::Protobuf => protobuf::decode_minimal(bytes),
    }
}

/// Reads what [`encode_event`] wrote.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_event(bytes: &[u8], encoding: Encoding) -> Result<Event, CodecError> {
    match encoding {
        Encoding::Json => json::decode(bytes),
        Encoding::Protobuf => protobuf::decode_event(bytes),
    }
}

/// Reads what [`encode_keyframe_meta`] wrote.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_keyframe_meta(bytes: &[u8], encoding: Encoding) -> Result<KeyframeMeta, CodecError> {
    match encoding {
        Encoding::Json => json::decode(bytes),
        Encoding::Protobuf => protobuf::decode_keyframe_meta(bytes),
    }
}

/// What makes a message that is already encoded say that it comes late. It is encoded once, long before anyone knows of
/// the outage; both encodings let a field be added at the end without reading the rest.
#[must_use]
pub fn late(encoding: Encoding) -> fn(&Bytes) -> Bytes {
    match encoding {
        Encoding::Json => json::late,
        Encoding::Protobuf => protobuf::late,
    }
}

#[cfg(test)]
mod tests;
