//! What a camera gave last, whether or not anybody watches: who comes to a slow one is shown it.

use std::time::{Duration, Instant};

use super::easel::OLD;
use super::studio::{Job, Status};
use crate::domain::{Detection, Frame, Timestamp};
use crate::envelope::ActualState;

/// A camera that gives a frame less often than this is slow.
const SLOW: Duration = Duration::from_millis(800);

/// When the last frame came, and of a slow camera the frame itself.
#[derive(Default)]
pub(super) struct Kept {
    came: Option<(Instant, Timestamp)>,
    /// The time between it and the one before.
    every: Duration,
    job: Option<Job>,
}

impl Kept {
    /// A frame came; a slow camera's is copied, into the buffer of the one before.
    pub fn came(&mut self, frame: &Frame, detections: &[Detection]) {
        let now = Instant::now();
        let every = self.came.replace((now, Timestamp::now())).map(|(before, _)| now - before);
        self.every = every.unwrap_or_default();
        let buffer = self.job.take();
        if every.is_some_and(|every| every < SLOW) {
            return;
        }
        let frame = frame.copy(buffer.map_or_else(Vec::new, |job| job.frame.bgr));
        self.job = Some(Job { frame, detections: detections.to_vec() });
    }

    /// Two frames of the camera are so far apart.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// A slow camera's last frame, as long as it is what the camera shows.
    pub fn last(&self, status: &Status) -> Option<Job> {
        let ((came, at), job) = (self.came?, self.job.as_ref()?);
        let of_this_run = status.actual == ActualState::Running && status.since.is_none_or(|since| at >= since);
        let shown = of_this_run && came.elapsed() < OLD.max(3 * self.every);
        shown.then(|| Job { frame: job.frame.copy(Vec::new()), detections: job.detections.clone() })
    }
}
