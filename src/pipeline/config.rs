//! The `cameras:` part of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::picture::PictureCheck;
use crate::domain::Name;
pub use crate::envelope::{
    Encoding, KeyframeConfig, KeyframeWhen, PayloadChoice, PublishConfig, PublishWhen, SkipStatic, StillRules,
};
use crate::source::{Pace, SourceSpec};

/// One camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// `rtsp://…`, a file, `webcam:0`, `images:DIR_OR_GLOB?every=5s`, `synthetic:shapes?width=640&height=480&fps=15`.
    pub source: SourceSpec,
    /// One of `models`.
    pub model: Name,
    /// Control topics this camera listens to besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Name>,
    /// Frames a second to infer at most; 0 = as many as the source gives.
    #[serde(default = "defaults::max_fps")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub max_fps: f64,
    /// How fast a file plays.
    #[serde(default)]
    pub pace: Pace,
    /// Begin again at the end of a file.
    #[serde(default, rename = "loop")]
    pub looping: bool,
    #[serde(default)]
    pub queue: QueueConfig,
    /// Detections below this score are not made; absent = the model's `confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: Option<f32>,
    /// Publish only these labels; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    #[serde(default)]
    pub skip_static: SkipStatic,
    #[serde(default)]
    pub tracker: TrackerChoice,
    #[serde(default)]
    pub publish: PublishConfig,
    /// JPEG pictures; absent = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyframes: Option<KeyframeConfig>,
    /// When a frozen, black or covered picture is reported.
    #[serde(default)]
    pub picture_check: PictureCheck,
}

impl CameraConfig {
    /// A camera with every default.
    #[must_use]
    pub fn new(source: SourceSpec, model: Name) -> Self {
        Self {
            source,
            model,
            groups: Vec::new(),
            max_fps: defaults::max_fps(),
            pace: Pace::default(),
            looping: false,
            queue: QueueConfig::default(),
            confidence: None,
            labels: None,
            skip_static: SkipStatic::default(),
            tracker: TrackerChoice::default(),
            publish: PublishConfig::default(),
            keyframes: None,
            picture_check: PictureCheck::default(),
        }
    }
}

/// The queue between capture and inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Frames that may wait.
    #[schemars(range(min = 1, max = 256))]
    pub depth: usize,
    pub when_full: WhenFull,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { depth: 2, when_full: WhenFull::DropOldest }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The newest frame wins; what is dropped is counted.
    #[default]
    DropOldest,
    /// The source waits: every frame is processed.
    Block,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackerChoice {
    #[default]
    Bytetrack,
    None,
}

mod defaults {
    pub(super) fn max_fps() -> f64 {
        5.0
    }
}
