//! How many of each label a camera sees: the retained `counts/<label>` topics.

use std::collections::{BTreeMap, HashSet};

use crate::domain::{Detection, Label};

/// One camera's counts. A label once known stays known, at zero when nothing of it is seen.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    known: BTreeMap<Label, Count>,
    all: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    said: Option<u32>,
    now: u32,
}

impl Counts {
    /// Knows `labels` from the start: they are said as zero by the first update, so that dashboards find their topics.
    #[must_use]
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Self {
        Self { known: labels.into_iter().map(|label| (label, Count::default())).collect(), all: None }
    }

    /// Counts one frame's detections and gives the labels whose count is not what was said last, zeros included.
    /// An empty slice takes every label to zero (a camera that stops sees nothing).
    pub fn update(&mut self, detections: &[Detection]) -> Vec<(Label, u32)> {
        for count in self.known.values_mut() {
            count.now = 0;
        }
        for detection in detections {
            match self.known.get_mut(&detection.label) {
                Some(count) => count.now += 1,
                None => {
                    self.known.insert(detection.label.clone(), Count { said: None, now: 1 });
                }
            }
        }
        self.changed()
    }

    /// Only `wanted` labels are counted from now on (`None` = all): the others go to zero, and new ones are known at zero.
    /// Gives what is to be said.
    pub fn want(&mut self, wanted: Option<&HashSet<Label>>) -> Vec<(Label, u32)> {
        let Some(wanted) = wanted else { return Vec::new() };
        for (label, count) in &mut self.known {
            if !wanted.contains(label) {
                count.now = 0;
            }
        }
        for label in wanted {
            self.known.entry(label.clone()).or_default();
        }
        self.changed()
    }

    fn changed(&mut self) -> Vec<(Label, u32)> {
        let mut changed = Vec::new();
        for (label, count) in &mut self.known {
            if count.said != Some(count.now) {
                count.said = Some(count.now);
                changed.push((label.clone(), count.now));
            }
        }
        changed
    }

    /// How many there are of all labels together, if that is not what was said last.
    pub fn total(&mut self, detections: &[Detection]) -> Option<usize> {
        let now = detections.len();
        (self.all.replace(now) != Some(now)).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BBox;

    fn seen(labels: &[&str]) -> Vec<Detection> {
        let one = |label: &&str| Detection {
            label: (*label).into(),
            score: 0.9,
            bbox: BBox::default(),
            class_id: 0,
            track_id: None,
        };
        labels.iter().map(one).collect()
    }

    #[test]
    fn only_changes_are_said_and_zeros_are_said_too() {
        let mut counts = Counts::default();
        assert_eq!(counts.update(&seen(&["car", "car", "bus"])), [("bus".into(), 1), ("car".into(), 2)]);
        assert_eq!(counts.update(&seen(&["bus", "car", "car"])), []);
        assert_eq!(counts.update(&seen(&["car", "car"])), [("bus".into(), 0)]);
        assert_eq!(counts.update(&[]), [("car".into(), 0)]);
    }

    #[test]
    fn the_total_is_said_when_it_changes_and_as_zero_at_first() {
        let mut counts = Counts::default();
        assert_eq!(counts.total(&[]), Some(0));
        assert_eq!(counts.total(&[]), None);
        assert_eq!(counts.total(&seen(&["car", "bus"])), Some(2));
        assert_eq!(counts.total(&seen(&["car", "car"])), None);
    }

    #[test]
    fn labels_known_from_the_start_are_said_as_zero_once() {
        let mut counts = Counts::new(["person".into()]);
        assert_eq!(counts.update(&[]), [("person".into(), 0)]);
        assert_eq!(counts.update(&[]), []);
    }

    #[test]
    fn a_label_that_is_no_longer_wanted_goes_to_zero_and_a_new_one_is_known() {
        let mut counts = Counts::default();
        counts.update(&seen(&["car", "car", "bus"]));
        let wanted = HashSet::from(["bus".into(), "person".into()]);
        assert_eq!(counts.want(Some(&wanted)), [("car".into(), 0), ("person".into(), 0)]);
        assert_eq!(counts.want(Some(&wanted)), []);
        assert_eq!(counts.want(None), [], "what else is seen shows itself");
        assert_eq!(counts.update(&seen(&["bus", "car"])), [("car".into(), 1)]);
    }
}
