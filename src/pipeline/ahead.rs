//! A worker's helper: prepares the next frame while the model runs on the one before, so that the model waits for nothing.
//!
//! It is asked only while the worker is busy ([`DeskId`]). A frame that comes while a worker has nothing to do, and one that
//! is sure to be inferred, is prepared by the thread that brings it ([`Turns::prepare_and_offer`]).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

use super::turns::{DeskId, Turn, Turns};

pub(super) struct Helper<'a> {
    turns: &'a Turns,
    desk: DeskId,
    ready: Receiver<Turn>,
}

impl Helper<'_> {
    /// `None`: there is no thread for it, and the worker does everything itself.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, turns: &'scope Turns) -> Option<Helper<'scope>> {
        let desk = turns.take_a_desk();
        let (give, ready) = sync_channel(1);
        let name =
            std::thread::current().name().map_or_else(String::new, |worker| worker.replace("worker", "ahead of"));
        let started = Builder::new().name(name).spawn_scoped(scope, move || work(turns, desk, &give));
        if let Err(error) = started {
            tracing::warn!("no thread to prepare frames ahead: {error}");
            return None;
        }
        Some(Helper { turns, desk, ready })
    }

    /// The frame that was taken while the worker was busy, once it is prepared.
    pub(super) fn collect(&self) -> Option<Turn> {
        if self.turns.has_ahead(self.desk) { self.ready.recv().ok() } else { None }
    }

    /// The worker is about to be through: what comes now it prepares itself, sooner than another thread wakes.
    pub(super) fn disengage(&self) {
        self.turns.disengage(self.desk);
    }

    /// The worker is busy from now on.
    pub(super) fn engage(&self) {
        self.turns.engage(self.desk);
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.turns.leave(self.desk);
    }
}

fn work(turns: &Turns, desk: DeskId, give: &SyncSender<Turn>) {
    while let Some(mut turn) = turns.take_ahead(desk) {
        if let Some(input) = &mut turn.input {
            input.fill_quietly(&turn.frame);
        }
        if give.send(turn).is_err() {
            return;
        }
    }
}
