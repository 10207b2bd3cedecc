//! The metadata of a keyframe: which picture the JPEG on the `keyframe` topic is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FrameInfo;
use crate::domain::{BootId, Name, Timestamp};

/// Why a keyframe was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyframeReason {
    /// An event in this frame.
    Event,
    /// A detections message of this frame.
    Detections,
    /// `keyframes.every` had passed.
    Interval,
    /// A `snapshot` command.
    Snapshot,
}

impl KeyframeReason {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Detections => "detections",
            Self::Interval => "interval",
            Self::Snapshot => "snapshot",
        }
    }
}

/// What the JPEG on the `keyframe` topic shows. `frame.id` binds it to the detections message of the same picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyframeMeta {
    /// When the frame was captured.
    pub timestamp: Timestamp,
    pub camera: Name,
    pub node: Name,
    pub boot_id: BootId,
    /// `seq` of this frame's detections message; absent when none was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The frame as it was captured.
    pub frame: FrameInfo,
    /// Of the JPEG, pixels.
    pub width: u32,
    /// Of the JPEG, pixels.
    pub height: u32,
    /// Of the JPEG.
    pub bytes: u64,
    /// `image/jpeg`
    pub content_type: String,
    pub reason: KeyframeReason,
}
