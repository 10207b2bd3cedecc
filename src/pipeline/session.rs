//! One capture session: a thread that opens the source and reads it until it ends, fails or is cancelled.
//!
//! The straight story of one connection; retrying is the camera's business. A thread that is stuck in native code cannot be
//! ended: its lane's epoch is over, so nothing it brings later is taken, and it is left to itself. A panic in it ends the
//! session and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::failure::Failure;
use super::picture::{Condition, Watch};
use super::processor::{Processor, lock};
use super::tuning::Dial;
use super::turns::{Epoch, LaneId, Turns};
use crate::domain::{Frame, Name, Timestamp};
use crate::source::{Cancel, FrameSource, OpenOptions, Opener, Read, SourceError};
use crate::telemetry::{CameraMetrics, FrameOutcome};

/// What a session tells its camera.
#[derive(Debug)]
pub enum SessionEvent {
    /// The first frame is there: the source works.
    Streaming,
    /// What is wrong with the picture has changed.
    Picture(Option<Condition>),
    /// A finite source has ended.
    Ended,
    Failed(Failure),
}

/// What every session of a camera needs.
#[derive(Clone)]
pub struct SessionContext {
    pub camera: Name,
    pub source: Arc<dyn Opener>,
    pub options: OpenOptions,
    /// Frames a second to offer at most; 0 = all.
    pub max_fps: Arc<Dial>,
    pub turns: Arc<Turns>,
    pub lane: LaneId,
    pub processor: Arc<Mutex<Processor>>,
    pub metrics: Arc<CameraMetrics>,
    /// Counts frames over all sessions.
    pub frame_ids: Arc<AtomicU64>,
    /// Past the source's own time-outs by so much, a thread is held to be stuck.
    pub grace: Duration,
    /// Looks at the picture, where that is wanted.
    pub watch: Option<Arc<Mutex<Watch>>>,
}

/// A running session. Dropping it cancels it.
pub struct Session {
    pub epoch: Epoch,
    pub events: mpsc::Receiver<SessionEvent>,
    cancel: Cancel,
    pulse: Arc<Pulse>,
}

/// Since when the thread has been inside a call that may block in native code.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Option<(Instant, Duration)>>);

impl Pulse {
    fn enter(&self, limit: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), limit));
    }

    fn leave(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn overdue(&self) -> Option<Duration> {
        let inside = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside
            .map(|(since, limit)| (since.elapsed(), limit))
            .filter(|(spent, limit)| spent > limit)
            .map(|(spent, _)| spent)
    }
}

impl SessionContext {
    /// What is usual.
    pub const GRACE: Duration = Duration::from_secs(5);
}

impl Session {
    /// Opens the lane and starts the thread.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn start(context: SessionContext) -> std::io::Result<(Self, JoinHandle<()>)> {
        let epoch = context.turns.open(context.lane);
        let (sender, events) = mpsc::channel(4);
        let cancel = Cancel::default();
        let pulse = Arc::new(Pulse::default());
        let thread = Thread { context, epoch, cancel: cancel.clone(), pulse: pulse.clone(), sender };
        let handle = std::thread::Builder::new()
            .name(format!("capture {}", thread.context.camera))
            .spawn(move || thread.run())?;
        Ok((Self { epoch, events, cancel, pulse }, handle))
    }

    pub(super) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// How long the thread has been stuck in a call that should have timed out; `None` while all is well.
    pub fn stuck(&self) -> Option<Duration> {
        self.pulse.overdue()
    }

    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel();
    }
}

struct Thread {
    context: SessionContext,
    epoch: Epoch,
    cancel: Cancel,
    pulse: Arc<Pulse>,
    sender: mpsc::Sender<SessionEvent>,
}

impl Thread {
    fn run(self) {
        let event = match catch_unwind(AssertUnwindSafe(|| self.run_once())) {
            Ok(Ok(())) => SessionEvent::Ended,
            Ok(Err(error)) => SessionEvent::Failed(error.into()),
            Err(payload) => SessionEvent::Failed(Failure::panic("capture", payload.as_ref())),
        };
        // Nobody listens any more when the camera gave this session up.
        let _given_up = self.sender.blocking_send(event);
    }

    fn run_once(&self) -> Result<(), SourceError> {
        let SessionContext { source, options, turns, lane, metrics, frame_ids, .. } = &self.context;
        let options = OpenOptions { cancel: self.cancel.clone(), ..options.clone() };
        self.pulse.enter(options.open_timeout + self.context.grace);
        let mut source = source.open(&options)?;
        self.pulse.leave();
        if let Some(watch) = &self.context.watch {
            watch.lock().unwrap_or_else(PoisonError::into_inner).begin();
        }
        let mut frame = Frame::empty();
        let mut rate = RateLimit::new(self.context.max_fps.get());
        let (shutter, sifts) = {
            let processor = lock(&self.context.processor);
            (processor.shutter(), processor.sifts())
        };
        let mut streaming = false;
        loop {
            if self.read(source.as_mut(), &mut frame, options.read_timeout)? == Read::End {
                return Ok(());
            }
            if self.cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            if !streaming {
                streaming = true;
                let _given_up = self.sender.blocking_send(SessionEvent::Streaming);
            }
            if !source.numbers_frames() {
                frame.id = frame_ids.fetch_add(1, Ordering::Relaxed) + 1;
            }
            metrics.frame_read(frame.decode);
            self.look(&frame);
            rate.turn_to(self.context.max_fps.get());
            if shutter.is_pressed() {
                self.shoot_if_paused(&frame);
            }
            let (due, asked_for) = (rate.admits(frame.captured_at), shutter.hurries());
            if !due && !asked_for {
                metrics.frame(FrameOutcome::SkippedRate);
                continue;
            }
            // A picture in which nothing has changed is not worth preparing.
            let offer = if sifts.load(Ordering::Relaxed) { Turns::offer } else { Turns::prepare_and_offer };
            let Some(spare) = offer(turns, *lane, self.epoch, frame) else {
                metrics.frame(FrameOutcome::DroppedPaused);
                return Err(SourceError::Cancelled);
            };
            frame = spare;
        }
    }

