//! The `detections` payload: everything found in one frame.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_false;
use super::still::Speaker;
use crate::domain::{BBox, BootId, Detection, Frame, Label, Name, Timestamp, TimestampSource, number};

/// Everything found in one frame (`payload: full`). A still picture has the name of its file in the camera's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = super::still::with_file)]
pub struct Detections<C = Name> {
    /// When the frame was captured.
    pub timestamp: Timestamp,
    /// What was found; empty when nothing was.
    pub detections: Vec<Detection>,
    #[schemars(with = "Speaker")]
    pub camera: C,
    pub node: Name,
    /// One run of the process: `seq` and `track_id` are unique within it.
    pub boot_id: BootId,
    /// +1 for each detections message of this camera in this boot, from 1: a gap is a loss.
    #[schemars(range(min = 1))]
    pub seq: u64,
    pub frame: FrameInfo,
    pub timing: Timing,
    /// Lines that came with the picture (`push:`); absent when none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// When the frame was captured in which these were found: the picture has not changed since, and was not inferred again
    /// (`skip_static`). Absent when they were found in this very frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inferred_at: Option<Timestamp>,
    /// True when the message is delivered late, after an outage; absent otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
}

/// The frame that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrameInfo {
    /// Counts the frames read from the source, dropped ones too, from 1.
    pub id: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Where `timestamp` comes from.
    pub timestamp_source: TimestampSource,
}

impl From<&Frame> for FrameInfo {
    fn from(frame: &Frame) -> Self {
        Self { id: frame.id, width: frame.width, height: frame.height, timestamp_source: frame.timestamp_source }
    }
}

/// Milliseconds spent in each stage.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub decode: f32,
    /// Between capture and a free worker.
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub wait: f32,
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub preprocess: f32,
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub inference: f32,
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub postprocess: f32,
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub track: f32,
    /// Of the camera's message before this one: no message can hold the time of its own making.
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub encode: f32,
}

impl Timing {
    /// A stage's length as it is written here.
    #[must_use]
    pub fn millis(span: Duration) -> f32 {
        span.as_secs_f32() * 1e3
    }
}

/// Everything found in one frame, in as few words as possible (`payload: minimal`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Minimal {
    /// When the frame was captured.
    pub timestamp: Timestamp,
    /// What was found; empty when nothing was.
    pub detections: Vec<MinimalDetection>,
    /// When the frame was captured in which these were found: the picture has not changed since, and was not inferred again
    /// (`skip_static`). Absent when they were found in this very frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inferred_at: Option<Timestamp>,
    /// True when the message is delivered late, after an outage; absent otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
}

/// One object in one frame, in as few words as possible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MinimalDetection {
    /// The class's name.
    pub label: Label,
    /// Confidence, 0…1.
    #[serde(serialize_with = "number::four_decimals")]
    #[schemars(with = "f32", range(min = 0.0, max = 1.0))]
    pub score: f32,
    pub bbox: BBox,
}

impl From<&Detections> for Minimal {
    fn from(full: &Detections) -> Self {
        let minimal = |d: &Detection| MinimalDetection { label: d.label.clone(), score: d.score, bbox: d.bbox };
        Self {
            timestamp: full.timestamp,
            detections: full.detections.iter().map(minimal).collect(),
            inferred_at: full.inferred_at,
            replayed: full.replayed,
        }
    }
}
