//! Looking ahead: while a worker is busy with one frame, its helper takes the next one to prepare it.
//!
//! Only what the worker would take next anyway, and what did not come prepared. No frame is taken while another worker is idle,
//! and none of the camera whose frame the worker has: there may be a fresher one by the time the worker is through.

use std::sync::PoisonError;

use super::lane::{Lane, Waiting};
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
    /// Whether its helper may take a frame of this lane.
    fn wants(self, lane: &Lane) -> bool {
        let bare = lane.waiting.front().is_some_and(|Waiting { input, .. }| input.is_none());
        !self.left && !self.ahead && self.busy && bare && lane.in_hands == 0
    }
}

impl State {
    /// Whether somebody looks ahead for a frame of this lane, and there is one.
    pub(super) fn is_wanted_ahead(&self, id: super::LaneId) -> bool {
        self.lanes.get(&id).is_some_and(|lane| self.desks.0.iter().any(|desk| desk.wants(lane)))
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
        let wanted = state.idle == 0 && state.lanes.keys().any(|id| state.is_wanted_ahead(*id));
        drop(state);
        if wanted {
            self.ahead_waits.notify_all();
        }
    }

    /// The worker is through, and asks whether its helper has a frame for it; until it is busy again the helper takes none.
    pub fn disengage(&self, desk: DeskId) -> bool {
        self.at(desk, |desk| {
            desk.busy = false;
            std::mem::take(&mut desk.ahead)
        })
        .unwrap_or_default()
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
                && let Some(mut turn) = state.pick(|lane| place.wants(lane))
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
