//! One tracked object, from `new` to `end`.

use std::time::Duration;

use super::payload::{Change, Empty, Snapshot, View, area, pixels, ratio};
use crate::domain::{BBox, Detection, Name, Timestamp};

/// Updates of one object come so far apart at least, as Frigate's do.
const UPDATE: Duration = Duration::from_secs(5);
/// An object that stays so long where it is stands still.
const STATIONARY: Duration = Duration::from_secs(10);
/// Overlap with where it was from which on it has not moved.
const SAME_PLACE: f32 = 0.75;
/// A picture is better when the object is so much larger, or so much surer, in it.
const BETTER_AREA: f64 = 1.1;
const BETTER_SCORE: f32 = 0.05;

pub(super) struct Object {
    now: View,
    /// As it was told of last.
    said: View,
    said_at: Timestamp,
    /// Where it was found to stand, and since when.
    place: BBox,
    since: Timestamp,
}

/// Frame and moment in which it is found.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub found: &'a Detection,
    pub at: Timestamp,
    pub size: (u32, u32),
}

impl Object {
    /// Just confirmed; `first_seen` may be earlier than now.
    pub(super) fn new(id: String, camera: &Name, first_seen: Timestamp, sight: Sight<'_>) -> Self {
        let Sight { found, at, size } = sight;
        let bbox = pixels(&found.bbox, size);
        let region = [0, 0, size.0, size.1];
        let snapshot = Snapshot { frame_time: at, bbox, area: area(bbox), region, score: found.score, attributes: [] };
        let now = View {
            id,
            camera: camera.clone(),
            frame_time: at,
            snapshot,
            label: found.label.to_string(),
            sub_label: None,
            top_score: found.score,
            false_positive: false,
            start_time: first_seen,
            end_time: None,
            score: found.score,
            bbox,
            area: area(bbox),
            ratio: ratio(bbox),
            region,
            active: true,
            stationary: false,
            motionless_count: 0,
            position_changes: 0,
            current_zones: [],
            entered_zones: [],
            attributes: Empty {},
            current_attributes: [],
            has_clip: false,
            has_snapshot: false,
            pending_loitering: false,
            thumbnail: None,
        };
        // Before it was confirmed it might have been nothing: so Frigate tells it, too.
        let said = View { false_positive: true, frame_time: first_seen, ..now.clone() };
        Self { now, said, said_at: at, place: found.bbox, since: at }
    }

    /// Whether there is news to be told.
    pub(super) fn see(&mut self, sight: Sight<'_>) -> bool {
        let Sight { found, at, size } = sight;
        let bbox = pixels(&found.bbox, size);
        let now = &mut self.now;
        (now.frame_time, now.score, now.bbox, now.area, now.ratio) = (at, found.score, bbox, area(bbox), ratio(bbox));
        now.region = [0, 0, size.0, size.1];
        now.top_score = now.top_score.max(found.score);
        if better(&now.snapshot, now.area, found.score) {
            now.snapshot = Snapshot {
                frame_time: at,
                bbox,
                area: now.area,
                region: now.region,
                score: found.score,
                attributes: [],
            };
        }
        if self.place.iou(&found.bbox) >= SAME_PLACE {
            now.motionless_count += 1;
        } else {
            (self.place, self.since) = (found.bbox, at);
            now.motionless_count = 0;
            now.position_changes += 1;
        }
        now.stationary = at.since(self.since) >= STATIONARY;
        now.active = !now.stationary;
        let picture = now.snapshot != self.said.snapshot && at.since(self.said_at) >= UPDATE;
        picture || now.stationary != self.said.stationary
    }

    pub(super) fn is_active(&self) -> bool {
        self.now.active
    }

    /// In the frame of this moment.
    pub(super) fn is_seen(&self, at: Timestamp) -> bool {
        self.now.frame_time == at
    }

    /// `new` or `update`, JSON.
    pub(super) fn tell(&mut self, kind: &'static str) -> Vec<u8> {
        let told = encode(kind, &self.said, &self.now);
        (self.said, self.said_at) = (self.now.clone(), self.now.frame_time);
        told
    }

    pub(super) fn end(mut self, last_seen: Timestamp) -> Vec<u8> {
        self.now.end_time = Some(last_seen);
        self.now.active = false;
        encode("end", &self.said, &self.now)
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels of a frame")]
fn better(best: &Snapshot, area: u64, score: f32) -> bool {
    area as f64 > best.area as f64 * BETTER_AREA || score > best.score + BETTER_SCORE
}

fn encode(kind: &'static str, before: &View, after: &View) -> Vec<u8> {
    // Numbers, texts and lists only: there is nothing that could fail.
    serde_json::to_vec(&Change { kind, before, after }).unwrap_or_default()
}
