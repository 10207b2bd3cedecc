//! What a traced message's frame is told of one bus: how long it waited here, and how long until the broker had it.

use std::time::Instant;

use super::ledger::Fate;
use crate::bus::{Message, MessageKind, Qos};
use crate::telemetry::{Kind, TraceSpan};

/// Where the message is now, and since when. Untraced messages cost nothing but its room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trail {
    since: Instant,
    is_out: bool,
    written: Option<Instant>,
}

impl Trail {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, is_out: false, written: None }
    }

    /// A session takes it.
    pub(super) fn out(&mut self, bus: &'static str, message: &Message) {
        if message.trace.is_some() {
            let now = Instant::now();
            self.told("outbox", bus, message, now, |span| span);
            *self = Self { since: now, is_out: true, written: None };
        }
    }

    /// It is in the socket; the acknowledgement is still out.
    pub(super) fn written(&mut self, message: &Message) {
        if message.trace.is_some() {
            self.written.get_or_insert_with(Instant::now);
        }
    }

    /// The session was lost: it waits again.
    pub(super) fn back(&mut self, bus: &'static str, message: &Message) {
        if message.trace.is_some() {
            let (now, written) = (Instant::now(), self.written);
            self.told("deliver", bus, message, now, |span| {
                span.of(Kind::Client).moment("written", written).failed(Some("the session was lost"))
            });
            *self = Self::new(now);
        }
    }

    pub(super) fn gone(&self, bus: &'static str, message: &Message, attempts: u32, fate: Fate) {
        if message.trace.is_none() {
            return;
        }
        let (now, name) = (Instant::now(), if self.is_out { "deliver" } else { "outbox" });
        let written = self.written.or_else(|| (fate == Fate::Sent).then_some(now));
        let (outcome, lost) = match fate {
            Fate::Sent => ("sent", None),
            Fate::Acked => ("acked", None),
            Fate::Kept => ("kept", None),
            Fate::Refused => ("refused", Some("the broker refused it")),
            Fate::Dropped(_) => ("dropped", Some("it was dropped")),
        };
        self.told(name, bus, message, now, |span| {
            let span = if self.is_out { span.of(Kind::Client) } else { span };
            let span = span.moment("written", written).with("sightwire.outcome", outcome).failed(lost);
            span.with("sightwire.attempts", u64::from(attempts) + u64::from(self.is_out))
        });
    }

    fn told(
        &self,
        name: &'static str,
        bus: &'static str,
        message: &Message,
        now: Instant,
        more: impl FnOnce(TraceSpan) -> TraceSpan,
    ) {
        let Some(traced) = &message.trace else { return };
        let kind = if message.kind == MessageKind::Event { "event" } else { "detections" };
        let span = TraceSpan::new(traced.span, name, self.since, now)
            .with("messaging.system", bus)
            .with("sightwire.kind", kind)
            .with("sightwire.qos", u64::from(message.qos == Qos::AtLeastOnce));
        traced.trace.add(more(span));
    }
}
