//! Who speaks, and the numbers that make a loss visible.

use std::time::Duration;

use crate::domain::{BBox, BootId, Detection, Frame, Label, Name, Timestamp};

use super::{Detections, Event, EventKind, Timing};

/// Whose messages these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub camera: Name,
    pub node: Name,
    pub boot_id: BootId,
}

/// Makes one camera's payloads and numbers them, each kind by itself, from 1.
#[derive(Debug, Clone)]
pub struct EnvelopeBuilder {
    origin: Origin,
    last: Numbers,
}

/// The numbers that were given last; 0 before the first. They never go back within a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    pub detections: u64,
    pub events: u64,
}

impl EnvelopeBuilder {
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self::after(origin, Numbers::default())
    }

    /// One that goes on where another of the same boot ended.
    #[must_use]
    pub fn after(origin: Origin, last: Numbers) -> Self {
        Self { origin, last }
    }

    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.last
    }

    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// `seq` of the last detections message; 0 before the first.
    #[must_use]
    pub fn last_detections_seq(&self) -> u64 {
        self.last.detections
    }

    /// The next detections message. Call it only for one that will be offered: its number is taken.
    #[must_use]
    pub fn detections(&mut self, frame: &Frame, detections: Vec<Detection>, timing: Timing) -> Detections {
        self.last.detections += 1;
        Detections {
            timestamp: frame.captured_at,
            detections,
            camera: self.origin.camera.clone(),
            node: self.origin.node.clone(),
            boot_id: self.origin.boot_id.clone(),
            seq: self.last.detections,
            frame: frame.into(),
            timing,
            text: frame.text.clone(),
            inferred_at: None,
            replayed: false,
        }
    }

    /// The same, in the place of an earlier message of this camera that nobody looks at any more: its list is used again.
    pub fn refill(&mut self, message: &mut Detections, frame: &Frame, detections: &[Detection], timing: Timing) {
        let mut list = std::mem::take(&mut message.detections);
        list.clear();
        list.extend_from_slice(detections);
        *message = self.detections(frame, list, timing);
    }

    /// The next event. Call it only for one that will be offered: its number is taken.
    #[must_use]
    pub fn event(&mut self, kind: EventKind, timestamp: Timestamp, track: TrackSpan) -> Event {
        self.last.events += 1;
        Event {
            timestamp,
            event: kind,
            camera: self.origin.camera.clone(),
            node: self.origin.node.clone(),
            boot_id: self.origin.boot_id.clone(),
            seq: self.last.events,
            track_id: track.id,
            label: track.label,
            score: track.score,
            bbox: track.bbox,
            first_seen: track.first_seen,
            last_seen: track.last_seen,
            first_bbox: Some(track.first_bbox),
            duration: Some(track.duration.as_secs_f64()),
            replayed: false,
        }
    }
}

/// What an event says of its track.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackSpan {
    pub id: u64,
    pub label: Label,
    /// The best so far.
    pub score: f32,
    /// The last.
    pub bbox: BBox,
    pub first_bbox: BBox,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// From the first to the last sight.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_counts_by_itself_from_one() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let mut builder =
            EnvelopeBuilder::new(Origin { camera: name("c"), node: name("n"), boot_id: BootId::default() });
        let track = TrackSpan {
            id: 4,
            label: "car".into(),
            score: 0.9,
            bbox: BBox::default(),
            first_bbox: BBox::default(),
            first_seen: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
        };
        let frame = Frame::empty();
        let seqs = [(); 3].map(|()| builder.detections(&frame, vec![], Timing::default()).seq);
        assert_eq!(seqs, [1, 2, 3]);
        assert_eq!(builder.event(EventKind::Started, frame.captured_at, track).seq, 1);
        assert_eq!(builder.last_detections_seq(), 3);
        let mut again = builder.detections(&frame, vec![], Timing::default());
        builder.refill(&mut again, &Frame { id: 9, ..Frame::empty() }, &[], Timing { wait: 1.0, ..Timing::default() });
        assert_eq!((again.seq, again.frame.id, again.timing.wait), (5, 9, 1.0));
        let mut next = EnvelopeBuilder::after(builder.origin().clone(), builder.numbers());
        assert_eq!(next.detections(&frame, vec![], Timing::default()).seq, 6);
    }
}
