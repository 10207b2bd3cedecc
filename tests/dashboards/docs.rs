//! What the documentation says of metrics and alerts is all of them, and true.

use std::path::Path;

use sightwire::telemetry::names::{self, Kind};

use crate::files::rules;

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The table of all metrics, as `docs/metrics.md` has it.
fn table() -> String {
    let row = |metric: &names::Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = match metric.unit {
            metrics::Unit::Seconds => "seconds",
            metrics::Unit::Bytes => "bytes",
            _ => "",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {kind} | {} | {unit} | {} |\n", metric.name, labels.join(", "), metric.help)
    };
    let rows: String = names::ALL.iter().map(row).collect();
    format!("| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n{rows}")
}

#[test]
fn every_metric_is_in_the_documentation() {
    let (begin, end) = ("<!-- metrics: written by `make schemas` -->\n", "<!-- end of metrics -->");
    let text = page("metrics.md");
    let at = text.find(begin).expect("the mark of the table") + begin.len();
    let to = text.find(end).expect("the mark of its end");
    let fresh = table();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        std::fs::write(path, format!("{}{fresh}{}", &text[..at], &text[to..])).unwrap();
        return;
    }
    assert!(
        text[at..to] == fresh,
        "docs/metrics.md has another table than telemetry/names.rs; renew it by `make schemas`"
    );
}

#[test]
fn every_label_has_its_bounds_in_the_documentation() {
    let text = page("metrics.md");
    for label in names::ALL.iter().flat_map(|metric| metric.labels) {
        assert!(text.lines().any(|line| line.starts_with(&format!("| `{label}` |"))), "{label}");
    }
}

#[test]
fn every_alert_has_a_severity_words_and_its_place_in_the_documentation() {
    let text = page("alerts.md");
    for rule in rules().iter().filter(|rule| rule.alert) {
        let name = &rule.name;
        let severe =
            ["critical", "warning", "info"].iter().any(|s| rule.text.contains(&format!("labels: {{ severity: {s} }}")));
        assert!(severe, "{name} has no severity");
        for word in ["summary: ", "description: "] {
            assert!(rule.text.contains(word), "{name} has no {word}");
        }
        assert!(rule.text.contains(&format!("runbook_url: docs/alerts.md#{}\n", name.to_lowercase())), "{name}");
        assert!(text.contains(&format!("\n### {name}\n")), "docs/alerts.md says nothing of {name}");
    }
}
