//! Protobuf: a third of the size and of the time of JSON.

use bytes::{BufMut, Bytes};
use prost::Message;

use super::CodecError;
use crate::domain::{self, BootId, Name, Timestamp};
use crate::envelope;

#[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated from proto/ by tests/proto.rs")]
mod wire {
    include!("generated/sightwire.v1.rs");
}

/// A payload of ours with `replayed = true` at its end: field 15, a varint (wire type 0), 1. Readers take fields in any order.
pub(super) fn late(payload: &Bytes) -> Bytes {
    [payload, &[15 << 3, 1][..]].concat().into()
}

/// A detections message as it goes on the wire. Kept, it is filled in again: its texts and lists are not taken anew.
#[derive(Debug, Default)]
pub(super) struct Draft {
    message: wire::Detections,
    /// Of frames in which more was found.
    spare: Vec<wire::Detection>,
}

impl Draft {
    pub(super) fn write_full(&mut self, full: &envelope::Detections, buffer: &mut impl BufMut) {
        self.fill(full, |detection, d| (detection.class_id, detection.track_id) = (Some(d.class_id), d.track_id));
        let (message, t) = (&mut self.message, full.timing);
        set_optional(&mut message.camera, full.camera.as_str());
        set_optional(&mut message.node, full.node.as_str());
        set_optional(&mut message.boot_id, full.boot_id.as_str());
        message.seq = Some(full.seq);
        message.frame = Some(full.frame.into());
        message.timing = Some(wire::Timing {
            decode: t.decode,
            wait: t.wait,
            preprocess: t.preprocess,
            inference: t.inference,
            postprocess: t.postprocess,
            track: t.track,
            encode: t.encode,
        });
        message.text.clone_from(&full.text);
        self.write(buffer);
    }

    pub(super) fn write_minimal(&mut self, full: &envelope::Detections, buffer: &mut impl BufMut) {
        self.fill(full, |detection, _| (detection.class_id, detection.track_id) = (None, None));
        let message = &mut self.message;
        (message.camera, message.node, message.boot_id) = (None, None, None);
        (message.seq, message.frame, message.timing) = (None, None, None);
        message.text.clear();
        self.write(buffer);
    }

    /// What both forms have, and of each detection what `add` adds.
    fn fill(&mut self, full: &envelope::Detections, add: impl Fn(&mut wire::Detection, &domain::Detection)) {
        let Self { message, spare } = self;
        message.timestamp = full.timestamp.as_secs_f64();
        message.replayed = full.replayed;
        message.inferred_at = full.inferred_at.map(Timestamp::as_secs_f64);
        let count = full.detections.len();
        while message.detections.len() > count {
            spare.extend(message.detections.pop());
        }
        message.detections.resize_with(count, || spare.pop().unwrap_or_default());
        for (detection, d) in message.detections.iter_mut().zip(&full.detections) {
            set(&mut detection.label, &d.label);
            detection.score = d.score;
            detection.bbox = Some(d.bbox.into());
            add(detection, d);
        }
    }

    fn write(&self, buffer: &mut impl BufMut) {
        // It fails only where there is no room, and a buffer grows.
        let _written = self.message.encode(buffer);
    }
}

fn set(text: &mut String, to: &str) {
    text.clear();
    text.push_str(to);
}

fn set_optional(text: &mut Option<String>, to: &str) {
    set(text.get_or_insert_default(), to);
}

pub(super) fn encode_event(event: &envelope::Event) -> Bytes {
    let message = wire::Event {
        timestamp: event.timestamp.as_secs_f64(),
        event: match event.event {
            envelope::EventKind::Started => wire::EventKind::Started,
            envelope::EventKind::Ended => wire::EventKind::Ended,
        }
        .into(),
        camera: event.camera.to_string(),
        node: event.node.to_string(),
        boot_id: event.boot_id.to_string(),
        seq: event.seq,
        track_id: event.track_id,
        label: event.label.as_ref().into(),
        score: event.score,
        bbox: Some(event.bbox.into()),
        first_seen: event.first_seen.as_secs_f64(),
        last_seen: event.last_seen.as_secs_f64(),
        first_bbox: event.first_bbox.map(Into::into),
        duration: event.duration,
        replayed: event.replayed,
    };
    message.encode_to_vec().into()
}

