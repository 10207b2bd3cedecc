//! A small streaming estimate of quantiles for the summary table: exact counts in logarithmic bins (5 % wide).

use std::sync::Mutex;
use std::time::Duration;

const BINS: usize = 360;
const FLOOR: f64 = 1e-5;
const GROWTH: f64 = 1.05;

/// Latencies in bins of 5 % from 10 µs to about 400 s. Shared by threads.
#[derive(Debug)]
pub struct Quantiles {
    bins: Mutex<Box<[u64; BINS]>>,
}

/// The counts of a moment.
#[derive(Debug, Clone)]
pub struct Mark(Box<[u64; BINS]>);

impl Default for Quantiles {
    fn default() -> Self {
        Self { bins: Mutex::new(Box::new([0; BINS])) }
    }
}

impl Quantiles {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bins")]
    pub fn record(&self, value: Duration) {
        let bin = ((value.as_secs_f64().max(FLOOR) / FLOOR).ln() / GROWTH.ln()) as usize;
        self.lock()[bin.min(BINS - 1)] += 1;
    }

    /// The value below which the fraction `q` (0…1) of the samples lies; `None` without samples.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let bins = self.lock();
        let total: u64 = bins.iter().sum();
        let rank = ((total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in bins.iter().enumerate() {
            seen += count;
            if total > 0 && seen >= rank {
                return Some(Duration::from_secs_f64(FLOOR * GROWTH.powf(index as f64 + 0.5)));
            }
        }
        None
    }

    /// The counts as they are, to see later what came since.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.lock().clone())
    }

    /// The same of what was recorded since the mark; `None` when nothing was.
    #[must_use]
    pub fn quantile_since(&self, mark: &Mark, q: f64) -> Option<Duration> {
        let since: Box<[u64; BINS]> = {
            let now = self.lock();
            Box::new(std::array::from_fn(|bin| now[bin].saturating_sub(mark.0[bin])))
        };
        Self { bins: Mutex::new(since) }.quantile(q)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Box<[u64; BINS]>> {
        self.bins.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_a_mark_is_told_apart_from_what_was_before() {
        let q = Quantiles::default();
        q.record(Duration::from_secs(9));
        let mark = q.mark();
        assert_eq!(q.quantile_since(&mark, 0.5), None);
        (1..=100).for_each(|ms| q.record(Duration::from_millis(ms)));
        let got = q.quantile_since(&mark, 0.95).unwrap().as_secs_f64();
        assert!((got / 0.095 - 1.0).abs() < 0.05, "{got}");
    }

    #[test]
    fn quantiles_are_within_five_percent() {
        let q = Quantiles::default();
        assert_eq!(q.quantile(0.5), None);
        (1..=1000).for_each(|ms| q.record(Duration::from_millis(ms)));
        for (at, want) in [(0.5, 0.5), (0.95, 0.95), (0.99, 0.99)] {
            let got = q.quantile(at).unwrap().as_secs_f64();
            assert!((got / want - 1.0).abs() < 0.05, "{at}: {got}");
        }
    }
}
