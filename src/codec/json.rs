//! JSON: for people, browsers and most programs.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CodecError;

/// The payload as JSON without spaces.
#[must_use]
pub(super) fn encode<T: Serialize>(payload: &T) -> Bytes {
    // Serialising fails only for maps whose keys are no strings and for types that refuse; the envelope has neither.
    serde_json::to_vec(payload).unwrap_or_default().into()
}

/// The payload as JSON without spaces, at the end of `buffer`.
pub(super) fn write<T: Serialize>(payload: &T, buffer: &mut BytesMut) {
    // As above, and memory does not refuse.
    let _written = serde_json::to_writer(buffer.writer(), payload);
}

/// The payload from JSON.
///
/// # Errors
/// [`CodecError::Json`] when it is not this payload.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    Ok(serde_json::from_slice(bytes)?)
}

/// A payload of ours with `"replayed":true` at its end.
pub(super) fn late(payload: &Bytes) -> Bytes {
    match payload.strip_suffix(b"}") {
        Some(open) if open.len() > 1 => [open, br#","replayed":true}"#].concat().into(),
        _ => payload.clone(),
    }
}
