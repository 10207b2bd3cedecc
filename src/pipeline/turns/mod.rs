//! The frames that wait for a model, one lane a camera, and whose turn it is.
//!
//! Workers pull: a frame is picked when a worker is free, so it is the freshest there is. Turns go round, so a fast camera
//! never starves a slow one, and a camera is in one worker's hands at a time, so its frames stay in order. Loss place 1:
//! what a lane has no room for is counted here.

mod desks;
mod lane;
mod preparing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use self::desks::DeskId;
use self::desks::Desks;
use self::lane::{Lane, Spares, Waiting};
use super::{QueueConfig, WhenFull};
use crate::domain::Frame;
use crate::inference::Prepared;
use crate::telemetry::{CameraMetrics, FrameOutcome};

/// Which lane. Never used again: who still holds that of a lane that was removed finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneId(u64);

/// One opening of a lane: frames of an earlier one (a thread that was given up) are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// A frame in a worker's hands; give it back by [`Turns::done`].
#[derive(Debug)]
pub struct Turn {
    pub lane: LaneId,
    pub epoch: Epoch,
    pub frame: Frame,
    /// The model's input, where it was filled from the frame already.
    pub input: Option<Box<Prepared>>,
    /// The camera's.
    pub metrics: Arc<CameraMetrics>,
    /// Told that there is room in its lane.
    room: Arc<Condvar>,
}

/// The lanes of one model.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
    /// For workers that have nothing to do.
    frame_waits: Condvar,
    /// For those who look ahead for a worker that is busy.
    ahead_waits: Condvar,
}

#[derive(Debug)]
struct State {
    lanes: BTreeMap<LaneId, Lane>,
    added: u64,
    /// Whose turn was the last one.
    last: LaneId,
    spares: Spares,
    /// What the model takes; `None`: its frames are not prepared by others.
    template: Option<Prepared>,
    /// Workers that wait for a frame.
    idle: usize,
    desks: Desks,
    shut: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            added: 0,
            last: LaneId(0),
            spares: Spares::default(),
            template: None,
            idle: 0,
            desks: Desks::default(),
            shut: false,
        }
    }
}

impl Turns {
    pub fn add(&self, queue: QueueConfig, metrics: Arc<CameraMetrics>) -> LaneId {
        let mut state = self.lock();
        state.added += 1;
        let id = LaneId(state.added);
        let lane = Lane::new(queue, metrics);
        state.lanes.insert(id, lane);
        id
    }

    /// The lane is no more: what waits in it is dropped, counted, and whoever waits for it goes on.
    pub fn remove(&self, lane: LaneId) {
        let mut state = self.lock();
        if let Some(mut lane) = state.lanes.remove(&lane) {
            lane.drop_waiting();
            lane.notify_all();
        }
        let cameras = state.lanes.len();
        state.spares.bound(cameras);
    }

    /// Opens the lane for one capture session.
    pub fn open(&self, lane: LaneId) -> Epoch {
        let mut state = self.lock();
        let Some(lane) = state.lanes.get_mut(&lane) else { return Epoch(0) };
        lane.epoch += 1;
        lane.open = true;
        Epoch(lane.epoch)
    }

    /// Refuses what the lane's session still brings and drops what waits, counted.
    pub fn close(&self, lane: LaneId) {
        self.with(lane, |lane| {
            lane.open = false;
            lane.drop_waiting();
            lane.notify_all();
        });
    }

    /// A paused lane takes frames, counts them and keeps none.
    pub fn pause(&self, lane: LaneId, paused: bool) {
        self.with(lane, |lane| {
            lane.paused = paused;
            if paused {
                lane.drop_waiting();
            }
            lane.notify_all();
        });
    }

    fn with(&self, lane: LaneId, act: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lock().lanes.get_mut(&lane) {
            act(lane);
        }
    }

    /// Puts a frame into the lane and returns a buffer for the next one; `None` when the epoch is over (the frame is then
    /// the caller's to count). Waits for room where the queue says `block`.
    pub fn offer(&self, id: LaneId, epoch: Epoch, frame: Frame) -> Option<Frame> {
        self.put(id, epoch, frame, None)
    }

