//! Real clips: nobody wrote down who is who, but two trackers with the same settings should count about as many.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use sightwire::domain::{BBox, Detection, Timestamp};
use sightwire::tracker::{Tracker, TrackerConfig};

#[derive(Deserialize)]
struct Clip {
    fps: f64,
    /// By frame and detection: class, score and corners, in ten-thousandths.
    frames: Vec<Vec<[u32; 6]>>,
    ids: Ids,
}

/// The other tracker's, where every frame is seen, and every third.
#[derive(Deserialize)]
struct Ids {
    #[serde(rename = "1")]
    every: Vec<Vec<u64>>,
    #[serde(rename = "3")]
    every_third: Vec<Vec<u64>>,
}

fn detection(row: &[u32; 6]) -> Detection {
    let part = |n: u32| n as f32 / 1e4;
    let [class_id, score, x0, y0, x1, y1] = *row;
    let bbox = BBox::from([x0, y0, x1, y1].map(part));
    Detection { label: class_id.to_string().into(), score: part(score), bbox, class_id, track_id: None }
}

/// How many identities there are, and how many boxes have one.
fn counted(ids: impl IntoIterator<Item = u64>) -> (usize, usize) {
    let ids: Vec<u64> = ids.into_iter().filter(|&id| id > 0).collect();
    (ids.iter().collect::<BTreeSet<_>>().len(), ids.len())
}

/// Of every `step`-th frame.
fn ours(clip: &Clip, step: usize) -> (usize, usize) {
    let (mut tracker, mut events) = (Tracker::new(TrackerConfig::for_confidence(0.4)), Vec::new());
    let mut ids = Vec::new();
    for (index, frame) in clip.frames.iter().enumerate().step_by(step) {
        let mut found: Vec<Detection> = frame.iter().map(detection).collect();
        let at = Timestamp::UNIX_EPOCH.plus(Duration::from_secs_f64(index as f64 / clip.fps));
        tracker.update(&mut found, at, &mut events);
        ids.extend(found.iter().filter_map(|d| d.track_id));
    }
    counted(ids)
}

fn clips() -> [(&'static str, Clip); 3] {
    let street = include_str!("../golden/tracking_street.json");
    let cars = include_str!("../golden/tracking_cars.json");
    let faces = include_str!("../golden/tracking_faces.json");
    [("street", street), ("cars", cars), ("faces", faces)]
        .map(|(name, text)| (name, serde_json::from_str(text).unwrap()))
}

#[test]
fn as_many_identities_as_the_other_bytetrack_within_five_percent() {
    for (name, clip) in clips() {
        let (ours, theirs) = (ours(&clip, 1), counted(clip.ids.every.iter().flatten().copied()));
        println!("{name}: {ours:?} identities and boxes, {theirs:?} of supervision");
        assert!(theirs.0 >= 5, "{name}: too few to compare");
        assert!(
            ours.0.abs_diff(theirs.0) * 20 <= theirs.0,
            "{name}: {} identities, {} of supervision",
            ours.0,
            theirs.0
        );
    }
}

#[test]
fn with_two_frames_of_three_skipped_no_track_is_shorter_than_the_other_bytetracks() {
    for (name, clip) in clips() {
        let (ours, theirs) = (ours(&clip, 3), counted(clip.ids.every_third.iter().flatten().copied()));
        println!("{name}, every third: {ours:?} identities and boxes, {theirs:?} of supervision");
        // The other knows no time, loses what moves far between two frames, and leaves it without an identity; so identities
        // alone say little. Boxes for each identity say how long it holds.
        assert!(ours.1 * theirs.0 >= theirs.1 * ours.0, "{name}: {ours:?}, {theirs:?} of supervision");
    }
}
