//! What onlookers see as it happens. It costs nothing while nobody looks, and nobody who looks is waited for.
//!
//! The node's [`Feed`] tells what is said and how everything does; its [`Gallery`] keeps the latest events with their pictures.
//! A camera's [`Studio`] takes the frames that were processed, with the boxes that were found in them, and a thread of its own
//! makes pictures and video of them, once however many watch.

mod config;
mod easel;
mod feed;
mod gallery;
mod hls;
mod kept;
mod message;
mod slate;
mod studio;
mod viewer;
pub mod webrtc;

use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;

pub use crate::telemetry::Way;
pub use config::VideoConfig;
pub use feed::{Feed, FeedItem, Follower, Heard};
pub use gallery::{EventId, Gallery, GalleryEvent};
pub use hls::PLAYLIST as HLS_PLAYLIST;
pub use message::{
    BusFigures, CameraFigures, FrameFigures, LiveCamera, LiveMessage, MessageFigures, Snapshot, Spread, schema,
};
pub use studio::{Status, Studio};
pub use viewer::{Pictures, Told, Units};

use crate::domain::Timestamp;

/// One JPEG with the boxes drawn in.
#[derive(Debug, Clone)]
pub struct Picture {
    pub jpeg: Bytes,
    pub captured_at: Timestamp,
    /// That of the detections message; 0 where it shows no frame of the camera's.
    pub frame_id: u64,
    wrapped: OnceLock<Bytes>,
}

impl Picture {
    #[must_use]
    pub fn new(jpeg: Bytes, captured_at: Timestamp, frame_id: u64) -> Self {
        Self { jpeg, captured_at, frame_id, wrapped: OnceLock::new() }
    }

    /// As it is sent: wrapped for the first viewer, and the same bytes for all that follow. Each of a hundred copies would
    /// cost what a picture costs.
    pub fn wrapped(&self, wrap: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.wrapped.get_or_init(|| wrap(self)).clone()
    }
}

/// One encoded picture of the video.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// H.264, Annex B; SPS and PPS lie before each IDR picture.
    pub data: Bytes,
    /// It can be decoded without those before it.
    pub idr: bool,
    /// When the frame was captured; of one that is shown again, or of a slate, when it was drawn.
    pub captured_at: Timestamp,
    /// Its monotonic twin, later in each unit than in the one before.
    pub captured_instant: Instant,
    pub width: u32,
    pub height: u32,
}

#[cfg(test)]
mod tests;
