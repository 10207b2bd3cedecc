//! Where pictures come from: one trait, one file a kind of source.
//!
//! A source is opened and read by one thread of its own; both calls block, within the time-outs given. It knows nothing
//! of queues, models or reconnecting: the pipeline retries by [`Disposition`].

mod cancel;
mod config;
mod diagnose;
mod error;
mod images;
mod mat;
mod picture;
mod push;
mod spec;
pub mod synthetic;
mod video;

use std::time::Duration;

pub use cancel::Cancel;
pub use config::Pace;
pub use error::{Disposition, SourceError};
pub use images::list as list_pictures;
pub use picture::{read_picture, read_picture_from};
pub use push::{Push, PushError};
pub use spec::{InvalidSpec, SourceKind, SourceSpec};

use crate::domain::Frame;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// The frame was filled.
    Frame,
    /// A finite source has ended; reading again gives `End` again.
    End,
}

/// An open source of pictures.
pub trait FrameSource: Send {
    /// Fills `frame` (everything but its `id`) with the next picture, waiting for it if need be.
    ///
    /// # Errors
    /// Says by its [`Disposition`] whether opening the source again may help.
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError>;

    /// Whether frames come with their `id`: whoever hands pictures over wants to know which they became.
    fn numbers_frames(&self) -> bool {
        false
    }
}

/// Opens a source; blocks for `open_timeout` and a moment at most.
///
/// # Errors
/// Says by its [`Disposition`] whether trying again may help; names the source without its credentials.
pub fn open(spec: &SourceSpec, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    if options.cancel.is_cancelled() {
        return Err(SourceError::Cancelled);
    }
    Ok(match spec.kind() {
        SourceKind::File(path) => Box::new(video::FileSource::open(path, options)?),
        SourceKind::Stream(url) => Box::new(video::LiveSource::stream(url, options)?),
        SourceKind::Webcam(index) => Box::new(video::LiveSource::webcam(*index, options)?),
        SourceKind::Images { pattern, every } => Box::new(images::ImagesSource::open(pattern, *every, options)?),
        SourceKind::Push { .. } => {
            let why = "its pictures are pushed to a running node: PUT /cameras/<camera>/frame".into();
            return Err(SourceError::Open { source_name: spec.shown(), why });
        }
        SourceKind::Synthetic(params) => Box::new(synthetic::SyntheticSource::open(*params, options.clone())),
    })
}

/// What a camera's pictures are opened from, again and again: its [`SourceSpec`], or whatever else brings pictures.
pub trait Opener: Send + Sync {
    /// Opens it; blocks for `open_timeout` and a moment at most.
    ///
    /// # Errors
    /// As [`open`].
    fn open(&self, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError>;

    /// For logs and errors: without credentials.
    fn shown(&self) -> String;

    /// A read that takes longer than its time-out is a fault, not a timeline.
    fn is_live(&self) -> bool;
}

impl Opener for SourceSpec {
    fn open(&self, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
        open(self, options)
    }

    fn shown(&self) -> String {
        Self::shown(self)
    }

    fn is_live(&self) -> bool {
        Self::is_live(self)
    }
}

/// How a source is to be opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    pub pace: Pace,
    pub looping: bool,
    pub open_timeout: Duration,
    pub read_timeout: Duration,
    /// Ends waits for pacing early: a read that is cancelled returns [`SourceError::Cancelled`].
    pub cancel: Cancel,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            pace: Pace::Realtime,
            looping: false,
            open_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(5),
            cancel: Cancel::default(),
        }
    }
}
