//! One model's workers: how many there are, and how much of their time is taken.

use std::time::Duration;

use metrics::{Counter, Gauge};

use super::{names, recorder};

#[derive(Clone)]
pub struct ModelMetrics {
    workers: Gauge,
    busy: Counter,
}

impl ModelMetrics {
    #[must_use]
    pub fn new(model: &str) -> Self {
        let labels = [("model", model)];
        Self {
            workers: recorder::gauge(&names::MODEL_WORKERS, &labels),
            busy: recorder::counter(&names::MODEL_BUSY, &labels),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    pub fn workers(&self, count: usize) {
        self.workers.set(count as f64);
    }

    /// A worker spent so long on one frame, whatever came of it.
    pub fn busy(&self, took: Duration) {
        self.busy.increment(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
