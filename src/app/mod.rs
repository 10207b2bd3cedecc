//! The landlord: builds the rooms from the configuration, wires them, watches over them, and shuts them down in order.

mod balcony;
mod cameras;
mod fleet;
mod frigate;
mod homeassistant;
mod models;
mod node;
mod notebook;
mod onlookers;
mod push;
mod settings;
mod shutdown;
mod summary;
mod yard;

pub use cameras::{settings, unknown_labels};
pub use fleet::NodeFleet;
pub use homeassistant::announced;
pub use models::crowded;
pub use node::{Node, spool_place};
pub use summary::{CameraRow, Summary};

use crate::bus::BusError;
use crate::config::Config;
use crate::control::{GuardError, MemoryError};
use crate::http::HttpError;
use crate::inference::InferenceError;
use crate::live::webrtc::WebRtcError;
use crate::telemetry::TelemetryError;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Inference(#[from] InferenceError),
    #[error("none of the {0} models can be used; each one's reason is logged above")]
    NoModel(usize),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(
        "--until-done waits for the end of files and slideshows, but no camera has one (with `loop: true` they do not end): {0}"
    )]
    NothingEnds(String),
    #[error(transparent)]
    WebRtc(#[from] WebRtcError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl AppError {
    /// # Errors
    /// [`AppError::NothingEnds`] when no camera ends by itself.
    pub fn unless_something_ends(config: &Config) -> Result<(), Self> {
        if config.cameras.values().any(|camera| camera.source.is_finite(camera.looping)) {
            return Ok(());
        }
        let sources: Vec<String> =
            config.cameras.iter().map(|(name, camera)| format!("{name}: {}", camera.source.shown())).collect();
        Err(Self::NothingEnds(sources.join(", ")))
    }
}
