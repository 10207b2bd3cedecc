//! Follows objects from frame to frame: `ByteTrack` (arXiv 2110.06864), pure, with time as an argument.
//!
//! In every frame each track's motion says where it should be. Sure detections are matched with all tracks first, unsure
//! ones then with those still in sight, so that an object half hidden keeps its track; what is left of the sure ones
//! begins new tracks. A track is confirmed, gets its id and is announced when it is found a second time in a row.
//!
//! What differs from the paper's code, and why:
//! - Time is time, not frames: a nominal frame is 1/30 s, motion is foreseen over the time that really went by, and
//!   patience is a duration. Frames that were skipped bend nothing. Nothing is foreseen over more than
//!   [`TrackerConfig::patience`], so that a slideshow's standing objects stay where they were.
//! - Pairs are gated by overlap alone, as the paper says, and ranked by overlap times score. The paper's code gates by the
//!   product too, which would hardly ever confirm what a model scores at 0.45.
//! - No exception for the first frame: there, too, an object is confirmed when it is found again.
//! - A track meets detections of its own class only.

mod assign;
mod kalman;
mod track;

use std::time::Duration;

use assign::Assigner;
use track::Track;

use crate::domain::{BBox, Detection, Label, Timestamp};

/// Nominal frames a second: what the noise of the motion is given for, and `ByteTrack`'s own rate.
const NOMINAL_RATE: f64 = 30.0;
/// However slow the frames come, a track ends only after it was missed in so many.
const LEAST_MISSES: u32 = 2;
/// Least overlap of a pair: a sure detection with a track (the paper's 0.2), an unsure one, any with a track not yet
/// confirmed (the paper's code: 0.5 and 0.3).
const OVERLAP_SURE: f32 = 0.2;
const OVERLAP_UNSURE: f32 = 0.5;
const OVERLAP_UNCONFIRMED: f32 = 0.3;
/// Two tracks that overlap more than this are one object.
const OVERLAP_SAME: f32 = 0.85;

/// What may begin and keep a track. Scores are 0…1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerConfig {
    /// From here a detection is sure.
    pub high: f32,
    /// From here up to `high` it is unsure: it keeps a track, but begins none. Below it is ignored.
    pub low: f32,
    /// A sure detection from here begins a track when it belongs to none.
    pub start: f32,
    /// So long a track is kept without being found.
    pub patience: Duration,
}

impl Default for TrackerConfig {
    /// The paper's: 0.6, 0.1, `high` + 0.1 and 30 frames of 1/30 s.
    fn default() -> Self {
        Self { high: 0.6, low: 0.1, start: 0.7, patience: Duration::from_secs(1) }
    }
}

impl TrackerConfig {
    /// For a model whose detections count from `confidence` on: whatever may be published may begin a track, and one
    /// chance find begins none since a track must be found twice.
    ///
    /// The paper's fixed 0.6 and 0.7 would leave an object that a model steadily scores 0.45, above its threshold of
    /// 0.4, without a track for ever. Unsure detections come into play when the detector is asked for those from `low`
    /// on; of them publish what got a `track_id`.
    #[must_use]
    pub fn for_confidence(confidence: f32) -> Self {
        let usual = Self::default();
        Self { high: confidence, low: usual.low.min(confidence), start: confidence, ..usual }
    }
}

/// What became of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackEventKind {
    /// Confirmed.
    Started,
    /// Not found for too long, or the camera ended.
    Ended,
}

/// The beginning or the end of a track; every track that starts ends, once.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackEvent {
    pub kind: TrackEventKind,
    pub track_id: u64,
    pub label: Label,
    /// Of the detection at hand when it starts, the best there was when it ends.
    pub score: f32,
    /// The last box in which it was found, and the first.
    pub bbox: BBox,
    pub first_bbox: BBox,
    /// Found for the first time, before it was confirmed.
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// From the first to the last sight, summed frame by frame: a clock that is set back shortens nothing.
    pub duration: Duration,
}

