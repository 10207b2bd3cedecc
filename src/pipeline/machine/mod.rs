//! A camera's life as a state machine: what is wanted and what happens go in, what is to be done comes out. Pure.
//!
//! The camera's task ([`super::Camera`]) only carries out. Two rules hold after every step, whatever came in: a camera that is to
//! be stopped has no session and no open lane, and every phase that is not the end of the road is left by an input that will
//! come: a session speaks, a drain ends, a wait is over. A bus is no input at all: no camera waits for the network.

use super::failure::Failure;
use super::picture::Condition;
use crate::envelope::{ActualState, DesiredState, Reason};

/// What is wanted of a camera. `generation` grows with every command, so that each can be answered when it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Desired {
    pub state: DesiredState,
    pub generation: u64,
    /// Grows with every `start`: what has ended or failed begins again.
    pub begins: u64,
    /// Grows with every `restart`: the session is closed and another opened.
    pub restarts: u64,
}

/// What may happen to a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A command came; only the last one counts.
    Wish(Desired),
    /// The node ends.
    Shutdown,
    /// The session's first frame is there.
    Streaming,
    Picture(Option<Condition>),
    /// The source came to its end.
    Ended,
    /// The session cannot go on; or it could not be opened.
    Failed(Failure),
    /// There is no room for another capture thread; a reason when that is for long.
    Crowded(Option<Failure>),
    /// The model is through with what was captured, or took too long.
    Drained,
    /// The wait is over.
    Due,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a session. `anew`: at somebody's wish, so that nothing of earlier failures counts.
    Open { anew: bool },
    /// Frames are taken and thrown away, or not any more.
    Pause(bool),
    /// Open tracks end, counts go to zero.
    Finish,
    /// The capture thread is to end.
    Cancel,
    /// Wait until the model has seen what was captured.
    Drain,
    /// Nothing of the session is taken or published after this.
    Close,
    /// Say what went wrong.
    Report(Failure),
    /// Wait before the next attempt, the longer the more often it failed.
    BackOff(Failure),
    /// Wait until a capture thread may have ended.
    WaitForRoom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Nothing happens until it is wished for.
    Idle(ActualState),
    /// Between two attempts.
    Waiting,
    Open {
        streaming: bool,
    },
    /// The session is over, and the model finishes what was captured.
    Draining {
        streaming: bool,
        after: After,
    },
    /// The node has ended.
    Gone,
}

/// What comes once the model is through.
#[derive(Debug, Clone, PartialEq, Eq)]
enum After {
    Ended,
    Failed(Failure),
    /// Somebody wants to begin again.
    Begin,
    Gone,
}

#[derive(Debug, Clone)]
pub struct Machine {
    desired: Desired,
    phase: Phase,
    /// Why the last attempt failed; until one succeeds.
    failure: Option<Reason>,
    /// What is wrong with the picture.
    picture: Option<Condition>,
}

impl Machine {
    /// A camera that was never asked for anything; [`Input::Wish`] sets it going.
    #[must_use]
    pub fn new() -> Self {
        let desired = Desired { state: DesiredState::Stopped, ..Desired::default() };
        Self { desired, phase: Phase::Idle(ActualState::Stopped), failure: None, picture: None }
    }

    #[must_use]
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// How the camera stands.
    #[must_use]
    pub fn actual(&self) -> ActualState {
        match &self.phase {
            Phase::Idle(actual) => *actual,
            Phase::Gone => ActualState::Stopped,
            Phase::Open { streaming: true } | Phase::Draining { streaming: true, .. } if self.failure.is_none() => {
                match self.desired.state {
                    DesiredState::Paused => ActualState::Paused,
                    _ => ActualState::Running,
                }
            }
            _ if self.failure.is_some() => ActualState::Failed,
            _ => ActualState::Connecting,
        }
    }