pub(super) fn encode_keyframe_meta(meta: &envelope::KeyframeMeta) -> Bytes {
    let message = wire::KeyframeMeta {
        timestamp: meta.timestamp.as_secs_f64(),
        camera: meta.camera.to_string(),
        node: meta.node.to_string(),
        boot_id: meta.boot_id.to_string(),
        seq: meta.seq,
        frame: Some(meta.frame.into()),
        width: meta.width,
        height: meta.height,
        bytes: meta.bytes,
        content_type: meta.content_type.clone(),
        reason: match meta.reason {
            envelope::KeyframeReason::Event => wire::KeyframeReason::Event,
            envelope::KeyframeReason::Detections => wire::KeyframeReason::Detections,
            envelope::KeyframeReason::Interval => wire::KeyframeReason::Interval,
            envelope::KeyframeReason::Snapshot => wire::KeyframeReason::Snapshot,
        }
        .into(),
    };
    message.encode_to_vec().into()
}

pub(super) fn decode_detections(bytes: &[u8]) -> Result<envelope::Detections, CodecError> {
    let message = wire::Detections::decode(bytes)?;
    let detection = |d: wire::Detection| {
        Ok(domain::Detection {
            label: d.label.into(),
            score: d.score,
            bbox: d.bbox.ok_or(CodecError::Field("bbox"))?.into(),
            class_id: d.class_id.ok_or(CodecError::Field("class_id"))?,
            track_id: d.track_id,
        })
    };
    let t = message.timing.ok_or(CodecError::Field("timing"))?;
    Ok(envelope::Detections {
        timestamp: Timestamp::from_secs_f64(message.timestamp),
        detections: message.detections.into_iter().map(detection).collect::<Result<_, CodecError>>()?,
        camera: name(message.camera.unwrap_or_default(), "camera")?,
        node: name(message.node.unwrap_or_default(), "node")?,
        boot_id: BootId::from(message.boot_id.ok_or(CodecError::Field("boot_id"))?),
        seq: message.seq.ok_or(CodecError::Field("seq"))?,
        frame: frame(message.frame)?,
        timing: envelope::Timing {
            decode: t.decode,
            wait: t.wait,
            preprocess: t.preprocess,
            inference: t.inference,
            postprocess: t.postprocess,
            track: t.track,
            encode: t.encode,
        },
        text: message.text,
        inferred_at: message.inferred_at.map(Timestamp::from_secs_f64),
        replayed: message.replayed,
    })
}

pub(super) fn decode_minimal(bytes: &[u8]) -> Result<envelope::Minimal, CodecError> {
    let message = wire::Detections::decode(bytes)?;
    let detection = |d: wire::Detection| {
        Ok(envelope::MinimalDetection {
            label: d.label.into(),
            score: d.score,
            bbox: d.bbox.ok_or(CodecError::Field("bbox"))?.into(),
        })
    };
    Ok(envelope::Minimal {
        timestamp: Timestamp::from_secs_f64(message.timestamp),
        detections: message.detections.into_iter().map(detection).collect::<Result<_, CodecError>>()?,
        inferred_at: message.inferred_at.map(Timestamp::from_secs_f64),
        replayed: message.replayed,
    })
}

