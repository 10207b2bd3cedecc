//! One deadline for all the steps of asking a server, and a look whether anybody still waits for the answer.

use std::time::{Duration, Instant};

use super::super::Cancel;

#[derive(Clone, Copy)]
pub(super) struct Haste<'a> {
    deadline: Instant,
    cancel: &'a Cancel,
}

impl<'a> Haste<'a> {
    pub(super) fn new(patience: Duration, cancel: &'a Cancel) -> Self {
        Self { deadline: Instant::now() + patience, cancel }
    }

    /// What the next step may take, never zero; `None` when the time is spent or the opening cancelled.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero() && !self.cancel.is_cancelled()).then_some(left)
    }
}
