//! Several cameras' frames in one run of the model: nothing waits for a batch to fill, and each camera gets what it would get alone.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sightwire::domain::{Detection, Frame};
use sightwire::inference::{Asked, DetectTiming, Detector, InferenceError, ModelConfig, OnnxDetector, Runtime};
use sightwire::pipeline::{CameraConfig, Epoch, LaneId, QueueConfig, Seat, Seats, Turns, WhenFull, work};
use sightwire::source::{OpenOptions, Pace, Read, SourceSpec, open};
use sightwire::telemetry::{CameraMetrics, FrameOutcome, ModelMetrics};

use crate::onnx::Model;
use crate::{Said, processor};

pub fn load(config: &ModelConfig) -> OnnxDetector {
    OnnxDetector::load(&Runtime::load().unwrap(), config).unwrap()
}

/// The bundled model with its batch left open: the first side of its input and output is given no number, and its heads are
/// reshaped to `[0, …]`, which is ONNX for "as it was", instead of `[1, …]`.
fn shapes(max_batch: Option<usize>) -> OnnxDetector {
    let mut model = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shapes.onnx")).unwrap();
    let numbers = |sides: [i64; 3]| sides.map(i64::to_le_bytes).concat();
    // `dim { dim_value: 1 }` before `dim { dim_value: 3 }` or `9`; `dim_param: ""` takes as many bytes.
    open_up(&mut model, &[10, 2, 8, 1, 10, 2, 8, 3], &[10, 2, 18, 0, 10, 2, 8, 3], 1);
    open_up(&mut model, &[10, 2, 8, 1, 10, 2, 8, 9], &[10, 2, 18, 0, 10, 2, 8, 9], 1);
    for channels in [4, 5] {
        open_up(&mut model, &numbers([1, channels, -1]), &numbers([0, channels, -1]), 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("open.onnx");
    std::fs::write(&path, model).unwrap();
    load(&ModelConfig { max_batch, ..ModelConfig::new(&path) })
}

fn open_up(model: &mut [u8], from: &[u8], to: &[u8], times: usize) {
    let places: Vec<usize> = (0..=model.len() - from.len()).filter(|&at| model[at..].starts_with(from)).collect();
    assert_eq!(places.len(), times, "{from:?}");
    for at in places {
        model[at..at + to.len()].copy_from_slice(to);
    }
}

/// The fifth picture of a drawn scene.
pub fn scene(spec: &str) -> Frame {
    let spec: SourceSpec = format!("synthetic:shapes?{spec}").parse().unwrap();
    let mut source = open(&spec, &OpenOptions { pace: Pace::Asap, ..OpenOptions::default() }).unwrap();
    let mut frame = Frame::empty();
    for _ in 0..5 {
        assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
    }
    frame
}

#[test]
fn frames_that_are_inferred_together_give_what_each_gives_alone() {
    let sizes = ["width=640&height=480", "width=320&height=240", "width=800&height=450"];
    let frames: Vec<Frame> = (0..7).map(|n| scene(&format!("{}&seed={n}&objects=4", sizes[n % 3]))).collect();
    // Cameras of one model may differ in what they want of it.
    let confidence = |n: usize| if n == 2 { 0.85 } else { 0.3 };
    let (mut alone, mut together) = (shapes(None), shapes(Some(4)));
    assert_eq!((alone.max_batch(), together.max_batch()), (1, 4), "on the CPU only where it is wanted");
    let asked: Vec<Asked<'_>> =
        frames.iter().enumerate().map(|(n, frame)| Asked { frame, confidence: confidence(n) }).collect();
    let mut found = vec![vec![stray()]; frames.len()];
    let timings = together.detect_batch(&asked, &mut found).unwrap();
    let mut objects = 0;
    for (n, (frame, found)) in frames.iter().zip(&found).enumerate() {
        let mut expected = Vec::new();
        alone.set_confidence(confidence(n));
        alone.detect(frame, &mut expected).unwrap();
        assert_eq!(found.len(), expected.len(), "frame {n}: {found:?} {expected:?}");
        for (a, b) in found.iter().zip(&expected) {
            assert!(
                a.label == b.label && (a.score - b.score).abs() < 1e-3 && a.bbox.iou(&b.bbox) > 0.99,
                "{a:?} {b:?}"
            );
        }
        objects += found.len();
    }
    assert!(objects >= 10, "{objects} are too few to tell anything");
    // Runs of 4, 2 and 1: who is in the same run waits as long for it.
    let inference: Vec<Duration> = timings.iter().map(|timing| timing.inference).collect();
    assert!(inference[..4].iter().all(|t| *t == inference[0]) && inference[4] == inference[5], "{inference:?}");
    assert!(timings.iter().all(|t| !t.preprocess.is_zero() && !t.inference.is_zero()));
}

/// What lay there before.
fn stray() -> Detection {
    Detection { label: "stray".into(), score: 0.9, bbox: [0.0, 0.0, 1.0, 1.0].into(), class_id: 0, track_id: None }
}

#[test]
fn a_model_that_does_not_keep_its_pictures_apart_runs_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let max_batch = |model: Model| {
        let path = folder.path().join("model.onnx");
        let names = "{0: 'a', 1: 'b'}";
        std::fs::write(&path, model.metadata("names", names).bytes()).unwrap();
        load(&ModelConfig { max_batch: Some(8), ..ModelConfig::new(&path) }).max_batch()
    };
    let picture = |batch| Model::new([batch, 3, 2, 8]);
    assert_eq!(max_batch(picture(-1).mirror("output0", &[-1, 6, 8], "images")), 8, "one part a picture");
    assert_eq!(max_batch(picture(1).mirror("output0", &[1, 6, 8], "images")), 1, "one picture, and no more");
    assert_eq!(max_batch(picture(-1).output("output0", &[1, 6, 8])), 1, "the same for all of them");
    assert_eq!(max_batch(picture(-1).mirror("output0", &[1, 6, -1], "images")), 1, "all in one");
}

/// Cameras with frames that wait, before anybody looks at them.
pub struct Yard {
    turns: Arc<Turns>,
    seats: Seats,
    lanes: Vec<(LaneId, Epoch)>,
    metrics: Vec<Arc<CameraMetrics>>,
    /// Frames of each.
    counts: Vec<u64>,
    pub said: Arc<Said>,
}

impl Yard {
    pub fn new(frames: Vec<Vec<Frame>>) -> Self {
        let yard = Self::empty(&frames);
        for (camera, frames) in frames.into_iter().enumerate() {
            for frame in frames {
                yard.offer(camera, frame);
            }
        }
        yard
    }

    /// Its frames are still to be brought.
    pub fn empty(frames: &[Vec<Frame>]) -> Self {
        let (turns, seats, said) = (Arc::default(), Seats::default(), Arc::default());
        let counts = frames.iter().map(|frames| frames.len() as u64).collect::<Vec<_>>();
        let mut yard = Self { turns, seats, lanes: Vec::new(), metrics: Vec::new(), counts, said };
        for n in 0..frames.len() {
            let name = format!("c{n}");
            let config = CameraConfig::new("synthetic:shapes".parse().unwrap(), "model".parse().unwrap());
            let metrics = Arc::new(CameraMetrics::new(&name));
            let processor = Arc::new(Mutex::new(processor(&name, &config, 0.4, &metrics, &yard.said)));
            let queue = QueueConfig { depth: 8, when_full: WhenFull::Block };
            let lane = yard.turns.add(queue, metrics.clone());
            let epoch = yard.turns.open(lane);
            let (seat, _) = Seat::new(name.parse().unwrap(), lane, processor, metrics.clone());
            yard.seats.write().unwrap().push(seat);
            yard.lanes.push((lane, epoch));
            yard.metrics.push(metrics);
        }
        yard
    }

    pub fn outcomes(&self, outcome: FrameOutcome) -> Vec<u64> {
        self.metrics.iter().map(|metrics| metrics.totals.outcome(outcome)).collect()
    }

    /// As it is.
    pub fn offer(&self, camera: usize, frame: Frame) {
        let (lane, epoch) = self.lanes[camera];
        drop(self.turns.offer(lane, epoch, frame).unwrap());
    }

    /// As a camera's thread does it.
    pub fn bring(&self, camera: usize, frame: Frame) {
        let (lane, epoch) = self.lanes[camera];
        drop(self.turns.prepare_and_offer(lane, epoch, frame).unwrap());
    }

    /// Until nothing waits any more.
    pub fn work(&self, detector: &mut dyn Detector) {
        self.work_while(detector, |_| ());
    }

    pub fn work_while(&self, detector: &mut dyn Detector, act: impl FnOnce(&Self)) {
        // What can be prepared is known with the first worker; a camera's thread begins when its model is loaded.
        if let Some(detector) = detector.ahead() {
            self.turns.take_prepared(detector.spare());
        }
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(&self.turns, &self.seats, detector, &ModelMetrics::new("fake")));
            act(self);
            let begun = Instant::now();
            while self.waits() && begun.elapsed() < Duration::from_mins(1) {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.turns.shut();
            worker.join().unwrap();
        });
    }

    fn waits(&self) -> bool {
        let done =
            |metrics: &CameraMetrics| FrameOutcome::ALL.map(|outcome| metrics.totals.outcome(outcome)).iter().sum();
        self.metrics.iter().map(|metrics| done(metrics)).zip(&self.counts).any(|(done, count): (u64, _)| done < *count)
    }
}

