//! A trace as OTLP writes it. Pure.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;

/// Of a span; never zero, which means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub(super) u64);

impl SpanId {
    #[must_use]
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> Self {
        Self(fastrand::u64(1..))
    }

    fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Internal,
    /// It makes a message for others.
    Producer,
    /// It speaks to a server.
    Client,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Integer(u64),
    Real(f64),
}

/// A stretch of a frame's way. Both ends were measured by whoever was there.
#[derive(Debug, Clone)]
pub struct Span {
    id: SpanId,
    parent: SpanId,
    name: &'static str,
    kind: Kind,
    start: Instant,
    end: Instant,
    attributes: Vec<(&'static str, Value)>,
    /// Moments within it.
    moments: Vec<(&'static str, Instant)>,
    failed: Option<String>,
}

impl Span {
    #[must_use]
    pub fn new(parent: SpanId, name: &'static str, start: Instant, end: Instant) -> Self {
        let (id, kind) = (SpanId::new(), Kind::Internal);
        let end = end.max(start);
        Self { id, parent, name, kind, start, end, attributes: Vec::new(), moments: Vec::new(), failed: None }
    }

    /// With an id that was given out before.
    #[must_use]
    pub fn called(self, id: SpanId) -> Self {
        Self { id, ..self }
    }

    #[must_use]
    pub fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }

    #[must_use]
    pub fn moment(mut self, name: &'static str, at: Option<Instant>) -> Self {
        self.moments.extend(at.map(|at| (name, at)));
        self
    }

    #[must_use]
    pub fn failed(self, why: Option<&str>) -> Self {
        Self { failed: why.map(str::to_owned), ..self }
    }
}

/// Everything that was said of one frame. The root is the span that was called [`Whole::root`], or one around all others.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) id: [u8; 16],
    pub(super) root: SpanId,
    pub(super) anchor: (Instant, SystemTime),
    pub(super) spans: Vec<Span>,
}

impl Whole {
    /// A span lasts as long as those within it: a message's until the last bus is done with it, the frame's until all are.
    pub(super) fn written(mut self) -> Vec<otlp::Span> {
        // Two levels lie above a bus's spans; parents come to hold their children from the leaves up.
        for _ in 0..2 {
            for at in 0..self.spans.len() {
                let parent = self.spans[at].id;
                let within = self.spans.iter().filter(|span| span.parent == parent);
                let (first, last) = within.fold((self.spans[at].start, self.spans[at].end), |(first, last), span| {
                    (first.min(span.start), last.max(span.end))
                });
                (self.spans[at].start, self.spans[at].end) = (first, last);
            }
        }
        self.spans.iter().map(|span| self.one(span)).collect()
    }

    fn one(&self, span: &Span) -> otlp::Span {
        let is_root = span.id == self.root;
        otlp::Span {
            trace_id: self.id.to_vec(),
            span_id: span.id.bytes(),
            parent_span_id: if is_root { Vec::new() } else { span.parent.bytes() },
            // Sampled, and no parent is remote.
            flags: 0x101,
            name: span.name.to_owned(),
            kind: match span.kind {
                Kind::Internal => otlp::span::SpanKind::Internal,
                Kind::Producer => otlp::span::SpanKind::Producer,
                Kind::Client => otlp::span::SpanKind::Client,
            }
            .into(),
            start_time_unix_nano: self.nanos(span.start),
            end_time_unix_nano: self.nanos(span.end),
            attributes: attributes(span.attributes.iter().cloned()),
            events: span.moments.iter().map(|(name, at)| self.moment(name, *at)).collect(),
            status: span
                .failed
                .as_ref()
                .map(|why| otlp::Status { message: why.clone(), code: otlp::status::StatusCode::Error.into() }),
            ..otlp::Span::default()
        }
    }

    fn moment(&self, name: &str, at: Instant) -> otlp::span::Event {
        otlp::span::Event { time_unix_nano: self.nanos(at), name: name.to_owned(), ..otlp::span::Event::default() }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let (instant, system) = self.anchor;
        let time = match at.checked_duration_since(instant) {
            Some(later) => system + later,
            None => system.checked_sub(instant.duration_since(at)).unwrap_or(UNIX_EPOCH),
        };
        time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

pub(super) fn attributes(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<KeyValue> {
    let one = |(key, value): (&str, Value)| {
        let value = match value {
            Value::Text(text) => any_value::Value::StringValue(text),
            Value::Integer(number) => any_value::Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)),
            Value::Real(number) => any_value::Value::DoubleValue(number),
        };
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    };
    pairs.into_iter().map(one).collect()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parents_last_as_long_as_what_is_within_them_and_times_are_the_wall_clocks() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let (root, message) = (SpanId::new(), SpanId::new());
        let spans = vec![
            Span::new(root, "frame", at(0), at(5)).called(root),
            Span::new(root, "publish", at(4), at(5)).called(message),
            Span::new(message, "deliver", at(6), at(40)).failed(Some("refused")).moment("written", Some(at(7))),
        ];
        let anchor = (at(50), UNIX_EPOCH + Duration::from_millis(1_000_050));
        let written = Whole { id: [1; 16], root, anchor, spans }.written();
        let times: Vec<_> = written.iter().map(|s| (s.start_time_unix_nano, s.end_time_unix_nano)).collect();
        let millis = |n: u64| (1_000_000 + n) * 1_000_000;
        assert_eq!(times, [(millis(0), millis(40)), (millis(4), millis(40)), (millis(6), millis(40))]);
        assert!(written[0].parent_span_id.is_empty());
        assert_eq!(written[1].parent_span_id, written[0].span_id);
        assert_eq!(written[2].parent_span_id, written[1].span_id);
        assert_eq!(written[2].status.as_ref().unwrap().message, "refused");
        assert_eq!(written[2].events[0].time_unix_nano, millis(7));
    }
}
