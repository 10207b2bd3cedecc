//! One camera's figures: counters, stage histograms, state, and the totals of the end-of-run summary.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

use super::{Quantiles, Recent, names, recorder};

/// So many labels of a camera have a series of their own: COCO's 80 and more, and not the thousands that models may know.
const MOST_LABELS: usize = 128;
/// Stands for the labels beyond.
const OTHER: &str = "other";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Decode,
    Wait,
    Preprocess,
    Inference,
    Postprocess,
    Track,
    Encode,
    Deliver,
}

impl Stage {
    pub const ALL: [Self; 8] = [
        Self::Decode,
        Self::Wait,
        Self::Preprocess,
        Self::Inference,
        Self::Postprocess,
        Self::Track,
        Self::Encode,
        Self::Deliver,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Wait => "wait",
            Self::Preprocess => "preprocess",
            Self::Inference => "inference",
            Self::Postprocess => "postprocess",
            Self::Track => "track",
            Self::Encode => "encode",
            Self::Deliver => "deliver",
        }
    }
}

/// What became of a frame that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameOutcome {
    Inferred,
    /// A newer one took its place before a worker was free.
    DroppedStale,
    /// The camera was paused or stopped.
    DroppedPaused,
    /// `max_fps` asked for fewer.
    SkippedRate,
    /// `skip_static`: nothing had changed since the last inference.
    SkippedStatic,
    Failed,
}

impl FrameOutcome {
    pub const ALL: [Self; 6] =
        [Self::Inferred, Self::DroppedStale, Self::DroppedPaused, Self::SkippedRate, Self::SkippedStatic, Self::Failed];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inferred => "inferred",
            Self::DroppedStale => "dropped_stale",
            Self::DroppedPaused => "dropped_paused",
            Self::SkippedRate => "skipped_rate",
            Self::SkippedStatic => "skipped_static",
            Self::Failed => "failed",
        }
    }
}

/// What became of a keyframe that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyframeOutcome {
    Encoded,
    /// A newer one took its place before the encoder was free.
    Superseded,
    Failed,
}

impl KeyframeOutcome {
    const ALL: [Self; 3] = [Self::Encoded, Self::Superseded, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Encoded => "encoded",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
        }
    }
}

/// Plain totals beside the exported metrics, for the summary, the API and the state message.
#[derive(Debug, Default)]
pub struct CameraTotals {
    read: AtomicU64,
    outcomes: [AtomicU64; 6],
    panics: AtomicU64,
    /// When the first and the last frame were inferred.
    inferred: Mutex<Option<(Instant, Instant)>>,
    /// Capture until handed to the first bus.
    pub latency: Quantiles,
}

impl CameraTotals {
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn outcome(&self, outcome: FrameOutcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    /// Faults of the program's own that cost this camera a restart.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Frames that were read and not inferred, for whatever reason but `max_fps` and `skip_static`.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        [FrameOutcome::DroppedStale, FrameOutcome::DroppedPaused, FrameOutcome::Failed]
            .map(|o| self.outcome(o))
            .iter()
            .sum()
    }

    /// Frames that were read and not judged yet: they wait, or are in the works.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.read().saturating_sub(FrameOutcome::ALL.map(|o| self.outcome(o)).iter().sum())
    }

    /// Frames inferred a second between the first and the last; 0 before the second one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        let span = *self.inferred.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = span.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let steps = self.outcome(FrameOutcome::Inferred).saturating_sub(1);
        if seconds > 0.0 { steps as f64 / seconds } else { 0.0 }
    }
}

/// Handles of one camera; cheap to record into from any thread.
pub struct CameraMetrics {
    camera: String,
    stages: [Histogram; 8],
    frames: [Counter; 6],
    keyframes: [Counter; 3],
    reconnects: Counter,
    abandoned: Counter,
    abandoned_threads: Gauge,
    panics: Counter,
    fps: Gauge,
    states: Mutex<HashMap<&'static str, Gauge>>,
    pictures: Mutex<HashMap<&'static str, Gauge>>,
    info: Mutex<Option<Gauge>>,
    labels: Mutex<HashMap<String, Counter>>,
    pub totals: CameraTotals,
    /// The last second, while somebody looks on.
    pub recent: Recent,
}

impl std::fmt::Debug for CameraMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraMetrics").field("camera", &self.camera).finish_non_exhaustive()
    }
}

