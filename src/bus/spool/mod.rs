//! Messages that must not be lost wait on disk: events, keyframes while there is room, detections with `qos: 1`.
//!
//! One file a bus in `<state_dir>/<node>/spool/`, written behind the outbox by a thread of its own (`clerk`): what is
//! acknowledged within a moment never touches the disk, what is not is there after the next moment, in order. `record` is one
//! message's form, `store` the file, `place` where it lies, `bell` how the clerk is called. The outbox's side is its `desk`.
//!
//! A spool that does not work never ends the node: it says so, and messages wait in memory only until it works again.

mod bell;
mod clerk;
mod config;
mod convert;
mod error;
mod place;
mod record;
mod store;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub(in crate::bus) use self::bell::Bell;
use self::bell::End;
#[cfg(not(test))]
use self::clerk::Clerk;
#[cfg(test)]
pub(in crate::bus) use self::clerk::{Clerk, Pace};
pub use self::config::SpoolConfig;
pub use self::convert::Mark;
pub use self::error::SpoolError;
pub use self::place::{SpoolPlace, left_behind};
pub use self::record::{Record, RecordError, VERSION, decode, encode};
pub(in crate::bus) use self::store::{Found, Victim};
use super::Outbox;

/// Whether a spool takes messages: its path, or why not (safe to show); empty until it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpoolState {
    pub ok: bool,
    pub detail: String,
}

/// A bus's running spool. Dropping it ends it as the end of the process would.
#[derive(Debug)]
pub(in crate::bus) struct Spool {
    bell: Arc<Bell>,
    state: watch::Receiver<SpoolState>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Spool {
    /// Serves the outbox that was made with this bell.
    pub(in crate::bus) fn start(place: SpoolPlace, bell: Arc<Bell>, outbox: &Arc<Outbox>) -> Self {
        let (tell, state) = watch::channel(SpoolState::default());
        let clerk = Clerk::new(outbox.bus(), place, tell);
        let (weak, called) = (Arc::downgrade(outbox), Arc::clone(&bell));
        let name = format!("spool-{}", outbox.bus());
        let thread = std::thread::Builder::new().name(name).spawn(move || clerk.run(&weak, &called));
        if let Err(error) = &thread {
            tracing::error!(bus = outbox.bus(), %error, "no thread for the spool: messages wait in memory only");
            outbox.spool_shut();
        }
        Self { bell, state, thread: thread.ok() }
    }

    pub(in crate::bus) fn state(&self) -> watch::Receiver<SpoolState> {
        self.state.clone()
    }

    /// Resolves once everything offered before is written, or cannot be; at most after `deadline`.
    pub(in crate::bus) async fn flush(&self, deadline: Duration) {
        let _in_time = tokio::time::timeout(deadline, self.bell.flush()).await;
    }

    /// Puts everything in order and lets go of the file; a disk that hangs is left behind after `deadline`.
    pub(in crate::bus) async fn stop(mut self, deadline: Duration) {
        self.bell.end(End::Orderly);
        let begin = std::time::Instant::now();
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            if begin.elapsed() > deadline {
                tracing::warn!(thread = "spool", "late: the disk does not answer; it is left behind");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.thread = None;
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.bell.end(End::AtOnce);
    }
}
