//! A model's worker: takes the frame whose turn it is, finds, and hands the find to the frame's camera.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::failure::Failure;
use super::processor::{Processor, lock};
use super::tuning::Dial;
use super::turns::{LaneId, Turn, Turns};
use crate::domain::{Detection, Name};
use crate::inference::Detector;
use crate::telemetry::{CameraMetrics, FrameOutcome};

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
pub fn work(turns: &Turns, seats: &Seats, detector: &mut dyn Detector) {
    let mut found = Vec::new();
    let mut said: Option<Instant> = None;
    while let Some(turn) = turns.take() {
        let lane = turn.lane;
        let seat = seats.read().unwrap_or_else(PoisonError::into_inner).iter().find(|seat| seat.lane == lane).cloned();
        let Some(seat) = seat else {
            // Its camera was removed while the frame waited.
            turn.metrics.frame(FrameOutcome::DroppedPaused);
            turns.done(lane, Some(turn.frame));
            continue;
        };
        // One camera's odd frame must not take the others' worker down.
        let outcome = catch_unwind(AssertUnwindSafe(|| one(turns, turn, &seat, detector, &mut found)));
        let (buffer, failure) = match outcome {
            Ok(Ok(buffer)) => (buffer, None),
            Ok(Err(error)) => (None, Some(Failure::again("inference_failed", format!("the model failed: {error}")))),
            Err(payload) => (None, Some(Failure::panic("the worker", payload.as_ref()))),
        };
        turns.done(lane, buffer);
        let Some(failure) = failure else {
            seat.failures.store(0, Ordering::Relaxed);
            continue;
        };
        if !failure.is_panic() && said.is_none_or(|at| at.elapsed() > LOG_EVERY) {
            said = Some(Instant::now());
            tracing::error!(camera = %seat.camera, "a frame could not be processed: {}", failure.message);
        }
        seat.failed(failure);
    }
}

fn one(
    turns: &Turns,
    turn: Turn,
    seat: &Seat,
    detector: &mut dyn Detector,
    found: &mut Vec<Detection>,
) -> Result<Option<crate::domain::Frame>, String> {
    let Turn { lane, epoch, frame, .. } = turn;
    let wait = frame.ready_at.elapsed();
    {
        let mut processor = lock(&seat.processor);
        if processor.is_still(&frame) && turns.is_current(lane, epoch) {
            return Ok(processor.repeat(frame, wait));
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was one")]
    detector.set_confidence(seat.floor.get() as f32);
    let cost = detector.detect(&frame, found).map_err(|e| e.to_string())?;
    let mut processor = lock(&seat.processor);
    // Stopped or paused while the model ran: nothing is said of this frame any more. The lock is what a stop waits for.
    if !turns.is_current(lane, epoch) {
        seat.metrics.frame(FrameOutcome::DroppedPaused);
        return Ok(Some(frame));
    }
    Ok(processor.process(frame, found, cost, wait))
}
