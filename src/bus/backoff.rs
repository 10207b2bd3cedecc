//! How long to wait before the next attempt: exponential with full jitter, so that a hundred nodes do not come back at once.

use std::time::Duration;

/// Grows from `floor` to `ceiling`; starts anew after a connection that held for a while.
#[derive(Debug, Clone)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
    failures: u32,
}

impl Default for Backoff {
    /// 250 ms to 30 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(30))
    }
}

impl Backoff {
    /// A connection that lived this long was a good one: the next failure is a new story.
    pub const STABLE: Duration = Duration::from_secs(10);

    #[must_use]
    pub fn new(floor: Duration, ceiling: Duration) -> Self {
        Self { floor, ceiling: ceiling.max(floor), failures: 0 }
    }

    /// The next delay, between `floor` and the current cap, by the thread's random numbers.
    pub fn next_delay(&mut self) -> Duration {
        self.next_delay_with(fastrand::f64())
    }

    /// The same with the chance given: `random` is 0…1.
    pub fn next_delay_with(&mut self, random: f64) -> Duration {
        // The first cap is twice the floor, or there would be no jitter where it matters most.
        let doubled = self.failures.saturating_add(1).min(31);
        let cap = self.floor.saturating_mul(1 << doubled).min(self.ceiling);
        self.failures = self.failures.saturating_add(1);
        self.floor + cap.saturating_sub(self.floor).mul_f64(random.clamp(0.0, 1.0))
    }

    /// Tells that a connection was made and lived for `lived`.
    pub fn connected_for(&mut self, lived: Duration) {
        if lived >= Self::STABLE {
            self.failures = 0;
        }
    }

    /// Attempts that failed since the last stable connection.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_ceiling_and_never_fall_below_the_floor() {
        let mut backoff = Backoff::default();
        let longest: Vec<_> = (0..10).map(|_| backoff.next_delay_with(1.0)).collect();
        assert_eq!(longest[0], Duration::from_millis(500));
        assert_eq!(longest[1], Duration::from_secs(1));
        assert_eq!(longest[9], Duration::from_secs(30));
        for _ in 0..100 {
            let delay = backoff.next_delay();
            assert!(delay >= Duration::from_millis(250) && delay <= Duration::from_secs(30));
        }
    }

    #[test]
    fn only_a_stable_connection_starts_it_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next_delay();
        }
        backoff.connected_for(Duration::from_secs(1));
        assert_eq!(backoff.failures(), 5);
        backoff.connected_for(Backoff::STABLE);
        assert_eq!(backoff.next_delay_with(1.0), Duration::from_millis(500));
    }
}
