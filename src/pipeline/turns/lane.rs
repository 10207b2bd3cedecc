//! One camera's frames, and the buffers that all cameras of a model fill again.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar};

use super::Epoch;
use crate::domain::Frame;
use crate::inference::Prepared;
use crate::pipeline::{QueueConfig, WhenFull};
use crate::telemetry::{CameraMetrics, FrameOutcome};

/// A frame that waits, and the model's input where it was filled from it already.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) frame: Frame,
    pub(super) input: Option<Box<Prepared>>,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) queue: QueueConfig,
    pub(super) metrics: Arc<CameraMetrics>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) inputs: Inputs,
    /// Where its source waits for room: a turn wakes nobody else's.
    pub(super) room: Arc<Condvar>,
    /// Where its camera waits until nothing is left.
    pub(super) quiet: Arc<Condvar>,
    pub(super) epoch: u64,
    pub(super) open: bool,
    pub(super) paused: bool,
    /// Frames that a worker has, one of them prepared ahead at most.
    pub(super) in_hands: u8,
}

impl Lane {
    pub(super) fn new(queue: QueueConfig, metrics: Arc<CameraMetrics>) -> Self {
        Self {
            queue,
            metrics,
            waiting: VecDeque::with_capacity(queue.depth),
            inputs: Inputs::default(),
            room: Arc::default(),
            quiet: Arc::default(),
            epoch: 0,
            open: false,
            paused: false,
            in_hands: 0,
        }
    }

    /// Nothing waits, and nothing is in hands.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.in_hands == 0
    }

    /// Whether it is open for that session's frames.
    pub(super) fn is_of(&self, epoch: Epoch) -> bool {
        self.open && self.epoch == epoch.0
    }

    /// Things are no longer what somebody waits for.
    pub(super) fn notify_all(&self) {
        self.room.notify_all();
        self.quiet.notify_all();
    }

    pub(super) fn drop_waiting(&mut self) {
        for Waiting { input, .. } in self.waiting.drain(..) {
            self.metrics.frame(FrameOutcome::DroppedPaused);
            self.inputs.keep(input);
        }
    }

    /// An input to be filled with a frame that is to be inferred. Where the queue blocks, one is filled while another is in the
    /// model; else a frame that has to wait is not worth it, for a fresher one may take its place.
    pub(super) fn lend(&mut self, template: &Prepared) -> Option<Box<Prepared>> {
        let most = if self.queue.when_full == WhenFull::Block { 2 } else { 1 };
        self.inputs.lend(template, most)
    }
}

/// Inputs of a model that one camera's frames fill: what scales its pictures is made once for their size.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    free: VecDeque<Box<Prepared>>,
    made: usize,
}

impl Inputs {
    fn lend(&mut self, template: &Prepared, most: usize) -> Option<Box<Prepared>> {
        if self.free.is_empty() && self.made < most {
            self.made += 1;
            return Some(Box::new(template.another()));
        }
        self.free.pop_front()
    }

    pub(super) fn keep(&mut self, input: Option<Box<Prepared>>) {
        self.free.extend(input);
    }
}

/// Buffers of BGR to fill again: no allocation a frame. Shared, because a camera needs a second one only while its frame is
/// looked at: of 1080 lines each has 6 MB.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// A frame to be filled with about so many bytes. A much larger buffer stays for the camera that needs it.
    pub(super) fn take(&mut self, bytes: usize) -> Frame {
        let fits = |spare: &Vec<u8>| (bytes..=bytes.saturating_mul(2)).contains(&spare.capacity());
        let bgr = self.0.iter().rposition(fits).map_or_else(Vec::new, |at| self.0.swap_remove(at));
        Frame { bgr, ..Frame::empty() }
    }

    /// One a camera, and one more.
    pub(super) fn keep(&mut self, frame: Frame, cameras: usize) {
        if frame.bgr.capacity() == 0 {
            return;
        }
        // The oldest goes: it may be of a size that no camera has any more.
        if self.0.len() > cameras {
            self.0.remove(0);
        }
        self.0.push(frame.bgr);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bound(&mut self, cameras: usize) {
        self.0.truncate(if cameras == 0 { 0 } else { cameras + 1 });
    }
}
