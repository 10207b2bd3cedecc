//! A model's worker: takes the frame whose turn it is, or several cameras' where the detector takes them in one run, finds,
//! and hands the find to the frame's camera.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::ahead::Helper;
use super::failure::Failure;
use super::processor::{Processor, lock};
use super::tuning::Dial;
use super::turns::{LaneId, Turn, Turns};
use crate::domain::{Detection, Frame, Name};
use crate::inference::{Asked, DetectTiming, Detector, Prepared};
use crate::telemetry::{CameraMetrics, FrameOutcome, ModelMetrics};

/// A camera as its model's workers know it.
#[derive(Clone)]
pub struct Seat {
    pub camera: Name,
    pub lane: LaneId,
    pub processor: Arc<Mutex<Processor>>,
    pub metrics: Arc<CameraMetrics>,
    /// What the model is asked for: detections from this score on.
    floor: Arc<Dial>,
    faults: mpsc::Sender<Failure>,
    /// Frames in a row that the model failed on.
    failures: Arc<AtomicU32>,
}

impl Seat {
    /// The receiver is for the camera's task: what goes wrong here with its frames.
    #[must_use]
    pub fn new(
        camera: Name,
        lane: LaneId,
        processor: Arc<Mutex<Processor>>,
        metrics: Arc<CameraMetrics>,
    ) -> (Self, mpsc::Receiver<Failure>) {
        // One is enough to restart a camera.
        let (faults, receiver) = mpsc::channel(1);
        let floor = lock(&processor).floor();
        (Self { camera, lane, processor, metrics, floor, faults, failures: Arc::default() }, receiver)
    }

    #[expect(clippy::cast_possible_truncation, reason = "it was one")]
    fn confidence(&self) -> f32 {
        self.floor.get() as f32
    }

    /// The frame could not be processed. A panic restarts the camera at once, an error when it does not pass.
    fn failed(&self, failure: Failure) {
        self.metrics.frame(FrameOutcome::Failed);
        let in_a_row = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failure.is_panic() || in_a_row >= PASSING {
            self.failures.store(0, Ordering::Relaxed);
            // Full: it has been told already.
            let _told = self.faults.try_send(failure);
        }
    }
}

/// Who sits at which lane; written when a camera comes or goes.
pub type Seats = Arc<RwLock<Vec<Seat>>>;

/// Errors of one kind are logged so often at most.
const LOG_EVERY: Duration = Duration::from_mins(1);
/// So many frames in a row may fail before the camera is said to have failed.
const PASSING: u32 = 20;

/// Works until the turns are shut; run it on a thread of its own.
pub fn work(turns: &Turns, seats: &Seats, detector: &mut dyn Detector, metrics: &ModelMetrics) {
    std::thread::scope(|scope| {
        let helper = detector.ahead().and_then(|detector| {
            turns.take_prepared(detector.spare());
            Helper::start(scope, turns)
        });
        let most = detector.max_batch().max(1);
        let mut worker = Worker { turns, detector, helper, found: Vec::new(), said: None };
        let (mut hand, mut asked) = (Vec::with_capacity(most), Vec::with_capacity(most));
        while worker.take(most, &mut hand) {
            let began = Instant::now();
            for turn in hand.drain(..) {
                let lane = turn.lane;
                let seats = seats.read().unwrap_or_else(PoisonError::into_inner);
                let seat = seats.iter().find(|seat| seat.lane == lane).cloned();
                drop(seats);
                let Some(seat) = seat else {
                    // Its camera was removed while the frame waited.
                    turn.metrics.frame(FrameOutcome::DroppedPaused);
                    turns.done(lane, Some(turn.frame), turn.input);
                    continue;
                };
                asked.extend(worker.look(turn, seat));
            }
            worker.infer(&mut asked);
            metrics.busy(began.elapsed());
        }
    });
}

struct Worker<'a> {
    turns: &'a Turns,
    detector: &'a mut dyn Detector,
    helper: Option<Helper<'a>>,
    /// Kept: no allocation a frame.
    found: Vec<Vec<Detection>>,
    said: Option<Instant>,
}

/// A frame that is to be inferred.
struct Held {
    turn: Turn,
    seat: Seat,
    wait: Duration,
}

enum Looked {
    /// Nothing has changed, and that is said; or the camera was stopped. A buffer back, unless somebody took the frame.
    Over(Option<Frame>),
    New(Turn, Duration),
}

/// A buffer back, unless somebody took the frame.
type Done = Result<Option<Frame>, String>;

