//! What is shown of one camera, and to how many.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::{names, recorder};

/// How somebody watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    Mjpeg,
    /// One picture, asked for once.
    Still,
    Hls,
    Webrtc,
}

impl Way {
    pub const ALL: [Self; 4] = [Self::Mjpeg, Self::Still, Self::Hls, Self::Webrtc];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mjpeg => "mjpeg",
            Self::Still => "still",
            Self::Hls => "hls",
            Self::Webrtc => "webrtc",
        }
    }
}

/// How a picture is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoFormat {
    Jpeg,
    H264,
}

impl VideoFormat {
    const ALL: [Self; 2] = [Self::Jpeg, Self::H264];

    fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::H264 => "h264",
        }
    }
}

/// What became of a picture that was to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoOutcome {
    Encoded,
    /// The rate control left it out.
    Skipped,
    Failed,
}

impl VideoOutcome {
    const ALL: [Self; 3] = [Self::Encoded, Self::Skipped, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Encoded => "encoded",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// Handles of one camera.
pub struct VideoMetrics {
    viewers: [Gauge; 4],
    bytes: [Counter; 4],
    frames: [[Counter; 3]; 2],
    encode: [Histogram; 2],
    superseded: Counter,
}

impl VideoMetrics {
    #[must_use]
    pub fn new(camera: &str) -> Self {
        let way = |way: Way| [("camera", camera), ("way", way.as_str())];
        let frames = |format: VideoFormat| {
            VideoOutcome::ALL.map(|outcome| {
                let labels = [("camera", camera), ("format", format.as_str()), ("outcome", outcome.as_str())];
                recorder::counter(&names::VIDEO_FRAMES, &labels)
            })
        };
        let encode = |format: VideoFormat| {
            recorder::histogram(&names::VIDEO_ENCODE, &[("camera", camera), ("format", format.as_str())])
        };
        Self {
            viewers: Way::ALL.map(|w| recorder::gauge(&names::VIEWERS, &way(w))),
            bytes: Way::ALL.map(|w| recorder::counter(&names::VIDEO_BYTES, &way(w))),
            frames: VideoFormat::ALL.map(frames),
            encode: VideoFormat::ALL.map(encode),
            superseded: recorder::counter(&names::VIDEO_SUPERSEDED, &[("camera", camera)]),
        }
    }

    pub fn viewers(&self, way: Way, now: u32) {
        self.viewers[way as usize].set(f64::from(now));
    }

    /// Handed to a viewer's socket.
    pub fn sent(&self, way: Way, bytes: usize) {
        self.bytes[way as usize].increment(bytes as u64);
    }

    pub fn frame(&self, format: VideoFormat, outcome: VideoOutcome) {
        self.frames[format as usize][outcome as usize].increment(1);
    }

    pub fn encode(&self, format: VideoFormat, took: Duration) {
        self.encode[format as usize].record(took.as_secs_f64());
    }

    /// A newer frame took this one's place before the encoder was free.
    pub fn superseded(&self) {
        self.superseded.increment(1);
    }
}
