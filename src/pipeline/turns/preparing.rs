//! Preparing a frame in the thread that brings it, where the picture is still in the processor's caches.
//!
//! Only what is sure to be inferred: where the queue blocks, every frame; else a frame for which a worker is idle. Any other may
//! have to make room for a fresher one.

use std::sync::PoisonError;

use super::{Epoch, LaneId, State, Turns};
use crate::domain::Frame;
use crate::inference::Prepared;
use crate::pipeline::WhenFull;

impl Turns {
    /// From now on frames may come prepared, for the model that takes such inputs.
    pub fn take_prepared(&self, template: Prepared) {
        self.lock().template = Some(template);
    }

    /// [`Turns::offer`], the frame prepared where that is of use. Where the queue blocks, it waits for an input to be filled too.
    pub fn prepare_and_offer(&self, id: LaneId, epoch: Epoch, frame: Frame) -> Option<Frame> {
        let mut input = self.input(id, epoch);
        if let Some(input) = &mut input {
            input.fill_quietly(&frame);
        }
        self.put(id, epoch, frame, input)
    }

    fn input(&self, id: LaneId, epoch: Epoch) -> Option<Box<Prepared>> {
        let mut state = self.lock();
        loop {
            let State { lanes, template, idle, shut, .. } = &mut *state;
            let (template, lane) = (template.as_ref()?, lanes.get_mut(&id)?);
            if *shut || !lane.is_of(epoch) || lane.paused {
                return None;
            }
            let blocks = lane.queue.when_full == WhenFull::Block;
            if !blocks && (*idle == 0 || !lane.is_quiet()) {
                return None;
            }
            let input = lane.lend(template);
            if input.is_some() || !blocks {
                return input;
            }
            let room = lane.room.clone();
            state = room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// For who looks ahead.
    pub(super) fn lend(&mut self, lane: LaneId) -> Option<Box<Prepared>> {
        self.lanes.get_mut(&lane)?.lend(self.template.as_ref()?)
    }
}
