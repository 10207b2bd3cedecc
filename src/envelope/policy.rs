//! When a frame's detections are worth a message.

use std::time::Instant;

use super::{PublishConfig, PublishWhen};
use crate::domain::{Detection, Label};

/// One camera's `publish.when` and `publish.min_interval`. Reads no clock; allocates only while scenes grow.
#[derive(Debug, Clone)]
pub struct PublishPolicy {
    config: PublishConfig,
    last: Option<Instant>,
    /// What the last message showed, sorted: the measure of `on_change`.
    said: Vec<Object>,
    scratch: Vec<Object>,
}

/// What makes two scenes the same: the tracks, and how many of each label are not tracked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Track(u64),
    Untracked(Label),
}

impl PublishPolicy {
    #[must_use]
    pub fn new(config: PublishConfig) -> Self {
        Self { config, last: None, said: Vec::new(), scratch: Vec::new() }
    }

    /// Nothing counts as said: the camera begins anew.
    pub fn reset(&mut self) {
        self.last = None;
        self.said.clear();
    }

    /// Whether this frame's detections are to be published; a yes is remembered as said.
    ///
    /// A change that falls within `min_interval` is not lost: it is said with the first frame after it, if the scene
    /// still differs from what was said last. `on_change` says the first frame, so that a subscriber knows where it stands.
    pub fn decide(&mut self, now: Instant, detections: &[Detection]) -> bool {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < self.config.min_interval.0) {
            return false;
        }
        let say = match self.config.when {
            PublishWhen::EveryFrame => true,
            PublishWhen::NonEmpty => !detections.is_empty(),
            PublishWhen::OnChange => self.changed(detections) || self.last.is_none(),
        };
        if say {
            self.last = Some(now);
        }
        say
    }

    fn changed(&mut self, detections: &[Detection]) -> bool {
        self.scratch.clear();
        self.scratch.extend(
            detections.iter().map(|d| d.track_id.map_or_else(|| Object::Untracked(d.label.clone()), Object::Track)),
        );
        self.scratch.sort_unstable();
        let changed = self.scratch != self.said;
        if changed {
            std::mem::swap(&mut self.scratch, &mut self.said);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{BBox, Span};

    fn policy(when: PublishWhen, min_interval: Span) -> PublishPolicy {
        PublishPolicy::new(PublishConfig { when, min_interval, ..PublishConfig::default() })
    }

    fn seen(label: &str, track_id: Option<u64>) -> Detection {
        Detection { label: label.into(), score: 0.9, bbox: BBox::default(), class_id: 0, track_id }
    }

    #[test]
    fn every_frame_is_said_and_non_empty_keeps_quiet_about_nothing() {
        let now = Instant::now();
        let mut every = policy(PublishWhen::EveryFrame, Span::default());
        assert!(every.decide(now, &[]) && every.decide(now, &[]));
        let mut non_empty = policy(PublishWhen::NonEmpty, Span::default());
        assert!(!non_empty.decide(now, &[]));
        assert!(non_empty.decide(now, &[seen("car", None)]));
    }

    #[test]
    fn on_change_speaks_when_a_track_comes_or_goes_and_not_when_it_moves() {
        let now = Instant::now();
        let mut policy = policy(PublishWhen::OnChange, Span::default());
        assert!(policy.decide(now, &[]), "the first frame says where the scene stands");
        assert!(!policy.decide(now, &[]));
        assert!(policy.decide(now, &[seen("car", Some(1)), seen("car", Some(2))]));
        assert!(
            !policy.decide(now, &[seen("car", Some(2)), seen("bus", Some(1))]),
            "order and label of a track do not count"
        );
        assert!(policy.decide(now, &[seen("car", Some(2))]));
    }

    #[test]
    fn on_change_without_tracks_goes_by_labels_and_their_counts() {
        let now = Instant::now();
        let mut policy = policy(PublishWhen::OnChange, Span::default());
        assert!(policy.decide(now, &[seen("car", None), seen("bus", None)]));
        assert!(!policy.decide(now, &[seen("bus", None), seen("car", None)]));
        assert!(policy.decide(now, &[seen("car", None), seen("car", None)]));
        assert!(policy.decide(now, &[seen("car", None)]));
    }

    #[test]
    fn a_change_within_the_interval_is_said_after_it() {
        let start = Instant::now();
        let mut policy = policy(PublishWhen::OnChange, Span::secs(1));
        assert!(policy.decide(start, &[]));
        let car = [seen("car", Some(1))];
        assert!(!policy.decide(start + Duration::from_millis(500), &car));
        assert!(policy.decide(start + Duration::from_secs(1), &car));
        assert!(!policy.decide(start + Duration::from_secs(3), &car));
    }
}
