//! Frames are prepared by the thread that brings them, or while the model runs: each camera is told the same in the same order,
//! and nothing of a frame whose camera was stopped meanwhile.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sightwire::domain::{Detection, Frame};
use sightwire::inference::{DetectAhead, DetectTiming, Detector, InferenceError, ModelConfig, OnnxDetector, Prepared};
use sightwire::pipeline::{CameraConfig, LaneId, QueueConfig, Seat, Seats, Turns, WhenFull, work};
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

impl Counting {
    fn hold_up(&self) {
        if let Some(hold) = &self.hold {
            hold.recv().unwrap();
        }
    }
}

impl Detector for Counting {
    fn set_confidence(&mut self, confidence: f32) {
        self.detector.set_confidence(confidence);
    }

    fn detect(&mut self, frame: &Frame, found: &mut Vec<Detection>) -> Result<DetectTiming, InferenceError> {
        self.runs.0 += 1;
        self.hold_up();
        self.detector.detect(frame, found)
    }

    fn ahead(&mut self) -> Option<&mut dyn DetectAhead> {
        self.ahead.then_some(self)
    }
}

impl DetectAhead for Counting {
    fn spare(&self) -> Prepared {
        self.detector.spare()
    }

    fn detect_filled(
        &mut self,
        filled: &mut Prepared,
        found: &mut Vec<Detection>,
    ) -> Result<DetectTiming, InferenceError> {
        self.runs.1 += 1;
        self.hold_up();
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
fn said(yard: &Yard) -> [Vec<serde_json::Value>; 2] {
    assert_eq!(yard.outcomes(FrameOutcome::Inferred), [8, 7]);
    assert_eq!(yard.outcomes(FrameOutcome::Failed), [0, 1]);
    let said = yard.said.0.lock().unwrap();
    ["c0", "c1"].map(|camera| {
        let of_camera = said.iter().filter(|(_, said)| said["camera"] == camera && said["detections"].is_array());
        of_camera.map(|(_, said)| serde_json::json!([said["frame"]["id"], said["seq"], said["detections"]])).collect()
    })
}

#[test]
fn what_others_prepare_is_said_as_what_the_worker_prepares_and_in_the_same_order() {
    // The same ones each time: tracks depend on when frames were captured.
    let frames = frames();
    let mut plain = Counting::new(false);
    let yard = Yard::new(frames.clone());
    yard.work(&mut plain);
    let expected = said(&yard);
    assert_eq!(plain.runs, (16, 0));
    assert!(expected[0].len() == 8 && expected[1].len() == 7, "{expected:?}");
    assert!(expected.iter().flatten().filter(|said| said[2] != serde_json::json!([])).count() > 10, "{expected:?}");

    // All of them wait when the worker comes: its helper prepares the other camera's frame each time.
    let mut helped = Counting::new(true);
    let yard = Yard::new(frames.clone());
    yard.work(&mut helped);
    assert_eq!(said(&yard), expected);
    assert_eq!(helped.runs.0 + helped.runs.1, 16);
    assert!(helped.runs.1 > 5, "{:?}", helped.runs);

    // Brought while the worker works, to queues that block: whoever brings them prepares all but the one that is no picture.
    let mut brought = Counting::new(true);
    let yard = Yard::empty(&frames);
    yard.work_while(&mut brought, |yard| {
        std::thread::scope(|scope| {
            for (camera, frames) in frames.into_iter().enumerate() {
                scope.spawn(move || frames.into_iter().for_each(|frame| yard.bring(camera, frame)));
            }
        });
    });
    assert_eq!(said(&yard), expected);
    assert_eq!(brought.runs, (1, 15));
}

#[test]
fn a_frame_that_comes_prepared_keeps_its_turn_among_those_that_do_not() {
    let frames: Vec<Vec<Frame>> =
        (0..4).map(|n| vec![scene(&format!("seed={n}")); if n == 0 { 2 } else { 6 }]).collect();
    let yard = Yard::empty(&frames);
    let (go, hold) = channel();
    let mut detector = Counting { hold: Some(hold), ..Counting::new(true) };
    yard.work_while(&mut detector, |yard| {
        for (camera, frames) in frames.into_iter().enumerate().rev() {
            let bring = if camera == 0 { Yard::bring } else { Yard::offer };
            for frame in frames {
                bring(yard, camera, frame);
            }
        }
        (0..20).for_each(|_| go.send(()).unwrap());
    });
    let said = yard.said.0.lock().unwrap();
    let order: Vec<&str> =
        said.iter().filter_map(|(_, said)| said["detections"].is_array().then(|| said["camera"].as_str())?).collect();
    let places: Vec<usize> = (0..order.len()).filter(|&at| order[at] == "c0").collect();
    // One of each, from whoever the worker had first; so by the eighth message there are two of everybody.
    assert!(order.len() == 20 && places[1] < 9, "{order:?}");
}

/// A camera of a model that is held up, until its owner lets it go frame by frame.
struct Held {
    turns: Arc<Turns>,
    lane: LaneId,
    metrics: Arc<CameraMetrics>,
    heard: Arc<Said>,
    seats: Seats,
}

impl Held {
    fn new(queue: QueueConfig) -> Self {
        let (turns, seats) = (Arc::<Turns>::default(), Seats::default());
        let config = CameraConfig::new("synthetic:shapes".parse().unwrap(), "model".parse().unwrap());
        let (metrics, heard) = (Arc::new(CameraMetrics::new("c0")), Arc::<Said>::default());
        let processor = Arc::new(Mutex::new(processor("c0", &config, 0.4, &metrics, &heard)));
        let lane = turns.add(queue, metrics.clone());
        seats.write().unwrap().push(Seat::new("c0".parse().unwrap(), lane, processor, metrics.clone()).0);
        Self { turns, lane, metrics, heard, seats }
    }

    /// Runs of the model on frames as they are and on prepared ones; `act` is given what lets one run end.
    fn work(&self, act: impl FnOnce(Sender<()>)) -> (u64, u64) {
        let (go, hold) = channel();
        let mut detector = Counting { hold: Some(hold), ..Counting::new(true) };
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(&self.turns, &self.seats, &mut detector, &ModelMetrics::new("fake")));
            act(go);
            self.turns.shut();
            worker.join().unwrap();
        });
        detector.runs
    }

    fn inferred(&self, count: u64) {
        let begun = Instant::now();
        while self.metrics.totals.outcome(FrameOutcome::Inferred) < count {
            assert!(begun.elapsed() < Duration::from_mins(1), "{count} are not inferred");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn frames_that_a_fresher_one_may_replace_are_prepared_only_for_a_worker_that_waits() {
    let camera = Held::new(QueueConfig { depth: 1, when_full: WhenFull::DropOldest });
    let epoch = camera.turns.open(camera.lane);
    let bring = |n| drop(camera.turns.prepare_and_offer(camera.lane, epoch, scene(&format!("seed={n}"))).unwrap());
    let runs = camera.work(|go| {
        // Nobody can see from outside whether the worker waits already: it does soon.
        std::thread::sleep(Duration::from_millis(300));
        bring(1);
        // The model has the first for as long as it is held up: one more waits, and another takes its place.
        while !camera.turns.has_room(camera.lane) {
            std::thread::yield_now();
        }
        bring(2);
        bring(3);
        go.send(()).unwrap();
        go.send(()).unwrap();
        camera.inferred(2);
    });
    assert_eq!(runs, (1, 1), "the first came prepared, the third did not");
    assert_eq!(camera.metrics.totals.outcome(FrameOutcome::DroppedStale), 1);
}

#[test]
fn frames_that_wait_prepared_are_not_inferred_once_their_camera_is_stopped_and_the_next_session_prepares_again() {
    let camera = Held::new(QueueConfig { depth: 4, when_full: WhenFull::Block });
    let (turns, lane) = (&camera.turns, camera.lane);
    let epoch = turns.open(lane);
    let bring = |epoch, n| turns.prepare_and_offer(lane, epoch, scene(&format!("seed={n}"))).is_some();
    let runs = camera.work(|go| {
        std::thread::scope(|scope| {
            // One is in the model, one waits with the second input, and the third waits for an input.
            let source = scope.spawn(|| (1..=3).map(|n| bring(epoch, n)).collect::<Vec<_>>());
            std::thread::sleep(Duration::from_millis(300));
            turns.close(lane);
            assert_eq!(source.join().unwrap(), [true, true, false]);
        });
        let again = turns.open(lane);
        (0..3).for_each(|_| go.send(()).unwrap());
        assert!(bring(again, 4) && bring(again, 5));
        camera.inferred(2);
    });
    assert_eq!(runs, (0, 3), "that which was in the model, and two of the next session");
    assert_eq!(
        camera.metrics.totals.outcome(FrameOutcome::DroppedPaused),
        2,
        "the refused one is its source's to count"
    );
    let heard = camera.heard.0.lock().unwrap();
    assert_eq!(heard.iter().filter(|(_, said)| said["detections"].is_array()).count(), 2);
}
