//! One camera's life: desired state in, actual state out, sessions in between.
//!
//! What is to be done is the [`Machine`]'s to say; [`Camera::run`] only hears what happens and carries out. The desired state is
//! a level (a watch), not an event: however many commands come, the last one holds. Whatever panics on a camera's behalf, its
//! capture, its frames' processing or this task, restarts that camera and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::machine::{Action, Desired, Input, Machine};
use super::picture::Condition;
use super::processor::lock;
use super::session::{Session, SessionContext, SessionEvent};
use super::states::Announcer;
use super::threads::{MOST, Threads};
use crate::bus::Backoff;
use crate::domain::Timestamp;
use crate::envelope::{ActualState, Reason};
use crate::source::SourceError;

/// How the camera stands, and the last wish it acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    pub desired: Desired,
    pub actual: ActualState,
    pub reason: Option<Reason>,
    /// When `actual` became so; None: as the node started.
    pub since: Option<Timestamp>,
}

pub struct Camera {
    machine: Machine,
    context: SessionContext,
    desired: watch::Receiver<Desired>,
    announcer: Announcer,
    /// What went wrong with its frames at the worker's.
    faults: mpsc::Receiver<Failure>,
    threads: Threads,
    session: Option<Session>,
    /// Ends when the model is through with what was captured.
    draining: Option<BoxFuture<'static, ()>>,
    /// Nobody can wish any more.
    deserted: bool,
    /// When a wait is over.
    due: Option<Instant>,
    /// Of a source that fails, and of a camera in which something panics.
    backoffs: [Backoff; 2],
    /// When the last session, or this task, began.
    begun: Instant,
    /// What was said of the picture last.
    seen: Option<Condition>,
}

/// How often a running session is looked at: stuck thread, figures.
const TICK: Duration = Duration::from_secs(1);
/// For the model to finish what was captured when a session ends.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two looks whether a source is back. Knocking is cheap, and who comes back is to be seen again within 5 s; a
/// source that must not be asked so often says so ([`SourceError::least_delay`]).
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(3);

impl Camera {
    #[must_use]
    pub fn new(
        context: SessionContext,
        desired: watch::Receiver<Desired>,
        announcer: Announcer,
        faults: mpsc::Receiver<Failure>,
    ) -> Self {
        let threads = Threads::new(context.camera.clone(), context.metrics.clone());
        context.metrics.picture(None, &Condition::ALL.map(Condition::code));
        Self {
            machine: Machine::new(),
            context,
            desired,
            announcer,
            faults,
            threads,
            session: None,
            draining: None,
            deserted: false,
            due: None,
            backoffs: fresh(),
            begun: Instant::now(),
            seen: None,
        }
    }

