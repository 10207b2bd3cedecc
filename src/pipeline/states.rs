//! A camera's state as the world sees it: retained topics, metrics, the API.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::camera::Applied;
use super::machine::Desired;
use crate::bus::{Message, Publisher, Topic};
use crate::codec;
use crate::domain::Timestamp;
use crate::envelope::{ActualState, CameraSettings, CameraState, FrameCounts, Latency, Origin, Reason};
use crate::live::{Feed, LiveMessage};
use crate::telemetry::{CameraMetrics, FrameOutcome, Mark};

const ALL: [&str; 6] = ["connecting", "running", "paused", "stopped", "failed", "ended"];
/// The state topic is said again so often while a camera runs: its figures move.
const REFRESH: Duration = Duration::from_secs(10);
/// Frames a second are taken over so long.
const FPS_WINDOW: Duration = Duration::from_secs(5);
/// Latencies too: as long as the state is not said again, so that each counts once.
const LATENCY_WINDOW: Duration = REFRESH;

/// What is needed to put a camera's state into words, from any task.
#[derive(Clone)]
pub struct StateView {
    pub origin: Origin,
    settings: Arc<Mutex<CameraSettings>>,
    pub metrics: Arc<CameraMetrics>,
    /// Frames inferred a second, as the bits of an `f32`.
    fps: Arc<AtomicU32>,
    latency: Arc<Mutex<Option<Latency>>>,
    /// Why the camera ends before its node does.
    leaving: Arc<OnceLock<Reason>>,
}

impl StateView {
    #[must_use]
    pub fn new(origin: Origin, settings: CameraSettings, metrics: Arc<CameraMetrics>) -> Self {
        let settings = Arc::new(Mutex::new(settings));
        Self { origin, settings, metrics, fps: Arc::default(), latency: Arc::default(), leaving: Arc::default() }
    }

