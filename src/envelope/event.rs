//! The `event` payload: a track began or ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_false;
use crate::domain::{BBox, BootId, Label, Name, Timestamp, number};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A track was confirmed.
    Started,
    /// A track was lost for good; `score` is its best and `bbox` its last.
    Ended,
}

/// Something began or ended in a camera's view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When the frame that showed it was captured.
    pub timestamp: Timestamp,
    pub event: EventKind,
    pub camera: Name,
    pub node: Name,
    /// One run of the process: `seq` and `track_id` are unique within it.
    pub boot_id: BootId,
    /// +1 for each event of this camera in this boot, from 1: a gap is a loss.
    #[schemars(range(min = 1))]
    pub seq: u64,
    pub track_id: u64,
    /// The class's name.
    pub label: Label,
    /// Confidence, 0…1.
    #[serde(serialize_with = "number::four_decimals")]
    #[schemars(with = "f32", range(min = 0.0, max = 1.0))]
    pub score: f32,
    pub bbox: BBox,
    /// When the object was first seen.
    pub first_seen: Timestamp,
    /// When the object was last seen.
    pub last_seen: Timestamp,
    /// Where the object was first seen; `bbox` is where it was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bbox: Option<BBox>,
    /// Seconds from the first to the last sight, by the frames' own times: a clock that is set back shortens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub duration: Option<f64>,
    /// True when the message is delivered late, after an outage; absent otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
}
