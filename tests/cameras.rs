//! Cameras that fail from within, beside healthy ones of the same model: sources, detectors and publishers that panic or hang
//! are put in by the traits that real ones come in by.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sightwire::bus::{Message, MessageKind, Publisher};
use sightwire::domain::{BBox, BootId, Detection, Frame, Name, Timestamp};
use sightwire::envelope::{ActualState, CameraSettings, DesiredState, Origin, PublishConfig, SkipStatic};
use sightwire::inference::{DetectTiming, Detector, InferenceError};
use sightwire::live::{Studio, VideoConfig};
use sightwire::pipeline::{
    Announcer, Applied, Camera, CameraConfig, Desired, KeyframeQueue, Processor, ProcessorParts, QueueConfig, Seat,
    Seats, SessionContext, StateView, Tuning, Turns, work,
};
use sightwire::source::{FrameSource, OpenOptions, Opener, Read, SourceError, SourceSpec};
use sightwire::telemetry::{CameraMetrics, FrameOutcome, ModelMetrics, Sampler, log_panics};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

/// A small picture every 20 ms; `spoil` is asked at each, and what it asks for is done.
#[derive(Clone)]
struct Fake {
    live: bool,
    spoil: Arc<dyn Fn(u32) + Send + Sync>,
    opened: Arc<AtomicU32>,
}

impl Fake {
    fn healthy() -> Self {
        Self::spoilt(|_| {})
    }

    fn spoilt(spoil: impl Fn(u32) + Send + Sync + 'static) -> Self {
        Self { live: false, spoil: Arc::new(spoil), opened: Arc::default() }
    }
}

impl Opener for Fake {
    fn open(&self, _: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FakeSource { fake: self.clone(), count: 0 }))
    }

    fn shown(&self) -> String {
        "fake".into()
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

struct FakeSource {
    fake: Fake,
    count: u32,
}

impl FrameSource for FakeSource {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        std::thread::sleep(Duration::from_millis(20));
        self.count += 1;
        (self.fake.spoil)(self.count);
        *frame = Frame { width: 4, height: 4, bgr: vec![9; 48], captured_at: Timestamp::now(), ..Frame::empty() };
        frame.captured_instant = Instant::now();
        frame.ready_at = frame.captured_instant;
        Ok(Read::Frame)
    }
}

/// As healthy, but its pictures are of another grey.
struct Odd;

impl Opener for Odd {
    fn open(&self, _: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
        Ok(Box::new(Self))
    }
    fn shown(&self) -> String {
        "odd".into()
    }
    fn is_live(&self) -> bool {
        false
    }
}

impl FrameSource for Odd {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        let read = FakeSource { fake: Fake::healthy(), count: 0 }.read(frame);
        frame.bgr.fill(66);
        read
    }
}

type Spoil = Arc<dyn Fn(&Frame) -> Result<(), InferenceError> + Send + Sync>;

/// Finds one object in every frame, unless `spoil` says otherwise.
struct FakeDetector(Spoil);

impl Detector for FakeDetector {
    fn set_confidence(&mut self, _: f32) {}

    fn detect(&mut self, frame: &Frame, found: &mut Vec<Detection>) -> Result<DetectTiming, InferenceError> {
        (self.0)(frame)?;
        found.clear();
        let bbox = BBox::from([0.2, 0.2, 0.6, 0.6]);
        found.push(Detection { label: "car".into(), score: 0.9, bbox, class_id: 0, track_id: None });
        Ok(DetectTiming::default())
    }
}

type Said = (Name, MessageKind, serde_json::Value);

/// Keeps what is said; panics in mid-processing when it is told to.
#[derive(Default)]
struct FakeBus {
    said: Mutex<Vec<Said>>,
    panic_for: Mutex<Option<Name>>,
}

impl Publisher for FakeBus {
    fn offer(&self, message: Message) {
        let Some(camera) = message.camera else { return };
        let doomed =
            self.panic_for.lock().unwrap().take_if(|name| *name == camera && message.kind == MessageKind::Detections);
        assert!(doomed.is_none(), "a publisher that panics");
        let value = serde_json::from_slice(&message.payload).unwrap_or_default();
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push((camera, message.kind, value));
    }
}

/// Cameras of one model.
struct Yard {
    bus: Arc<FakeBus>,
    turns: Arc<Turns>,
    seats: Seats,
    shutdown: CancellationToken,
    worker: Option<JoinHandle<()>>,
}

struct Handle {
    name: Name,
    applied: watch::Receiver<Applied>,
    metrics: Arc<CameraMetrics>,
    desired: watch::Sender<Desired>,
}

