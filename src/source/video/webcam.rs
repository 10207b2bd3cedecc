//! A webcam through OpenCV and V4L2.

use opencv::core::Mat;
use opencv::videoio::{CAP_V4L2, VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst};

use super::super::mat::{fill, quiet};
use crate::domain::Frame;

/// An open webcam and its buffers. OpenCV says `false`, not why; the callers find out.
pub(super) struct Webcam {
    video: VideoCapture,
    raw: Mat,
    /// Only used when `raw` is not BGR.
    converted: Mat,
}

impl Webcam {
    pub(super) fn open(index: u32) -> Option<Self> {
        quiet();
        let video = VideoCapture::new(i32::try_from(index).ok()?, CAP_V4L2).ok()?;
        let open = video.is_opened().unwrap_or(false);
        open.then(|| Self { video, raw: Mat::default(), converted: Mat::default() })
    }

    /// Moves on to the next picture; false at the end and on any failure.
    pub(super) fn grab(&mut self) -> bool {
        self.video.grab().unwrap_or(false)
    }

    /// Converts the grabbed picture into `frame`; false when there is none or it is of an unknown layout.
    pub(super) fn retrieve(&mut self, frame: &mut Frame) -> bool {
        self.video.retrieve(&mut self.raw, 0).unwrap_or(false) && fill(&self.raw, &mut self.converted, frame).is_some()
    }
}
