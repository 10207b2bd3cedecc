//! A video file, played by its own timestamps or as fast as it is read, once or over and over.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::{FrameSource, OpenOptions, Pace, Read, SourceError};
use super::container;
use super::ffmpeg::Ffmpeg;
use crate::domain::{Frame, Timestamp, TimestampSource};

/// A picture's length where a file does not say.
const FRAME: Duration = Duration::from_millis(40);

/// The timeline begins at the moment of opening; the next round of a loop begins where the last one ended. `decode` is
/// the time of reading, decoding and converting, all of it.
pub struct FileSource {
    capture: Ffmpeg,
    path: PathBuf,
    shown: String,
    options: OpenOptions,
    opened_at: Timestamp,
    opened: Instant,
    /// Where this round begins on the timeline.
    round: Duration,
    /// The last picture's place on the timeline, and its usual distance from the next.
    last: Option<Duration>,
    step: Duration,
    /// Pictures of this round, and of all.
    frames: u64,
    total: u64,
    ended: bool,
}

impl FileSource {
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let shown = path.display().to_string();
        inspect(path, &shown)?;
        let capture = capture(path, &shown, options)?;
        let step = capture.fps().map_or(FRAME, |fps| Duration::from_secs_f64(1.0 / fps));
        Ok(Self {
            capture,
            path: path.to_owned(),
            shown,
            options: options.clone(),
            opened_at: Timestamp::now(),
            opened: Instant::now(),
            round: Duration::ZERO,
            last: None,
            step,
            frames: 0,
            total: 0,
            ended: false,
        })
    }

    /// At the end of the pictures: was that the end of the file?
    fn check_whole(&self) -> Result<(), SourceError> {
        let source_name = self.shown.clone();
        if let Some(why) = container::missing(&self.path) {
            return Err(SourceError::Truncated { source_name, after: self.total, why });
        }
        if self.frames == 0 {
            let why = "it opens as a video, but no picture comes out (damaged, or a codec FFmpeg does not know)".into();
            return Err(SourceError::Undecodable { source_name, why });
        }
        // Estimated in many containers, and edit lists hide pictures: worth a word, not an error.
        #[expect(clippy::cast_precision_loss, reason = "a comparison by eye")]
        if let Some(promised) = self.capture.promised_frames()
            && (self.frames as f64) < promised * 0.75
        {
            tracing::warn!(source = %self.shown, frames = self.frames, promised, "the video ended early; parts of it may be damaged");
        }
        Ok(())
    }

    fn next_round(&mut self) -> Result<(), SourceError> {
        self.check_whole()?;
        inspect(&self.path, &self.shown)?;
        self.capture = capture(&self.path, &self.shown, &self.options)?;
        self.round = self.last.map_or(Duration::ZERO, |last| last + self.step);
        self.frames = 0;
        Ok(())
    }

    /// Where the grabbed picture belongs; a file without usable timestamps goes on by its frame rate.
    fn place(&mut self) -> Duration {
        let said = self.capture.position().filter(|&at| at >= 0.0).and_then(|at| Duration::try_from_secs_f64(at).ok());
        let said = said.and_then(|said| self.round.checked_add(said));
        let place = match (said, self.last) {
            // A jump of hours is a broken recorder's clock; nobody waits for it.
            (Some(said), Some(last)) if said > last && said.saturating_sub(last) < Duration::from_hours(1) => said,
            (_, Some(last)) => last + self.step,
            (Some(said), None) => said,
            (None, None) => self.round,
        };
        self.last = Some(place);
        place
    }
}

impl FrameSource for FileSource {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        if self.ended {
            return Ok(Read::End);
        }
        if self.options.cancel.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        let mut began = Instant::now();
        while !(self.capture.grab().is_some() && self.capture.retrieve(frame)) {
            if self.options.cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            if self.options.looping {
                self.next_round()?;
                began = Instant::now();
            } else {
                self.check_whole()?;
                self.ended = true;
                return Ok(Read::End);
            }
        }
        (self.frames, self.total) = (self.frames + 1, self.total + 1);
        frame.decode = began.elapsed();
        let place = self.place();
        frame.captured_at = self.opened_at.plus(place);
        frame.timestamp_source = TimestampSource::File;
        frame.captured_instant = Instant::now();
        if self.options.pace == Pace::Realtime {
            let due = self.opened + place;
            let wait = due.saturating_duration_since(frame.captured_instant);
            if !wait.is_zero() && self.options.cancel.wait(wait) {
                return Err(SourceError::Cancelled);
            }
            frame.captured_instant = due;
        }
        frame.ready_at = Instant::now();
        Ok(Read::Frame)
    }
}

/// Tells what FFmpeg would only refuse, or worse, play: it renders plain text as a video.
fn inspect(path: &Path, shown: &str) -> Result<(), SourceError> {
    let source_name = shown.to_owned();
    let fail = |e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => SourceError::NotFound { source_name: source_name.clone() },
        _ => SourceError::Open { source_name: source_name.clone(), why: e.to_string() },
    };
    let facts = std::fs::metadata(path).map_err(|e| fail(&e))?;
    if facts.is_dir() {
        let why = format!("it is a folder; for its pictures write images:{shown}");
        return Err(SourceError::Open { source_name, why });
    }
    if !facts.is_file() {
        // Opening a pipe that nobody writes to would hang in native code.
        let why = "it is neither a file nor a folder (a pipe, a socket or a device)".to_owned();
        return Err(SourceError::Open { source_name, why });
    }
    let mut head = Vec::with_capacity(4096);
    std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head)).map_err(|e| fail(&e))?;
    let why = if head.is_empty() {
        "the file is empty (0 bytes)"
    } else if is_text(&head) && !is_playlist(path) {
        "it is a text file, not a video"
    } else {
        return Ok(());
    };
    Err(SourceError::Undecodable { source_name, why: why.into() })
}

fn is_playlist(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(extension.as_str(), "sdp" | "m3u8" | "m3u" | "mpd" | "ffconcat")
}

fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be cut.
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

fn capture(path: &Path, shown: &str, options: &OpenOptions) -> Result<Ffmpeg, SourceError> {
    // FFmpeg takes `name:` for a protocol; a path that begins with a folder cannot be mistaken.
    let address = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    let Some(address) = address.to_str() else {
        let why = "its name is not valid UTF-8; rename it".to_owned();
        return Err(SourceError::Open { source_name: shown.to_owned(), why });
    };
    Ffmpeg::open(address, options).ok_or_else(|| {
        let source_name = shown.to_owned();
        match container::missing(path) {
            Some(why) => SourceError::Truncated { source_name, after: 0, why },
            None => {
                SourceError::Undecodable { source_name, why: "it is not a video FFmpeg can read, or is damaged".into() }
            }
        }
    })
}