impl Yard {
    fn new(detect: impl Fn(&Frame) -> Result<(), InferenceError> + Send + Sync + 'static) -> Self {
        log_panics();
        let (turns, seats) = (Arc::<Turns>::default(), Seats::default());
        let (takes, whose) = (turns.clone(), seats.clone());
        let mut detector = FakeDetector(Arc::new(detect));
        let worker = std::thread::spawn(move || work(&takes, &whose, &mut detector, &ModelMetrics::new("fake")));
        Self { bus: Arc::default(), turns, seats, shutdown: CancellationToken::new(), worker: Some(worker) }
    }

    fn camera(&self, name: &str, source: Fake) -> Handle {
        self.camera_of(name, Arc::new(source))
    }

    fn camera_of(&self, name: &str, source: Arc<dyn Opener>) -> Handle {
        let name: Name = name.parse().unwrap();
        let spec: SourceSpec = "synthetic:shapes".parse().unwrap();
        let config = CameraConfig::new(spec, "model".parse().unwrap());
        let metrics = Arc::new(CameraMetrics::new(name.as_str()));
        let origin = Origin { camera: name.clone(), node: "garage".parse().unwrap(), boot_id: BootId::new() };
        let settings = CameraSettings {
            source: "fake".into(),
            model: config.model.clone(),
            groups: Vec::new(),
            max_fps: 0.0,
            confidence: 0.4,
            labels: None,
            skip_static: SkipStatic::default(),
            tracked: true,
            publish: PublishConfig::default(),
            keyframes: None,
            changed: Vec::new(),
        };
        let view = StateView::new(origin.clone(), settings, metrics.clone());
        let (desired, wishes) = watch::channel(Desired::default());
        let (sender, applied) = watch::channel(Applied::default());
        let publisher: Arc<dyn Publisher> = self.bus.clone();
        let keyframes = Arc::<KeyframeQueue>::default();
        let processor = Arc::new(Mutex::new(Processor::new(ProcessorParts {
            keyframes: keyframes.slot(metrics.clone()),
            tracker: config.tracker,
            tuning: Tuning::new(&config, 0.4),
            counted: BTreeSet::new(),
            first_seen: mpsc::unbounded_channel().0,
            origin,
            publisher: publisher.clone(),
            metrics: metrics.clone(),
            live: watch::channel(None).0,
            feed: Arc::default(),
            frigate: None,
            sampler: Sampler::default(),
            studio: Studio::new(name.clone(), VideoConfig::default(), Box::new(|| unreachable!("nobody watches"))),
        })));
        let lane = self.turns.add(QueueConfig::default(), metrics.clone());
        let (seat, faults) = Seat::new(name.clone(), lane, processor.clone(), metrics.clone());
        self.seats.write().unwrap().push(seat);
        let context = SessionContext {
            camera: name.clone(),
            source,
            options: OpenOptions { read_timeout: Duration::from_millis(50), ..OpenOptions::default() },
            max_fps: Arc::default(),
            processor,
            turns: self.turns.clone(),
            lane,
            metrics: metrics.clone(),
            frame_ids: Arc::new(AtomicU64::new(0)),
            grace: Duration::from_millis(300),
            watch: None,
        };
        let camera = Camera::new(context, wishes, Announcer::new(view, sender, publisher, Arc::default()), faults);
        tokio::spawn(camera.run(self.shutdown.clone()));
        Handle { name, applied, metrics, desired }
    }

    fn sequence(&self, camera: &Handle, kind: MessageKind, key: &str) -> Vec<u64> {
        let said = self.bus.said.lock().unwrap_or_else(PoisonError::into_inner);
        let of = said.iter().filter(|(name, of, _)| *name == camera.name && *of == kind);
        of.map(|(_, _, value)| value[key].as_u64().unwrap()).collect()
    }

    /// Detections and events.
    fn said(&self, camera: &Handle) -> usize {
        let said = self.bus.said.lock().unwrap_or_else(PoisonError::into_inner);
        let spoken = |kind: &MessageKind| matches!(kind, MessageKind::Detections | MessageKind::Event);
        said.iter().filter(|(name, kind, _)| *name == camera.name && spoken(kind)).count()
    }

    async fn end(mut self) {
        self.shutdown.cancel();
        self.turns.shut();
        let worker = self.worker.take().unwrap();
        tokio::task::spawn_blocking(move || worker.join().unwrap()).await.unwrap();
    }
}

impl Handle {
    fn inferred(&self) -> u64 {
        self.metrics.totals.outcome(FrameOutcome::Inferred)
    }

    fn reason(&self) -> Option<(&'static str, String)> {
        let applied = self.applied.borrow();
        applied.reason.as_ref().map(|reason| (applied.actual.as_str(), format!("{}: {}", reason.code, reason.message)))
    }

