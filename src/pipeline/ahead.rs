//! A worker's helper: prepares the next frame while the model runs on the one before, so that the model waits for nothing.
//!
//! It is asked only while the worker is busy ([`DeskId`]); a frame that comes while the worker has nothing to do is the
//! worker's own, for waking another thread would cost it more than preparing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

use super::turns::{DeskId, LaneId, Turn, Turns};
use crate::inference::Prepared;

pub(super) struct Helper<'a> {
    turns: &'a Turns,
    desk: DeskId,
    ready: Receiver<Ready>,
    free: SyncSender<Box<Prepared>>,
}

/// A frame that was taken ahead.
pub(super) struct Ready {
    pub(super) turn: Turn,
    pub(super) input: Box<Prepared>,
    /// Its input holds it; else that went wrong, and will again.
    pub(super) is_filled: bool,
}

impl Helper<'_> {
    /// `None`: there is no thread for it, and the worker does everything itself.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        turns: &'scope Turns,
        spare: Box<Prepared>,
    ) -> Option<Helper<'scope>> {
        let desk = turns.take_a_desk();
        let (give, ready) = sync_channel(1);
        let (free, frees) = sync_channel(1);
        let _room = free.try_send(spare);
        let name =
            std::thread::current().name().map_or_else(String::new, |worker| worker.replace("worker", "ahead of"));
        let started = Builder::new().name(name).spawn_scoped(scope, move || work(turns, desk, &frees, &give));
        if let Err(error) = started {
            tracing::warn!("no thread to prepare frames ahead: {error}");
            return None;
        }
        Some(Helper { turns, desk, ready, free })
    }

    /// The worker is through: the frame that was taken meanwhile, once it is prepared.
    pub(super) fn collect(&self) -> Option<Ready> {
        if self.turns.disengage(self.desk) { self.ready.recv().ok() } else { None }
    }

    /// The worker is busy with a frame of this lane.
    pub(super) fn engage(&self, lane: LaneId) {
        self.turns.engage(self.desk, lane);
    }

    /// An input to be filled again.
    pub(super) fn give(&self, input: Box<Prepared>) {
        let _gone = self.free.try_send(input);
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.turns.leave(self.desk);
    }
}

fn work(turns: &Turns, desk: DeskId, frees: &Receiver<Box<Prepared>>, give: &SyncSender<Ready>) {
    while let Some(turn) = turns.take_ahead(desk) {
        let Ok(mut input) = frees.recv() else { return };
        // What a frame does to this it will do to the worker, which knows whose fault it is.
        let filled = catch_unwind(AssertUnwindSafe(|| input.fill(&turn.frame)));
        if give.send(Ready { turn, input, is_filled: matches!(filled, Ok(Ok(()))) }).is_err() {
            return;
        }
    }
}