    fn put(&self, id: LaneId, epoch: Epoch, frame: Frame, input: Option<Box<Prepared>>) -> Option<Frame> {
        let mut guard = self.lock();
        loop {
            let state = &mut *guard;
            let lane = state.lanes.get_mut(&id)?;
            if state.shut || !lane.is_of(epoch) {
                lane.inputs.keep(input);
                return None;
            }
            if lane.paused {
                lane.metrics.frame(FrameOutcome::DroppedPaused);
                lane.inputs.keep(input);
                return Some(frame);
            }
            if lane.waiting.len() < lane.queue.depth {
                let bytes = frame.bgr.len();
                lane.waiting.push_back(Waiting { frame, input });
                let spare = state.spares.take(bytes);
                self.tell(guard, id);
                return Some(spare);
            }
            match lane.queue.when_full {
                WhenFull::DropOldest => {
                    if let Some(Waiting { frame: stale, input }) = lane.waiting.pop_front() {
                        lane.metrics.frame(FrameOutcome::DroppedStale);
                        lane.inputs.keep(input);
                        state.spares.keep(stale, state.lanes.len());
                    }
                }
                WhenFull::Block => {
                    let room = lane.room.clone();
                    guard = room.wait(guard).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// If there is a frame of this lane to be taken: wakes one who can.
    fn tell(&self, state: MutexGuard<'_, State>, id: LaneId) {
        let waits = state.lanes.get(&id).is_some_and(|lane| !lane.waiting.is_empty());
        let (idle, ahead) = (waits && state.idle > 0, waits && state.is_wanted_ahead());
        drop(state);
        if idle {
            self.frame_waits.notify_one();
        } else if ahead {
            self.ahead_waits.notify_all();
        }
    }

    /// Whether a frame would find room now: nothing has to go for it, nobody has to wait.
    pub fn has_room(&self, id: LaneId) -> bool {
        self.lock().lanes.get(&id).is_some_and(|lane| lane.waiting.len() < lane.queue.depth)
    }

    /// The next camera's oldest waiting frame, waiting for one; `None` once shut.
    pub fn take(&self) -> Option<Turn> {
        let mut hand = Vec::with_capacity(1);
        self.take_some(1, &mut hand);
        hand.pop()
    }

    /// The oldest waiting frames of the next cameras, `most` at most: waits for one, and not for more. False once shut.
    pub fn take_some(&self, most: usize, hand: &mut Vec<Turn>) -> bool {
        let mut state = self.lock();
        loop {
            if state.shut {
                return false;
            }
            while hand.len() < most
                && let Some(turn) = state.next_turn()
            {
                hand.push(turn);
            }
            if !hand.is_empty() {
                drop(state);
                // Not under the lock: who wakes would wait for it at once.
                for turn in hand.iter() {
                    turn.room.notify_all();
                }
                return true;
            }
            state.idle += 1;
            state = self.frame_waits.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// The worker is through with the lane's frame; its buffer comes back to be filled again, and so does its input.
    pub fn done(&self, id: LaneId, buffer: Option<Frame>, input: Option<Box<Prepared>>) {
        let mut state = self.lock();
        let mut room = None;
        if let Some(lane) = state.lanes.get_mut(&id) {
            lane.in_hands = lane.in_hands.saturating_sub(1);
            if input.is_some() {
                lane.inputs.keep(input);
                room = Some(lane.room.clone());
            }
            if lane.is_quiet() {
                lane.quiet.notify_all();
            }
        }
        if let Some(buffer) = buffer {
            let cameras = state.lanes.len();
            state.spares.keep(buffer, cameras);
        }
        self.tell(state, id);
        if let Some(room) = room {
            room.notify_all();
        }
    }

    /// Whether a turn's session is still the lane's current one.
    pub fn is_current(&self, lane: LaneId, epoch: Epoch) -> bool {
        let state = self.lock();
        state.lanes.get(&lane).is_some_and(|lane| lane.is_of(epoch) && !lane.paused)
    }

    /// Whether the lane is that session's and takes nothing, for the camera is paused.
    pub fn is_paused(&self, lane: LaneId, epoch: Epoch) -> bool {
        let state = self.lock();
        state.lanes.get(&lane).is_some_and(|lane| lane.is_of(epoch) && lane.paused)
    }

    /// Waits until every frame of the session is processed, or the session is over.
    pub fn drain(&self, id: LaneId, epoch: Epoch) {
        let mut state = self.lock();
        loop {
            let Some(lane) = state.lanes.get(&id) else { return };
            if state.shut || !lane.is_of(epoch) || lane.is_quiet() {
                return;
            }
            let quiet = lane.quiet.clone();
            state = quiet.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all waits; workers and sources return.
    pub fn shut(&self) {
        let mut state = self.lock();
        state.shut = true;
        state.lanes.values().for_each(Lane::notify_all);
        drop(state);
        self.frame_waits.notify_all();
        self.ahead_waits.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock; a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whose turn it is: the next of those that have a frame, and none in anybody's hands.
    fn next(&self) -> Option<LaneId> {
        let ready = |(_, lane): &(&LaneId, &Lane)| !lane.waiting.is_empty() && lane.in_hands == 0;
        let after = self.lanes.range((Excluded(self.last), Unbounded)).find(ready);
        after.or_else(|| self.lanes.range(..=self.last).find(ready)).map(|(&id, _)| id)
    }

    fn next_turn(&mut self) -> Option<Turn> {
        let id = self.next()?;
        let lane = self.lanes.get_mut(&id)?;
        let Waiting { frame, input } = lane.waiting.pop_front()?;
        lane.in_hands += 1;
        self.last = id;
        let (metrics, room) = (lane.metrics.clone(), lane.room.clone());
        Some(Turn { lane: id, epoch: Epoch(lane.epoch), frame, input, metrics, room })
    }
}
