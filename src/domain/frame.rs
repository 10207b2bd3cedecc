//! One picture, with its capture time and where that time comes from.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Where a frame's capture time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimestampSource {
    /// The camera's own clock, by RTCP sender reports (RFC 3550, section 6.4.1).
    Rtcp,
    /// This machine's clock when the frame was grabbed.
    Host,
    /// The file's own timeline, laid from the moment the file was opened; of a still picture, the file's date.
    File,
    /// What the program said that pushed the picture.
    Client,
}

impl TimestampSource {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtcp => "rtcp",
            Self::Host => "host",
            Self::File => "file",
            Self::Client => "client",
        }
    }
}

/// A decoded picture: packed 8-bit BGR, rows without padding (`bgr.len() == 3 * width * height`).
/// Its buffer is reused: sources fill a frame that is handed to them and allocate only when it is too small.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Counts the frames read from this camera in this boot, from 1, over reconnects too.
    pub id: u64,
    pub captured_at: Timestamp,
    pub timestamp_source: TimestampSource,
    /// Monotonic twin of `captured_at`: latencies are measured from here, so a clock that is set does not bend them.
    pub captured_instant: Instant,
    /// When the picture was complete in memory; the `wait` stage begins here.
    pub ready_at: Instant,
    /// Time spent decoding and converting (live sources: not the time spent waiting for the camera, where the backend can tell).
    pub decode: Duration,
    pub width: u32,
    pub height: u32,
    pub bgr: Vec<u8>,
    /// Lines that came with the picture; only a source that brings some touches them.
    pub text: Vec<String>,
}

impl Frame {
    /// A frame without a picture yet, to be filled by a source.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            id: 0,
            captured_at: Timestamp::UNIX_EPOCH,
            timestamp_source: TimestampSource::Host,
            captured_instant: Instant::now(),
            ready_at: Instant::now(),
            decode: Duration::ZERO,
            width: 0,
            height: 0,
            bgr: Vec::new(),
            text: Vec::new(),
        }
    }
}
