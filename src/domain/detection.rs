//! What a detector found in one frame.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::BBox;

/// A class name. Shared: a node has a few dozen, a frame has many.
pub type Label = Arc<str>;

/// One object in one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    pub label: Label,
    /// Confidence, 0…1.
    pub score: f32,
    pub bbox: BBox,
    pub class_id: u32,
    /// Unique within camera and boot; absent when the camera has no tracker or the track is not confirmed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
}
