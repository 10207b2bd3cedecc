//! What is said, and when to say it: the payloads of the contract as types, and the pure rules beside them.
//!
//! Nothing here reads a clock, encodes or sends: `now` is an argument, `codec` makes bytes of these types, `bus` carries them.

mod audit;
mod builder;
mod config;
mod control;
mod counts;
mod detections;
mod event;
mod keyframe;
mod policy;
mod reload;
mod rollcall;
mod schema;
mod skip_static;
mod state;
mod still;

pub use audit::{Audit, AuditResult};
pub use builder::{EnvelopeBuilder, Numbers, Origin, TrackSpan};
pub use config::{Encoding, KeyframeConfig, KeyframeWhen, PayloadChoice, PublishConfig, PublishWhen};
pub use control::{Command, Reply, ReplyError, ReplyState, Verb};
pub use counts::Counts;
pub use detections::{Detections, FrameInfo, Minimal, MinimalDetection, Timing};
pub use event::{Event, EventKind};
pub use keyframe::{KeyframeMeta, KeyframeReason};
pub use policy::PublishPolicy;
pub use reload::ReloadSummary;
pub use rollcall::{RollCall, RollKnownBy, RollOutcome, RollRow};
pub use schema::{SCHEMAS, schema};
pub use skip_static::{SkipStatic, StillRules};
pub use state::{
    ActualState, BusState, CameraSettings, CameraState, CameraSummary, DesiredState, FrameCounts, InputSize, Latency,
    ModelSummary, NodeState, Reason, SpoolSummary,
};
pub use still::{StillDetections, StillName};

/// For `skip_serializing_if`: `replayed` is only said when it is true.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// For `skip_serializing_if`, likewise.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
