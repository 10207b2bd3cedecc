//! One camera's tracked objects, and what is to be said of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::object::{Object, Sight};
use crate::domain::{BootId, Detection, Label, Name, Timestamp};

/// Something to publish.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// On `events`: `new`, `update` or `end`, JSON.
    Event(Vec<u8>),
    /// How many of a label, or of `all`, are seen; `active`: those that do not stand still. Retained.
    Count { label: Label, active: bool, count: u32 },
    /// A picture of this label is wanted: one of it is seen for the first time.
    Snapshot(Label),
}

/// A frame in which detections were found, those with a `track_id` among them.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub at: Timestamp,
    /// Pixels.
    pub size: (u32, u32),
    pub found: &'a [Detection],
}

pub struct Objects {
    camera: Name,
    boot_id: BootId,
    open: BTreeMap<u64, Object>,
    labels: BTreeMap<Label, [Option<u32>; 2]>,
    all: Label,
}

impl Objects {
    /// The zeros of `labels` are said with the first frame.
    #[must_use]
    pub fn new(camera: Name, boot_id: BootId, labels: impl IntoIterator<Item = Label>) -> Self {
        let all: Label = "all".into();
        let labels = labels.into_iter().chain([all.clone()]).map(|label| (label, [None; 2])).collect();
        Self { camera, boot_id, open: BTreeMap::new(), labels, all }
    }

    /// A track was confirmed in the frame at hand.
    pub fn started(&mut self, track: u64, first_seen: Timestamp, seen: Seen<'_>, said: &mut Vec<Said>) {
        let Some(found) = seen.found.iter().find(|found| found.track_id == Some(track)) else { return };
        let sight = Sight { found, at: seen.at, size: seen.size };
        let mut object = Object::new(self.id(track, first_seen), &self.camera, first_seen, sight);
        said.push(Said::Event(object.tell("new")));
        said.push(Said::Snapshot(found.label.clone()));
        self.open.insert(track, object);
    }

    pub fn ended(&mut self, track: u64, last_seen: Timestamp, said: &mut Vec<Said>) {
        if let Some(object) = self.open.remove(&track) {
            said.push(Said::Event(object.end(last_seen)));
        }
    }

    /// After the frame's starts and ends: what changed about the others, and the counts.
    pub fn update(&mut self, seen: Seen<'_>, said: &mut Vec<Said>) {
        for found in seen.found {
            let Some(object) = found.track_id.and_then(|track| self.open.get_mut(&track)) else { continue };
            // One that started in this frame was told of already.
            if !object.is_seen(seen.at) && object.see(Sight { found, at: seen.at, size: seen.size }) {
                said.push(Said::Event(object.tell("update")));
            }
        }
        self.count(seen.found, said);
    }

    /// Nothing is seen any more: the camera stopped or ended.
    pub fn clear(&mut self, said: &mut Vec<Said>) {
        self.count(&[], said);
    }

    fn count(&mut self, found: &[Detection], said: &mut Vec<Said>) {
        let mut counts: BTreeMap<Label, [u32; 2]> = self.labels.keys().map(|label| (label.clone(), [0; 2])).collect();
        for detection in found {
            // Without a track nobody knows whether it stands still.
            let active = detection.track_id.and_then(|track| self.open.get(&track)).is_none_or(Object::is_active);
            for label in [&detection.label, &self.all] {
                let [all, moving] = counts.entry(label.clone()).or_default();
                *all += 1;
                *moving += u32::from(active);
            }
        }
        for (label, now) in counts {
            let before = self.labels.entry(label.clone()).or_default();
            for (active, (before, count)) in [false, true].into_iter().zip(before.iter_mut().zip(now)) {
                if *before != Some(count) {
                    *before = Some(count);
                    said.push(Said::Count { label: label.clone(), active, count });
                }
            }
        }
    }

    /// `1763683200.123456-a1b2c3`: Frigate's form; the tail is of this boot and track.
    fn id(&self, track: u64, first_seen: Timestamp) -> String {
        let mut hasher = DefaultHasher::new();
        (self.camera.as_str(), self.boot_id.as_str(), track).hash(&mut hasher);
        let mut rest = hasher.finish();
        let mut tail = String::new();
        for _ in 0..6 {
            tail.extend(char::from_digit(u32::try_from(rest % 36).unwrap_or_default(), 36));
            rest /= 36;
        }
        format!("{:.6}-{tail}", first_seen.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::BBox;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_secs_f64(1_763_683_200.0 + seconds)
    }

    fn person(track: u64, bbox: [f32; 4], score: f32) -> Detection {
        Detection { label: "person".into(), score, bbox: BBox::from(bbox), class_id: 0, track_id: Some(track) }
    }

    fn objects() -> Objects {
        Objects::new("door".parse().unwrap(), BootId::new(), ["person".into(), "car".into()])
    }

    fn seen(at: Timestamp, found: &[Detection]) -> Seen<'_> {
        Seen { at, size: (1000, 500), found }
    }

    fn events(said: &[Said]) -> Vec<Value> {
        let event = |said: &Said| match said {
            Said::Event(json) => Some(serde_json::from_slice(json).unwrap()),
            _ => None,
        };
        said.iter().filter_map(event).collect()
    }

