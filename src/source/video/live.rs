//! Cameras: network streams and webcams. Their pictures are stamped by this machine's clock.

use std::time::{Duration, Instant};

use super::super::diagnose::{diagnose, knock};
use super::super::{FrameSource, OpenOptions, Pace, Read, SourceError};
use super::ffmpeg::Ffmpeg;
use super::webcam::Webcam;
use crate::domain::{Frame, Timestamp, TimestampSource, redact};

/// An open camera. `decode` of a stream's frames is the time from when they had come whole until they are converted; of a webcam's,
/// that of converting alone, for OpenCV decodes inside `grab`, where the waiting for the camera cannot be told apart.
pub struct LiveSource {
    capture: Capture,
    shown: String,
    options: OpenOptions,
    /// It failed, and stays so.
    broken: bool,
    /// Cameras that never sent one picture are told apart from those that went away.
    frames: u64,
}

enum Capture {
    Stream(Box<Ffmpeg>),
    Webcam(Webcam),
}

impl Capture {
    /// Moves on to the next picture: when it was there, or `None` at the end and on any failure.
    fn grab(&mut self) -> Option<Instant> {
        match self {
            Self::Stream(stream) => stream.grab(),
            Self::Webcam(webcam) => webcam.grab().then(Instant::now),
        }
    }

    fn retrieve(&mut self, frame: &mut Frame) -> bool {
        match self {
            Self::Stream(stream) => stream.retrieve(frame),
            Self::Webcam(webcam) => webcam.retrieve(frame),
        }
    }
}

/// What is left for opening a stream whose server took its time to answer.
const LEAST: Duration = Duration::from_secs(1);

/// A time-out's clock and ours do not read the same moment.
fn reached(elapsed: Duration, limit: Duration) -> bool {
    elapsed >= limit.mul_f64(0.9)
}

impl LiveSource {
    pub fn stream(url: &str, options: &OpenOptions) -> Result<Self, SourceError> {
        let shown = redact(url);
        let began = Instant::now();
        knock(url, &shown, options)?;
        let left = options.open_timeout.saturating_sub(began.elapsed()).max(LEAST);
        let asked = Instant::now();
        let at_its_own_pace = OpenOptions { open_timeout: left, pace: Pace::Realtime, ..options.clone() };
        if let Some(stream) = Ffmpeg::open(url, &at_its_own_pace) {
            return Ok(Self::new(Capture::Stream(Box::new(stream)), shown, options));
        }
        Err(if options.cancel.is_cancelled() {
            SourceError::Cancelled
        } else if reached(asked.elapsed(), left) {
            SourceError::OpenTimeout { source_name: shown, timeout: options.open_timeout }
        } else {
            diagnose(url, shown, options)
        })
    }

    pub fn webcam(index: u32, options: &OpenOptions) -> Result<Self, SourceError> {
        let shown = format!("webcam:{index}");
        if let Some(webcam) = Webcam::open(index) {
            return Ok(Self::new(Capture::Webcam(webcam), shown, options));
        }
        let device = format!("/dev/video{index}");
        let why = match std::fs::File::open(&device) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                format!("there is no {device}; plug it in, or see what there is with `ls /dev/video*`")
            }
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                format!("no permission to read {device}; its group (mostly 'video') may")
            }
            Err(e) => format!("{device}: {e}"),
            Ok(_) => format!("{device} gives no pictures; it is used by another program, or is no camera"),
        };
        Err(SourceError::Open { source_name: shown, why })
    }

    fn new(capture: Capture, shown: String, options: &OpenOptions) -> Self {
        Self { capture, shown, options: options.clone(), broken: false, frames: 0 }
    }

    fn failure(&self, elapsed: Duration) -> SourceError {
        let source_name = self.shown.clone();
        if self.options.cancel.is_cancelled() {
            SourceError::Cancelled
        } else if reached(elapsed, self.options.read_timeout) {
            SourceError::ReadTimeout { source_name, timeout: self.options.read_timeout }
        } else if self.frames == 0 {
            let why = "it ended before its first picture".to_owned();
            SourceError::Open { source_name, why }
        } else {
            SourceError::Disconnected { source_name }
        }
    }
}

impl FrameSource for LiveSource {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        if self.options.cancel.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        let began = Instant::now();
        let arrived = if self.broken { None } else { self.capture.grab() };
        let Some(arrived) = arrived.filter(|_| self.capture.retrieve(frame)) else {
            self.broken = true;
            return Err(self.failure(began.elapsed()));
        };
        self.frames += 1;
        frame.captured_at = Timestamp::now().minus(arrived.elapsed());
        frame.captured_instant = arrived;
        frame.timestamp_source = TimestampSource::Host;
        frame.ready_at = Instant::now();
        frame.decode = frame.ready_at - arrived;
        Ok(Read::Frame)
    }
}
