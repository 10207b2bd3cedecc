//! One picture, with its capture time and where that time comes from.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Timestamp, Yuv};

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

/// A decoded picture: planes as a video decoder left them (`yuv`), or packed 8-bit BGR, rows without padding
/// (`bgr.len() == 3 * width * height`). The buffer of BGR is reused: sources fill a frame that is handed to them and allocate
/// only when it is too small.
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
    /// The picture, where there is no `yuv`.
    pub bgr: Vec<u8>,
    pub yuv: Option<Yuv>,
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
            yuv: None,
            text: Vec::new(),
        }
    }

    /// Whether it holds a picture, and that is of the frame's width and height.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let (width, height) = (self.width as usize, self.height as usize);
        match &self.yuv {
            Some(yuv) => yuv.size() == (self.width, self.height),
            None => {
                !self.bgr.is_empty()
                    && width.checked_mul(height).and_then(|area| area.checked_mul(3)) == Some(self.bgr.len())
            }
        }
    }

    /// The picture as packed BGR; what is in planes is converted into `spare`.
    pub fn as_bgr<'a>(&'a self, spare: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(yuv) = &self.yuv else { return &self.bgr };
        yuv.to_bgr(spare);
        spare
    }

    /// Turns planes into BGR.
    pub fn make_bgr(&mut self) {
        if let Some(yuv) = self.yuv.take() {
            yuv.to_bgr(&mut self.bgr);
        }
    }

    /// The grey of any pixel of row `y`.
    #[must_use]
    pub fn greys(&self, y: usize) -> Greys<'_> {
        match &self.yuv {
            Some(yuv) => Greys::Luma(yuv.row(0, y), yuv.greys()),
            None => Greys::Bgr(&self.bgr[3 * self.width as usize * y..][..3 * self.width as usize]),
        }
    }

    /// Another frame of the same picture, for somebody else: planes are shared, BGR is copied into `buffer`.
    #[must_use]
    pub fn copy(&self, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        if self.yuv.is_none() {
            buffer.extend_from_slice(&self.bgr);
        }
        Self { bgr: buffer, yuv: self.yuv.clone(), text: Vec::new(), ..*self }
    }
}

/// A row of a picture without its colours.
#[derive(Debug, Clone, Copy)]
pub enum Greys<'a> {
    Bgr(&'a [u8]),
    /// Luma, and what grey each is.
    Luma(&'a [u8], &'a [u8; 256]),
}

impl Greys<'_> {
    /// The grey of column `x`, 0…255, by ITU-R BT.601 where the picture is BGR.
    #[must_use]
    pub fn at(&self, x: usize) -> u8 {
        match self {
            Self::Luma(row, greys) => greys[usize::from(row[x])],
            Self::Bgr(row) => {
                let [blue, green, red] = [row[3 * x], row[3 * x + 1], row[3 * x + 2]].map(u32::from);
                #[expect(clippy::cast_possible_truncation, reason = "the weights add up to 256")]
                let grey = ((29 * blue + 150 * green + 77 * red) >> 8) as u8;
                grey
            }
        }
    }
}
