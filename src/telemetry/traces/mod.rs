//! A traced frame now and then: what became of it from capture to delivery, told to an OpenTelemetry collector.
//!
//! A [`Sampler`] says which frame is traced. Whoever works on that frame adds spans to its [`Trace`]; its messages carry a
//! [`Traced`], so each bus adds what it did. The trace is whole when nobody holds it any more: then it goes to the
//! exporter's queue, which is bounded, and nobody waits for it. All times were measured anyway; nothing is traced when there
//! is no collector.

mod export;
mod headers;
mod post;
mod spans;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

pub use export::{Exporter, Resource, TracesError};
pub use spans::{Kind, Span, SpanId};

use super::recorder;
use super::{TracesConfig, names};
use spans::Whole;

/// Spans of one trace: a frame of hundreds of events tells of the first ones.
const MOST_SPANS: usize = 256;

/// Where traces go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    every: Duration,
    queue: mpsc::Sender<Whole>,
}

/// Says which of one camera's frames are traced: one every so often, none without a tracer.
#[derive(Debug, Clone, Default)]
pub struct Sampler {
    tracer: Option<Tracer>,
    last: Option<Instant>,
}

/// A frame's trace while somebody works on the frame or on its messages. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Open>);

#[derive(Debug)]
struct Open {
    tracer: Tracer,
    id: [u8; 16],
    root: SpanId,
    /// The same moment by both clocks.
    anchor: (Instant, SystemTime),
    spans: Mutex<Vec<Span>>,
}

/// The trace that a message belongs to, and its own span there.
#[derive(Debug, Clone)]
pub struct Traced {
    pub trace: Trace,
    pub span: SpanId,
}

impl Tracer {
    /// Starts the exporter. Whether the collector is there shows later.
    ///
    /// # Errors
    /// When the endpoint is no URL, or a file cannot be used.
    pub fn start(config: &TracesConfig, resource: &Resource) -> Result<(Self, Exporter), TracesError> {
        let (queue, exporter) = export::start(config, resource)?;
        Ok((Self(Arc::new(Shared { every: config.every.0, queue })), exporter))
    }

    #[must_use]
    pub fn sampler(&self) -> Sampler {
        Sampler { tracer: Some(self.clone()), last: None }
    }

    fn open(&self) -> Trace {
        let anchor = (Instant::now(), SystemTime::now());
        // Zero is no id by the standard.
        let id = fastrand::u128(1..).to_be_bytes();
        Trace(Arc::new(Open { tracer: self.clone(), id, root: SpanId::new(), anchor, spans: Mutex::default() }))
    }
}

impl Sampler {
    /// The trace of the frame of this moment, if it is to be traced.
    pub fn frame(&mut self, now: Instant) -> Option<Trace> {
        let tracer = self.tracer.as_ref()?;
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= tracer.0.every);
        due.then(|| {
            self.last = Some(now);
            tracer.open()
        })
    }
}

impl Trace {
    /// The span of the whole frame.
    #[must_use]
    pub fn root(&self) -> SpanId {
        self.0.root
    }

    pub fn add(&self, span: Span) {
        let mut spans = self.0.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() < MOST_SPANS {
            spans.push(span);
        }
    }
}

impl Traced {
    /// W3C Trace Context's header: version, trace, span, sampled.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-01", u128::from_be_bytes(self.trace.0.id), self.span.0)
    }
}

/// The last one who knew of the frame is done.
impl Drop for Open {
    fn drop(&mut self) {
        let spans = std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        let whole = Whole { id: self.id, root: self.root, anchor: self.anchor, spans };
        if !whole.spans.is_empty() && self.tracer.0.queue.try_send(whole).is_err() {
            count("dropped", 1);
        }
    }
}

/// What became of traces.
fn count(outcome: &'static str, traces: u64) {
    recorder::counter(&names::TRACES, &[("outcome", outcome)]).increment(traces);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(every: Duration, room: usize) -> (Tracer, mpsc::Receiver<Whole>) {
        let (queue, receiver) = mpsc::channel(room);
        (Tracer(Arc::new(Shared { every, queue })), receiver)
    }

    fn add(trace: &Trace) {
        let now = Instant::now();
        trace.add(Span::new(trace.root(), "a", now, now));
    }

    #[test]
    fn one_frame_in_so_long_is_traced_and_none_without_a_tracer() {
        let (tracer, _receiver) = tracer(Duration::from_secs(10), 4);
        let (mut sampler, begin) = (tracer.sampler(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let traced = [0, 1, 9, 10, 11, 19, 20].map(|second| sampler.frame(at(second)).is_some());
        assert_eq!(traced, [true, false, false, true, false, false, true]);
        assert!(Sampler::default().frame(begin).is_none());
    }

    #[test]
    fn a_trace_goes_out_when_the_last_one_lets_go_of_it_and_a_full_queue_stops_nobody() {
        let (tracer, mut receiver) = tracer(Duration::ZERO, 1);
        let trace = tracer.open();
        add(&trace);
        let traced = Traced { trace: trace.clone(), span: SpanId::new() };
        drop(trace);
        assert!(receiver.try_recv().is_err(), "a message is still on its way");
        let parent = traced.traceparent();
        drop(traced);
        let whole = receiver.try_recv().unwrap();
        assert_eq!(parent.split('-').nth(1).unwrap(), format!("{:032x}", u128::from_be_bytes(whole.id)));
        for _ in 0..3 {
            add(&tracer.open());
        }
        assert!(receiver.try_recv().is_ok());
        assert!(receiver.try_recv().is_err(), "there was room for one");
    }

    #[test]
    fn a_traceparent_is_as_the_standard_writes_it() {
        let (tracer, _receiver) = tracer(Duration::ZERO, 1);
        for _ in 0..100 {
            let parent = Traced { trace: tracer.open(), span: SpanId::new() }.traceparent();
            let fields: Vec<&str> = parent.split('-').collect();
            assert_eq!(fields.iter().map(|field| field.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
            assert!(parent.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{parent}");
        }
    }
}