    /// Lives until `shutdown`; then stops the source, lets what was captured be processed, and says `offline`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        let mut input = Some(Input::Wish(*self.desired.borrow_and_update()));
        while !self.machine.is_gone() {
            let step = async {
                match input.take() {
                    Some(input) => self.take_in(input),
                    None => input = self.hear(&mut tick, &shutdown).await,
                }
            };
            if let Err(payload) = AssertUnwindSafe(step).catch_unwind().await {
                // What it holds may be what panicked: then it is left as it is.
                let failure = Failure::panic("the camera's task", payload.as_ref());
                let _again = catch_unwind(AssertUnwindSafe(|| self.take_in(Input::Failed(failure))));
            }
        }
        self.announcer.leave();
    }

    /// What happens next, and is any of the machine's business.
    async fn hear(&mut self, tick: &mut tokio::time::Interval, shutdown: &CancellationToken) -> Option<Input> {
        let (open, leaving) = (self.machine.is_open(), self.machine.is_leaving());
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if !leaving => Some(Input::Shutdown),
            changed = self.desired.changed(), if !self.deserted => {
                self.deserted = changed.is_err();
                Some(if self.deserted { Input::Shutdown } else { Input::Wish(*self.desired.borrow_and_update()) })
            }
            event = spoken(&mut self.session), if open => Some(event),
            Some(fault) = self.faults.recv(), if open => Some(Input::Failed(fault)),
            () = ended(&mut self.draining) => Some(Input::Drained),
            () = reached(self.due) => {
                self.due = None;
                Some(Input::Due)
            }
            _ = tick.tick() => self.look(),
        }
    }

    /// Once a second: figures, and a thread that is stuck.
    fn look(&mut self) -> Option<Input> {
        self.announcer.tick();
        self.threads.look();
        let spent = self.session.as_ref().filter(|_| self.machine.is_open())?.stuck()?;
        let source_name = self.context.source.shown();
        Some(Input::Failed(SourceError::Stuck { source_name, spent }.into()))
    }

    /// One step of the machine, carried out and said. What cannot be carried out is another input.
    fn take_in(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            for action in self.machine.on(input) {
                next = self.carry_out(action).or(next);
            }
        }
        self.see();
        let machine = &self.machine;
        if !machine.is_gone() {
            self.announcer.settle(machine.desired(), machine.actual(), machine.reason());
        }
    }

    fn carry_out(&mut self, action: Action) -> Option<Input> {
        let (turns, lane) = (&self.context.turns, self.context.lane);
        match action {
            Action::Open { anew } => return self.open(anew).err(),
            Action::Pause(paused) => turns.pause(lane, paused),
            Action::Finish => self.finish(),
            Action::Cancel => {
                if let Some(session) = &self.session {
                    session.cancel();
                }
            }
            Action::Drain => {
                // A session that could not even start has nothing to drain, and the machine waits to be told so.
                let drained = self
                    .session
                    .as_ref()
                    .map_or_else(|| Box::pin(std::future::ready(())) as _, |session| self.drain(session));
                self.draining = Some(drained);
            }
            Action::Close => {
                (self.session, self.draining) = (None, None);
                turns.close(lane);
                self.finish();
            }
            Action::Report(failure) => self.report(&failure),
            Action::BackOff(failure) => {
                let lasted = self.begun.elapsed();
                self.backoffs.iter_mut().for_each(|backoff| backoff.connected_for(lasted));
                let delay = self.backoffs[usize::from(failure.is_panic())].next_delay();
                self.due = Some(Instant::now() + delay.max(failure.least_delay));
            }
            Action::WaitForRoom => self.due = Some(Instant::now() + TICK),
        }
        None
    }

    fn open(&mut self, anew: bool) -> Result<(), Input> {
        self.due = None;
        if anew {
            self.backoffs = fresh();
        }
        self.threads.look();
        if !self.threads.have_room() {
            return Err(Input::Crowded(self.stuck()));
        }
        if !anew {
            self.context.metrics.reconnect();
        }
        // What an earlier session left behind is its own.
        while self.faults.try_recv().is_ok() {}
        self.begun = Instant::now();
        let begun = Session::start(self.context.clone());
        let (session, handle) =
            begun.map_err(|e| Input::Failed(Failure::again("no_thread", format!("cannot start a thread: {e}"))))?;
        self.threads.add(handle, session.pulse());
        self.session = Some(session);
        Ok(())
    }

    /// Why there is no room for another thread, where waiting a moment will not help.
    fn stuck(&self) -> Option<Failure> {
        let stuck = self.threads.abandoned();
        (stuck == MOST).then(|| {
            let why = format!(
                "{stuck} capture threads hang in native code; no more are started until one of them ends, \
                 and restarting the node is rid of them"
            );
            Failure::again("capture_stuck", why)
        })
    }

    fn finish(&self) {
        lock(&self.context.processor).finish(Timestamp::now());
    }

    /// Lets the model see what was captured before the session ended. A model that is stuck must not hold the camera's state
    /// up: what is left after a while is dropped, counted.
    fn drain(&self, session: &Session) -> BoxFuture<'static, ()> {
        let (turns, lane, epoch) = (self.context.turns.clone(), self.context.lane, session.epoch);
        let drained = tokio::task::spawn_blocking(move || turns.drain(lane, epoch));
        let camera = self.context.camera.clone();
        Box::pin(async move {
            if tokio::time::timeout(DRAIN, drained).await.is_err() {
                tracing::warn!(%camera, "the model did not finish what was captured within {DRAIN:?}");
            }
        })
    }

    /// Notes what is wrong with the picture, if anything.
    fn see(&mut self) {
        let (was, now) = (std::mem::replace(&mut self.seen, self.machine.picture()), self.machine.picture());
        if was == now {
            return;
        }
        let camera = &self.context.camera;
        match (was, now) {
            (_, Some(wrong)) => tracing::warn!(%camera, code = wrong.code(), "{}", wrong.message()),
            // After a session nothing is known of the picture: not a word that it is healthy again.
            (Some(was), None) if self.machine.is_open() => {
                tracing::info!(%camera, was = was.code(), "the picture is healthy again");
            }
            _ => {}
        }
        self.context.metrics.picture(now.map(Condition::code), &Condition::ALL.map(Condition::code));
    }

    fn report(&mut self, failure: &Failure) {
        let Failure { code, message, .. } = failure;
        let retry = if failure.retry { "; it is tried again" } else { "" };
        if failure.is_panic() {
            self.context.metrics.panicked();
        }
        // Said once: a camera that is away for a week must not fill the log.
        if self.announcer.reason() == Some(failure.reason()) {
            tracing::debug!(camera = %self.context.camera, code, "{message}{retry}");
        } else if failure.is_panic() {
            tracing::error!(camera = %self.context.camera, code, "{message}{retry}");
        } else {
            tracing::warn!(camera = %self.context.camera, code, "{message}{retry}");
        }
    }
}

fn fresh() -> [Backoff; 2] {
    [Backoff::new(SHORTEST, LONGEST), Backoff::default()]
}

/// The session's next word.
async fn spoken(session: &mut Option<Session>) -> Input {
    let Some(session) = session else { return std::future::pending().await };
    match session.events.recv().await {
        Some(SessionEvent::Streaming) => Input::Streaming,
        Some(SessionEvent::Picture(condition)) => Input::Picture(condition),
        Some(SessionEvent::Ended) => Input::Ended,
        Some(SessionEvent::Failed(failure)) => Input::Failed(failure),
        None => Input::Failed(Failure::again("internal_error", "the capture thread ended without a word".into())),
    }
}

async fn ended(draining: &mut Option<BoxFuture<'static, ()>>) {
    match draining {
        Some(drained) => {
            drained.await;
            *draining = None;
        }
        None => std::future::pending().await,
    }
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
