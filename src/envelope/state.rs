//! What a camera and a node say about themselves, retained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KeyframeConfig, PublishConfig, ReloadSummary, SkipStatic, is_false, is_zero};
use crate::domain::{BootId, Name, Timestamp, number};

/// What was asked of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DesiredState {
    #[default]
    Running,
    /// Source open, nothing inferred or published.
    Paused,
    /// Source closed.
    Stopped,
}

/// What a camera does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActualState {
    /// Opening the source, for the first time or again.
    #[default]
    Connecting,
    Running,
    Paused,
    Stopped,
    /// Cannot go on by itself: `reason` says why.
    Failed,
    /// A finite source came to its end.
    Ended,
}

impl ActualState {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }

    /// Whether the camera's `status` topic says `online`.
    #[must_use]
    pub fn is_online(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// Why a camera is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// A word for programs, such as `source_unreachable`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub code: String,
    /// A sentence for people; holds no credentials.
    pub message: String,
}

/// One camera: what was asked, what is, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CameraState {
    /// When this was said.
    pub timestamp: Timestamp,
    pub camera: Name,
    pub node: Name,
    pub boot_id: BootId,
    pub desired: DesiredState,
    pub actual: ActualState,
    /// Why the camera failed, or why it is still connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the camera came into this actual state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub settings: CameraSettings,
    pub frames: FrameCounts,
    /// Frames inferred a second, lately.
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub fps: f32,
    /// From capture until handed to the bus, lately; absent when nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// How long it took, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Half of them took no longer.
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub p50: f32,
    /// 95 of 100 took no longer.
    #[serde(serialize_with = "number::three_decimals")]
    #[schemars(with = "f32", range(min = 0.0))]
    pub p95: f32,
}

/// A camera's settings as they hold now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CameraSettings {
    /// Without credentials.
    pub source: String,
    pub model: Name,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Name>,
    /// 0 = as many as the source gives.
    #[schemars(range(min = 0.0))]
    pub max_fps: f64,
    /// Detections below this score are not made.
    #[serde(serialize_with = "number::four_decimals")]
    #[schemars(with = "f32", range(min = 0.0, max = 1.0))]
    pub confidence: f32,
    /// Only these labels are published; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Whether tracks are followed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tracked: bool,
    /// Whether a picture in which nothing has changed is inferred again; absent = it is.
    #[serde(default, skip_serializing_if = "SkipStatic::is_off")]
    pub skip_static: SkipStatic,
    pub publish: PublishConfig,
    /// Absent = no keyframes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyframes: Option<KeyframeConfig>,
    /// What `set` changed since the configuration was read, by its keys; `reset` takes it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// Frames of a camera in this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FrameCounts {
    /// From the source.
    pub read: u64,
    pub inferred: u64,
    /// Not inferred, for nothing had changed (`skip_static`); absent when there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub still: u64,
    /// Dropped or skipped, for whatever reason; the metrics have it by reason.
    pub dropped: u64,
}

/// One node: what runs on it and what it reaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeState {
    /// When this was said.
    pub timestamp: Timestamp,
    pub node: Name,
    pub boot_id: BootId,
    /// Sightwire's.
    pub version: String,
    /// ONNX Runtime's version; absent when no library was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onnxruntime: Option<String>,
    pub started_at: Timestamp,
    pub cameras: Vec<CameraSummary>,
    pub models: Vec<ModelSummary>,
    pub buses: Vec<BusState>,
    /// What the last reload did; absent before the first one of this boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<ReloadSummary>,
}

/// A camera in its node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CameraSummary {
    pub name: Name,
    pub state: ActualState,
}

/// A model in its node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelSummary {
    pub name: Name,
    /// How its outputs are decoded, `yolox` say; absent until it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// What it runs on, `cpu` say: of the devices named, the first that could be used; absent until it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The size of the picture it takes; absent until it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSize>,
}

/// Pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputSize {
    pub width: u32,
    pub height: u32,
}

/// A bus in its node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BusState {
    /// `mqtt` or `nats`.
    pub name: String,
    pub connected: bool,
    /// Why it is not connected, or what is wrong although it is; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Where undelivered messages wait on disk; absent when they wait in memory only, as was configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool: Option<SpoolSummary>,
}

/// A bus's spool in its node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpoolSummary {
    /// False: messages wait in memory only, until it works.
    pub ok: bool,
    /// Its path, or why it does not work.
    pub detail: String,
}
