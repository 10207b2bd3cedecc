//! The tracker on the synthetic scene's true boxes: who is who is known.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sightwire::domain::{BBox, Detection, Timestamp};
use sightwire::source::synthetic::{Scene, SceneParams};
use sightwire::tracker::{TrackEventKind, Tracker, TrackerConfig};

struct Outcome {
    /// Objects that could be seen in at least three frames in a row.
    objects: usize,
    /// Tracks that started.
    started: usize,
    /// Times that an object went on under another id than before.
    switches: usize,
    /// Of the detections the part with a track id.
    tracked: f64,
}

/// A minute of the scene, of which every `step`-th frame is seen, with boxes that shake by up to `shake` of their size
/// and of which one in `drop` is missed (0 = none).
fn follow(fps: f64, step: u64, shake: f32, drop: u64) -> Outcome {
    let scene = Scene::new(SceneParams { width: 64, height: 48, fps, seed: 9, ..SceneParams::default() });
    let mut tracker = Tracker::new(TrackerConfig::for_confidence(0.4));
    let mut events = Vec::new();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut rows: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let (mut switches, mut tracked, mut all) = (0, 0usize, 0usize);
    let mut chance = 1u64;
    let mut next = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chance >> 33
    };
    let frames = (60.0 * fps) as u64;
    for index in (0..frames).step_by(step as usize) {
        let mut objects = Vec::new();
        let mut detections = Vec::new();
        for truth in scene.truth(index) {
            let row = rows.entry(truth.object).or_insert((index, 0));
            *row = if row.0 + step >= index { (index, row.1 + 1) } else { (index, row.1.min(3)) };
            if drop > 0 && next() % drop == 0 {
                continue;
            }
            let mut wobble = || ((next() % 2001) as f32 / 1000.0 - 1.0) * shake;
            let b = truth.bbox;
            let (w, h) = (b.width(), b.height());
            objects.push(truth.object);
            detections.push(Detection {
                label: truth.label.into(),
                score: 0.8 + wobble(),
                bbox: BBox::clamped(
                    b.x_min + w * wobble(),
                    b.y_min + h * wobble(),
                    b.x_max + w * wobble(),
                    b.y_max + h * wobble(),
                ),
                class_id: truth.class_id,
                track_id: Some(999),
            });
        }
        let at = Timestamp::UNIX_EPOCH.plus(Duration::from_secs_f64(index as f64 / fps));
        tracker.update(&mut detections, at, &mut events);
        let ids: Vec<u64> = detections.iter().filter_map(|d| d.track_id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id is in a frame once");
        all += detections.len();
        tracked += ids.len();
        for (object, detection) in objects.iter().zip(&detections) {
            if let Some(id) = detection.track_id
                && last.insert(*object, id).is_some_and(|before| before != id)
            {
                switches += 1;
            }
        }
    }
    tracker.finish(Timestamp::UNIX_EPOCH.plus(Duration::from_mins(1)), &mut events);

    let of = |kind| events.iter().filter(|e| e.kind == kind).map(|e| e.track_id).collect::<Vec<_>>();
    let (started, mut ended) = (of(TrackEventKind::Started), of(TrackEventKind::Ended));
    assert!(started.iter().copied().eq(1..=started.len() as u64), "ids count from 1: {started:?}");
    ended.sort_unstable();
    assert_eq!(started, ended, "every track that starts ends, once");
    for event in &events {
        assert!(event.first_seen <= event.last_seen && event.score > 0.4);
    }
    let objects = rows.values().filter(|(_, frames)| *frames >= 3).count();
    Outcome { objects, started: started.len(), switches, tracked: tracked as f64 / all as f64 }
}

#[test]
fn every_object_of_the_scene_has_one_track() {
    let outcome = follow(15.0, 1, 0.0, 0);
    assert!(outcome.objects > 20);
    assert_eq!(outcome.switches, 0);
    assert!(outcome.started.abs_diff(outcome.objects) <= 1, "{} of {}", outcome.started, outcome.objects);
    assert!(outcome.tracked > 0.97, "{}", outcome.tracked);
}

#[test]
fn shaking_boxes_and_missed_detections_cost_few_switches() {
    let outcome = follow(15.0, 1, 0.06, 10);
    assert!(outcome.switches <= 2, "{}", outcome.switches);
    assert!(outcome.started <= outcome.objects + 3, "{} of {}", outcome.started, outcome.objects);
    assert!(outcome.tracked > 0.95, "{}", outcome.tracked);
}

#[test]
fn five_frames_a_second_of_thirty_are_enough() {
    let outcome = follow(30.0, 6, 0.03, 0);
    assert!(outcome.switches <= 2, "{}", outcome.switches);
    assert!(outcome.started <= outcome.objects + 3, "{} of {}", outcome.started, outcome.objects);
    assert!(outcome.tracked > 0.9, "{}", outcome.tracked);
}
