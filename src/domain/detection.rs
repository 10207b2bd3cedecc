//! What a detector found in one frame.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BBox, number};

/// A class name. Shared: a node has a few dozen, a frame has many.
pub type Label = Arc<str>;

/// One object in one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Detection {
    /// The class's name.
    pub label: Label,
    /// Confidence, 0…1.
    #[serde(serialize_with = "number::four_decimals")]
    #[schemars(with = "f32", range(min = 0.0, max = 1.0))]
    pub score: f32,
    pub bbox: BBox,
    /// The model's number for the label.
    pub class_id: u32,
    /// Unique within camera and boot; absent when the camera has no tracker or the track is not confirmed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
}
