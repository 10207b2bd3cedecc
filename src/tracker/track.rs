//! One object followed over the frames.

use std::time::Duration;

use super::kalman::Motion;
use super::{TrackEvent, TrackEventKind};
use crate::domain::{BBox, Detection, Label, Timestamp};

#[derive(Debug, Clone)]
pub(super) struct Track {
    /// Given when it is confirmed, by being found a second time.
    pub id: Option<u64>,
    pub class_id: u32,
    label: Label,
    motion: Motion,
    /// Where the motion says it is in the frame at hand.
    pub expected: BBox,
    /// Frames in a row in which it was not found; 0 = it is in sight.
    pub missed: u32,
    /// Time since it was found, summed frame by frame: a clock that is set back does not keep it for longer.
    pub unseen: Duration,
    /// The last and the best score of its detections.
    score: f32,
    best: f32,
    bbox: BBox,
    first_bbox: BBox,
    pub first_seen: Timestamp,
    last_seen: Timestamp,
    /// From `first_seen` to `last_seen`, summed like `unseen`.
    duration: Duration,
}

impl Track {
    pub(super) fn new(detection: &Detection, at: Timestamp) -> Self {
        Self {
            id: None,
            class_id: detection.class_id,
            label: detection.label.clone(),
            motion: Motion::new(&detection.bbox),
            expected: detection.bbox,
            missed: 0,
            unseen: Duration::ZERO,
            score: detection.score,
            best: detection.score,
            bbox: detection.bbox,
            first_bbox: detection.bbox,
            first_seen: at,
            last_seen: at,
            duration: Duration::ZERO,
        }
    }

    /// `frames` nominal frames on.
    pub(super) fn predict(&mut self, frames: f64) {
        self.motion.predict(frames, self.missed > 0);
        self.expected = self.motion.bbox();
    }

    pub(super) fn found(&mut self, detection: &Detection, at: Timestamp) {
        self.motion.update(&detection.bbox);
        self.missed = 0;
        self.duration = self.duration.saturating_add(self.unseen);
        self.unseen = Duration::ZERO;
        self.score = detection.score;
        self.best = self.best.max(detection.score);
        self.bbox = detection.bbox;
        self.last_seen = at;
    }

    /// Found where it was, without being looked for.
    pub(super) fn stayed(&mut self, at: Timestamp) {
        self.motion.update(&self.bbox);
        self.duration = self.duration.saturating_add(self.unseen);
        self.unseen = Duration::ZERO;
        self.last_seen = at;
    }

    /// Nothing for a track that was never confirmed: of it nobody was told.
    pub(super) fn event(&self, kind: TrackEventKind) -> Option<TrackEvent> {
        Some(TrackEvent {
            kind,
            track_id: self.id?,
            label: self.label.clone(),
            score: if kind == TrackEventKind::Ended { self.best } else { self.score },
            bbox: self.bbox,
            first_bbox: self.first_bbox,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            duration: self.duration,
        })
    }
}