/// Follows the objects of one camera, for as long as the process lives: ids count from 1 and are never used again.
#[derive(Debug, Clone)]
pub struct Tracker {
    config: TrackerConfig,
    tracks: Vec<Track>,
    last_id: u64,
    last_update: Option<Timestamp>,
    scratch: Scratch,
}

/// Lists that are kept from frame to frame: nothing is allocated while nothing new is seen.
#[derive(Debug, Clone, Default)]
struct Scratch {
    /// The place in `tracks` of each detection's owner.
    owners: Vec<Option<usize>>,
    tracks: Vec<usize>,
    finds: Vec<usize>,
    assigner: Assigner,
}

impl Tracker {
    #[must_use]
    pub fn new(config: TrackerConfig) -> Self {
        Self { config, tracks: Vec::new(), last_id: 0, last_update: None, scratch: Scratch::default() }
    }

    /// The id that was given last; 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Goes on after the ids of another tracker of the same camera.
    #[must_use]
    pub fn after(self, last_id: u64) -> Self {
        Self { last_id, ..self }
    }

    /// Other scores begin and keep a track from now on; the tracks at hand stay.
    pub fn configure(&mut self, config: TrackerConfig) {
        self.config = config;
    }

    /// Takes in the detections of the frame captured `at`: sets `track_id` where the track is confirmed, clears it
    /// elsewhere, and adds to `events`. Time that stands still or goes back counts as no time.
    pub fn update(&mut self, detections: &mut [Detection], at: Timestamp, events: &mut Vec<TrackEvent>) {
        self.predict(at);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.owners.clear();
        scratch.owners.resize(detections.len(), None);
        self.associate(detections, &mut scratch);
        let mut owners = std::mem::take(&mut scratch.owners);
        self.settle(detections, &owners, at, events);
        self.merge(&mut owners, detections, at, events);
        for (detection, owner) in detections.iter_mut().zip(&owners) {
            detection.track_id = owner.and_then(|track: usize| self.tracks[track].id);
        }
        self.forget(events);
        self.begin(detections, &owners, at);
        self.scratch = Scratch { owners, ..scratch };
    }

    /// The frame captured `at` shows what the one before showed: every track in sight is where it was found last. Nothing
    /// begins and nothing ends.
    pub fn hold(&mut self, at: Timestamp) {
        self.predict(at);
        for track in self.tracks.iter_mut().filter(|track| track.missed == 0) {
            track.stayed(at);
        }
    }