impl Worker<'_> {
    /// What was prepared ahead, else what comes next; false once the turns are shut.
    fn take(&mut self, most: usize, hand: &mut Vec<Turn>) -> bool {
        let Some(turn) = self.helper.as_ref().and_then(Helper::collect) else {
            return self.turns.take_some(most, hand);
        };
        hand.push(turn);
        true
    }

    /// A picture in which nothing has changed is done with; any other is given back.
    fn look(&mut self, mut turn: Turn, seat: Seat) -> Option<Held> {
        let (turns, lane, input) = (self.turns, turn.lane, turn.input.take());
        let prepared = input.as_ref().map_or(Duration::ZERO, |input| input.took());
        // One camera's odd frame must not take the others' worker down.
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let wait = turn.frame.ready_at.elapsed().saturating_sub(prepared);
            if !turns.is_current(lane, turn.epoch) {
                seat.metrics.frame(FrameOutcome::DroppedPaused);
                return Looked::Over(Some(turn.frame));
            }
            let mut processor = lock(&seat.processor);
            if processor.is_still(&turn.frame) && turns.is_current(lane, turn.epoch) {
                return Looked::Over(processor.repeat(turn.frame, wait));
            }
            Looked::New(turn, wait)
        }));
        let done = match looked {
            Ok(Looked::New(mut turn, wait)) => {
                turn.input = input;
                return Some(Held { turn, seat, wait });
            }
            Ok(Looked::Over(buffer)) => Ok(Ok(buffer)),
            Err(payload) => Err(payload),
        };
        self.conclude(lane, &seat, input, done);
        None
    }

    /// Several in one run, where the detector can and there are several; else, or where that fails, one by one.
    fn infer(&mut self, asked: &mut Vec<Held>) {
        if let Some(helper) = self.helper.as_ref().filter(|_| !asked.is_empty()) {
            helper.engage();
        }
        self.found.resize_with(asked.len().max(self.found.len()), Vec::new);
        let together = if asked.len() > 1 { self.together(asked) } else { None };
        for (at, mut held) in asked.drain(..).enumerate() {
            let (lane, seat, mut input) = (held.turn.lane, held.seat.clone(), held.turn.input.take());
            let mut found = std::mem::take(&mut self.found[at]);
            let cost = together.as_ref().and_then(|costs| costs.get(at).copied());
            let done = catch_unwind(AssertUnwindSafe(|| {
                let cost = cost.map_or_else(|| self.alone(&held, input.as_deref_mut(), &mut found), Ok)?;
                Ok(self.say(held, cost, &mut found))
            }));
            self.found[at] = found;
            self.conclude(lane, &seat, input, done);
        }
    }

    fn together(&mut self, asked: &[Held]) -> Option<Vec<DetectTiming>> {
        let frames: Vec<Asked<'_>> =
            asked.iter().map(|held| Asked { frame: &held.turn.frame, confidence: held.seat.confidence() }).collect();
        let found = &mut self.found[..asked.len()];
        let ran = catch_unwind(AssertUnwindSafe(|| self.detector.detect_batch(&frames, found)));
        match ran {
            Ok(Ok(costs)) if costs.len() == asked.len() => Some(costs),
            // Whose frame it was shows itself one by one.
            Ok(Err(error)) => {
                tracing::debug!("a run of {} frames failed: {error}", asked.len());
                None
            }
            _ => None,
        }
    }

    fn alone(
        &mut self,
        held: &Held,
        input: Option<&mut Prepared>,
        found: &mut Vec<Detection>,
    ) -> Result<DetectTiming, String> {
        self.detector.set_confidence(held.seat.confidence());
        let ran = match (input.filter(|input| input.is_filled()), self.detector.ahead()) {
            (Some(input), Some(detector)) => detector.detect_filled(input, found),
            _ => self.detector.detect(&held.turn.frame, found),
        };
        ran.map_err(|e| e.to_string())
    }

    fn say(&self, held: Held, cost: DetectTiming, found: &mut Vec<Detection>) -> Option<Frame> {
        let Held { turn: Turn { lane, epoch, frame, .. }, seat, wait } = held;
        let mut processor = lock(&seat.processor);
        // Stopped or paused while the model ran: nothing is said of this frame any more. The lock is what a stop waits for.
        if !self.turns.is_current(lane, epoch) {
            seat.metrics.frame(FrameOutcome::DroppedPaused);
            return Some(frame);
        }
        processor.process(frame, found, cost, wait)
    }

    fn conclude(&mut self, lane: LaneId, seat: &Seat, input: Option<Box<Prepared>>, done: std::thread::Result<Done>) {
        let (buffer, failure) = match done {
            Ok(Ok(buffer)) => (buffer, None),
            Ok(Err(error)) => (None, Some(Failure::again("inference_failed", format!("the model failed: {error}")))),
            Err(payload) => (None, Some(Failure::panic("the worker", payload.as_ref()))),
        };
        if let Some(helper) = &self.helper {
            helper.disengage();
        }
        self.turns.done(lane, buffer, input);
        let Some(failure) = failure else {
            seat.failures.store(0, Ordering::Relaxed);
            return;
        };
        if !failure.is_panic() && self.said.is_none_or(|at| at.elapsed() > LOG_EVERY) {
            self.said = Some(Instant::now());
            tracing::error!(camera = %seat.camera, "a frame could not be processed: {}", failure.message);
        }
        seat.failed(failure);
    }
}
