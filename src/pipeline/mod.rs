//! One camera's life, from open source to published message.
//!
//! A capture thread puts frames into the camera's lane ([`Turns`]); the model's workers take them in fair turns and hand what
//! they find to the camera's [`Processor`], which says it. [`Camera`] decides: it follows the desired state and retries.

mod ahead;
mod camera;
mod config;
mod failure;
mod frigate;
mod keyframes;
mod machine;
mod motion;
mod picture;
mod processor;
mod session;
mod shutter;
mod states;
mod threads;
mod traced;
mod tuning;
mod turns;
mod worker;

pub use camera::{Applied, Camera};
pub use config::{
    CameraConfig, Encoding, KeyframeConfig, KeyframeWhen, PayloadChoice, PublishConfig, PublishWhen, QueueConfig,
    SkipStatic, StillRules, TrackerChoice, WhenFull,
};
pub use failure::Failure;
pub use frigate::FrigateTopics;
pub use keyframes::{KeyframeQueue, KeyframeSlot, smaller as smaller_keyframe};
pub use machine::Desired;
pub use motion::MotionGate;
pub use picture::{Condition, Facts, Hold, Judge, Limits, PictureCheck, Sample, Watch};
pub use processor::{FirstSeen, Past, Processor, ProcessorParts, lock as lock_processor};
pub use session::SessionContext;
pub use shutter::{Shot, Shutter};
pub use states::{Announcer, StateView, Voice};
pub use traced::TRACEPARENT;
pub use tuning::{Dial, Tuner, Tuning};
pub use turns::{Epoch, LaneId, Turns};
pub use worker::{Seat, Seats, work};
