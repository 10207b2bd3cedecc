//! One camera's tracked objects, and what is to be said of them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::object::{Object, Sight};
use crate::domain::{BootId, Detection, Label, Name, Timestamp};

/// Pictures of one label, but for those of a new object, come so far apart at least.
const PICTURE: Duration = Duration::from_secs(1);

/// Something to publish.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// On `events`: `new`, `update` or `end`, JSON.
    Event(Vec<u8>),
    /// How many of a label, or of `all`, there are; `active`: those that do not stand still. Retained.
    Count { label: Label, active: bool, count: u32 },
    /// A picture of this label is wanted: one of it is new, or was never seen so well.
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
    /// Tracked objects are counted, as Frigate does it: one that is hidden for a moment is there. Where nothing is tracked, it
    /// is what each frame shows.
    tracked: bool,
    open: BTreeMap<u64, Object>,
    labels: BTreeMap<Label, Count>,
    all: (Label, Count),
    /// When a picture of a label was wanted last.
    pictured: BTreeMap<Label, Timestamp>,
}

/// All of them, and those that do not stand still.
#[derive(Default)]
struct Count {
    now: [u32; 2],
    said: [Option<u32>; 2],
}

impl Objects {
    /// The zeros of `labels` are said with the first frame.
    #[must_use]
    pub fn new(camera: Name, boot_id: BootId, tracked: bool, labels: impl IntoIterator<Item = Label>) -> Self {
        let labels = labels.into_iter().map(|label| (label, Count::default())).collect();
        let all = ("all".into(), Count::default());
        Self { camera, boot_id, tracked, open: BTreeMap::new(), labels, all, pictured: BTreeMap::new() }
    }

    /// A track was confirmed in this frame.
    pub fn started(&mut self, track: u64, first_seen: Timestamp, sight: Sight<'_>, said: &mut Vec<Said>) {
        let mut object = Object::new(self.id(track, first_seen), &self.camera, first_seen, sight);
        said.push(Said::Event(object.tell("new")));
        let label = sight.found.label.clone();
        self.pictured.insert(label.clone(), sight.at);
        said.push(Said::Snapshot(label));
        self.open.insert(track, object);
    }

    pub fn ended(&mut self, track: u64, last_seen: Timestamp, said: &mut Vec<Said>) {
        if let Some(object) = self.open.remove(&track) {
            said.push(Said::Event(object.end(Some(last_seen))));
        }
    }

    /// After the frame's starts and ends: what changed about the others, and the counts.
    pub fn update(&mut self, seen: Seen<'_>, said: &mut Vec<Said>) {
        for found in seen.found {
            let Some(object) = found.track_id.and_then(|track| self.open.get_mut(&track)) else { continue };
            // One that started in this frame was told of already.
            if object.is_seen(seen.at) {
                continue;
            }
            let news = object.see(Sight { found, at: seen.at, size: seen.size });
            if news.tell {
                said.push(Said::Event(object.tell("update")));
            }
            let rested = |last: &Timestamp| seen.at.since(*last) >= PICTURE;
            if news.better && self.pictured.get(&found.label).is_none_or(rested) {
                self.pictured.insert(found.label.clone(), seen.at);
                said.push(Said::Snapshot(found.label.clone()));
            }
        }
        self.count(seen.found, said);
    }

    /// Nothing is seen any more: the camera stopped or ended.
    pub fn clear(&mut self, said: &mut Vec<Said>) {
        said.extend(std::mem::take(&mut self.open).into_values().map(|object| Said::Event(object.end(None))));
        self.count(&[], said);
    }

    /// Only these labels are looked for from now on (None = all): the zeros of new ones are said with the next frame. Of the
    /// others nothing is there any more.
    pub fn want(&mut self, wanted: Option<&HashSet<Label>>, said: &mut Vec<Said>) {
        let Some(wanted) = wanted else { return };
        let open = std::mem::take(&mut self.open).into_iter();
        let (open, over): (_, BTreeMap<_, _>) = open.partition(|(_, object)| wanted.contains(object.label()));
        self.open = open;
        said.extend(over.into_values().map(|object| Said::Event(object.end(None))));
        self.labels.retain(|label, count| {
            let keep = wanted.contains(label);
            let ghosts = [false, true].into_iter().zip(count.said).filter(|(_, said)| !keep && *said != Some(0));
            said.extend(ghosts.map(|(active, _)| Said::Count { label: label.clone(), active, count: 0 }));
            keep
        });
        for label in wanted {
            self.labels.entry(label.clone()).or_default();
        }
    }

