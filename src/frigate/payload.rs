//! The payload of `frigate/events`.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::domain::{BBox, Label, Name, Timestamp};

/// What became of an object, and how it was when it was told of last.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FrigateEvent")]
pub(super) struct Change<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub before: &'a View,
    pub after: &'a View,
}

/// An object as Frigate tells of it; what it knows and we do not is empty. Boxes and areas are in pixels of the frame.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "they are Frigate's")]
#[schemars(rename = "FrigateObject")]
pub(super) struct View {
    pub id: String,
    pub camera: Name,
    pub frame_time: Timestamp,
    /// None before there was a picture.
    pub snapshot: Option<Snapshot>,
    pub label: Label,
    pub sub_label: Option<String>,
    pub top_score: f32,
    pub false_positive: bool,
    pub start_time: Timestamp,
    pub end_time: Option<Timestamp>,
    pub score: f32,
    #[serde(rename = "box")]
    pub bbox: [u32; 4],
    pub area: u64,
    pub ratio: f32,
    /// Where the detector looked: the whole frame.
    pub region: [u32; 4],
    pub active: bool,
    pub stationary: bool,
    /// Frames in a row in which it was found where it was before.
    pub motionless_count: u64,
    /// How often it left a place at which it had stood still; the first move counts, too.
    pub position_changes: u64,
    pub current_zones: [String; 0],
    pub entered_zones: [String; 0],
    pub attributes: Empty,
    pub current_attributes: [String; 0],
    /// Both ask for Frigate's API, which is not there: the picture is on the `snapshot` topic.
    pub has_clip: bool,
    pub has_snapshot: bool,
    pub pending_loitering: bool,
    pub max_severity: Option<String>,
    pub current_estimated_speed: f32,
    pub average_estimated_speed: f32,
    pub velocity_angle: f32,
    pub path_data: [String; 0],
    pub thumbnail: Option<String>,
}

/// The best picture of the object so far.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FrigateSnapshot")]
pub(super) struct Snapshot {
    pub frame_time: Timestamp,
    #[serde(rename = "box")]
    pub bbox: [u32; 4],
    pub area: u64,
    pub region: [u32; 4],
    pub score: f32,
    pub attributes: [String; 0],
}

/// `{}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "FrigateAttributes")]
pub(super) struct Empty {}

/// The schema of what is said on `frigate/events`.
#[must_use]
pub fn event_schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Change<'static>>()
}

/// Pixels of a frame of this size, `[x_min, y_min, x_max, y_max]`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0…1 of a frame"
)]
pub(super) fn pixels(bbox: &BBox, (width, height): (u32, u32)) -> [u32; 4] {
    let (w, h) = (width as f32, height as f32);
    [bbox.x_min * w, bbox.y_min * h, bbox.x_max * w, bbox.y_max * h].map(|v| v.round() as u32)
}

pub(super) fn area([x0, y0, x1, y1]: [u32; 4]) -> u64 {
    u64::from(x1.saturating_sub(x0)) * u64::from(y1.saturating_sub(y0))
}

/// Width over height; a line is one pixel high.
#[expect(clippy::cast_precision_loss, reason = "pixels of a frame")]
pub(super) fn ratio([x0, y0, x1, y1]: [u32; 4]) -> f32 {
    x1.saturating_sub(x0) as f32 / y1.saturating_sub(y0).max(1) as f32
}
