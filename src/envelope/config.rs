//! The `publish:` and `keyframes:` parts of a camera's configuration: what is said, how, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::Span;

/// What is said of each frame, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishConfig {
    pub payload: PayloadChoice,
    pub encoding: Encoding,
    pub when: PublishWhen,
    /// MQTT quality of service of detections; events are always at least once.
    #[schemars(range(min = 0, max = 1))]
    pub qos: u8,
    /// At least this long between two detections messages.
    pub min_interval: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayloadChoice {
    #[default]
    Full,
    /// Only `timestamp` and `detections` with `label`, `score`, `bbox`.
    Minimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    #[default]
    Json,
    Protobuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublishWhen {
    #[default]
    EveryFrame,
    /// Only frames in which something was found.
    NonEmpty,
    /// Only when the set of objects (track ids, or labels and their counts without a tracker) changed.
    OnChange,
}

/// JPEG pictures of what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyframeConfig {
    pub when: Vec<KeyframeWhen>,
    /// Also one every so often; 0 = no.
    pub every: Span,
    /// Wider pictures are scaled down to this width, pixels.
    #[schemars(range(min = 16, max = 16384))]
    pub max_width: u32,
    /// JPEG quality.
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
    /// Draw boxes and labels into the picture.
    pub overlay: bool,
}

impl Default for KeyframeConfig {
    fn default() -> Self {
        Self { when: vec![KeyframeWhen::Event], every: Span::secs(30), max_width: 1280, quality: 80, overlay: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyframeWhen {
    /// With every event.
    Event,
    /// With every detections message.
    Detections,
}