impl CameraMetrics {
    #[must_use]
    pub fn new(camera: &str) -> Self {
        let stage =
            |s: Stage| recorder::histogram(&names::STAGE_DURATION, &[("camera", camera), ("stage", s.as_str())]);
        let frames =
            |o: FrameOutcome| recorder::counter(&names::FRAMES, &[("camera", camera), ("outcome", o.as_str())]);
        Self {
            camera: camera.to_owned(),
            stages: Stage::ALL.map(stage),
            frames: FrameOutcome::ALL.map(frames),
            keyframes: KeyframeOutcome::ALL
                .map(|o| recorder::counter(&names::KEYFRAMES, &[("camera", camera), ("outcome", o.as_str())])),
            reconnects: recorder::counter(&names::SOURCE_RECONNECTS, &[("camera", camera)]),
            abandoned: recorder::counter(&names::SOURCE_ABANDONED, &[("camera", camera)]),
            abandoned_threads: recorder::gauge(&names::SOURCE_ABANDONED_THREADS, &[("camera", camera)]),
            panics: recorder::counter(&names::CAMERA_PANICS, &[("camera", camera)]),
            fps: recorder::gauge(&names::CAMERA_FPS, &[("camera", camera)]),
            states: Mutex::default(),
            pictures: Mutex::default(),
            info: Mutex::default(),
            labels: Mutex::default(),
            totals: CameraTotals::default(),
            recent: Recent::default(),
        }
    }

    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].record(took.as_secs_f64());
        self.recent.stage(stage, took);
    }

    /// A detections message was handed to the first bus: so long after its frame's capture, so long after it was offered.
    pub fn published(&self, capture: Duration, deliver: Duration) {
        self.totals.latency.record(capture);
        self.recent.published(capture, deliver);
    }

    pub fn frame_read(&self, decode: Duration) {
        self.totals.read.fetch_add(1, Ordering::Relaxed);
        self.stage(Stage::Decode, decode);
    }

    pub fn frame(&self, outcome: FrameOutcome) {
        self.totals.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.frames[outcome as usize].increment(1);
        if outcome == FrameOutcome::Inferred {
            let now = Instant::now();
            self.totals.inferred.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((now, now)).1 = now;
        }
    }

    pub fn keyframe(&self, outcome: KeyframeOutcome) {
        self.keyframes[outcome as usize].increment(1);
    }

    /// The model that the camera goes to, and what kind of source it comes from, from now on.
    pub fn made_of(&self, model: &str, source: &'static str) {
        let labels = [("camera", self.camera.as_str()), ("model", model), ("source", source)];
        let now = recorder::gauge(&names::CAMERA_INFO, &labels);
        let mut info = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = info.as_ref() {
            before.set(0.0);
        }
        now.set(1.0);
        *info = Some(now);
    }

    pub fn reconnect(&self) {
        self.reconnects.increment(1);
    }

    pub fn fps(&self, fps: f64) {
        self.fps.set(fps);
    }

    /// A capture thread was given up.
    pub fn abandoned(&self) {
        self.abandoned.increment(1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    pub fn abandoned_threads(&self, count: usize) {
        self.abandoned_threads.set(count as f64);
    }

    pub fn panicked(&self) {
        self.totals.panics.fetch_add(1, Ordering::Relaxed);
        self.panics.increment(1);
    }

    /// Says which of `all` the camera is in now.
    pub fn state(&self, now: &'static str, all: &[&'static str]) {
        self.one_of(&self.states, &names::CAMERA_STATE, "state", Some(now), all);
    }

    /// Says which of `all` is wrong with the picture now, if any.
    pub fn picture(&self, now: Option<&'static str>, all: &[&'static str]) {
        self.one_of(&self.pictures, &names::CAMERA_PICTURE, "condition", now, all);
    }

    fn one_of(
        &self,
        gauges: &Mutex<HashMap<&'static str, Gauge>>,
        metric: &names::Metric,
        label: &'static str,
        now: Option<&'static str>,
        all: &[&'static str],
    ) {
        let mut gauges = gauges.lock().unwrap_or_else(PoisonError::into_inner);
        for &value in all {
            let gauge = gauges
                .entry(value)
                .or_insert_with(|| recorder::gauge(metric, &[("camera", &self.camera), (label, value)]));
            gauge.set(f64::from(u8::from(Some(value) == now)));
        }
    }

    /// Counts one published object. Labels are the model's classes; those beyond the first [`MOST_LABELS`] that a camera sees
    /// are counted together.
    pub fn detection(&self, label: &str) {
        self.recent.label(label);
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let label = if labels.contains_key(label) || labels.len() < MOST_LABELS { label } else { OTHER };
        if let Some(counter) = labels.get(label) {
            counter.increment(1);
            return;
        }
        let counter = recorder::counter(&names::DETECTIONS, &[("camera", &self.camera), ("label", label)]);
        counter.increment(1);
        labels.insert(label.to_owned(), counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::counted_by;

    #[test]
    fn a_camera_is_made_of_one_thing_at_a_time() {
        let page = counted_by(|| {
            let camera = CameraMetrics::new("door");
            for (model, source) in [("a", "push"), ("b", "push"), ("b", "file"), ("b", "file"), ("b", "push")] {
                camera.made_of(model, source);
            }
        });
        let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("sightwire_camera_info{")).collect();
        let line = |model, source, value| {
            format!("sightwire_camera_info{{camera=\"door\",model=\"{model}\",source=\"{source}\"}} {value}")
        };
        assert_eq!(lines, [line("a", "push", 0), line("b", "file", 0), line("b", "push", 1)]);
    }

    #[test]
    fn a_model_of_a_thousand_classes_makes_no_thousand_series() {
        let page = counted_by(|| {
            let camera = CameraMetrics::new("door");
            for _ in 0..2 {
                (0..1000).for_each(|class| camera.detection(&format!("class {class}")));
            }
        });
        let series: Vec<&str> = page.lines().filter(|line| line.starts_with("sightwire_detections_total{")).collect();
        assert_eq!(series.len(), MOST_LABELS + 1);
        assert!(series.contains(&"sightwire_detections_total{camera=\"door\",label=\"class 0\"} 2"), "{series:?}");
        assert!(series.contains(&"sightwire_detections_total{camera=\"door\",label=\"other\"} 1744"), "{series:?}");
    }
}
