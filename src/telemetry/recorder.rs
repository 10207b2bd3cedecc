//! The one recorder of the process and the page it renders.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metrics::Metadata;

use super::names::{self, Metric};
use super::page::Format;
use super::process::{self, Process};
use super::registry::Registry;
use crate::domain::Timestamp;

/// How often the disk is looked at: apart from the page, since one that hangs must not take the page with it.
const DISK: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct TelemetryError(String);

/// Renders `/metrics`.
#[derive(Clone)]
pub struct Telemetry {
    registry: Registry,
    process: Arc<Process>,
}

impl Telemetry {
    /// Installs the process's recorder; at most once a process.
    ///
    /// # Errors
    /// When a recorder is installed already.
    pub fn install() -> Result<Self, TelemetryError> {
        let registry = Registry::default();
        metrics::set_global_recorder(registry.clone()).map_err(|e| TelemetryError(e.to_string()))?;
        Ok(Self { registry, process: Arc::new(Process::new()) })
    }

    /// The page in this form.
    #[must_use]
    pub fn write(&self, format: Format) -> Vec<u8> {
        self.process.observe();
        self.registry.page().write(format)
    }

    /// The page in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        String::from_utf8(self.write(Format::Text)).unwrap_or_default()
    }

    /// Series with all of these labels are shown no more, or again. The recorder itself forgets nothing, so one that comes
    /// back goes on where it was.
    pub fn hide(&self, labels: &[(&str, &str)], yes: bool) {
        self.registry.hide(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), yes);
    }

    /// Says how much room there is on the disk of this folder, for ever; run it as a task, once.
    pub async fn watch_disk(state_dir: PathBuf) {
        let mut tick = tokio::time::interval(DISK);
        loop {
            tick.tick().await;
            let folder = state_dir.clone();
            // A disk that hangs holds this thread and this task, and nothing else.
            let _observed = tokio::task::spawn_blocking(move || process::observe_disk(&folder)).await;
        }
    }
}

const METADATA: Metadata<'static> = Metadata::new("sightwire", metrics::Level::INFO, None);

pub(super) fn key(metric: &Metric, labels: &[(&'static str, &str)]) -> metrics::Key {
    let labels = labels.iter().map(|&(k, v)| metrics::Label::new(k, v.to_owned())).collect::<Vec<_>>();
    metrics::Key::from_parts(metric.name, labels)
}

pub(super) fn counter(metric: &Metric, labels: &[(&'static str, &str)]) -> metrics::Counter {
    metrics::with_recorder(|r| r.register_counter(&key(metric, labels), &METADATA))
}

pub(super) fn gauge(metric: &Metric, labels: &[(&'static str, &str)]) -> metrics::Gauge {
    metrics::with_recorder(|r| r.register_gauge(&key(metric, labels), &METADATA))
}

pub(super) fn histogram(metric: &Metric, labels: &[(&'static str, &str)]) -> metrics::Histogram {
    metrics::with_recorder(|r| r.register_histogram(&key(metric, labels), &METADATA))
}

/// Counts a control command. `command` must be one of the known names or `unknown`, so that the label stays bounded.
pub fn count_command(command: &'static str, result: &'static str) {
    counter(&names::CONTROL_COMMANDS, &[("command", command), ("result", result)]).increment(1);
}

/// What became of a reload, as Prometheus tells it of its own.
#[expect(clippy::cast_precision_loss, reason = "seconds")]
pub fn set_last_reload(successful: bool, now: Timestamp) {
    gauge(&names::RELOAD_SUCCESSFUL, &[]).set(f64::from(u8::from(successful)));
    if successful {
        gauge(&names::RELOAD_TIMESTAMP, &[]).set(now.as_micros() as f64 / 1e6);
    }
}

/// `device`: the one that was taken.
pub fn set_model_info(model: &str, family: &str, device: &str) {
    gauge(&names::MODEL_INFO, &[("model", model), ("family", family), ("device", device)]).set(1.0);
}

pub fn set_build_info(version: &str, onnxruntime: &str, node: &str) {
    gauge(&names::BUILD_INFO, &[("version", version), ("onnxruntime", onnxruntime), ("node", node)]).set(1.0);
}

/// What a text page says after `run`, which counts into a recorder of its own.
#[cfg(test)]
pub fn counted_by(run: impl FnOnce()) -> String {
    let registry = Registry::default();
    metrics::with_local_recorder(&registry, run);
    String::from_utf8(registry.page().write(Format::Text)).unwrap_or_default()
}
