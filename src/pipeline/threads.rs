//! A camera's capture threads, those that were left behind among them.
//!
//! A thread cannot be ended from outside. One that was cancelled ends by itself within its source's time-outs; one that is
//! stuck in native code may never. Their number is bounded, so that a bad camera cannot eat the machine.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::session::Pulse;
use crate::domain::Name;
use crate::telemetry::CameraMetrics;

/// Threads of one camera at most, the one that is at work included.
pub const MOST: usize = 4;

pub(super) struct Threads {
    camera: Name,
    metrics: Arc<CameraMetrics>,
    all: Vec<Entry>,
}

struct Entry {
    handle: JoinHandle<()>,
    pulse: Arc<Pulse>,
    /// Given up since then, for it was stuck.
    abandoned: Option<Instant>,
}

impl Threads {
    pub(super) fn new(camera: Name, metrics: Arc<CameraMetrics>) -> Self {
        metrics.abandoned_threads(0);
        Self { camera, metrics, all: Vec::new() }
    }

    pub(super) fn add(&mut self, handle: JoinHandle<()>, pulse: Arc<Pulse>) {
        self.all.push(Entry { handle, pulse, abandoned: None });
    }

    /// Looks who has ended and who is stuck. To be called now and then, and before another one is started.
    pub(super) fn look(&mut self) {
        for entry in &mut self.all {
            if entry.abandoned.is_none()
                && let Some(stuck) = entry.pulse.overdue()
            {
                entry.abandoned = Some(Instant::now().checked_sub(stuck).unwrap_or_else(Instant::now));
                self.metrics.abandoned();
                tracing::error!(camera = %self.camera, thread = entry.handle.thread().name(),
                    "the capture thread is stuck in native code for {stuck:?}: it is abandoned");
            }
        }
        self.all.retain(|entry| {
            let ended = entry.handle.is_finished();
            if let (true, Some(since)) = (ended, entry.abandoned) {
                let spent = Duration::from_secs(since.elapsed().as_secs());
                tracing::info!(camera = %self.camera, "an abandoned capture thread has ended by itself after {spent:?}");
            }
            !ended
        });
        self.metrics.abandoned_threads(self.abandoned());
    }

    pub(super) fn abandoned(&self) -> usize {
        self.all.iter().filter(|entry| entry.abandoned.is_some()).count()
    }

    /// Whether one more may be started.
    pub(super) fn have_room(&self) -> bool {
        self.all.len() < MOST
    }
}
