//! What a camera did since the last look: the same measurements as the metrics, kept only while somebody looks on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Quantiles, Stage};

/// The figures since they were last taken. Free of cost (one relaxed load) while nobody takes them.
#[derive(Debug, Default)]
pub struct Recent {
    watched: AtomicBool,
    window: Mutex<Option<Box<Window>>>,
}

#[derive(Debug, Default)]
struct Window {
    stages: [Quantiles; 8],
    publish: Quantiles,
    labels: BTreeMap<String, u64>,
}

/// The middle of some durations, and how bad the worst were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

/// What [`Recent::take`] gives; what had no sample is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    pub stages: Vec<(Stage, Spread)>,
    /// Capture until handed to the first bus.
    pub publish: Option<Spread>,
    /// Objects published.
    pub labels: BTreeMap<String, u64>,
}

impl Recent {
    /// What was measured since the last time, and begins anew. The first call begins to measure and gives nothing.
    pub fn take(&self) -> Option<Taken> {
        self.watched.store(true, Ordering::Relaxed);
        let window = self.lock().replace(Box::default())?;
        let stages = Stage::ALL.into_iter().zip(&window.stages);
        Some(Taken {
            stages: stages.filter_map(|(stage, of)| Some((stage, Spread::of(of)?))).collect(),
            publish: Spread::of(&window.publish),
            labels: window.labels,
        })
    }

    /// Nobody looks on any more.
    pub fn rest(&self) {
        if self.watched.swap(false, Ordering::Relaxed) {
            *self.lock() = None;
        }
    }

    pub(super) fn stage(&self, stage: Stage, took: Duration) {
        self.record(|window| window.stages[stage as usize].record(took));
    }

    pub(super) fn published(&self, capture: Duration, deliver: Duration) {
        self.record(|window| {
            window.publish.record(capture);
            window.stages[Stage::Deliver as usize].record(deliver);
        });
    }

    pub(super) fn label(&self, label: &str) {
        self.record(|window| match window.labels.get_mut(label) {
            Some(count) => *count += 1,
            None => drop(window.labels.insert(label.to_owned(), 1)),
        });
    }

    fn record(&self, record: impl FnOnce(&mut Window)) {
        if self.watched.load(Ordering::Relaxed)
            && let Some(window) = self.lock().as_deref_mut()
        {
            record(window);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Window>>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spread {
    fn of(samples: &Quantiles) -> Option<Self> {
        let at = |q| samples.quantile(q);
        Some(Self { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_kept_only_while_somebody_takes_them() {
        let recent = Recent::default();
        let measure = |ms| {
            recent.stage(Stage::Inference, Duration::from_millis(ms));
            recent.published(Duration::from_millis(2 * ms), Duration::from_millis(1));
            recent.label("car");
        };
        measure(1);
        assert_eq!(recent.take(), None, "nobody had looked");
        (1..=100).for_each(measure);
        let taken = recent.take().unwrap();
        assert_eq!(taken.labels, BTreeMap::from([("car".to_owned(), 100)]));
        let stages: Vec<Stage> = taken.stages.iter().map(|(stage, _)| *stage).collect();
        assert_eq!(stages, [Stage::Inference, Stage::Deliver]);
        let near = |got: Duration, want: f64| (got.as_secs_f64() * 1e3 / want - 1.0).abs() < 0.05;
        let (inference, publish) = (taken.stages[0].1, taken.publish.unwrap());
        assert!(near(inference.p50, 50.0) && near(inference.p99, 99.0) && near(publish.p95, 190.0), "{taken:?}");
        assert_eq!(recent.take(), Some(Taken::default()), "each second's figures are its own");
        recent.rest();
        measure(1);
        assert_eq!(recent.take(), None);
    }
}
