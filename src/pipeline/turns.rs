//! The frames that wait for a model, one lane a camera, and whose turn it is.
//!
//! Workers pull: a frame is picked when a worker is free, so it is the freshest there is. Turns go round, so a fast camera
//! never starves a slow one, and a camera is in one worker's hands at a time, so its frames stay in order. Loss place 1:
//! what a lane has no room for is counted here.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{QueueConfig, WhenFull};
use crate::domain::Frame;
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
    /// The camera's.
    pub metrics: Arc<CameraMetrics>,
}

/// The lanes of one model.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
    frame_waits: Condvar,
}

#[derive(Debug)]
struct State {
    lanes: BTreeMap<LaneId, Lane>,
    added: u64,
    /// Whose turn was the last one.
    last: LaneId,
    shut: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), added: 0, last: LaneId(0), shut: false }
    }
}

#[derive(Debug)]
struct Lane {
    queue: QueueConfig,
    metrics: Arc<CameraMetrics>,
    waiting: VecDeque<Frame>,
    /// Where its source waits for room, and its camera for the end: a turn wakes nobody else's.
    moved: Arc<Condvar>,
    /// Buffers to fill again: no allocation a frame.
    spare: Vec<Frame>,
    epoch: u64,
    open: bool,
    paused: bool,
    busy: bool,
}

impl Turns {
    pub fn add(&self, queue: QueueConfig, metrics: Arc<CameraMetrics>) -> LaneId {
        let mut state = self.lock();
        state.added += 1;
        let id = LaneId(state.added);
        let lane = Lane {
            queue,
            metrics,
            waiting: VecDeque::with_capacity(queue.depth),
            moved: Arc::default(),
            spare: Vec::new(),
            epoch: 0,
            open: false,
            paused: false,
            busy: false,
        };
        state.lanes.insert(id, lane);
        id
    }

