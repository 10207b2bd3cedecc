//! What a traced frame's trace is told here: the stages it went through, and the messages made of it.

use std::time::{Duration, Instant};

use crate::domain::Frame;
use crate::envelope::Origin;
use crate::inference::DetectTiming;
use crate::telemetry::{Kind, SpanId, Stage, Trace, TraceSpan, Traced};

/// MQTT 5 user property and NATS header of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// The frame and its stages up to the tracker; `track` began and took so long.
pub(super) fn stages(
    trace: &Trace,
    origin: &Origin,
    frame: &Frame,
    wait: Duration,
    cost: DetectTiming,
    track: (Instant, Duration),
) {
    let root = trace.root();
    let decoded = frame.ready_at;
    let begin = decoded.checked_sub(frame.decode).unwrap_or(decoded);
    let whole = TraceSpan::new(root, "frame", begin.min(frame.captured_instant), track.0 + track.1)
        .called(root)
        .with("sightwire.camera", origin.camera.as_str())
        .with("sightwire.frame.id", frame.id)
        .with("sightwire.frame.width", u64::from(frame.width))
        .with("sightwire.frame.height", u64::from(frame.height))
        .with("sightwire.frame.timestamp", frame.captured_at.as_secs_f64())
        .with("sightwire.frame.timestamp_source", frame.timestamp_source.as_str());
    trace.add(whole);
    trace.add(TraceSpan::new(root, Stage::Decode.as_str(), begin, decoded));
    // One after the other from the moment the frame was there.
    let mut at = decoded;
    for (stage, took) in [
        (Stage::Wait, wait),
        (Stage::Preprocess, cost.preprocess),
        (Stage::Inference, cost.inference),
        (Stage::Postprocess, cost.postprocess),
    ] {
        trace.add(TraceSpan::new(root, stage.as_str(), at, at + took));
        at += took;
    }
    trace.add(TraceSpan::new(root, Stage::Track.as_str(), track.0, track.0 + track.1));
}

/// A message of the frame, encoded from `begin` until now. It lasts until the last bus is done with it.
pub(super) fn message(trace: &Trace, kind: &'static str, seq: u64, begin: Instant) -> Traced {
    let (span, now) = (SpanId::new(), Instant::now());
    let whole = TraceSpan::new(trace.root(), "publish", begin, now).called(span).of(Kind::Producer);
    trace.add(whole.with("sightwire.kind", kind).with("sightwire.seq", seq));
    trace.add(TraceSpan::new(span, Stage::Encode.as_str(), begin, now));
    Traced { trace: trace.clone(), span }
}

pub(super) fn properties(traced: Option<&Traced>) -> Vec<(&'static str, String)> {
    traced.map(|traced| (TRACEPARENT, traced.traceparent())).into_iter().collect()
}