    fn settings(&self) -> MutexGuard<'_, CameraSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn fps(&self) -> f32 {
        f32::from_bits(self.fps.load(Ordering::Relaxed))
    }

    /// The camera is about to end although its node does not.
    pub fn leaves_because(&self, reason: Reason) {
        // The first who ends it knows why.
        let _known = self.leaving.set(reason);
    }

    #[must_use]
    pub fn describe(&self, applied: &Applied) -> CameraState {
        let totals = &self.metrics.totals;
        CameraState {
            timestamp: Timestamp::now(),
            camera: self.origin.camera.clone(),
            node: self.origin.node.clone(),
            boot_id: self.origin.boot_id.clone(),
            desired: applied.desired.state,
            actual: applied.actual,
            reason: applied.reason.clone(),
            since: applied.since,
            settings: self.settings().clone(),
            frames: FrameCounts {
                read: totals.read(),
                inferred: totals.outcome(FrameOutcome::Inferred),
                still: totals.outcome(FrameOutcome::SkippedStatic),
                dropped: totals.dropped(),
            },
            fps: self.fps(),
            latency: *self.latency.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Says a camera's state, from any task: whoever speaks last says what holds.
#[derive(Clone)]
pub struct Voice {
    view: StateView,
    applied: watch::Receiver<Applied>,
    publisher: Arc<dyn Publisher>,
    feed: Arc<Feed>,
    /// Held from looking until it is said.
    turn: Arc<Mutex<()>>,
}

impl Voice {
    fn say(&self) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let camera = &self.view.origin.camera;
        let state = self.view.describe(&self.applied.borrow());
        let (payload, content_type) = codec::encode_json(&state);
        let topic = Topic::CameraState(camera.clone());
        self.publisher.offer(Message::state(topic, payload, content_type, Some(camera.clone())));
        self.feed.say(Some(camera), || LiveMessage::State(state));
    }

    /// The camera goes by other settings now.
    pub fn tuned(&self, change: impl FnOnce(&mut CameraSettings)) {
        change(&mut self.view.settings());
        self.say();
    }
}

/// Says a camera's state whenever it changes.
pub struct Announcer {
    view: StateView,
    applied: watch::Sender<Applied>,
    voice: Voice,
    said: Instant,
    online: bool,
    /// When, and how many frames were inferred until then.
    samples: VecDeque<(Instant, u64)>,
    /// When, and the latencies until then.
    marks: VecDeque<(Instant, Mark)>,
}

impl Announcer {
    #[must_use]
    pub fn new(
        view: StateView,
        applied: watch::Sender<Applied>,
        publisher: Arc<dyn Publisher>,
        feed: Arc<Feed>,
    ) -> Self {
        applied.send_modify(|applied| applied.since = Some(Timestamp::now()));
        let voice = Voice { view: view.clone(), applied: applied.subscribe(), publisher, feed, turn: Arc::default() };
        let mut announcer = Self {
            view,
            applied,
            voice,
            said: Instant::now(),
            online: false,
            samples: VecDeque::new(),
            marks: VecDeque::new(),
        };
        announcer.say_status();
        announcer.say();
        announcer
    }

    /// For who changes the camera's settings.
    #[must_use]
    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    pub fn actual(&self) -> ActualState {
        self.applied.borrow().actual
    }

    pub fn reason(&self) -> Option<Reason> {
        self.applied.borrow().reason.clone()
    }

    /// The camera stands so, and this wish was acted upon. Said when any of it is new.
    pub fn settle(&mut self, desired: Desired, actual: ActualState, reason: Option<Reason>) {
        let before = self.applied.borrow().clone();
        let since = if before.actual == actual { before.since } else { Some(Timestamp::now()) };
        let now = Applied { desired, actual, reason, since };
        if before == now {
            return;
        }
        let camera = &self.view.origin.camera;
        if before.actual != actual {
            tracing::info!(%camera, from = before.actual.as_str(), to = actual.as_str(), "camera state");
        }
        self.applied.send_replace(now);
        if actual != ActualState::Running {
            self.samples.clear();
            self.fps(0.0);
            self.marks.clear();
            self.latency(None);
        }
        if self.online != actual.is_online() {
            self.online = actual.is_online();
            self.say_status();
        }
        self.say();
    }

    /// The camera ends, mostly with its node: it is not there any more, whatever is wanted of it.
    pub fn leave(&mut self) {
        let node_ends = || Reason { code: "node_shutdown".into(), message: "the node has ended".into() };
        let reason = self.view.leaving.get().cloned().unwrap_or_else(node_ends);
        let desired = self.applied.borrow().desired;
        self.settle(desired, ActualState::Stopped, Some(reason));
    }

    /// Call it about once a second.
    #[expect(clippy::cast_precision_loss, reason = "frames within seconds are few")]
    pub fn tick(&mut self) {
        let now = Instant::now();
        let inferred = self.view.metrics.totals.outcome(FrameOutcome::Inferred);
        self.samples.push_back((now, inferred));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|(at, _)| now - *at > FPS_WINDOW) {
            self.samples.pop_front();
        }
        let fps = self.samples.front().map_or(0.0, |(at, before)| {
            let span = (now - *at).as_secs_f32();
            if span > 0.0 { (inferred - before) as f32 / span } else { 0.0 }
        });
        self.fps(fps);
        self.measure_latency(now);
        if self.online && self.said.elapsed() >= REFRESH {
            self.say();
        }
    }

    fn measure_latency(&mut self, now: Instant) {
        let latencies = &self.view.metrics.totals.latency;
        let oldest = self.marks.front().map(|(_, mark)| mark);
        let of = |q| Some(latencies.quantile_since(oldest?, q)?.as_secs_f32() * 1e3);
        let latency = of(0.5).zip(of(0.95)).map(|(p50, p95)| Latency { p50, p95 });
        self.marks.push_back((now, latencies.mark()));
        while self.marks.front().is_some_and(|(at, _)| now - *at > LATENCY_WINDOW) {
            self.marks.pop_front();
        }
        self.latency(latency);
    }

    fn latency(&self, latency: Option<Latency>) {
        *self.view.latency.lock().unwrap_or_else(PoisonError::into_inner) = latency;
    }

    fn fps(&self, fps: f32) {
        self.view.fps.store(fps.to_bits(), Ordering::Relaxed);
        self.view.metrics.fps(f64::from(fps));
    }

    fn say(&mut self) {
        self.said = Instant::now();
        self.view.metrics.state(self.actual().as_str(), &ALL);
        self.voice.say();
    }

    fn say_status(&self) {
        let camera = &self.view.origin.camera;
        let word = if self.online { "online" } else { "offline" };
        self.voice.publisher.offer(Message::word(Topic::CameraStatus(camera.clone()), word, Some(camera.clone())));
    }
}
