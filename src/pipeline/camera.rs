//! One camera's life: desired state in, actual state out, sessions in between.
//!
//! [`Camera::run`] only decides and retries; one connection's straight story is [`Session`]'s. The desired state is a level
//! (a watch), not an event: however many commands come, the last one holds. Whatever panics on a camera's behalf, its
//! capture, its frames' processing or this task, restarts that camera and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::picture::Condition;
use super::processor::{Processor, lock};
use super::session::{Session, SessionContext, SessionEvent};
use super::states::Announcer;
use super::threads::{MOST, Threads};
use crate::bus::Backoff;
use crate::domain::Timestamp;
use crate::envelope::{ActualState, DesiredState, Reason};
use crate::source::SourceError;

/// What is wanted of a camera. `generation` grows with every command, so that each can be answered when it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Desired {
    pub state: DesiredState,
    pub generation: u64,
    /// Grows with every `start`: what has ended or failed begins again.
    pub begins: u64,
}

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
    context: SessionContext,
    processor: Arc<Mutex<Processor>>,
    desired: watch::Receiver<Desired>,
    announcer: Announcer,
    /// What went wrong with its frames at the worker's.
    faults: mpsc::Receiver<Failure>,
    threads: Threads,
    picture: Option<Condition>,
}

/// Why a session was left.
enum Left {
    /// Another state is wanted, or the same anew.
    Wish,
    Shutdown,
    Ended,
    Failed(Failure),
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
        processor: Arc<Mutex<Processor>>,
        desired: watch::Receiver<Desired>,
        announcer: Announcer,
        faults: mpsc::Receiver<Failure>,
    ) -> Self {
        let threads = Threads::new(context.camera.clone(), context.metrics.clone());
        let mut camera = Self { context, processor, desired, announcer, faults, threads, picture: None };
        camera.see(None);
        camera
    }

    /// Lives until `shutdown`; then stops the source, lets what was captured be processed, and says `offline`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            let Err(payload) = AssertUnwindSafe(self.follow_wishes(&shutdown)).catch_unwind().await else { continue };
            let failure = Failure::panic("the camera's task", payload.as_ref());
            // What it holds may be what panicked.
            let _again = catch_unwind(AssertUnwindSafe(|| self.close()));
            self.fail(&failure);
            backoff.connected_for(begun.elapsed());
            self.pause_for(backoff.next_delay(), &shutdown).await;
        }
        self.announcer.leave();
    }

    async fn follow_wishes(&mut self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let desired = *self.desired.borrow_and_update();
            if desired.state == DesiredState::Stopped {
                self.announcer.enter(ActualState::Stopped, None);
                self.announcer.applied(desired);
                self.rest(shutdown).await;
            } else {
                self.live(desired, shutdown).await;
            }
        }
    }

    /// Sessions, one after the other, until another state is wanted.
    async fn live(&mut self, desired: Desired, shutdown: &CancellationToken) {
        let (mut backoff, mut faults) = (Backoff::new(SHORTEST, LONGEST), Backoff::default());
        self.context.turns.pause(self.context.lane, desired.state == DesiredState::Paused);
        self.announcer.enter(ActualState::Connecting, None);
        self.announcer.applied(desired);
        loop {
            if self.wait_for_room(shutdown).await {
                return;
            }
            let begun = Instant::now();
            let left = self.session(shutdown).await;
            for backoff in [&mut backoff, &mut faults] {
                backoff.connected_for(begun.elapsed());
            }
            match left {
                Left::Wish | Left::Shutdown => return,
                Left::Ended => {
                    self.announcer.enter(ActualState::Ended, None);
                    return self.rest(shutdown).await;
                }
                Left::Failed(failure) => {
                    self.fail(&failure);
                    if !failure.retry {
                        return self.rest(shutdown).await;
                    }
                    let delay = if failure.is_panic() { faults.next_delay() } else { backoff.next_delay() };
                    if self.pause_for(delay.max(failure.least_delay), shutdown).await {
                        return;
                    }
                    self.context.metrics.reconnect();
                }
            }
        }
    }

    /// One session from its beginning until its lane is closed.
    async fn session(&mut self, shutdown: &CancellationToken) -> Left {
        // What an earlier session left behind is its own.
        while self.faults.try_recv().is_ok() {}
        let mut session = match Session::start(self.context.clone()) {
            Ok((session, handle)) => {
                self.threads.add(handle, session.pulse());
                session
            }
            Err(e) => return Left::Failed(Failure::again("no_thread", format!("cannot start a thread: {e}"))),
        };
        let left = self.follow(&mut session, shutdown).await;
        session.cancel();
        let finish = match &left {
            Left::Wish => false,
            // A frame that made somebody panic is not given to the model again, nor are those after it.
            Left::Failed(failure) => !failure.is_panic(),
            Left::Shutdown | Left::Ended => true,
        };
        let stop = finish && self.drain(&session).await;
        self.close();
        if stop { Left::Wish } else { left }
    }

    /// Waits until another capture thread may be started; true when something else is wanted meanwhile.
    async fn wait_for_room(&mut self, shutdown: &CancellationToken) -> bool {
        loop {
            self.threads.look();
            if self.threads.have_room() {
                return false;
            }
            let stuck = self.threads.abandoned();
            if stuck == MOST {
                self.fail(&Failure::again(
                    "capture_stuck",
                    format!(
                        "{stuck} capture threads hang in native code; no more are started until one of them ends, \
                         and restarting the node is rid of them"
                    ),
                ));
            }
            if self.pause_for(TICK, shutdown).await {
                return true;
            }
        }
    }

    /// Watches one session until it ends or something else is wanted; pausing does not end it.
    async fn follow(&mut self, session: &mut Session, shutdown: &CancellationToken) -> Left {
        let mut tick = tokio::time::interval(TICK);
        let mut streaming = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Left::Shutdown,
                changed = self.desired.changed() => {
                    let before = self.announcer.desired();
                    let desired = *self.desired.borrow_and_update();
                    let switched = desired.state != before.state;
                    if changed.is_err() || desired.state == DesiredState::Stopped {
                        return Left::Wish;
                    }
                    if switched {
                        self.pause(desired.state == DesiredState::Paused, streaming);
                    }
                    self.announcer.applied(desired);
                }
                event = session.events.recv() => match event {
                    Some(SessionEvent::Streaming) => {
                        streaming = true;
                        self.announcer.enter(self.flowing(), None);
                    }
                    Some(SessionEvent::Picture(condition)) => {
                        self.see(condition);
                        self.announcer.enter(self.flowing(), self.picture_reason());
                    }
                    Some(SessionEvent::Ended) => return Left::Ended,
                    Some(SessionEvent::Failed(failure)) => return Left::Failed(failure),
                    None => return Left::Failed(Failure::again(
                        "internal_error", "the capture thread ended without a word".into()
                    )),
                },
                Some(fault) = self.faults.recv() => return Left::Failed(fault),
                _ = tick.tick() => {
                    self.announcer.tick();
                    self.threads.look();
                    if let Some(spent) = session.stuck() {
                        let source_name = self.context.source.shown();
                        return Left::Failed(SourceError::Stuck { source_name, spent }.into());
                    }
                }
            }
        }
    }

    fn pause(&mut self, paused: bool, streaming: bool) {
        self.context.turns.pause(self.context.lane, paused);
        if paused {
            self.finish();
        }
        if streaming {
            let reason = self.picture_reason();
            self.announcer.enter(if paused { ActualState::Paused } else { ActualState::Running }, reason);
        }
    }

    /// Notes what is wrong with the picture, if anything.
    fn see(&mut self, condition: Option<Condition>) {
        let camera = &self.context.camera;
        match (self.picture, condition) {
            (_, Some(wrong)) => tracing::warn!(%camera, code = wrong.code(), "{}", wrong.message()),
            (Some(was), None) => tracing::info!(%camera, was = was.code(), "the picture is healthy again"),
            (None, None) => {}
        }
        self.picture = condition;
        self.context.metrics.picture(condition.map(Condition::code), &Condition::ALL.map(Condition::code));
    }

    fn picture_reason(&self) -> Option<Reason> {
        self.picture.map(|wrong| Reason { code: wrong.code().into(), message: wrong.message().into() })
    }

    fn flowing(&self) -> ActualState {
        if self.announcer.desired().state == DesiredState::Paused { ActualState::Paused } else { ActualState::Running }
    }

    /// Nothing of the session is taken or published after this.
    fn close(&mut self) {
        self.context.turns.close(self.context.lane);
        // Nothing is known of the picture any more: not a word that it is healthy again.
        self.picture = None;
        self.see(None);
        self.finish();
    }

    fn finish(&self) {
        lock(&self.processor).finish(Timestamp::now());
    }

    /// Lets the model see what was captured before the session ended; true when a stop came meanwhile, which waits for nothing.
    async fn drain(&mut self, session: &Session) -> bool {
        let (turns, lane, epoch) = (self.context.turns.clone(), self.context.lane, session.epoch);
        let drained = tokio::task::spawn_blocking(move || turns.drain(lane, epoch));
        // A receiver of its own: looking at a wish here must not make it seen.
        let mut wishes = self.desired.clone();
        tokio::select! {
            _ = drained => false,
            // An error means that nobody can wish any more: the node ends.
            stop = wishes.wait_for(|desired| desired.state == DesiredState::Stopped) => stop.is_ok(),
            // A model that is stuck must not hold the camera's state up. What is left is dropped, counted.
            () = tokio::time::sleep(DRAIN) => {
                tracing::warn!(camera = %self.context.camera, "the model did not finish what was captured within {DRAIN:?}");
                false
            }
        }
    }

    fn fail(&mut self, failure: &Failure) {
        let Failure { code, message, .. } = failure;
        let retry = if failure.retry { "; it is tried again" } else { "" };
        let reason = Some(failure.reason());
        if failure.is_panic() {
            self.context.metrics.panicked();
        }
        // Said once: a camera that is away for a week must not fill the log.
        if self.announcer.reason() == reason {
            tracing::debug!(camera = %self.context.camera, code, "{message}{retry}");
        } else if failure.is_panic() {
            tracing::error!(camera = %self.context.camera, code, "{message}{retry}");
        } else {
            tracing::warn!(camera = %self.context.camera, code, "{message}{retry}");
        }
        self.announcer.enter(ActualState::Failed, reason);
    }

    /// Waits for the end, or for a wish that needs more than to be noted: a stop, or a start.
    async fn rest(&mut self, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = self.desired.changed() => {
                    let desired = *self.desired.borrow();
                    let same = desired.begins == self.announcer.desired().begins;
                    let stays = self.announcer.actual() != ActualState::Stopped && desired.state != DesiredState::Stopped;
                    if changed.is_err() || !(same && stays) {
                        return;
                    }
                    self.announcer.applied(desired);
                }
                () = tokio::time::sleep(TICK) => {
                    self.announcer.tick();
                    self.threads.look();
                }
            }
        }
    }

    /// Waits for the back-off to pass; true when something else is wanted meanwhile.
    async fn pause_for(&mut self, span: Duration, shutdown: &CancellationToken) -> bool {
        let deadline = tokio::time::sleep(span);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return true,
                () = &mut deadline => return false,
                _ = self.desired.changed() => {
                    let desired = *self.desired.borrow_and_update();
                    if desired.state == DesiredState::Stopped {
                        return true;
                    }
                    self.context.turns.pause(self.context.lane, desired.state == DesiredState::Paused);
                    self.announcer.applied(desired);
                }
            }
        }
    }
}
