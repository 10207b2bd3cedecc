//! The next frame is prepared while the model runs: each camera is told the same in the same order, and nothing of a frame
//! whose camera was stopped meanwhile.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use sightwire::domain::{Detection, Frame};
use sightwire::inference::{DetectAhead, DetectTiming, Detector, InferenceError, ModelConfig, OnnxDetector, Prepared};
use sightwire::pipeline::{CameraConfig, QueueConfig, Seat, Seats, Turns, WhenFull, work};
use sightwire::telemetry::{CameraMetrics, FrameOutcome, ModelMetrics};

use crate::batch::{Yard, load, scene};
use crate::{Said, processor};

/// A true detector whose runs are counted, and may be held up.
struct Counting {
    detector: OnnxDetector,
    /// Whether it lets frames be prepared ahead.
    ahead: bool,
    /// Runs on frames as they are, and on such that were prepared.
    runs: (u64, u64),
    hold: Option<Receiver<()>>,
}

impl Counting {
    fn new(ahead: bool) -> Self {
        Self { detector: load(&ModelConfig::new("bundled:shapes")), ahead, runs: (0, 0), hold: None }
    }
}

impl Detector for Counting {
    fn set_confidence(&mut self, confidence: f32) {
        self.detector.set_confidence(confidence);
    }

    fn detect(&mut self, frame: &Frame, found: &mut Vec<Detection>) -> Result<DetectTiming, InferenceError> {
        self.runs.0 += 1;
        if let Some(hold) = &self.hold {
            hold.recv().unwrap();
        }
        self.detector.detect(frame, found)
    }

    fn ahead(&mut self) -> Option<&mut dyn DetectAhead> {
        self.ahead.then_some(self)
    }
}

impl DetectAhead for Counting {
    fn spare(&self) -> Box<Prepared> {
        self.detector.spare()
    }

    fn detect_filled(
        &mut self,
        filled: &mut Box<Prepared>,
        found: &mut Vec<Detection>,
    ) -> Result<DetectTiming, InferenceError> {
        self.runs.1 += 1;
        self.detector.detect_filled(filled, found)
    }
}

/// Two cameras of two sizes, one of them with a frame that is no picture.
fn frames() -> Vec<Vec<Frame>> {
    let small = |n| scene(&format!("width=320&height=240&seed={n}&objects=3"));
    let large = |n| scene(&format!("width=640&height=480&seed={n}&objects=4"));
    let mut frames = vec![(0..8).map(small).collect::<Vec<_>>(), (0..8).map(large).collect()];
    for camera in &mut frames {
        camera.iter_mut().zip(1..).for_each(|(frame, id)| frame.id = id);
    }
    frames[1][4].bgr.truncate(10);
    frames
}

/// What each camera said of its frames.
fn said(detector: &mut Counting) -> [Vec<serde_json::Value>; 2] {
    let yard = Yard::new(frames());
    yard.work(detector);
    assert_eq!(yard.outcomes(FrameOutcome::Inferred), [8, 7]);
    assert_eq!(yard.outcomes(FrameOutcome::Failed), [0, 1]);
    let said = yard.said.0.lock().unwrap();
    ["c0", "c1"].map(|camera| {
        let of_camera = said.iter().filter(|(_, said)| said["camera"] == camera && said["detections"].is_array());
        of_camera.map(|(_, said)| serde_json::json!([said["frame"]["id"], said["seq"], said["detections"]])).collect()
    })
}

#[test]
fn what_is_prepared_ahead_is_said_as_what_is_not_and_in_the_same_order() {
    let (mut plain, mut ahead) = (Counting::new(false), Counting::new(true));
    let expected = said(&mut plain);
    assert_eq!(plain.runs, (16, 0));
    assert!(expected[0].len() == 8 && expected[1].len() == 7, "{expected:?}");
    assert!(expected.iter().flatten().filter(|said| said[2] != serde_json::json!([])).count() > 10, "{expected:?}");
    assert_eq!(said(&mut ahead), expected);
    let (asked, prepared) = ahead.runs;
    assert_eq!(asked + prepared, 16);
    assert!(prepared > 5, "of 16 only {prepared} were prepared ahead");
}

#[test]
fn a_frame_that_was_prepared_ahead_is_not_inferred_once_its_camera_is_stopped() {
    let (turns, seats) = (Arc::<Turns>::default(), Seats::default());
    let config = CameraConfig::new("synthetic:shapes".parse().unwrap(), "model".parse().unwrap());
    let (metrics, heard) = (Arc::new(CameraMetrics::new("c0")), Arc::<Said>::default());
    let seat_of = Arc::new(Mutex::new(processor("c0", &config, 0.4, &metrics, &heard)));
    let lane = turns.add(QueueConfig { depth: 1, when_full: WhenFull::Block }, metrics.clone());
    let epoch = turns.open(lane);
    seats.write().unwrap().push(Seat::new("c0".parse().unwrap(), lane, seat_of, metrics.clone()).0);
    let (go, hold) = channel();
    let mut detector = Counting { hold: Some(hold), ..Counting::new(true) };
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| work(&turns, &seats, &mut detector, &ModelMetrics::new("fake")));
        // The third finds room once the worker has the first and its helper the second.
        for n in 0..3 {
            drop(turns.offer(lane, epoch, scene(&format!("seed={n}"))).unwrap());
        }
        turns.close(lane);
        go.send(()).unwrap();
        turns.shut();
        worker.join().unwrap();
    });
    assert_eq!(detector.runs, (1, 0), "the one that was in the model");
    assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 3);
    assert!(heard.0.lock().unwrap().iter().all(|(_, said)| !said["detections"].is_array()));
}
