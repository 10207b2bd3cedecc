//! One bus's spool: what lies on disk, how much there may be, and whether it works.

use metrics::Gauge;

use super::{names, recorder};

#[derive(Clone)]
pub struct SpoolMetrics {
    messages: Gauge,
    bytes: Gauge,
    ok: Gauge,
}

impl SpoolMetrics {
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub fn new(bus: &'static str, max_bytes: u64) -> Self {
        let gauge = |metric| recorder::gauge(metric, &[("bus", bus)]);
        gauge(&names::SPOOL_MAX_BYTES).set(max_bytes as f64);
        Self { messages: gauge(&names::SPOOL_MESSAGES), bytes: gauge(&names::SPOOL_BYTES), ok: gauge(&names::SPOOL_OK) }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub fn holds(&self, messages: u64, bytes: u64) {
        self.messages.set(messages as f64);
        self.bytes.set(bytes as f64);
    }

    pub fn ok(&self, yes: bool) {
        self.ok.set(f64::from(u8::from(yes)));
    }
}
