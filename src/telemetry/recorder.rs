//! The one recorder of the process and the page it renders.

use std::time::Duration;

use metrics::{KeyName, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::names::{self, Kind, Metric};

/// How often samples are folded into buckets; between folds they wait in memory.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct TelemetryError(String);

/// Renders `/metrics`.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
}

impl Telemetry {
    /// Installs the process's recorder; at most once a process.
    ///
    /// # Errors
    /// When a recorder is installed already.
    pub fn install() -> Result<Self, TelemetryError> {
        let fail = |e: &dyn std::fmt::Display| TelemetryError(e.to_string());
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), names::BUCKETS)
            .map_err(|e| fail(&e))?;
        let handle = builder.install_recorder().map_err(|e| fail(&e))?;
        metrics::with_recorder(|recorder| names::ALL.iter().for_each(|metric| describe(recorder, metric)));
        Ok(Self { handle })
    }

    /// The page in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into buckets for ever; run it as a task.
    pub async fn upkeep(self) {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            self.handle.run_upkeep();
        }
    }
}

fn describe(recorder: &dyn Recorder, metric: &Metric) {
    let (name, unit, help) =
        (KeyName::from_const_str(metric.name), Some(metric.unit), SharedString::const_str(metric.help));
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
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

/// `device`: the one that was taken.
pub fn set_model_info(model: &str, family: &str, device: &str) {
    gauge(&names::MODEL_INFO, &[("model", model), ("family", family), ("device", device)]).set(1.0);
}

pub fn set_build_info(version: &str, onnxruntime: &str) {
    gauge(&names::BUILD_INFO, &[("version", version), ("onnxruntime", onnxruntime)]).set(1.0);
}
