//! The book-keeping: what became of every message, by kind and by camera, and the metrics beside it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::bus::{Message, MessageKind};
use crate::domain::Name;
use crate::telemetry::{BusMetrics, Outcome};

/// A loss is said at once, then at most this often with the number since.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The law's figures: `offered = sent + acked + dropped + refused + waiting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub offered: u64,
    pub sent: u64,
    pub acked: u64,
    pub dropped: u64,
    pub refused: u64,
    pub waiting: u64,
}

impl Tally {
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.sent + self.acked
    }

    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped + self.refused
    }

    #[must_use]
    pub fn law_holds(&self) -> bool {
        self.offered == self.sent + self.acked + self.dropped + self.refused + self.waiting
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            sent: self.sent + other.sent,
            acked: self.acked + other.acked,
            dropped: self.dropped + other.dropped,
            refused: self.refused + other.refused,
            waiting: self.waiting + other.waiting,
        }
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Offered => {
                self.offered += 1;
                self.waiting += 1;
                return;
            }
            Outcome::Sent => self.sent += 1,
            Outcome::Acked => self.acked += 1,
            Outcome::Dropped => self.dropped += 1,
            Outcome::Refused => self.refused += 1,
        }
        self.waiting -= 1;
    }
}

/// What waits, messages and payload bytes by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    messages: [usize; 5],
    bytes: [usize; 5],
}

impl Waiting {
    #[must_use]
    pub fn messages(&self, kind: MessageKind) -> usize {
        self.messages[kind as usize]
    }

    #[must_use]
    pub fn bytes(&self, kind: MessageKind) -> usize {
        self.bytes[kind as usize]
    }

    #[must_use]
    pub fn total_messages(&self) -> usize {
        self.messages.iter().sum()
    }
}

/// Losses of one sort since they were last said.
#[derive(Debug, Default)]
struct Said {
    since: u64,
    at: Option<Instant>,
}

impl Said {
    /// The number to say now, or nothing yet.
    fn due(&mut self) -> Option<u64> {
        self.since += 1;
        if self.at.is_some_and(|at| at.elapsed() < SAY_EVERY) {
            return None;
        }
        self.at = Some(Instant::now());
        Some(std::mem::take(&mut self.since))
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    kinds: [Tally; 5],
    cameras: HashMap<Name, Tally>,
    waiting: Waiting,
    dropped: [Said; 5],
    refused: [Said; 5],
}

impl Ledger {
    pub(super) fn accept(&mut self, metrics: &BusMetrics, message: &Message) {
        let kind = message.kind as usize;
        self.waiting.messages[kind] += 1;
        self.waiting.bytes[kind] += message.payload.len();
        self.count(metrics, message, Outcome::Offered);
    }

    /// `outcome` is not `Offered`: the message leaves the outbox.
    pub(super) fn settle(&mut self, metrics: &BusMetrics, message: &Message, outcome: Outcome) {
        let kind = message.kind as usize;
        self.waiting.messages[kind] -= 1;
        self.waiting.bytes[kind] -= message.payload.len();
        self.count(metrics, message, outcome);
    }

    /// A state took the place of one that waited: only the bytes change.
    pub(super) fn replace(&mut self, metrics: &BusMetrics, old: &Message, new: &Message) {
        let kind = new.kind as usize;
        self.waiting.bytes[kind] = self.waiting.bytes[kind] - old.payload.len() + new.payload.len();
        metrics.waiting(new.kind, self.waiting.messages[kind], self.waiting.bytes[kind]);
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.waiting
    }

    pub(super) fn kind(&self, kind: MessageKind) -> Tally {
        self.kinds[kind as usize]
    }

    pub(super) fn camera(&self, camera: &Name) -> Tally {
        self.cameras.get(camera).copied().unwrap_or_default()
    }

    pub(super) fn say_dropped(&mut self, bus: &'static str, kind: MessageKind) {
        if let Some(dropped) = self.dropped[kind as usize].due() {
            tracing::warn!(bus, kind = kind.as_str(), dropped, "outbox full: the oldest messages were dropped");
        }
    }

    pub(super) fn say_refused(&mut self, bus: &'static str, message: &Message, why: &str) {
        if let Some(refused) = self.refused[message.kind as usize].due() {
            let (kind, topic, bytes) = (message.kind.as_str(), &message.topic, message.payload.len());
            tracing::warn!(bus, kind, ?topic, bytes, refused, why, "message refused");
        }
    }

    fn count(&mut self, metrics: &BusMetrics, message: &Message, outcome: Outcome) {
        let kind = message.kind as usize;
        self.kinds[kind].count(outcome);
        if let Some(camera) = &message.camera {
            if !self.cameras.contains_key(camera) {
                self.cameras.insert(camera.clone(), Tally::default());
            }
            if let Some(tally) = self.cameras.get_mut(camera) {
                tally.count(outcome);
            }
        }
        metrics.count(message.kind, outcome, 1);
        metrics.waiting(message.kind, self.waiting.messages[kind], self.waiting.bytes[kind]);
    }
}
