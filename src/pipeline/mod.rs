//! One camera's life, from open source to published message.

mod config;

pub use config::{
    CameraConfig, Encoding, KeyframeConfig, KeyframeWhen, PayloadChoice, PublishConfig, PublishWhen, QueueConfig,
    TrackerChoice, WhenFull,
};
