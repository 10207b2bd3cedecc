//! What a viewer with a thin line is sent: fewer frames, without a word to the encoder or to other viewers.
//!
//! Each viewer has a budget that grows by the estimate of its line. A frame that finds the budget used up is skipped, and with
//! it every frame until the next IDR, since each refers to the one before. A viewer whose line carries the stream skips none.

use std::time::{Duration, Instant};

/// How much of the line's rate may be saved up: what is sent at once waits in the line for as long.
const SAVED: Duration = Duration::from_millis(500);

/// How much of it a run of frames may owe: an IDR picture alone can be more than what is saved, and the frames that refer to it
/// would be lost with it. A new run begins when all is paid.
const OWED: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Thrift {
    /// Bits a second; none yet = whatever comes.
    estimate: Option<f64>,
    /// Bits that may be sent now. A frame may overdraw it, else no IDR would ever fit into a very thin line.
    budget: f64,
    counted: Instant,
    /// Nothing can be shown before the next IDR.
    broken: bool,
}

impl Thrift {
    pub(super) fn new(now: Instant) -> Self {
        Self { estimate: None, budget: 0.0, counted: now, broken: true }
    }

    /// The line's new estimate, bits a second.
    pub(super) fn estimate(&mut self, bits: f64, now: Instant) {
        self.count(now);
        if self.estimate.is_none() {
            self.budget = bits * SAVED.as_secs_f64();
        }
        self.estimate = Some(bits);
    }

    /// A frame was lost on the way to the viewer's session.
    pub(super) fn broke(&mut self) {
        self.broken = true;
    }

    /// Frames were skipped, and there is room for an IDR again.
    pub(super) fn may_begin_again(&mut self, now: Instant) -> bool {
        self.count(now);
        self.broken && self.estimate.is_none_or(|estimate| self.budget >= estimate * SAVED.as_secs_f64() * 0.9)
    }

    /// Whether this frame is sent.
    #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52 bits")]
    pub(super) fn admits(&mut self, bytes: usize, idr: bool, now: Instant) -> bool {
        self.count(now);
        let owed = if self.broken { 0.0 } else { OWED.as_secs_f64() };
        let affordable = self.estimate.is_none_or(|estimate| self.budget > -estimate * owed);
        if !affordable || (self.broken && !idr) {
            self.broken = true;
            return false;
        }
        self.broken = false;
        self.budget -= bytes as f64 * 8.0;
        true
    }

    fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        if let Some(estimate) = self.estimate {
            self.budget = (self.budget + passed * estimate).min(estimate * SAVED.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds of 20 frames a second, 10 000 bytes each (1.6 Mbit/s), an IDR each second: what is sent.
    fn sent(estimate: Option<f64>) -> Vec<(u64, bool)> {
        let start = Instant::now();
        let mut thrift = Thrift::new(start);
        if let Some(estimate) = estimate {
            thrift.estimate(estimate, start);
        }
        let frames = (0..200).map(|n| (n, n % 20 == 0));
        frames.filter(|&(n, idr)| thrift.admits(10_000, idr, start + Duration::from_millis(50 * n))).collect()
    }

    #[test]
    fn a_line_that_carries_the_stream_gets_all_of_it() {
        assert_eq!(sent(Some(1_700_000.0)).len(), 200);
        assert_eq!(sent(None).len(), 200);
    }

    #[test]
    fn a_thin_line_gets_what_it_carries_and_whole_runs_only() {
        for estimate in [50_000.0, 400_000.0, 800_000.0, 1_500_000.0] {
            let sent = sent(Some(estimate));
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let bits = sent.len() as f64 * 80_000.0;
            // Ten seconds' worth, what was saved at the start, what may be owed, and at most one frame over it.
            assert!(bits <= estimate * 12.0 + 80_000.0, "{estimate}: {bits}");
            assert!(bits > estimate * 5.0, "{estimate}: {bits}");
            let mut before = None;
            for (n, idr) in sent {
                assert!(idr || before == Some(n - 1), "frame {n} refers to one that was not sent");
                before = Some(n);
            }
        }
    }

    #[test]
    fn a_run_is_not_broken_by_its_own_idr() {
        // IDR pictures eight times as large as the others, and only when they are asked for.
        let start = Instant::now();
        let mut thrift = Thrift::new(start);
        thrift.estimate(200_000.0, start);
        let (mut sent, mut wished) = (0, None::<Instant>);
        for n in 0..150 {
            let now = start + Duration::from_millis(200 * n);
            let wishes = thrift.may_begin_again(now) && wished.is_none_or(|at| now - at >= Duration::from_secs(4));
            wished = if wishes { Some(now) } else { wished };
            // Five a second of 2 500 bytes: half of what the line carries.
            let bytes = if wishes { 20_000 } else { 2_500 };
            sent += usize::from(thrift.admits(bytes, wishes, now));
        }
        assert!(sent >= 120, "{sent} of 150");
    }

    #[test]
    fn nothing_is_sent_before_the_first_idr_and_after_a_gap() {
        let now = Instant::now();
        let mut thrift = Thrift::new(now);
        assert!(!thrift.admits(1, false, now) && thrift.may_begin_again(now));
        assert!(thrift.admits(1, true, now) && thrift.admits(1, false, now));
        thrift.broke();
        assert!(!thrift.admits(1, false, now) && thrift.admits(1, true, now));
    }
}
