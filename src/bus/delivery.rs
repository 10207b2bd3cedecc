//! The delivery probe: a message that the node publishes and receives itself. It measures the broker's round trip, and tells
//! a broker that takes messages and delivers none from a healthy one.
//!
//! Pure: the session brings the time and the messages.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::domain::BootId;

/// So many probes in a row that did not come back, and the broker is held to deliver nothing.
const PATIENCE: u32 = 3;
/// Probes remembered while they are out: one that comes back after longer is no news.
const REMEMBERED: usize = 16;

/// What the probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Verdict {
    /// Switched off, forbidden, or not yet back.
    #[default]
    Unknown,
    /// The last one came back.
    Delivering,
    /// They came back once and do no more.
    Stopped { missed: u32 },
    /// None ever came back: a broker that delivers nothing, or one that may not deliver the probe to us.
    Never { missed: u32 },
}

#[derive(Debug)]
pub(super) struct Delivery {
    interval: Duration,
    boot: BootId,
    number: u64,
    out: VecDeque<(u64, Instant)>,
    /// When the next one is due; `None` outside of a session that listens for it.
    due: Option<Instant>,
    missed: u32,
    ever: bool,
    verdict: Verdict,
}

impl Delivery {
    /// `interval` zero switches it off.
    pub(super) fn new(interval: Duration, boot: BootId) -> Self {
        let (out, verdict) = (VecDeque::new(), Verdict::Unknown);
        Self { interval, boot, number: 0, out, due: None, missed: 0, ever: false, verdict }
    }

    pub(super) fn wanted(&self) -> bool {
        !self.interval.is_zero()
    }

    /// The session listens on the probe's topic: the first may go.
    pub(super) fn begin(&mut self, now: Instant) {
        self.end();
        self.due = self.wanted().then_some(now);
    }

    /// The session is over, or the broker forbids the probe.
    pub(super) fn end(&mut self) {
        self.out.clear();
        self.due = None;
        self.missed = 0;
        self.verdict = Verdict::Unknown;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The next probe, which is due; judges the one before.
    pub(super) fn next(&mut self, now: Instant) -> Vec<u8> {
        if self.out.back().is_some_and(|(number, _)| *number == self.number) {
            self.missed += 1;
            if self.missed >= PATIENCE {
                let missed = self.missed;
                self.verdict = if self.ever { Verdict::Stopped { missed } } else { Verdict::Never { missed } };
            }
        }
        self.number += 1;
        self.out.push_back((self.number, now));
        if self.out.len() > REMEMBERED {
            self.out.pop_front();
        }
        self.due = Some(now + self.interval);
        format!(r#"{{"boot_id":"{}","seq":{}}}"#, self.boot.as_str(), self.number).into_bytes()
    }

    /// A message came on the probe's topic; how long it took, when it is one of ours.
    pub(super) fn heard(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let head = format!(r#"{{"boot_id":"{}","seq":"#, self.boot.as_str());
        let number = std::str::from_utf8(payload).ok()?.strip_prefix(&head)?.strip_suffix('}')?.parse::<u64>().ok()?;
        let at = self.out.iter().position(|(out, _)| *out == number)?;
        let (_, sent) = self.out.drain(..=at).next_back()?;
        self.missed = 0;
        self.ever = true;
        self.verdict = Verdict::Delivering;
        Some(now.saturating_duration_since(sent))
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn started() -> (Delivery, Instant) {
        let mut delivery = Delivery::new(SECOND, BootId::new());
        let now = Instant::now();
        delivery.begin(now);
        (delivery, now)
    }

    #[test]
    fn a_probe_that_comes_back_is_a_round_trip() {
        let (mut delivery, now) = started();
        assert_eq!(delivery.due(), Some(now));
        let payload = delivery.next(now);
        assert_eq!(delivery.heard(&payload, now + SECOND / 4), Some(SECOND / 4));
        assert_eq!(delivery.heard(&payload, now + SECOND / 2), None, "a second copy is no news");
        assert_eq!((delivery.verdict(), delivery.due()), (Verdict::Delivering, Some(now + SECOND)));
    }

    #[test]
    fn three_probes_missed_are_a_broker_that_delivers_nothing_and_one_that_returns_ends_it() {
        let (mut delivery, mut now) = started();
        let first = delivery.next(now);
        delivery.heard(&first, now).unwrap();
        let mut last = Vec::new();
        for _ in 0..4 {
            assert_eq!(delivery.verdict(), Verdict::Delivering);
            now += SECOND;
            last = delivery.next(now);
        }
        assert_eq!(delivery.verdict(), Verdict::Stopped { missed: 3 });
        assert_eq!(delivery.heard(&last, now + 5 * SECOND), Some(5 * SECOND));
        assert_eq!(delivery.verdict(), Verdict::Delivering);
    }

    #[test]
    fn one_that_never_came_back_may_be_forbidden() {
        let (mut delivery, now) = started();
        for i in 0..5 {
            delivery.next(now + i * SECOND);
        }
        assert_eq!(delivery.verdict(), Verdict::Never { missed: 4 });
    }

    #[test]
    fn what_others_say_on_its_topic_and_probes_of_an_earlier_session_are_no_round_trip() {
        let (mut delivery, now) = started();
        let stale = delivery.next(now);
        delivery.begin(now);
        delivery.next(now);
        for payload in [&stale[..], b"", b"{}", b"\xff", br#"{"boot_id":"other","seq":2}"#] {
            assert_eq!(delivery.heard(payload, now), None);
        }
        assert_eq!(delivery.verdict(), Verdict::Unknown);
        delivery.end();
        assert_eq!(delivery.due(), None);
        let mut off = Delivery::new(Duration::ZERO, BootId::new());
        off.begin(now);
        assert_eq!(off.due(), None);
    }
}
