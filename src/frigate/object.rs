//! One tracked object, from `new` to `end`.

use std::time::Duration;

use super::payload::{Change, Empty, Snapshot, View, area, pixels, ratio};
use crate::domain::{BBox, Detection, Label, Name, Timestamp};

/// Updates for a better picture come so far apart at least, as Frigate's do.
const UPDATE: Duration = Duration::from_secs(5);
/// And one comes after so long, whatever happened.
const REFRESH: Duration = Duration::from_mins(1);
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

/// An object in a frame.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    pub found: &'a Detection,
    pub at: Timestamp,
    /// The frame's, in pixels.
    pub size: (u32, u32),
}

/// What a frame changed about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// There is something to be told.
    pub tell: bool,
    /// No frame before showed it so well.
    pub better: bool,
}

impl Object {
    /// Just confirmed; `first_seen` may be earlier than now.
    pub(super) fn new(id: String, camera: &Name, first_seen: Timestamp, sight: Sight<'_>) -> Self {
        let Sight { found, at, size } = sight;
        let bbox = pixels(&found.bbox, size);
        let now = View {
            id,
            camera: camera.clone(),
            frame_time: at,
            snapshot: Some(picture(sight)),
            label: found.label.clone(),
            sub_label: None,
            top_score: found.score,
            false_positive: false,
            start_time: first_seen,
            end_time: None,
            score: found.score,
            bbox,
            area: area(bbox),
            ratio: ratio(bbox),
            region: whole(size),
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
            max_severity: None,
            current_estimated_speed: 0.0,
            average_estimated_speed: 0.0,
            velocity_angle: 0.0,
            path_data: [],
            thumbnail: None,
        };
        // Before it was confirmed it might have been nothing: so Frigate tells it, too.
        let said = View { false_positive: true, frame_time: first_seen, snapshot: None, top_score: 0.0, ..now.clone() };
        Self { now, said, said_at: at, place: found.bbox, since: at }
    }

    pub(super) fn see(&mut self, sight: Sight<'_>) -> News {
        let Sight { found, at, size } = sight;
        let bbox = pixels(&found.bbox, size);
        let now = &mut self.now;
        (now.frame_time, now.score, now.bbox, now.area, now.ratio) = (at, found.score, bbox, area(bbox), ratio(bbox));
        now.region = whole(size);
        now.top_score = now.top_score.max(found.score);
        let better = now.snapshot.as_ref().is_none_or(|best| is_better(best, now.area, found.score));
        if better {
            now.snapshot = Some(picture(sight));
        }
        self.move_to(found.bbox, at);
        let (now, said) = (&self.now, &self.said);
        let waited = at.since(self.said_at);
        let tell = (now.snapshot != said.snapshot && waited >= UPDATE)
            || now.stationary != said.stationary
            || now.position_changes != said.position_changes
            || waited >= REFRESH;
        News { tell, better }
    }

    fn move_to(&mut self, place: BBox, at: Timestamp) {
        let now = &mut self.now;
        if self.place.iou(&place) >= SAME_PLACE {
            now.motionless_count += 1;
        } else {
            (self.place, self.since) = (place, at);
            now.motionless_count = 0;
            now.position_changes += u64::from(now.position_changes == 0 || now.stationary);
        }
        now.stationary = at.since(self.since) >= STATIONARY;
        now.active = !now.stationary;
    }

    pub(super) fn label(&self) -> &Label {
        &self.now.label
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

    /// `last_seen`: None where nobody knows better than the last frame.
    pub(super) fn end(mut self, last_seen: Option<Timestamp>) -> Vec<u8> {
        self.now.end_time = Some(last_seen.unwrap_or(self.now.frame_time));
        encode("end", &self.said, &self.now)
    }
}

fn picture(Sight { found, at, size }: Sight<'_>) -> Snapshot {
    let bbox = pixels(&found.bbox, size);
    Snapshot { frame_time: at, bbox, area: area(bbox), region: whole(size), score: found.score, attributes: [] }
}

fn whole((width, height): (u32, u32)) -> [u32; 4] {
    [0, 0, width, height]
}

#[expect(clippy::cast_precision_loss, reason = "pixels of a frame")]
fn is_better(best: &Snapshot, area: u64, score: f32) -> bool {
    area as f64 > best.area as f64 * BETTER_AREA || score > best.score + BETTER_SCORE
}

fn encode(kind: &'static str, before: &View, after: &View) -> Vec<u8> {
    // Numbers, texts and lists only: there is nothing that could fail.
    serde_json::to_vec(&Change { kind, before, after }).unwrap_or_default()
}