    /// A command as the control room would put it: what is stopped can only be started.
    fn wish(&self, random: &mut fastrand::Rng) {
        self.desired.send_modify(|desired| {
            let stopped = desired.state == DesiredState::Stopped;
            match random.u8(..6) {
                0 | 1 => (desired.state, desired.begins) = (DesiredState::Running, desired.begins + 1),
                2 => desired.state = DesiredState::Stopped,
                3 if !stopped => desired.state = DesiredState::Paused,
                4 if !stopped => desired.state = DesiredState::Running,
                5 if !stopped => desired.restarts += 1,
                _ => {}
            }
            desired.generation += 1;
        });
    }

    async fn until(&mut self, what: &str, wanted: impl Fn(&Applied) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, self.applied.wait_for(wanted)).await.is_ok();
        assert!(waited, "never {what}: {:?}", self.applied.borrow());
    }

    async fn failed(&mut self, code: &str) -> String {
        let failed = |a: &Applied| {
            a.actual == ActualState::Failed && a.reason.as_ref().is_some_and(|reason| reason.code == code)
        };
        self.until(&format!("failed by {code}"), failed).await;
        self.reason().unwrap().1
    }

    async fn infers(&self, more: u64) {
        let (start, before) = (Instant::now(), self.inferred());
        while self.inferred() < before + more {
            assert!(start.elapsed() < PATIENCE, "{} does not go on", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Held back: no gap, nothing twice.
fn assert_unbroken(seqs: &[u64]) {
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_thread_that_panics_restarts_its_camera_and_no_other() {
    let yard = Yard::new(|_| Ok(()));
    let twice = Arc::new(AtomicU32::new(2));
    let source = Fake::spoilt(move |count| {
        let again = || twice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        assert!(!(count == 5 && again()), "a decoder that panics");
    });
    let opened = source.opened.clone();
    let (mut bad, good) = (yard.camera("bad", source), yard.camera("good", Fake::healthy()));
    let reason = bad.failed("internal_error").await;
    assert!(
        reason.contains("a panic in capture at tests/cameras.rs:") && reason.contains("a decoder that panics"),
        "{reason}"
    );
    bad.until("running again", |a| a.actual == ActualState::Running && a.reason.is_none()).await;
    bad.failed("internal_error").await;
    bad.until("running again", |a| a.actual == ActualState::Running).await;
    bad.infers(20).await;
    good.infers(20).await;
    assert_eq!((opened.load(Ordering::Relaxed), bad.metrics.totals.panics(), good.metrics.totals.panics()), (3, 2, 0));
    assert_unbroken(&yard.sequence(&bad, MessageKind::Detections, "seq"));
    assert_unbroken(&yard.sequence(&good, MessageKind::Detections, "seq"));
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detector_that_panics_over_one_cameras_frame_costs_that_camera_a_restart_and_the_other_nothing() {
    let once = AtomicBool::new(true);
    // The odd camera's frames are told by their grey.
    let yard = Yard::new(move |frame| {
        assert!(!(frame.bgr[0] == 66 && once.swap(false, Ordering::Relaxed)), "a detector that panics");
        Ok(())
    });
    let (mut bad, good) = (yard.camera_of("bad", Arc::new(Odd)), yard.camera("good", Fake::healthy()));
    let reason = bad.failed("internal_error").await;
    assert!(reason.contains("a panic in the worker at tests/cameras.rs:"), "{reason}");
    bad.until("running again", |a| a.actual == ActualState::Running).await;
    bad.infers(10).await;
    good.infers(10).await;
    assert_eq!((bad.metrics.totals.panics(), good.metrics.totals.outcome(FrameOutcome::Failed)), (1, 0));
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_mid_processing_ends_the_open_tracks_and_goes_on_with_the_numbers() {
    let yard = Yard::new(|_| Ok(()));
    let (mut bad, good) = (yard.camera("bad", Fake::healthy()), yard.camera("good", Fake::healthy()));
    bad.infers(10).await;
    *yard.bus.panic_for.lock().unwrap() = Some(bad.name.clone());
    let reason = bad.failed("internal_error").await;
    assert!(reason.contains("a publisher that panics"), "{reason}");
    bad.until("running again", |a| a.actual == ActualState::Running).await;
    bad.infers(10).await;
    good.infers(10).await;
    // The message that was never said is a gap that everybody sees; nothing is numbered twice.
    let seqs = yard.sequence(&bad, MessageKind::Detections, "seq");
    assert!(seqs.windows(2).all(|pair| pair[1] > pair[0]) && seqs.last().unwrap() - seqs.len() as u64 <= 1, "{seqs:?}");
    assert_unbroken(&yard.sequence(&good, MessageKind::Detections, "seq"));
    // Every track that began has ended, and the next one has a number of its own.
    let said = yard.bus.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let events: Vec<(String, u64)> = said
        .iter()
        .filter(|(name, kind, _)| *name == bad.name && *kind == MessageKind::Event)
        .map(|(_, _, value)| (value["event"].as_str().unwrap().to_owned(), value["track_id"].as_u64().unwrap()))
        .collect();
    assert_eq!(events[..3], [("started".into(), 1), ("ended".into(), 1), ("started".into(), 2)], "{events:?}");
    assert_unbroken(&yard.sequence(&bad, MessageKind::Event, "seq"));
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_on_every_frame_is_the_cameras_failure() {
    let broken = Arc::new(AtomicBool::new(true));
    let fails = broken.clone();
    let yard = Yard::new(move |_| {
        let error = || InferenceError::Run { model: "m".into(), why: "out of memory".into() };
        if fails.load(Ordering::Relaxed) { Err(error()) } else { Ok(()) }
    });
    let mut camera = yard.camera("door", Fake::healthy());
    let reason = camera.failed("inference_failed").await;
    assert!(reason.contains("out of memory"), "{reason}");
    broken.store(false, Ordering::Relaxed);
    camera.infers(10).await;
    assert_eq!(camera.metrics.totals.panics(), 0);
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_stuck_in_native_code_are_replaced_a_few_times_and_no_more_until_one_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let yard = Yard::new(|_| Ok(()));
    let (hangs, through) = (Arc::new(AtomicBool::new(true)), pipe.clone());
    let asks = hangs.clone();
    let source = Fake {
        live: true,
        ..Fake::spoilt(move |count| {
            // open(2) of a pipe that nobody writes to: nothing in this process can end that call.
            if count == 3 && asks.load(Ordering::Relaxed) {
                let _opened = File::open(&through);
            }
        })
    };
    let opened = source.opened.clone();
    let (mut stuck, good) = (yard.camera("stuck", source), yard.camera("good", Fake::healthy()));
    let first = stuck.failed("capture_stuck").await;
    assert!(first.contains("hung in native code"), "{first}");
    // Again and again, but not for ever.
    stuck
        .until("given up", |a| {
            a.reason.as_ref().is_some_and(|reason| reason.message.contains("4 capture threads hang"))
        })
        .await;
    assert_eq!(stuck.applied.borrow().actual, ActualState::Failed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(opened.load(Ordering::Relaxed), 4, "no more are started");
    good.infers(10).await;
    // The call returns: the threads end, and the camera is back.
    hangs.store(false, Ordering::Relaxed);
    let writer = std::thread::spawn(move || File::options().write(true).open(pipe).unwrap());
    stuck.until("running again", |a| a.actual == ActualState::Running).await;
    stuck.infers(10).await;
    assert_eq!(opened.load(Ordering::Relaxed), 5);
    drop(tokio::task::spawn_blocking(move || writer.join().unwrap()).await.unwrap());
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_commands_come_a_camera_ends_where_the_last_one_wants_it_and_says_nothing_while_it_is_quiet() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let yard = Yard::new(|_| Ok(()));
    let scene: SourceSpec = "synthetic:shapes?width=64&height=48&fps=50".parse().unwrap();
    let mut camera = yard.camera_of("door", Arc::new(scene));
    let mut quiet = 0;
    for _ in 0..30 {
        for _ in 0..random.usize(1..9) {
            camera.wish(&mut random);
            tokio::time::sleep(Duration::from_millis(random.u64(..40))).await;
        }
        let wanted = *camera.desired.borrow();
        let actual = match wanted.state {
            DesiredState::Running => ActualState::Running,
            DesiredState::Paused => ActualState::Paused,
            DesiredState::Stopped => ActualState::Stopped,
        };
        camera.until("where it is wanted", |a| a.desired == wanted && a.actual == actual).await;
        if wanted.state == DesiredState::Running {
            camera.infers(2).await;
        } else {
            quiet += 1;
            let before = yard.said(&camera);
            tokio::time::sleep(Duration::from_millis(80)).await;
            assert_eq!(yard.said(&camera), before, "{wanted:?}");
        }
    }
    assert!(quiet > 0, "never stopped or paused");
    assert_unbroken(&yard.sequence(&camera, MessageKind::Detections, "seq"));
    assert_unbroken(&yard.sequence(&camera, MessageKind::Event, "seq"));
    assert_eq!(camera.metrics.totals.panics(), 0);
    yard.end().await;
}
