//! How the clerk is called. Ringing never waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

#[derive(Debug, Default)]
pub(in crate::bus) struct Bell {
    orders: Mutex<Orders>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    rung: bool,
    flushes: Vec<oneshot::Sender<()>>,
    end: Option<End>,
}

/// How the clerk is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything said is put in order first.
    Orderly,
    /// At once, as if the process were killed.
    AtOnce,
}

/// What the clerk was called for.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Everything is to be written now, and these are to be told.
    pub(super) flushes: Vec<oneshot::Sender<()>>,
    pub(super) end: Option<End>,
}

impl Bell {
    pub(in crate::bus) fn ring(&self) {
        self.lock().rung = true;
        self.rung.notify_all();
    }

    /// Resolves once everything offered before is written, or cannot be.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.lock().flushes.push(tell);
        self.ring();
        told
    }

    pub(super) fn end(&self, how: End) {
        self.lock().end.get_or_insert(how);
        self.ring();
    }

    /// Waits until it is rung, at most so long.
    pub(super) fn wait(&self, at_most: Option<Duration>) -> Call {
        let quiet = |orders: &mut Orders| !orders.rung;
        let guard = self.lock();
        let mut orders = match at_most {
            Some(span) => self.rung.wait_timeout_while(guard, span, quiet).unwrap_or_else(PoisonError::into_inner).0,
            None => self.rung.wait_while(guard, quiet).unwrap_or_else(PoisonError::into_inner),
        };
        orders.rung = false;
        Call { flushes: std::mem::take(&mut orders.flushes), end: orders.end }
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