    /// Whether the same detections again would change nothing: every track is confirmed and in sight.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.tracks.iter().all(|track| track.id.is_some() && track.missed == 0)
    }

    /// Ends every track: the camera has stopped or its source has ended. The ids go on from where they are.
    pub fn finish(&mut self, at: Timestamp, events: &mut Vec<TrackEvent>) {
        events.extend(self.tracks.drain(..).filter_map(|track| track.event(TrackEventKind::Ended)));
        self.last_update = Some(at);
    }

    fn predict(&mut self, at: Timestamp) {
        let gone = self.last_update.map_or(Duration::ZERO, |last| at.since(last));
        self.last_update = Some(at);
        let frames = gone.min(self.config.patience).as_secs_f64() * NOMINAL_RATE;
        for track in &mut self.tracks {
            track.predict(frames);
            track.unseen = track.unseen.saturating_add(gone);
        }
    }

    /// Finds the owner (a place in `tracks`) of every detection that has one.
    fn associate(&self, detections: &[Detection], scratch: &mut Scratch) {
        let TrackerConfig { high, low, .. } = self.config;
        let confirmed = |track: &Track| track.id.is_some();
        let in_sight = |track: &Track| track.id.is_some() && track.missed == 0;
        self.pair(detections, scratch, (high, f32::INFINITY), OVERLAP_SURE, confirmed);
        self.pair(detections, scratch, (low, high), OVERLAP_UNSURE, in_sight);
        self.pair(detections, scratch, (high, f32::INFINITY), OVERLAP_UNCONFIRMED, |track| track.id.is_none());
    }

    /// One round: free detections with a score in `scores` and free tracks that are `wanted`.
    fn pair(
        &self,
        detections: &[Detection],
        scratch: &mut Scratch,
        scores: (f32, f32),
        overlap: f32,
        wanted: impl Fn(&Track) -> bool,
    ) {
        let Scratch { owners, tracks, finds, assigner } = scratch;
        let free = |track: &usize| !owners.contains(&Some(*track));
        tracks.clear();
        tracks.extend((0..self.tracks.len()).filter(|&i| wanted(&self.tracks[i])).filter(free));
        finds.clear();
        finds.extend(
            (0..detections.len())
                .filter(|&i| owners[i].is_none() && detections[i].score >= scores.0 && detections[i].score < scores.1),
        );
        let gain = |row: usize, column: usize| {
            let (track, find) = (&self.tracks[tracks[row]], &detections[finds[column]]);
            if track.class_id != find.class_id {
                return None;
            }
            let iou = track.expected.iou(&find.bbox);
            // A score of 0 still is a match, if a poor one.
            (iou >= overlap).then_some(iou * find.score.max(0.01))
        };
        for &(row, column) in assigner.assign(tracks.len(), finds.len(), gain) {
            owners[finds[column]] = Some(tracks[row]);
        }
    }

    /// Tells every track whether it was found, and confirms those found for the second time.
    fn settle(
        &mut self,
        detections: &[Detection],
        owners: &[Option<usize>],
        at: Timestamp,
        events: &mut Vec<TrackEvent>,
    ) {
        for track in &mut self.tracks {
            track.missed = track.missed.saturating_add(1);
        }
        for (detection, owner) in detections.iter().zip(owners) {
            let Some(owner) = *owner else { continue };
            let track = &mut self.tracks[owner];
            track.found(detection, at);
            if track.id.is_none() {
                self.last_id += 1;
                track.id = Some(self.last_id);
                events.extend(track.event(TrackEventKind::Started));
            }
        }
    }

    /// An object that was lost and began a new track elsewhere may end up with two: the older one goes on.
    fn merge(
        &mut self,
        owners: &mut [Option<usize>],
        detections: &[Detection],
        at: Timestamp,
        events: &mut Vec<TrackEvent>,
    ) {
        for lost in 0..self.tracks.len() {
            for seen in 0..self.tracks.len() {
                let (a, b) = (&self.tracks[lost], &self.tracks[seen]);
                let both = a.id.is_some() && a.missed > 0 && b.id.is_some() && b.missed == 0;
                if !both || a.class_id != b.class_id || a.expected.iou(&b.expected) <= OVERLAP_SAME {
                    continue;
                }
                let mut younger = lost;
                if a.first_seen < b.first_seen
                    && let Some(find) = owners.iter().position(|owner| *owner == Some(seen))
                {
                    self.tracks[lost].found(&detections[find], at);
                    owners[find] = Some(lost);
                    younger = seen;
                }
                events.extend(self.tracks[younger].event(TrackEventKind::Ended));
                // Not confirmed and not found: `forget` takes it away.
                self.tracks[younger].id = None;
                self.tracks[younger].missed = 1;
                if younger == lost {
                    break;
                }
            }
        }
    }

    fn forget(&mut self, events: &mut Vec<TrackEvent>) {
        let patience = self.config.patience;
        self.tracks.retain(|track| {
            let patient = track.id.is_some() && (track.missed < LEAST_MISSES || track.unseen <= patience);
            let keep = track.missed == 0 || patient;
            if !keep {
                events.extend(track.event(TrackEventKind::Ended));
            }
            keep
        });
    }

    fn begin(&mut self, detections: &[Detection], owners: &[Option<usize>], at: Timestamp) {
        let least = self.config.start.max(self.config.high);
        for (detection, owner) in detections.iter().zip(owners) {
            if owner.is_none() && detection.score >= least && detection.bbox.area() > 0.0 {
                self.tracks.push(Track::new(detection, at));
            }
        }
    }
}

#[cfg(test)]
mod tests;