    fn counts(said: &[Said]) -> Vec<(String, bool, u32)> {
        let count = |said: &Said| match said {
            Said::Count { label, active, count } => Some((label.to_string(), *active, *count)),
            _ => None,
        };
        said.iter().filter_map(count).collect()
    }

    #[test]
    fn an_object_is_new_then_updated_and_ends_under_one_id_in_pixels() {
        let (mut objects, mut said) = (objects(), Vec::new());
        let first = [person(7, [0.1, 0.2, 0.3, 0.6], 0.7)];
        objects.started(7, at(-0.2), seen(at(0.0), &first), &mut said);
        objects.update(seen(at(0.0), &first), &mut said);
        let nearer = [person(7, [0.4, 0.2, 0.8, 0.9], 0.9)];
        objects.update(seen(at(6.0), &nearer), &mut said);
        objects.ended(7, at(6.0), &mut said);
        let told = events(&said);
        let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["new", "update", "end"]);
        let (new, update, end) = (&told[0], &told[1], &told[2]);
        assert_eq!(new["after"]["box"], serde_json::json!([100, 100, 300, 300]));
        assert_eq!((&new["after"]["area"], &new["after"]["ratio"]), (&40_000.into(), &1.0.into()));
        assert_eq!((&new["before"]["false_positive"], &new["after"]["false_positive"]), (&true.into(), &false.into()));
        assert_eq!(new["after"]["start_time"], at(-0.2).as_secs_f64());
        assert!(new["after"]["id"].as_str().unwrap().starts_with("1763683199.800000-"), "{new}");
        assert_eq!(update["before"], new["after"], "what was told before");
        assert_eq!(update["after"]["snapshot"]["box"], serde_json::json!([400, 100, 800, 450]));
        assert_eq!(update["after"]["position_changes"], 1);
        assert_eq!(
            (&end["after"]["end_time"], &end["before"]["end_time"]),
            (&at(6.0).as_secs_f64().into(), &Value::Null)
        );
        let ids: Vec<_> = told.iter().map(|event| &event["after"]["id"]).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert!(said.contains(&Said::Snapshot("person".into())));
    }

    #[test]
    fn updates_come_five_seconds_apart_and_only_with_a_better_picture() {
        let (mut objects, mut said) = (objects(), Vec::new());
        let first = [person(1, [0.1, 0.1, 0.2, 0.2], 0.7)];
        objects.started(1, at(0.0), seen(at(0.0), &first), &mut said);
        for (tenths, score) in [(10, 0.9), (20, 0.95), (49, 0.99)] {
            objects.update(seen(at(f64::from(tenths) / 10.0), &[person(1, [0.1, 0.1, 0.2, 0.2], score)]), &mut said);
        }
        assert_eq!(events(&said).len(), 1, "too soon");
        objects.update(seen(at(5.0), &[person(1, [0.1, 0.1, 0.2, 0.2], 0.5)]), &mut said);
        assert_eq!(events(&said).len(), 2, "the best picture of the meantime is told of");
        assert_eq!(events(&said)[1]["after"]["top_score"].as_f64().unwrap().to_string()[..4], *"0.99");
        objects.update(seen(at(9.9), &[person(1, [0.1, 0.1, 0.2, 0.2], 0.5)]), &mut said);
        assert_eq!(events(&said).len(), 2);
    }

    #[test]
    fn what_stands_still_for_ten_seconds_is_stationary_until_it_moves() {
        let (mut objects, mut said) = (objects(), Vec::new());
        let parked = [person(1, [0.1, 0.1, 0.3, 0.3], 0.7)];
        objects.started(1, at(0.0), seen(at(0.0), &parked), &mut said);
        objects.update(seen(at(0.0), &parked), &mut said);
        said.clear();
        objects.update(seen(at(10.0), &parked), &mut said);
        assert_eq!(events(&said)[0]["after"]["stationary"], true);
        assert_eq!(counts(&said), [("all".into(), true, 0), ("person".into(), true, 0)]);
        said.clear();
        objects.update(seen(at(10.2), &[person(1, [0.5, 0.5, 0.7, 0.7], 0.7)]), &mut said);
        assert_eq!(events(&said)[0]["after"]["active"], true);
        assert_eq!(counts(&said), [("all".into(), true, 1), ("person".into(), true, 1)]);
    }

    #[test]
    fn zeros_are_said_at_the_beginning_and_when_the_camera_stops() {
        let (mut objects, mut said) = (objects(), Vec::new());
        objects.clear(&mut said);
        let zero = |label: &str| [(label.to_owned(), false, 0), (label.to_owned(), true, 0)];
        assert_eq!(counts(&said), [zero("all"), zero("car"), zero("person")].concat());
        said.clear();
        let dog = Detection { label: "dog".into(), track_id: None, ..person(1, [0.1, 0.1, 0.2, 0.2], 0.7) };
        objects.update(seen(at(0.0), &[dog]), &mut said);
        let one = |label: &str| [(label.to_owned(), false, 1), (label.to_owned(), true, 1)];
        assert_eq!(counts(&said), [one("all"), one("dog")].concat());
        said.clear();
        objects.clear(&mut said);
        assert_eq!(counts(&said), [zero("all"), zero("dog")].concat());
    }
}