    /// The lane is no more: what waits in it is dropped, counted, and whoever waits for it goes on.
    pub fn remove(&self, lane: LaneId) {
        let mut state = self.lock();
        if let Some(mut lane) = state.lanes.remove(&lane) {
            lane.drop_waiting(FrameOutcome::DroppedPaused);
            lane.moved.notify_all();
        }
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
            lane.drop_waiting(FrameOutcome::DroppedPaused);
            lane.moved.notify_all();
        });
    }

    /// A paused lane takes frames, counts them and keeps none.
    pub fn pause(&self, lane: LaneId, paused: bool) {
        self.with(lane, |lane| {
            lane.paused = paused;
            if paused {
                lane.drop_waiting(FrameOutcome::DroppedPaused);
            }
            lane.moved.notify_all();
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
        let mut state = self.lock();
        loop {
            let shut = state.shut;
            let lane = state.lanes.get_mut(&id)?;
            if shut || !lane.open || lane.epoch != epoch.0 {
                return None;
            }
            if lane.paused {
                lane.metrics.frame(FrameOutcome::DroppedPaused);
                return Some(frame);
            }
            if lane.waiting.len() < lane.queue.depth {
                lane.waiting.push_back(frame);
                let spare = lane.spare.pop().unwrap_or_else(Frame::empty);
                drop(state);
                self.frame_waits.notify_one();
                return Some(spare);
            }
            match lane.queue.when_full {
                WhenFull::DropOldest => {
                    if let Some(stale) = lane.waiting.pop_front() {
                        lane.metrics.frame(FrameOutcome::DroppedStale);
                        lane.spare.push(stale);
                    }
                }
                WhenFull::Block => {
                    let moved = lane.moved.clone();
                    state = moved.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
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
                && let Some((turn, moved)) = state.next_turn()
            {
                hand.push(turn);
                moved.notify_all();
            }
            if !hand.is_empty() {
                return true;
            }
            state = self.frame_waits.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The worker is through with the lane's frame; its buffer comes back to be filled again.
    pub fn done(&self, lane: LaneId, buffer: Option<Frame>) {
        self.with(lane, |lane| {
            lane.busy = false;
            // Queue, hands of the worker, hands of the source: more buffers are never in use.
            if let Some(buffer) = buffer.filter(|_| lane.spare.len() <= lane.queue.depth) {
                lane.spare.push(buffer);
            }
            lane.moved.notify_all();
        });
        self.frame_waits.notify_one();
    }

    /// Whether a turn's session is still the lane's current one.
    pub fn is_current(&self, lane: LaneId, epoch: Epoch) -> bool {
        let state = self.lock();
        state.lanes.get(&lane).is_some_and(|lane| lane.open && !lane.paused && lane.epoch == epoch.0)
    }

    /// Whether the lane is that session's and takes nothing, for the camera is paused.
    pub fn is_paused(&self, lane: LaneId, epoch: Epoch) -> bool {
        let state = self.lock();
        state.lanes.get(&lane).is_some_and(|lane| lane.open && lane.paused && lane.epoch == epoch.0)
    }

    /// Waits until every frame of the session is processed, or the session is over.
    pub fn drain(&self, id: LaneId, epoch: Epoch) {
        let mut state = self.lock();
        loop {
            let Some(lane) = state.lanes.get(&id) else { return };
            let over = state.shut || !lane.open || lane.epoch != epoch.0;
            if over || (lane.waiting.is_empty() && !lane.busy) {
                return;
            }
            let moved = lane.moved.clone();
            state = moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all waits; workers and sources return.
    pub fn shut(&self) {
        let mut state = self.lock();
        state.shut = true;
        state.lanes.values().for_each(|lane| lane.moved.notify_all());
        drop(state);
        self.frame_waits.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock; a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_turn(&mut self) -> Option<(Turn, Arc<Condvar>)> {
        let ready = |(_, lane): &(&LaneId, &Lane)| !lane.busy && !lane.waiting.is_empty();
        let after = self.lanes.range((Excluded(self.last), Unbounded)).find(ready);
        let (&id, _) = after.or_else(|| self.lanes.range(..=self.last).find(ready))?;
        let lane = self.lanes.get_mut(&id)?;
        let frame = lane.waiting.pop_front()?;
        lane.busy = true;
        self.last = id;
        let turn = Turn { lane: id, epoch: Epoch(lane.epoch), frame, metrics: lane.metrics.clone() };
        Some((turn, lane.moved.clone()))
    }
}

impl Lane {
    fn drop_waiting(&mut self, outcome: FrameOutcome) {
        while let Some(frame) = self.waiting.pop_front() {
            self.metrics.frame(outcome);
            self.spare.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(turns: &Turns, depth: usize, when_full: WhenFull) -> (LaneId, Epoch, Arc<CameraMetrics>) {
        let metrics = Arc::new(CameraMetrics::new("test"));
        let id = turns.add(QueueConfig { depth, when_full }, metrics.clone());
        (id, turns.open(id), metrics)
    }

    fn frame(id: u64) -> Frame {
        Frame { id, ..Frame::empty() }
    }

    #[test]
    fn the_newest_frames_win_and_the_stale_are_counted() {
        let turns = Turns::default();
        let (id, epoch, metrics) = lane(&turns, 2, WhenFull::DropOldest);
        (1..=5).for_each(|n| drop(turns.offer(id, epoch, frame(n))));
        assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedStale), 3);
        assert_eq!(turns.take().unwrap().frame.id, 4);
    }

    #[test]
    fn turns_go_round_and_a_camera_is_in_one_hand_at_a_time() {
        let turns = Turns::default();
        let (fast, fast_epoch, _) = lane(&turns, 10, WhenFull::DropOldest);
        let (slow, slow_epoch, _) = lane(&turns, 10, WhenFull::DropOldest);
        (1..=5).for_each(|n| drop(turns.offer(fast, fast_epoch, frame(n))));
        turns.offer(slow, slow_epoch, frame(100));
        let first = turns.take().unwrap();
        let second = turns.take().unwrap();
        assert_eq!((first.frame.id, second.frame.id), (1, 100));
        turns.done(first.lane, None);
        assert_eq!(turns.take().unwrap().frame.id, 2);
    }

    #[test]
    fn several_are_taken_where_they_are_there_one_a_camera_in_their_turns() {
        let turns = Turns::default();
        let lanes: Vec<_> = (0..3).map(|_| lane(&turns, 4, WhenFull::DropOldest)).collect();
        let offer = |at: usize, id| drop(turns.offer(lanes[at].0, lanes[at].1, frame(id)));
        (0..3).for_each(|n| offer(0, n));
        offer(2, 20);
        let mut hand = Vec::new();
        assert!(turns.take_some(8, &mut hand));
        assert_eq!(hand.iter().map(|turn| turn.frame.id).collect::<Vec<_>>(), [0, 20], "one of each that waits");
        hand.drain(..).for_each(|turn| turns.done(turn.lane, None));
        offer(1, 10);
        offer(2, 21);
        assert!(turns.take_some(2, &mut hand));
        assert_eq!(hand.iter().map(|turn| turn.frame.id).collect::<Vec<_>>(), [1, 10], "whoever had none comes next");
        hand.drain(..).for_each(|turn| turns.done(turn.lane, None));
        assert!(turns.take_some(2, &mut hand));
        assert_eq!(hand.iter().map(|turn| turn.frame.id).collect::<Vec<_>>(), [21, 2]);
        turns.shut();
        hand.clear();
        assert!(!turns.take_some(2, &mut hand));
    }

    #[test]
    fn a_blocking_queue_makes_the_source_wait_and_loses_nothing() {
        let turns = Arc::new(Turns::default());
        let (id, epoch, metrics) = lane(&turns, 1, WhenFull::Block);
        let source = std::thread::spawn({
            let turns = turns.clone();
            move || (1..=50).for_each(|n| drop(turns.offer(id, epoch, frame(n)).unwrap()))
        });
        for n in 1..=50 {
            let turn = turns.take().unwrap();
            assert_eq!(turn.frame.id, n);
            turns.done(turn.lane, Some(turn.frame));
        }
        source.join().unwrap();
        assert_eq!(metrics.totals.dropped(), 0);
    }

    #[test]
    fn closing_frees_a_source_that_waits_and_refuses_its_frames() {
        let turns = Arc::new(Turns::default());
        let (id, epoch, metrics) = lane(&turns, 1, WhenFull::Block);
        turns.offer(id, epoch, frame(1)).unwrap();
        let source = std::thread::spawn({
            let turns = turns.clone();
            move || turns.offer(id, epoch, frame(2)).is_none()
        });
        turns.close(id);
        assert!(source.join().unwrap());
        assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 1, "the refused one is its source's to count");
        let again = turns.open(id);
        assert!(turns.offer(id, epoch, frame(3)).is_none(), "a session that was given up is refused");
        assert!(turns.offer(id, again, frame(4)).is_some());
    }

    #[test]
    fn a_paused_lane_keeps_nothing() {
        let turns = Turns::default();
        let (id, epoch, metrics) = lane(&turns, 2, WhenFull::DropOldest);
        turns.offer(id, epoch, frame(1));
        turns.pause(id, true);
        assert!(turns.offer(id, epoch, frame(2)).is_some());
        assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 2);
        turns.pause(id, false);
        turns.offer(id, epoch, frame(3));
        assert_eq!(turns.take().unwrap().frame.id, 3);
    }

    #[test]
    fn a_lane_that_is_removed_frees_who_waits_for_it_and_leaves_the_others_their_turns() {
        let turns = Arc::new(Turns::default());
        let (gone, epoch, metrics) = lane(&turns, 1, WhenFull::Block);
        let (stays, other, _) = lane(&turns, 1, WhenFull::Block);
        turns.offer(gone, epoch, frame(1)).unwrap();
        turns.offer(stays, other, frame(2)).unwrap();
        let in_hand = turns.take().unwrap();
        turns.offer(gone, epoch, frame(3)).unwrap();
        let waits = |wait: fn(&Turns, LaneId, Epoch)| {
            let turns = turns.clone();
            std::thread::spawn(move || wait(&turns, gone, epoch))
        };
        let source = waits(|turns, gone, epoch| assert!(turns.offer(gone, epoch, frame(4)).is_none()));
        let camera = waits(Turns::drain);
        turns.remove(gone);
        source.join().unwrap();
        camera.join().unwrap();
        assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 1, "what waited in it");
        assert!(!turns.is_current(gone, in_hand.epoch));
        turns.done(in_hand.lane, Some(in_hand.frame));
        let (new, new_epoch, _) = lane(&turns, 1, WhenFull::Block);
        assert_ne!(new, gone);
        turns.offer(new, new_epoch, frame(5)).unwrap();
        assert_eq!([turns.take().unwrap().frame.id, turns.take().unwrap().frame.id], [2, 5]);
    }
}
