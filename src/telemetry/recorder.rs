//! The one recorder of the process and the page it renders.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::{KeyName, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::names::{self, Kind, Metric};
use crate::domain::Timestamp;

/// How often samples are folded into buckets; between folds they wait in memory.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct TelemetryError(String);

/// Renders `/metrics`.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
    hidden: Arc<RwLock<BTreeSet<Labels>>>,
}

/// Labels of a series, name and value.
type Labels = Vec<(&'static str, String)>;

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
        Ok(Self { handle, hidden: Arc::default() })
    }

    /// The page in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let page = self.handle.render();
        let hidden = self.hidden.read().unwrap_or_else(PoisonError::into_inner);
        if hidden.is_empty() { page } else { without(&page, &hidden) }
    }

    /// Series with all of these labels are shown no more, or again. The recorder itself forgets nothing, so one that comes
    /// back goes on where it was.
    pub fn hide(&self, labels: &[(&'static str, &str)], yes: bool) {
        let labels: Labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut hidden = self.hidden.write().unwrap_or_else(PoisonError::into_inner);
        if yes {
            hidden.insert(labels);
        } else {
            hidden.remove(&labels);
        }
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

/// The page without the series that have all labels of one of `hidden`.
fn without(page: &str, hidden: &BTreeSet<Labels>) -> String {
    let hidden: Vec<Vec<String>> = hidden
        .iter()
        .map(|labels| labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect())
        .collect();
    let has = |line: &str, label: &String| {
        let at = line.find(label.as_str());
        at.is_some_and(|at| line[..at].ends_with(['{', ',']) && line[at + label.len()..].starts_with([',', '}']))
    };
    let shown = |line: &&str| line.starts_with('#') || !hidden.iter().any(|labels| labels.iter().all(|l| has(line, l)));
    page.split_inclusive('\n').filter(shown).collect()
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

pub fn set_build_info(version: &str, onnxruntime: &str) {
    gauge(&names::BUILD_INFO, &[("version", version), ("onnxruntime", onnxruntime)]).set(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_series_are_those_with_all_the_labels_and_no_others() {
        let page = "# TYPE a gauge\na{camera=\"door\",state=\"running\"} 1\na{camera=\"door2\"} 1\na{xcamera=\"door\"} 1\n\n\
            b{label=\"camera=\\\"door\\\"\"} 1\nm{model=\"m\",family=\"yolo\"} 1\nm{model=\"m\",family=\"yolox\"} 1\n";
        let labels = |labels: &[(&'static str, &str)]| labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        let hidden = BTreeSet::from([labels(&[("camera", "door")]), labels(&[("model", "m"), ("family", "yolo")])]);
        let left = without(page, &hidden);
        let gone: Vec<&str> = page.lines().filter(|line| !left.lines().any(|l| l == *line)).collect();
        assert_eq!(gone, ["a{camera=\"door\",state=\"running\"} 1", "m{model=\"m\",family=\"yolo\"} 1"]);
    }
}
