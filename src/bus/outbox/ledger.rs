//! The book-keeping: what became of every message, by kind and by camera, and the metrics beside it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::bus::{Message, MessageKind};
use crate::domain::Name;
use crate::telemetry::{BusMetrics, DropReason, Outcome};

/// A loss is said at once, then at most this often with the number since.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The law's figures: `offered + restored = sent + acked + dropped + refused + kept + waiting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub offered: u64,
    /// Found in the spool, where an earlier run left it.
    pub restored: u64,
    pub sent: u64,
    pub acked: u64,
    pub dropped: u64,
    pub refused: u64,
    /// Left in the spool for the next run.
    pub kept: u64,
    /// In memory, on the way, or on disk only.
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
        self.offered + self.restored == self.sent + self.acked + self.dropped + self.refused + self.kept + self.waiting
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            restored: self.restored + other.restored,
            sent: self.sent + other.sent,
            acked: self.acked + other.acked,
            dropped: self.dropped + other.dropped,
            refused: self.refused + other.refused,
            kept: self.kept + other.kept,
            waiting: self.waiting + other.waiting,
        }
    }

    fn count(&mut self, outcome: Outcome, by: u64) {
        match outcome {
            Outcome::Offered | Outcome::Restored => {
                let came = if outcome == Outcome::Offered { &mut self.offered } else { &mut self.restored };
                *came += by;
                self.waiting += by;
                return;
            }
            Outcome::Sent => self.sent += by,
            Outcome::Acked => self.acked += by,
            Outcome::Dropped => self.dropped += by,
            Outcome::Refused => self.refused += by,
            Outcome::Kept => self.kept += by,
        }
        self.waiting -= by;
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

    fn of(&mut self, kind: MessageKind) -> (&mut usize, &mut usize) {
        (&mut self.messages[kind as usize], &mut self.bytes[kind as usize])
    }

    pub(super) fn add(&mut self, lot: &Lot<'_>) {
        let (messages, bytes) = self.of(lot.kind);
        *messages += size(lot.messages);
        *bytes += size(lot.bytes);
    }
}

/// How a message leaves the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    Acked,
    Refused,
    Kept,
    Dropped(DropReason),
}

impl Fate {
    fn outcome(self) -> Outcome {
        match self {
            Self::Sent => Outcome::Sent,
            Self::Acked => Outcome::Acked,
            Self::Refused => Outcome::Refused,
            Self::Kept => Outcome::Kept,
            Self::Dropped(_) => Outcome::Dropped,
        }
    }
}

/// Messages of one kind and camera, as the books see them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot<'a> {
    pub(super) kind: MessageKind,
    pub(super) camera: Option<&'a Name>,
    pub(super) messages: u64,
    /// Payloads.
    pub(super) bytes: u64,
}

impl<'a> Lot<'a> {
    pub(super) fn one(message: &'a Message) -> Self {
        let bytes = message.payload.len() as u64;
        Self { kind: message.kind, camera: message.camera.as_ref(), messages: 1, bytes }
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
    fn due(&mut self, more: u64) -> Option<u64> {
        self.since += more;
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
    dropped: [[Said; DropReason::ALL.len()]; 5],
    refused: [Said; 5],
}

impl Ledger {
    /// Offered, or restored.
    pub(super) fn accept(&mut self, metrics: &BusMetrics, lot: Lot<'_>, outcome: Outcome) {
        let (messages, bytes) = self.waiting.of(lot.kind);
        *messages += size(lot.messages);
        *bytes += size(lot.bytes);
        self.count(metrics, lot, outcome);
    }

    /// The messages leave the outbox.
    pub(super) fn settle(&mut self, metrics: &BusMetrics, lot: Lot<'_>, fate: Fate) {
        let (messages, bytes) = self.waiting.of(lot.kind);
        *messages = messages.saturating_sub(size(lot.messages));
        *bytes = bytes.saturating_sub(size(lot.bytes));
        if let Fate::Dropped(reason) = fate {
            metrics.dropped(lot.kind, reason, lot.messages);
        }
        self.count(metrics, lot, fate.outcome());
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

    pub(super) fn say_dropped(&mut self, bus: &'static str, kind: MessageKind, reason: DropReason, more: u64) {
        let Some(dropped) = self.dropped[kind as usize][reason as usize].due(more) else { return };
        let kind = kind.as_str();
        match reason {
            DropReason::Full => tracing::warn!(bus, kind, dropped, "outbox full: the oldest messages were dropped"),
            DropReason::SpoolFull => {
                tracing::warn!(
                    bus,
                    kind,
                    dropped,
                    "spool full: the oldest messages were dropped; spool.max_size is its room"
                );
            }
            DropReason::Damaged => {
                tracing::error!(bus, kind, dropped, "messages in the spool cannot be read any more, and are lost");
            }
            // The shut-down says so itself.
            DropReason::Closed => {}
        }
    }

    pub(super) fn say_refused(&mut self, bus: &'static str, message: &Message, why: &str) {
        if let Some(refused) = self.refused[message.kind as usize].due(1) {
            let (kind, topic, bytes) = (message.kind.as_str(), message.topic.mqtt(""), message.payload.len());
            let topic = topic.trim_start_matches('/');
            tracing::warn!(bus, kind, topic, bytes, refused, why, "message refused");
        }
    }

    fn count(&mut self, metrics: &BusMetrics, lot: Lot<'_>, outcome: Outcome) {
        let kind = lot.kind as usize;
        self.kinds[kind].count(outcome, lot.messages);
        if let Some(camera) = lot.camera {
            if let Some(tally) = self.cameras.get_mut(camera) {
                tally.count(outcome, lot.messages);
            } else {
                self.cameras.entry(camera.clone()).or_default().count(outcome, lot.messages);
            }
        }
        metrics.count(lot.kind, outcome, lot.messages);
        metrics.waiting(lot.kind, self.waiting.messages[kind], self.waiting.bytes[kind]);
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
