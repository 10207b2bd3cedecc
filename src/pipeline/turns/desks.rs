//! Looking ahead: while a worker is busy with one frame, its helper takes the next one to prepare it.
//!
//! Only what the worker would take next anyway, unless it came prepared. No frame is taken while another worker is idle, and
//! none of the camera whose frame the worker has: there may be a fresher one by the time the worker is through.

use std::sync::PoisonError;

use super::lane::Waiting;
use super::{State, Turn, Turns};

/// A worker's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskId(usize);

#[derive(Debug, Default)]
pub(super) struct Desks(Vec<Desk>);

#[derive(Debug, Clone, Copy, Default)]
struct Desk {
    /// Its worker has a frame in hand.
    busy: bool,
    /// A frame was taken ahead.
    ahead: bool,
    left: bool,
}

impl Desk {
    fn looks_ahead(self) -> bool {
        self.busy && !self.ahead && !self.left
    }
}

impl State {
    /// Whether somebody looks ahead, and it is the turn of a frame that is not prepared. One that is keeps its turn: the worker
    /// takes it itself.
    pub(super) fn is_wanted_ahead(&self) -> bool {
        self.is_next_bare() && self.desks.0.iter().any(|desk| desk.looks_ahead())
    }

    fn is_next_bare(&self) -> bool {
        let next = self.next().and_then(|id| self.lanes.get(&id)?.waiting.front());
        next.is_some_and(|Waiting { input, .. }| input.is_none())
    }
}

impl Turns {
    pub fn take_a_desk(&self) -> DeskId {
        let desks = &mut self.lock().desks.0;
        desks.push(Desk::default());
        DeskId(desks.len() - 1)
    }

    /// Ends the helper's waiting.
    pub fn leave(&self, desk: DeskId) {
        self.at(desk, |desk| desk.left = true);
        self.ahead_waits.notify_all();
    }

    /// The worker is busy from now on.
    pub fn engage(&self, desk: DeskId) {
        let mut state = self.lock();
        if let Some(desk) = state.desks.0.get_mut(desk.0) {
            desk.busy = true;
        }
        let wanted = state.idle == 0 && state.is_wanted_ahead();
        drop(state);
        if wanted {
            self.ahead_waits.notify_all();
        }
    }

    /// The worker is through, or nearly so; until it is busy again its helper takes no frame.
    pub fn disengage(&self, desk: DeskId) {
        self.at(desk, |desk| desk.busy = false);
    }

    /// Whether its helper has taken a frame for it; asked once a frame.
    pub fn has_ahead(&self, desk: DeskId) -> bool {
        self.at(desk, |desk| std::mem::take(&mut desk.ahead)).unwrap_or_default()
    }

    /// The frame that the worker would take next, once it is busy and there is one; `None` when it has left or all is shut.
    pub fn take_ahead(&self, desk: DeskId) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            let place = *state.desks.0.get(desk.0)?;
            if state.shut || place.left {
                return None;
            }
            if state.idle == 0
                && place.looks_ahead()
                && state.is_next_bare()
                && let Some(mut turn) = state.next_turn()
            {
                turn.input = state.lend(turn.lane);
                if let Some(desk) = state.desks.0.get_mut(desk.0) {
                    desk.ahead = true;
                }
                drop(state);
                turn.room.notify_all();
                return Some(turn);
            }
            state = self.ahead_waits.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn at<T>(&self, desk: DeskId, act: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        self.lock().desks.0.get_mut(desk.0).map(act)
    }
}