/// Notes how many it is given at once.
#[derive(Default)]
struct Counting(Vec<usize>);

impl Detector for Counting {
    fn set_confidence(&mut self, _: f32) {}

    fn detect(&mut self, _: &Frame, found: &mut Vec<Detection>) -> Result<DetectTiming, InferenceError> {
        found.clear();
        self.0.push(1);
        Ok(DetectTiming::default())
    }

    fn max_batch(&self) -> usize {
        4
    }

    fn detect_batch(
        &mut self,
        asked: &[Asked<'_>],
        _: &mut [Vec<Detection>],
    ) -> Result<Vec<DetectTiming>, InferenceError> {
        self.0.push(asked.len());
        Ok(vec![DetectTiming::default(); asked.len()])
    }
}

#[test]
fn a_worker_takes_what_waits_and_no_camera_twice_at_once() {
    let frame = || Frame { width: 8, height: 8, bgr: vec![90; 192], ..Frame::empty() };
    let yard = Yard::new((0..5).map(|_| vec![frame(), frame()]).collect());
    let mut detector = Counting::default();
    yard.work(&mut detector);
    assert_eq!(yard.outcomes(FrameOutcome::Inferred), [2; 5]);
    assert_eq!(detector.0, [4, 4, 2], "cameras 1 to 4; 5, 1, 2, 3; 4, 5");
}

#[test]
fn a_frame_that_is_no_picture_fails_alone() {
    let frames = |bad: bool| {
        let frame = scene("seed=3&objects=4");
        vec![if bad { Frame { bgr: vec![7; 10], ..frame.clone() } } else { frame.clone() }, frame]
    };
    let yard = Yard::new(vec![frames(false), frames(true), frames(false)]);
    yard.work(&mut shapes(Some(4)));
    assert_eq!(yard.outcomes(FrameOutcome::Inferred), [2, 1, 2]);
    assert_eq!(yard.outcomes(FrameOutcome::Failed), [0, 1, 0]);
}

/// `cargo test --locked --test pipeline -- --ignored --nocapture batch`: the model's time, which is the library's.
#[test]
#[ignore = "measures: what a frame costs in runs of several, on the CPU"]
fn what_a_frame_costs_in_a_batch() {
    let frames: Vec<Frame> = (0..8).map(|n| scene(&format!("seed={n}&objects=4"))).collect();
    let mut detectors: Vec<(usize, OnnxDetector, Vec<f64>)> =
        [1, 2, 4, 8].map(|size| (size, shapes(Some(size)), Vec::new())).into();
    for _ in 0..60 {
        for (size, detector, costs) in &mut detectors {
            let asked: Vec<Asked<'_>> = frames[..*size].iter().map(|frame| Asked { frame, confidence: 0.4 }).collect();
            let mut found = vec![Vec::new(); *size];
            let timings = detector.detect_batch(&asked, &mut found).unwrap();
            costs.push(timings[0].inference.as_secs_f64() * 1e3 / *size as f64);
        }
    }
    for (size, _, costs) in &mut detectors {
        costs.sort_by(f64::total_cmp);
        println!(
            "{size}: {:.2} ms a frame (median of {}), {:.2} at best",
            costs[costs.len() / 2],
            costs.len(),
            costs[0]
        );
    }
}