    /// Why it stands so, where that needs a reason.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let picture = |wrong: Condition| Reason { code: wrong.code().into(), message: wrong.message().into() };
        self.failure.clone().or_else(|| self.picture.map(picture))
    }

    #[must_use]
    pub fn picture(&self) -> Option<Condition> {
        self.picture
    }

    /// Whether a session is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Whether the node is ending, or has ended.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Gone | Phase::Draining { after: After::Gone, .. })
    }

    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// One step. What does not fit the phase (an event of a session that is over) changes nothing.
    #[must_use]
    pub fn on(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Wish(desired) => self.wish(desired),
            Input::Shutdown => self.leave(),
            Input::Streaming => {
                if let Phase::Open { streaming } = &mut self.phase {
                    *streaming = true;
                    self.failure = None;
                }
                Vec::new()
            }
            Input::Picture(condition) => {
                if self.is_open() {
                    self.picture = condition;
                }
                Vec::new()
            }
            Input::Ended => match self.phase {
                Phase::Open { .. } => self.drain(After::Ended),
                _ => Vec::new(),
            },
            Input::Failed(failure) => self.fail(failure),
            Input::Crowded(failure) => {
                if !self.is_open() {
                    return Vec::new();
                }
                (self.phase, self.picture) = (Phase::Waiting, None);
                self.failure = failure.as_ref().map(Failure::reason).or_else(|| self.failure.take());
                failure.map(Action::Report).into_iter().chain([Action::WaitForRoom]).collect()
            }
            Input::Drained => self.drained(),
            Input::Due if self.phase == Phase::Waiting => {
                self.phase = Phase::Open { streaming: false };
                vec![Action::Open { anew: false }]
            }
            Input::Due => Vec::new(),
        }
    }

    fn wish(&mut self, desired: Desired) -> Vec<Action> {
        let before = std::mem::replace(&mut self.desired, desired);
        if matches!(self.phase, Phase::Gone) {
            return Vec::new();
        }
        if desired.state == DesiredState::Stopped {
            return self.stop();
        }
        let again = desired.restarts != before.restarts;
        let anew = again || desired.begins != before.begins;
        match &mut self.phase {
            Phase::Idle(actual) => {
                if anew || *actual == ActualState::Stopped {
                    return self.begin();
                }
                Vec::new()
            }
            Phase::Waiting if again => self.begin(),
            Phase::Open { .. } if again => {
                let mut actions = self.close();
                actions.extend(self.begin());
                actions
            }
            Phase::Draining { after, .. } => {
                if anew && *after != After::Gone {
                    *after = After::Begin;
                }
                self.pause(before)
            }
            _ => self.pause(before),
        }
    }

    fn stop(&mut self) -> Vec<Action> {
        let leaving = self.is_leaving();
        let actions = match self.phase {
            Phase::Open { .. } | Phase::Draining { .. } => self.close(),
            _ => Vec::new(),
        };
        self.failure = None;
        self.phase = if leaving { Phase::Gone } else { Phase::Idle(ActualState::Stopped) };
        actions
    }

    /// A session of another kind goes on: only its frames are taken, or not.
    fn pause(&self, before: Desired) -> Vec<Action> {
        let paused = self.desired.state == DesiredState::Paused;
        if paused == (before.state == DesiredState::Paused) {
            return Vec::new();
        }
        let finish = paused && matches!(self.phase, Phase::Open { .. } | Phase::Draining { .. });
        [Action::Pause(paused)].into_iter().chain(finish.then_some(Action::Finish)).collect()
    }

    fn begin(&mut self) -> Vec<Action> {
        self.failure = None;
        self.phase = Phase::Open { streaming: false };
        vec![Action::Pause(self.desired.state == DesiredState::Paused), Action::Open { anew: true }]
    }

    fn drain(&mut self, after: After) -> Vec<Action> {
        let streaming = self.phase == Phase::Open { streaming: true };
        self.phase = Phase::Draining { streaming, after };
        vec![Action::Cancel, Action::Drain]
    }

    fn close(&mut self) -> Vec<Action> {
        self.picture = None;
        vec![Action::Cancel, Action::Close]
    }

    fn drained(&mut self) -> Vec<Action> {
        let Phase::Draining { after, .. } = &self.phase else { return Vec::new() };
        let after = after.clone();
        let mut actions = self.close();
        match after {
            After::Ended => {
                self.failure = None;
                self.phase = Phase::Idle(ActualState::Ended);
            }
            After::Failed(failure) => actions.extend(self.give_up(failure)),
            After::Begin => actions.extend(self.begin()),
            After::Gone => self.go(),
        }
        actions
    }

    fn fail(&mut self, failure: Failure) -> Vec<Action> {
        match &self.phase {
            // A frame that made somebody panic is not given to the model again, nor are those after it.
            Phase::Open { .. } if failure.is_panic() => {
                let mut actions = self.close();
                actions.extend(self.give_up(failure));
                actions
            }
            Phase::Open { .. } => self.drain(After::Failed(failure)),
            // Only the camera's own task can still fail here: nobody knows what it did of what it was to do.
            Phase::Draining { after, .. } if failure.is_panic() => {
                let gone = *after == After::Gone;
                let mut actions = self.close();
                if gone {
                    self.go();
                    actions.push(Action::Report(failure));
                } else {
                    actions.extend(self.give_up(failure));
                }
                actions
            }
            Phase::Waiting if failure.is_panic() => self.give_up(failure),
            Phase::Idle(_) if failure.is_panic() => vec![Action::Report(failure)],
            _ => Vec::new(),
        }
    }

    fn give_up(&mut self, failure: Failure) -> Vec<Action> {
        self.failure = Some(failure.reason());
        if failure.retry {
            self.phase = Phase::Waiting;
            vec![Action::Report(failure.clone()), Action::BackOff(failure)]
        } else {
            self.phase = Phase::Idle(ActualState::Failed);
            vec![Action::Report(failure)]
        }
    }

    fn leave(&mut self) -> Vec<Action> {
        match &mut self.phase {
            Phase::Open { .. } => self.drain(After::Gone),
            Phase::Draining { after, .. } => {
                *after = After::Gone;
                Vec::new()
            }
            _ => {
                self.go();
                Vec::new()
            }
        }
    }

    fn go(&mut self) {
        self.phase = Phase::Gone;
        self.failure = None;
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