pub(super) fn decode_event(bytes: &[u8]) -> Result<envelope::Event, CodecError> {
    let message = wire::Event::decode(bytes)?;
    let event = match message.event() {
        wire::EventKind::Started => envelope::EventKind::Started,
        wire::EventKind::Ended => envelope::EventKind::Ended,
        wire::EventKind::Unspecified => return Err(CodecError::Field("event")),
    };
    Ok(envelope::Event {
        timestamp: Timestamp::from_secs_f64(message.timestamp),
        event,
        camera: name(message.camera, "camera")?,
        node: name(message.node, "node")?,
        boot_id: BootId::from(message.boot_id),
        seq: message.seq,
        track_id: message.track_id,
        label: message.label.into(),
        score: message.score,
        bbox: message.bbox.ok_or(CodecError::Field("bbox"))?.into(),
        first_seen: Timestamp::from_secs_f64(message.first_seen),
        last_seen: Timestamp::from_secs_f64(message.last_seen),
        first_bbox: message.first_bbox.map(Into::into),
        duration: message.duration,
        replayed: message.replayed,
    })
}

pub(super) fn decode_keyframe_meta(bytes: &[u8]) -> Result<envelope::KeyframeMeta, CodecError> {
    let message = wire::KeyframeMeta::decode(bytes)?;
    let reason = match message.reason() {
        wire::KeyframeReason::Event => envelope::KeyframeReason::Event,
        wire::KeyframeReason::Detections => envelope::KeyframeReason::Detections,
        wire::KeyframeReason::Interval => envelope::KeyframeReason::Interval,
        wire::KeyframeReason::Snapshot => envelope::KeyframeReason::Snapshot,
        wire::KeyframeReason::Unspecified => return Err(CodecError::Field("reason")),
    };
    Ok(envelope::KeyframeMeta {
        timestamp: Timestamp::from_secs_f64(message.timestamp),
        camera: name(message.camera, "camera")?,
        node: name(message.node, "node")?,
        boot_id: BootId::from(message.boot_id),
        seq: message.seq,
        frame: frame(message.frame)?,
        width: message.width,
        height: message.height,
        bytes: message.bytes,
        content_type: message.content_type,
        reason,
    })
}

fn name(text: String, field: &'static str) -> Result<Name, CodecError> {
    Name::try_from(text).map_err(|_| CodecError::Field(field))
}

fn frame(message: Option<wire::Frame>) -> Result<envelope::FrameInfo, CodecError> {
    let message = message.ok_or(CodecError::Field("frame"))?;
    let timestamp_source = match message.timestamp_source() {
        wire::TimestampSource::Rtcp => domain::TimestampSource::Rtcp,
        wire::TimestampSource::Host => domain::TimestampSource::Host,
        wire::TimestampSource::File => domain::TimestampSource::File,
        wire::TimestampSource::Client => domain::TimestampSource::Client,
        wire::TimestampSource::Unspecified => return Err(CodecError::Field("timestamp_source")),
    };
    Ok(envelope::FrameInfo { id: message.id, width: message.width, height: message.height, timestamp_source })
}

impl From<envelope::FrameInfo> for wire::Frame {
    fn from(frame: envelope::FrameInfo) -> Self {
        let timestamp_source = match frame.timestamp_source {
            domain::TimestampSource::Rtcp => wire::TimestampSource::Rtcp,
            domain::TimestampSource::Host => wire::TimestampSource::Host,
            domain::TimestampSource::File => wire::TimestampSource::File,
            domain::TimestampSource::Client => wire::TimestampSource::Client,
        };
        Self { id: frame.id, width: frame.width, height: frame.height, timestamp_source: timestamp_source.into() }
    }
}

impl From<domain::BBox> for wire::BBox {
    fn from(b: domain::BBox) -> Self {
        Self { x_min: b.x_min, y_min: b.y_min, x_max: b.x_max, y_max: b.y_max }
    }
}

impl From<wire::BBox> for domain::BBox {
    fn from(b: wire::BBox) -> Self {
        Self { x_min: b.x_min, y_min: b.y_min, x_max: b.x_max, y_max: b.y_max }
    }
}
