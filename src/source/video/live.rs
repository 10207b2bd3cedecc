//! Cameras: network streams and webcams. Their pictures are stamped by this machine's clock.

use std::time::{Duration, Instant};

use super::super::diagnose::{diagnose, knock};
use super::super::{FrameSource, OpenOptions, Read, SourceError};
use super::capture::Capture;
use super::sentinel::Sentinel;
use super::turn::OPENING;
use crate::domain::{Frame, Timestamp, TimestampSource, redact};

/// An open camera. `decode` of its frames is the time of `retrieve` alone (colour conversion and copying): FFmpeg decodes
/// inside `grab`, where the waiting for the camera cannot be told apart.
pub struct LiveSource {
    capture: Capture,
    shown: String,
    options: OpenOptions,
    /// A grab ran into the time-out: what comes after is only the decoder's rest.
    stalled: bool,
    /// Cameras that never sent one picture are told apart from those that went away.
    frames: u64,
    sentinel: Option<Sentinel>,
}

/// An opening that had to wait for its turn still gets so much time.
const LEAST: Duration = Duration::from_secs(1);
/// Who used its turn up in vain gets a short one next time and waits longer for it, for everybody else waits meanwhile. Every
/// third time it gets all the time again: a camera may be slow without being dead.
const SHORT: Duration = Duration::from_secs(3);
const PENANCE: Duration = Duration::from_secs(15);

/// A time-out's clock and ours do not read the same moment.
fn reached(elapsed: Duration, limit: Duration) -> bool {
    elapsed >= limit.mul_f64(0.9)
}

impl LiveSource {
    pub fn stream(url: &str, options: &OpenOptions) -> Result<Self, SourceError> {
        let shown = redact(url);
        let deadline = Instant::now() + options.open_timeout;
        let in_vain = OPENING.in_vain(&shown);
        knock(url, &shown, options, in_vain > 0)?;
        let turn = OPENING.take(deadline, &shown, options)?;
        let began = Instant::now();
        let left = deadline.saturating_duration_since(began).max(LEAST);
        let left = if in_vain.is_multiple_of(3) { left } else { left.min(SHORT) };
        if let Some(capture) = Capture::ffmpeg(url, &OpenOptions { open_timeout: left, ..options.clone() }) {
            OPENING.opened(&shown);
            let sentinel = url.starts_with("rtsp:").then(|| Sentinel::post(url, options)).flatten();
            return Ok(Self { sentinel, ..Self::new(capture, shown, options) });
        }
        let spent = began.elapsed();
        drop(turn);
        Err(if options.cancel.is_cancelled() {
            SourceError::Cancelled
        } else if reached(spent, left) {
            OPENING.timed_out(&shown);
            let least_delay = if in_vain > 0 { PENANCE } else { Duration::ZERO };
            SourceError::OpenTimeout { source_name: shown, timeout: left, least_delay }
        } else {
            diagnose(url, shown, options)
        })
    }

    pub fn webcam(index: u32, options: &OpenOptions) -> Result<Self, SourceError> {
        let shown = format!("webcam:{index}");
        if let Some(capture) = Capture::webcam(index) {
            return Ok(Self::new(capture, shown, options));
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
        Self { capture, shown, options: options.clone(), stalled: false, frames: 0, sentinel: None }
    }

    fn failure(&self, elapsed: Duration) -> SourceError {
        let source_name = self.shown.clone();
        if self.options.cancel.is_cancelled() {
            SourceError::Cancelled
        } else if self.stalled || reached(elapsed, self.options.read_timeout) {
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
        if self.sentinel.as_ref().is_some_and(Sentinel::saw_a_change) {
            return Err(SourceError::Changed { source_name: self.shown.clone() });
        }
        let began = Instant::now();
        let grabbed = !self.stalled && self.capture.grab();
        let (captured_at, captured_instant) = (Timestamp::now(), Instant::now());
        let waited = captured_instant - began;
        if !grabbed {
            return Err(self.failure(waited));
        }
        if waited >= self.options.read_timeout {
            // What FFmpeg gives after its time-out is an old picture out of the decoder: not one of this moment.
            self.stalled = true;
            return Err(self.failure(waited));
        }
        if !self.capture.retrieve(frame) {
            return Err(self.failure(began.elapsed()));
        }
        self.frames += 1;
        frame.captured_at = captured_at;
        frame.captured_instant = captured_instant;
        frame.timestamp_source = TimestampSource::Host;
        frame.ready_at = Instant::now();
        frame.decode = frame.ready_at - captured_instant;
        Ok(Read::Frame)
    }
}
