//! The motion gate: whether a frame shows anything that the last inference has not seen.
//!
//! Pure: time is the frames' own. A frame is held against that of the last *inference*, not against the one before it, so
//! that slow change adds up until it counts. What counts is judged block by block ([`Thumbnail`]), so that a small object is
//! not averaged away by a large still picture.

mod thumbnail;

use std::time::{Duration, Instant};

use thumbnail::{LEVEL, Thumbnail};

use crate::domain::{Frame, Timestamp};
use crate::envelope::{SkipStatic, StillRules};

/// A block's change has to stand out of the others' by so many times their median deviation (about 2.7 standard deviations
/// of noise each), besides the threshold: the largest of 2,304 is some 3.5 standard deviations by chance.
const NOISE: i32 = 4;

/// When a frame was captured, by its own time (a film's, a client's) and by this machine's.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Timestamp,
    instant: Instant,
}

impl Moment {
    fn of(frame: &Frame) -> Self {
        Self { at: frame.captured_at, instant: frame.captured_instant }
    }

    /// Whether it is less than `span` since `other` by either time: a client's clock that stands still makes nothing young.
    /// Nor does one that was set back.
    fn is_within(self, span: Duration, other: Self) -> bool {
        let by_both = self.at.since(other.at).max(self.instant.saturating_duration_since(other.instant));
        self.at >= other.at && by_both < span
    }
}

/// One camera's.
#[derive(Debug)]
pub struct MotionGate {
    rules: Option<StillRules>,
    /// The frame of the last inference, and the one that was looked at last.
    inferred: Thumbnail,
    looked: Thumbnail,
    /// Whether they hold one.
    has_inferred: bool,
    has_looked: bool,
    inferred_at: Moment,
    /// When detections were said last.
    said_at: Option<Moment>,
    /// Blocks in which change counts.
    counted: Vec<usize>,
    /// Kept: no allocation a frame.
    scratch: Vec<i32>,
}

impl MotionGate {
    #[must_use]
    pub fn new(skip: &SkipStatic) -> Self {
        let mut gate = Self {
            rules: None,
            inferred: Thumbnail::default(),
            looked: Thumbnail::default(),
            has_inferred: false,
            has_looked: false,
            inferred_at: Moment { at: Timestamp::UNIX_EPOCH, instant: Instant::now() },
            said_at: None,
            counted: Vec::new(),
            scratch: Vec::new(),
        };
        gate.configure(skip);
        gate
    }

    /// Goes by other rules; the next frame is inferred.
    pub fn configure(&mut self, skip: &SkipStatic) {
        self.rules.clone_from(&skip.0);
        let ignore = self.rules.as_ref().map_or(&[][..], |rules| &rules.ignore);
        self.counted.clear();
        self.counted.extend((0..self.inferred.blocks().len()).filter(|&at| !thumbnail::is_within(at, ignore)));
        self.forget();
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.rules.is_some()
    }

    /// What was inferred says nothing of what comes: the next frame is inferred.
    pub fn forget(&mut self) {
        (self.has_inferred, self.has_looked, self.said_at) = (false, false, None);
    }

    /// Whether the frame shows what the last inference has seen, and that is not too long ago.
    pub fn is_still(&mut self, frame: &Frame) -> bool {
        let Some(rules) = &self.rules else { return false };
        self.has_looked = self.looked.take(frame);
        let young = Moment::of(frame).is_within(rules.max_age.0, self.inferred_at);
        let comparable = self.has_inferred && self.has_looked && self.inferred.size() == self.looked.size();
        comparable && young && !self.has_changed(i32::from(rules.threshold) * LEVEL)
    }

    /// The frame that was looked at last was inferred, and its detections are known.
    pub fn inferred(&mut self, frame: &Frame) {
        if !self.is_on() {
            return;
        }
        self.has_inferred = std::mem::take(&mut self.has_looked);
        std::mem::swap(&mut self.inferred, &mut self.looked);
        self.inferred_at = Moment::of(frame);
    }

    /// When the frame was captured in which that was found which is said again.
    #[must_use]
    pub fn inferred_at(&self) -> Timestamp {
        self.inferred_at.at
    }

    /// Whether it is time to say again what was found.
    #[must_use]
    pub fn is_due(&self, frame: &Frame) -> bool {
        let Some(rules) = &self.rules else { return true };
        self.said_at.is_none_or(|said| !Moment::of(frame).is_within(rules.heartbeat.0, said))
    }

    pub fn said(&mut self, frame: &Frame) {
        self.said_at = Some(Moment::of(frame));
    }

    fn has_changed(&mut self, threshold: i32) -> bool {
        let (now, then) = (self.looked.blocks(), self.inferred.blocks());
        self.scratch.clear();
        self.scratch.extend(self.counted.iter().map(|&at| now[at] - then[at]));
        // All of it: a lamp is switched on, the sun goes down. Too little of that counts for the blocks against each other.
        let shift = median(&mut self.scratch);
        if shift.abs() > threshold / 2 {
            return true;
        }
        let mut most = 0;
        for apart in &mut self.scratch {
            *apart = (*apart - shift).abs();
            most = most.max(*apart);
        }
        // The median is sought only where it can matter. In a picture that is all noise, or all leaves, nothing is hidden by it.
        most > threshold && most > threshold + (NOISE * median(&mut self.scratch)).min(2 * threshold)
    }
}

fn median(values: &mut [i32]) -> i32 {
    let middle = values.len() / 2;
    if values.is_empty() { 0 } else { *values.select_nth_unstable(middle).1 }
}

#[cfg(test)]
mod tests;