    fn count(&mut self, found: &[Detection], said: &mut Vec<Said>) {
        let Self { labels, all: (_, all), .. } = self;
        labels.values_mut().chain([&mut *all]).for_each(|count| count.now = [0; 2]);
        let mut add = |label: &Label, active| {
            // Not by `entry`: no allocation a frame.
            if !labels.contains_key(label) {
                labels.insert(label.clone(), Count::default());
            }
            for count in labels.get_mut(label).into_iter().chain([&mut *all]) {
                count.now[0] += 1;
                count.now[1] += u32::from(active);
            }
        };
        if self.tracked {
            for object in self.open.values() {
                add(object.label(), object.is_active());
            }
        } else {
            for detection in found {
                add(&detection.label, true);
            }
        }
        for (label, count) in self.labels.iter_mut().chain([(&self.all.0, &mut self.all.1)]) {
            for (at, active) in [false, true].into_iter().enumerate() {
                if count.said[at].replace(count.now[at]) != Some(count.now[at]) {
                    said.push(Said::Count { label: label.clone(), active, count: count.now[at] });
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

    fn objects(tracked: bool) -> Objects {
        Objects::new("door".parse().unwrap(), BootId::new(), tracked, ["person".into(), "car".into()])
    }

    fn sight(at: Timestamp, found: &Detection) -> Sight<'_> {
        Sight { found, at, size: (1000, 500) }
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
        let (mut objects, mut said) = (objects(true), Vec::new());
        let first = [person(7, [0.1, 0.2, 0.3, 0.6], 0.7)];
        objects.started(7, at(-0.2), sight(at(0.0), &first[0]), &mut said);
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
        assert_eq!((&new["before"]["snapshot"], &new["after"]["snapshot"]["area"]), (&Value::Null, &40_000.into()));
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
        let (mut objects, mut said) = (objects(true), Vec::new());
        let first = [person(1, [0.1, 0.1, 0.2, 0.2], 0.7)];
        objects.started(1, at(0.0), sight(at(0.0), &first[0]), &mut said);
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
        let (mut objects, mut said) = (objects(true), Vec::new());
        let parked = [person(1, [0.1, 0.1, 0.3, 0.3], 0.7)];
        objects.started(1, at(0.0), sight(at(0.0), &parked[0]), &mut said);
        objects.update(seen(at(0.0), &parked), &mut said);
        said.clear();
        objects.update(seen(at(10.0), &parked), &mut said);
        assert_eq!(events(&said)[0]["after"]["stationary"], true);
        assert_eq!(counts(&said), [("person".into(), true, 0), ("all".into(), true, 0)]);
        said.clear();
        objects.update(seen(at(10.2), &[person(1, [0.5, 0.5, 0.7, 0.7], 0.7)]), &mut said);
        assert_eq!((&events(&said)[0]["after"]["active"], events(&said).len()), (&true.into(), 1));
        assert_eq!(events(&said)[0]["after"]["position_changes"], 1);
        assert_eq!(counts(&said), [("person".into(), true, 1), ("all".into(), true, 1)]);
        said.clear();
        // It goes on: only leaving a place where it stood still is another change.
        objects.update(seen(at(10.4), &[person(1, [0.1, 0.5, 0.3, 0.7], 0.7)]), &mut said);
        assert!(events(&said).is_empty(), "{said:?}");
        objects.update(seen(at(71.0), &[person(1, [0.5, 0.1, 0.7, 0.3], 0.7)]), &mut said);
        assert_eq!(events(&said).len(), 1, "once a minute whatever happens");
    }

    #[test]
    fn zeros_are_said_at_the_beginning_and_when_the_camera_stops() {
        let (mut objects, mut said) = (objects(false), Vec::new());
        objects.clear(&mut said);
        let zero = |label: &str| [(label.to_owned(), false, 0), (label.to_owned(), true, 0)];
        assert_eq!(counts(&said), [zero("car"), zero("person"), zero("all")].concat());
        said.clear();
        let dog = Detection { label: "dog".into(), track_id: None, ..person(1, [0.1, 0.1, 0.2, 0.2], 0.7) };
        objects.update(seen(at(0.0), &[dog]), &mut said);
        let one = |label: &str| [(label.to_owned(), false, 1), (label.to_owned(), true, 1)];
        assert_eq!(counts(&said), [one("dog"), one("all")].concat());
        said.clear();
        objects.clear(&mut said);
        assert_eq!(counts(&said), [zero("dog"), zero("all")].concat());
    }

    #[test]
    fn labels_that_are_looked_for_no_more_end_and_count_zero_at_once_and_never_again() {
        let (mut objects, mut said) = (objects(true), Vec::new());
        let both = [person(1, [0.1, 0.1, 0.2, 0.2], 0.7), person(2, [0.5, 0.1, 0.6, 0.2], 0.7)];
        let both = [both[0].clone(), Detection { label: "car".into(), ..both[1].clone() }];
        for found in &both {
            objects.started(found.track_id.unwrap(), at(0.0), sight(at(0.0), found), &mut said);
        }
        objects.update(seen(at(0.0), &both), &mut said);
        said.clear();
        objects.want(None, &mut said);
        assert_eq!(said, []);
        objects.want(Some(&["person".into(), "cat".into()].into()), &mut said);
        assert_eq!((&events(&said)[0]["type"], &events(&said)[0]["after"]["label"]), (&"end".into(), &"car".into()));
        assert_eq!(counts(&said), [("car".into(), false, 0), ("car".into(), true, 0)]);
        said.clear();
        objects.update(seen(at(0.1), &both[..1]), &mut said);
        objects.ended(2, at(0.0), &mut said);
        let now = |label: &str, count| [(label.to_owned(), false, count), (label.to_owned(), true, count)];
        assert_eq!((counts(&said), events(&said).len()), ([now("cat", 0), now("all", 1)].concat(), 0));
    }

    #[test]
    fn a_tracked_object_counts_until_it_ends_and_none_stays_open_when_the_camera_stops() {
        let (mut objects, mut said) = (objects(true), Vec::new());
        let both = [person(1, [0.1, 0.1, 0.2, 0.2], 0.7), person(2, [0.5, 0.1, 0.6, 0.2], 0.7)];
        for found in &both {
            objects.started(found.track_id.unwrap(), at(0.0), sight(at(0.0), found), &mut said);
        }
        objects.update(seen(at(0.0), &both), &mut said);
        assert!(counts(&said).contains(&("person".into(), false, 2)), "{said:?}");
        said.clear();
        objects.update(seen(at(0.1), &[]), &mut said);
        assert_eq!(said, [], "hidden for a moment");
        objects.ended(1, at(0.0), &mut said);
        objects.update(seen(at(2.0), &[]), &mut said);
        assert!(counts(&said).contains(&("all".into(), false, 1)), "{said:?}");
        said.clear();
        objects.clear(&mut said);
        assert_eq!((&events(&said)[0]["type"], counts(&said).len()), (&"end".into(), 4));
    }

    #[test]
    fn a_picture_is_wanted_of_what_is_new_and_of_what_was_never_seen_so_well_once_a_second() {
        let (mut objects, mut said) = (objects(true), Vec::new());
        let far = person(1, [0.1, 0.1, 0.2, 0.2], 0.5);
        objects.started(1, at(0.0), sight(at(0.0), &far), &mut said);
        let pictures = |said: &[Said]| said.iter().filter(|said| matches!(said, Said::Snapshot(_))).count();
        assert_eq!(pictures(&said), 1);
        for (tenths, score, wanted) in [(5, 0.6, 1), (12, 0.61, 1), (13, 0.7, 2), (14, 0.8, 2), (30, 0.8, 2)] {
            let found = [Detection { score, ..far.clone() }];
            objects.update(seen(at(f64::from(tenths) / 10.0), &found), &mut said);
            assert_eq!(pictures(&said), wanted, "at {tenths}");
        }
    }
}
