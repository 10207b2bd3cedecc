//! Preparing a frame in the thread that brings it, where the picture is still in the processor's caches.
//!
//! Only what is sure to be inferred: where the queue blocks, every frame; else a frame for which a worker is idle. Any other may
//! have to make room for a fresher one.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Epoch, LaneId, State, Turns};
use crate::domain::Frame;
use crate::inference::Prepared;
use crate::pipeline::WhenFull;

/// How long a worker stays awake for a frame that is being prepared for it: waking it once more would take as long.
const PATIENCE: Duration = Duration::from_millis(1);

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

    /// An input for a frame that will be there soon. A worker that is idle is called, to wake meanwhile.
    fn input(&self, id: LaneId, epoch: Epoch) -> Option<Box<Prepared>> {
        let mut guard = self.lock();
        loop {
            let State { lanes, template, idle, called, shut, .. } = &mut *guard;
            let (template, lane) = (template.as_ref()?, lanes.get_mut(&id)?);
            if *shut || !lane.open || lane.paused || lane.epoch != epoch.0 {
                return None;
            }
            let (blocks, is_next) = (lane.queue.when_full == WhenFull::Block, lane.is_quiet() && *idle > *called);
            if !blocks && !is_next {
                return None;
            }
            if let Some(input) = lane.lend(template) {
                if is_next {
                    *called += 1;
                    drop(guard);
                    self.frame_waits.notify_one();
                }
                return Some(input);
            }
            if !blocks {
                return None;
            }
            let room = lane.room.clone();
            guard = room.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stays awake until there is another frame than those `seen`, and not for long.
    pub(super) fn watch_out(&self, seen: usize) {
        let until = Instant::now() + PATIENCE;
        while self.offered.load(Ordering::Relaxed) == seen && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}

impl State {
    /// For who looks ahead.
    pub(super) fn lend(&mut self, lane: LaneId) -> Option<Box<Prepared>> {
        self.lanes.get_mut(&lane)?.lend(self.template.as_ref()?)
    }
}
