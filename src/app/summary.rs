//! What every camera did: the table and the JSON at the end of `run --until-done`.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::bus::Tally;
use crate::envelope::{ActualState, CameraState, Reason};
use crate::telemetry::CameraTotals;

#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Since the node started.
    pub seconds: f64,
    pub cameras: Vec<CameraRow>,
}

/// One camera. Messages are summed over the buses; latencies are from capture until handed to the socket.
#[derive(Debug, Clone, Serialize)]
pub struct CameraRow {
    pub camera: String,
    pub state: ActualState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    pub frames_read: u64,
    pub frames_dropped: u64,
    pub frames_inferred: u64,
    /// Not inferred, for nothing had changed.
    pub frames_still: u64,
    pub messages_offered: u64,
    pub messages_sent: u64,
    pub messages_acknowledged: u64,
    pub messages_lost: u64,
    /// Left in the spool by an earlier run, and found by this one.
    pub messages_restored: u64,
    /// Left in the spool for the next run.
    pub messages_kept: u64,
    /// Frames inferred a second between the first and the last.
    pub fps: f64,
    pub latency_p50_ms: Option<f64>,
    pub latency_p95_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
}

impl CameraRow {
    #[must_use]
    pub fn new(state: &CameraState, totals: &CameraTotals, messages: &Tally) -> Self {
        let latency = |q| totals.latency.quantile(q).map(|d: Duration| (d.as_secs_f64() * 1e5).round() / 1e2);
        Self {
            camera: state.camera.to_string(),
            state: state.actual,
            reason: state.reason.clone(),
            frames_read: state.frames.read,
            frames_dropped: state.frames.dropped,
            frames_inferred: state.frames.inferred,
            frames_still: state.frames.still,
            messages_offered: messages.offered,
            messages_sent: messages.sent,
            messages_acknowledged: messages.acked,
            messages_lost: messages.dropped + messages.refused,
            messages_restored: messages.restored,
            messages_kept: messages.kept,
            fps: (totals.rate() * 10.0).round() / 10.0,
            latency_p50_ms: latency(0.5),
            latency_p95_ms: latency(0.95),
            latency_p99_ms: latency(0.99),
        }
    }
}

impl Summary {
    /// These figures with the states of an earlier look.
    #[must_use]
    pub(super) fn with_states_of(mut self, before: Self) -> Self {
        for before_it in before.cameras {
            // By name: a reload may have come in between.
            if let Some(row) = self.cameras.iter_mut().find(|row| row.camera == before_it.camera) {
                (row.state, row.reason) = (before_it.state, before_it.reason);
            }
        }
        self.seconds = before.seconds;
        self
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = [
            "camera", "state", "read", "dropped", "inferred", "still", "sent", "acked", "lost", "fps", "p50 ms",
            "p95 ms", "p99 ms",
        ];
        let ms = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
        let mut rows: Vec<[String; 13]> = vec![head.map(str::to_owned)];
        rows.extend(self.cameras.iter().map(|c| {
            [
                c.camera.clone(),
                c.reason
                    .as_ref()
                    .map_or_else(|| c.state.as_str().to_owned(), |r| format!("{} ({})", c.state.as_str(), r.code)),
                c.frames_read.to_string(),
                c.frames_dropped.to_string(),
                c.frames_inferred.to_string(),
                c.frames_still.to_string(),
                c.messages_sent.to_string(),
                c.messages_acknowledged.to_string(),
                c.messages_lost.to_string(),
                format!("{:.1}", c.fps),
                ms(c.latency_p50_ms),
                ms(c.latency_p95_ms),
                ms(c.latency_p99_ms),
            ]
        }));
        let widths: Vec<usize> =
            (0..head.len()).map(|at| rows.iter().map(|r| r[at].chars().count()).max().unwrap_or(0)).collect();
        for row in &rows {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Words to the left, figures to the right.
                let _written = if at < 2 { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
