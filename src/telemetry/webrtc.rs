//! Viewers by WebRTC: who was refused, why they ended, what they were sent.

use std::collections::HashMap;

use metrics::Counter;

use super::{names, recorder};

pub struct WebRtcMetrics {
    ended: HashMap<&'static str, Counter>,
    refused: HashMap<&'static str, Counter>,
    sent: Counter,
    skipped: Counter,
    missed: Counter,
    stray: Counter,
}

impl WebRtcMetrics {
    /// With every reason there is, so that each shows as zero from the start.
    #[must_use]
    pub fn new(ends: &[&'static str], refusals: &[&'static str]) -> Self {
        let by = |metric, reasons: &[&'static str]| {
            reasons.iter().map(|&reason| (reason, recorder::counter(metric, &[("reason", reason)]))).collect()
        };
        let frames = |outcome| recorder::counter(&names::WEBRTC_FRAMES, &[("outcome", outcome)]);
        Self {
            ended: by(&names::WEBRTC_ENDED, ends),
            refused: by(&names::WEBRTC_REFUSED, refusals),
            sent: frames("sent"),
            skipped: frames("skipped"),
            missed: frames("missed"),
            stray: recorder::counter(&names::WEBRTC_STRAY, &[]),
        }
    }

    pub fn ended(&self, reason: &str) {
        if let Some(counter) = self.ended.get(reason) {
            counter.increment(1);
        }
    }

    pub fn refused(&self, reason: &str) {
        if let Some(counter) = self.refused.get(reason) {
            counter.increment(1);
        }
    }

    pub fn frame(&self, sent: bool) {
        if sent { self.sent.increment(1) } else { self.skipped.increment(1) }
    }

    pub fn missed(&self, frames: u64) {
        self.missed.increment(frames);
    }

    pub fn stray(&self) {
        self.stray.increment(1);
    }
}
