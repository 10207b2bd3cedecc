//! One camera's life: desired state in, actual state out, sessions in between.
//!
//! [`Camera::run`] only decides and retries; one connection's straight story is [`Session`]'s. The desired state is a level
//! (a watch), not an event: however many commands come, the last one holds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::processor::Processor;
use super::session::{Session, SessionContext, SessionEvent};
use super::states::Announcer;
use crate::bus::Backoff;
use crate::domain::Timestamp;
use crate::envelope::{ActualState, DesiredState, Reason};
use crate::source::{Disposition, SourceError};

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
}

pub struct Camera {
    pub context: SessionContext,
    pub processor: Arc<Mutex<Processor>>,
    pub desired: watch::Receiver<Desired>,
    pub announcer: Announcer,
}

/// Why a session was left.
enum Left {
    /// Another state is wanted, or the same anew.
    Wish,
    Shutdown,
    Ended,
    Failed(SourceError),
}

/// How often a running session is looked at: stuck thread, figures.
const TICK: Duration = Duration::from_secs(1);
/// For the model to finish what was captured when a session ends.
const DRAIN: Duration = Duration::from_secs(5);

impl Camera {
    /// Lives until `shutdown`; then stops the source, lets what was captured be processed, and says `offline`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let desired = *self.desired.borrow_and_update();
            if desired.state == DesiredState::Stopped {
                self.announcer.enter(ActualState::Stopped, None);
                self.announcer.applied(desired);
                self.rest(&shutdown).await;
            } else {
                self.live(desired, &shutdown).await;
            }
        }
        self.announcer.leave();
    }

    /// Sessions, one after the other, until another state is wanted.
    async fn live(&mut self, desired: Desired, shutdown: &CancellationToken) {
        let mut backoff = Backoff::default();
        self.context.turns.pause(self.context.lane, desired.state == DesiredState::Paused);
        self.announcer.enter(ActualState::Connecting, None);
        self.announcer.applied(desired);
        loop {
            let mut session = match Session::start(self.context.clone()) {
                Ok(session) => session,
                Err(e) => {
                    let reason = Reason { code: "no_thread".into(), message: format!("cannot start a thread: {e}") };
                    self.announcer.enter(ActualState::Failed, Some(reason));
                    if self.pause_for(backoff.next_delay(), shutdown).await {
                        return;
                    }
                    continue;
                }
            };
            let begun = Instant::now();
            let left = self.follow(&mut session, shutdown).await;
            session.cancel();
            backoff.connected_for(begun.elapsed());
            match left {
                Left::Wish => return self.close(),
                Left::Shutdown => {
                    self.drain(&session).await;
                    return self.close();
                }
                Left::Ended => {
                    let stop = self.drain(&session).await;
                    self.close();
                    if stop {
                        return;
                    }
                    self.announcer.enter(ActualState::Ended, None);
                    return self.rest(shutdown).await;
                }
                Left::Failed(error) => {
                    let stop = self.drain(&session).await;
                    self.close();
                    if stop {
                        return;
                    }
                    self.fail(&error);
                    if error.disposition() == Disposition::Fatal {
                        return self.rest(shutdown).await;
                    }
                    if self.pause_for(backoff.next_delay().max(error.least_delay()), shutdown).await {
                        return;
                    }
                    self.context.metrics.reconnect();
                }
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
                    Some(SessionEvent::Ended) => return Left::Ended,
                    Some(SessionEvent::Failed(error)) => return Left::Failed(error),
                    None => return Left::Failed(self.broken("the capture thread ended without a word")),
                },
                _ = tick.tick() => {
                    self.announcer.tick();
                    if let Some(stuck) = session.stuck() {
                        tracing::error!(camera = %self.context.camera, "the capture thread is stuck in native code for {stuck:?}: \
                            it is abandoned and another one started");
                        return Left::Failed(SourceError::Stuck { source_name: self.context.spec.shown(), spent: stuck });
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
            self.announcer.enter(if paused { ActualState::Paused } else { ActualState::Running }, None);
        }
    }

    fn flowing(&self) -> ActualState {
        if self.announcer.desired().state == DesiredState::Paused { ActualState::Paused } else { ActualState::Running }
    }

    /// Nothing of the session is taken or published after this.
    fn close(&mut self) {
        self.context.turns.close(self.context.lane);
        self.finish();
    }

    fn finish(&self) {
        self.processor.lock().unwrap_or_else(PoisonError::into_inner).finish(Timestamp::now());
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

    fn fail(&mut self, error: &SourceError) {
        let retry = if error.disposition() == Disposition::Retry { "; it is tried again" } else { "" };
        let reason = Some(Reason { code: error.code().into(), message: error.to_string() });
        // Said once: a camera that is away for a week must not fill the log.
        if self.announcer.reason() == reason {
            tracing::debug!(camera = %self.context.camera, code = error.code(), "{error}{retry}");
        } else {
            tracing::warn!(camera = %self.context.camera, code = error.code(), "{error}{retry}");
        }
        self.announcer.enter(ActualState::Failed, reason);
    }

    fn broken(&self, why: &str) -> SourceError {
        SourceError::Open { source_name: self.context.spec.shown(), why: why.into() }
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
                () = tokio::time::sleep(TICK) => self.announcer.tick(),
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
