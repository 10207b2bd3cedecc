//! A model's worker: takes the frame whose turn it is, finds, and hands the find to the frame's camera.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::processor::Processor;
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
}

/// Who sits at which lane; written while the node is built, read afterwards.
pub type Seats = Arc<RwLock<Vec<Seat>>>;

/// Errors of one kind are logged so often at most.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// Works until the turns are shut; run it on a thread of its own.
pub fn work(turns: &Turns, seats: &Seats, detector: &mut dyn Detector) {
    let mut found = Vec::new();
    let mut said: Option<Instant> = None;
    while let Some(turn) = turns.take() {
        let lane = turn.lane;
        let seat = seats.read().unwrap_or_else(PoisonError::into_inner).iter().find(|seat| seat.lane == lane).cloned();
        let Some(seat) = seat else {
            turns.done(lane, Some(turn.frame));
            continue;
        };
        // One camera's odd frame must not take the others' worker down.
        let outcome = catch_unwind(AssertUnwindSafe(|| one(turns, turn, &seat, detector, &mut found)));
        let (buffer, error) = match outcome {
            Ok(Ok(buffer)) => (buffer, None),
            Ok(Err(error)) => (None, Some(error)),
            Err(_) => (None, Some("a panic in the worker; please report it".to_owned())),
        };
        turns.done(lane, buffer);
        if let Some(error) = error {
            seat.metrics.frame(FrameOutcome::Failed);
            if said.is_none_or(|at| at.elapsed() > LOG_EVERY) {
                said = Some(Instant::now());
                tracing::error!(camera = %seat.camera, "a frame could not be processed: {error}");
            }
        }
    }
}

fn one(
    turns: &Turns,
    turn: Turn,
    seat: &Seat,
    detector: &mut dyn Detector,
    found: &mut Vec<Detection>,
) -> Result<Option<crate::domain::Frame>, String> {
    let Turn { lane, epoch, frame } = turn;
    let wait = frame.ready_at.elapsed();
    let cost = detector.detect(&frame, found).map_err(|e| e.to_string())?;
    let mut processor = seat.processor.lock().unwrap_or_else(PoisonError::into_inner);
    // Stopped or paused while the model ran: nothing is said of this frame any more. The lock is what a stop waits for.
    if !turns.is_current(lane, epoch) {
        seat.metrics.frame(FrameOutcome::DroppedPaused);
        return Ok(Some(frame));
    }
    Ok(processor.process(frame, found, cost, wait))
}
