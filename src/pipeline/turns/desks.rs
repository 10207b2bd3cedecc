//! Looking ahead: while a worker is busy with one frame, its helper takes the next one to prepare it.
//!
//! Only what the worker would take next anyway. No frame is taken while another worker is idle. Of the camera whose frame the
//! worker has, the next is taken only where its queue is `block`: where the oldest is dropped instead, the freshest is
//! wanted, and there may be a fresher one by the time the worker is through.

use std::sync::PoisonError;

use super::lane::Lane;
use super::{LaneId, State, Turn, Turns};
use crate::pipeline::WhenFull;

/// A worker's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskId(usize);

#[derive(Debug, Default)]
pub(super) struct Desks(Vec<Desk>);

#[derive(Debug, Clone, Copy, Default)]
struct Desk {
    /// Whose frame the worker is busy with.
    held: Option<LaneId>,
    /// A frame was taken ahead.
    ahead: bool,
    left: bool,
}

impl Desk {
    /// Whether its helper may take a frame of this lane.
    fn wants(&self, id: LaneId, lane: &Lane) -> bool {
        let free = lane.in_hands == 0;
        let next = self.held == Some(id) && lane.in_hands == 1 && lane.queue.when_full == WhenFull::Block;
        !self.left && !self.ahead && self.held.is_some() && (free || next)
    }
}

impl State {
    /// Whether somebody looks ahead for a frame of this lane, and there is one.
    pub(super) fn is_wanted_ahead(&self, id: LaneId) -> bool {
        let lane = self.lanes.get(&id).filter(|lane| !lane.waiting.is_empty());
        lane.is_some_and(|lane| self.desks.0.iter().any(|desk| desk.wants(id, lane)))
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

    /// The worker is busy with a frame of this lane from now on.
    pub fn engage(&self, desk: DeskId, held: LaneId) {
        let mut state = self.lock();
        if let Some(desk) = state.desks.0.get_mut(desk.0) {
            desk.held = Some(held);
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
            desk.held = None;
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
                && let Some(turn) = state.pick(|id, lane| place.wants(id, lane))
            {
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