    /// A worker never sees the frames of a paused camera.
    fn shoot_if_paused(&self, frame: &Frame) {
        let SessionContext { turns, lane, processor, .. } = &self.context;
        // A stop or a resume waits for the lock: what holds under it holds until the picture is handed over.
        let processor = lock(processor);
        if turns.is_paused(*lane, self.epoch) {
            processor.shoot(frame);
        }
    }

    fn look(&self, frame: &Frame) {
        let Some(watch) = &self.context.watch else { return };
        let changed = watch.lock().unwrap_or_else(PoisonError::into_inner).look(frame);
        if let Some(condition) = changed {
            let _given_up = self.sender.blocking_send(SessionEvent::Picture(condition));
        }
    }

    fn read(&self, source: &mut dyn FrameSource, frame: &mut Frame, timeout: Duration) -> Result<Read, SourceError> {
        // Only live sources have a time-out that bounds a read; others wait as long as their timeline says.
        if self.context.source.is_live() {
            self.pulse.enter(timeout + self.context.grace);
        }
        let read = source.read(frame);
        self.pulse.leave();
        read
    }
}

/// Lets frames through at a rate at most, by their capture times (so that files read as fast as possible are thinned alike).
#[derive(Debug)]
struct RateLimit {
    max_fps: f64,
    /// Microseconds between two frames; 0 = no limit.
    interval: i64,
    due: Option<i64>,
}

impl RateLimit {
    #[expect(clippy::cast_possible_truncation, reason = "a rate over 1e-6 per second")]
    fn new(max_fps: f64) -> Self {
        let interval = if max_fps > 0.0 { (1e6 / max_fps) as i64 } else { 0 };
        Self { max_fps, interval, due: None }
    }

    /// Another rate holds from the next frame on.
    #[expect(clippy::float_cmp, reason = "told apart is what was set apart")]
    fn turn_to(&mut self, max_fps: f64) {
        if max_fps != self.max_fps {
            *self = Self::new(max_fps);
        }
    }

    fn admits(&mut self, at: Timestamp) -> bool {
        if self.interval == 0 {
            return true;
        }
        let now = at.as_micros();
        // A tenth of the interval is forgiven: a 15 fps camera asked for 15 must not lose frames to jitter.
        let slack = self.interval / 10;
        match self.due {
            // A clock that jumped back by more than an interval starts anew.
            Some(due) if now < due - slack && now > due - 2 * self.interval => false,
            Some(due) if now < due + self.interval && now >= due - slack => {
                self.due = Some(due + self.interval);
                true
            }
            _ => {
                self.due = Some(now + self.interval);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(source_fps: f64, max_fps: f64, jitter: i64) -> usize {
        let mut rate = RateLimit::new(max_fps);
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let at = |n: i32| Timestamp::from_micros((f64::from(n) * 1e6 / source_fps) as i64 + i64::from(n % 3) * jitter);
        (0..300).filter(|&n| rate.admits(at(n))).count()
    }

    #[test]
    fn a_rate_is_kept_on_average_whatever_the_sources_is() {
        assert_eq!(admitted(30.0, 0.0, 0), 300);
        assert!((48..=52).contains(&admitted(30.0, 5.0, 2000)), "{}", admitted(30.0, 5.0, 2000));
        assert!((98..=102).contains(&admitted(30.0, 10.0, 2000)));
        assert!((295..=300).contains(&admitted(15.0, 15.0, 2000)));
        assert!((235..=245).contains(&admitted(25.0, 20.0, 0)), "{}", admitted(25.0, 20.0, 0));
    }

    #[test]
    fn a_rate_is_changed_on_the_way() {
        let mut rate = RateLimit::new(1.0);
        let admitted = |rate: &mut RateLimit, from: i64| {
            (from..from + 100).filter(|n| rate.admits(Timestamp::from_micros(n * 100_000))).count()
        };
        assert!((10..=11).contains(&admitted(&mut rate, 0)));
        rate.turn_to(5.0);
        assert!((49..=51).contains(&admitted(&mut rate, 100)));
        rate.turn_to(0.0);
        assert_eq!(admitted(&mut rate, 200), 100);
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_silence_a_camera() {
        let mut rate = RateLimit::new(1.0);
        assert!(rate.admits(Timestamp::from_micros(100_000_000)));
        assert!(rate.admits(Timestamp::from_micros(50_000_000)));
        assert!(!rate.admits(Timestamp::from_micros(50_200_000)));
        assert!(rate.admits(Timestamp::from_micros(51_000_000)));
    }
}
