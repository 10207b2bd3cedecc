//! Dashboards and rules: well made, true to the program's list of metrics, and answered by a real Prometheus that scrapes a
//! real run, once with classic histograms and once with native ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod docs;
mod files;
mod http;
mod node;
mod prometheus;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::{Mosquitto, NatsServer};
use files::{DASHBOARDS, dashboard, queries, rules, selectors, substituted};
use node::Node;
use prometheus::{Histograms, Prometheus, promtool};
use sightwire::telemetry::names;
use sightwire::telemetry::{DropReason, FrameOutcome, MessageKind, Outcome, Stage};

/// What an alert looks at and a run without that trouble does not have, each with its reason.
const ABSENT: [(&str, &str); 1] =
    [("sightwire_control_commands_total{result", "a series begins with the first command that is answered so")];

#[test]
fn every_alert_is_tested_to_fire_and_to_keep_quiet_at_its_time() {
    let said = promtool(
        &[
            "test",
            "rules",
            "dashboards/rules/tests/nodes.yml",
            "dashboards/rules/tests/cameras.yml",
            "dashboards/rules/tests/buses.yml",
        ],
        None,
    );
    assert_eq!(said.matches("SUCCESS").count(), 3, "{said}");
    let tests: String =
        ["nodes", "cameras", "buses"].map(|name| files::read(&format!("rules/tests/{name}.yml"))).concat();
    let untested: Vec<String> = rules()
        .into_iter()
        .filter(|rule| rule.alert && !tests.contains(&format!("alertname=\"{}\"", rule.name)))
        .map(|rule| rule.name)
        .collect();
    assert!(untested.is_empty(), "never expected to fire: {untested:?}");
}

#[test]
fn no_metric_is_named_that_the_program_does_not_have() {
    let rules = rules();
    let recorded: BTreeSet<&str> = rules.iter().filter(|rule| !rule.alert).map(|rule| rule.name.as_str()).collect();
    let mut exprs: Vec<(String, String)> = rules.iter().map(|rule| (rule.name.clone(), rule.expr.clone())).collect();
    for name in DASHBOARDS {
        exprs.extend(queries(&dashboard(name)));
        for variable in dashboard(name)["templating"]["list"].as_array().unwrap() {
            if let Some(asked) = variable["definition"].as_str() {
                assert_eq!(variable["query"]["query"], asked, "{name}");
                exprs.push((name.into(), asked.into()));
            }
        }
    }
    assert!(exprs.len() > 100, "{}", exprs.len());
    for (place, expr) in &exprs {
        let named = files::named(expr);
        let of_the_scrape = expr.contains("up{") || expr == "vector(1)";
        assert!(!named.is_empty() || of_the_scrape, "{place} asks nothing of the program: {expr}");
        for name in named {
            let known = if name.contains(':') { recorded.contains(name.as_str()) } else { files::is_ours(&name) };
            assert!(known, "{place}: there is no {name}");
        }
    }
}

#[test]
fn every_query_parses() {
    let mut groups = String::from("groups:\n- name: panels\n  rules:\n");
    for (number, (_, expr)) in DASHBOARDS.iter().flat_map(|name| queries(&dashboard(name))).enumerate() {
        let expr = serde_json::to_string(&substituted(&expr)).unwrap();
        writeln!(groups, "  - record: panel:{number}\n    expr: {expr}").unwrap();
    }
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(file.path(), groups).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], None);
    promtool(
        &["check", "rules", "dashboards/rules/sightwire-recording.yml", "dashboards/rules/sightwire-alerts.yml"],
        None,
    );
}

#[test]
fn every_panel_and_rule_is_answered_by_a_prometheus_that_scrapes_a_run() {
    // Frames are lost by a camera that is too fast, messages by a broker that may not take all of them.
    let (rights, acl) = ("topic readwrite #\ntopic deny sightwire/cameras/+/keyframe\n", "acl_file {dir}/acl\n");
    let mut mqtt = Mosquitto::configured(&format!("allow_anonymous true\n{acl}"), |folder| {
        std::fs::write(folder.join("acl"), rights).unwrap();
    });
    mqtt.start();
    let nats = NatsServer::with_jetstream();
    let mut node = Node::start(&mqtt, &nats);
    let scrapers =
        [Histograms::Classic, Histograms::Native].map(|kind| (kind, Prometheus::scraping(&node.address, kind)));
    node.wait("messages arrive", |node| {
        node.sum("sightwire_messages_total{bus=\"mqtt\",kind=\"detections\",outcome=\"acked\"}") > 10.0
    });
    node.wait("messages are lost, and frames", |node| {
        let refused = node.sum("sightwire_messages_total{bus=\"mqtt\",kind=\"keyframe\",outcome=\"refused\"}");
        refused > 0.0 && node.sum("sightwire_frames_total{camera=\"gate\",outcome=\"dropped_stale\"}") > 0.0
    });

    let panels: Vec<String> =
        DASHBOARDS.iter().flat_map(|name| queries(&dashboard(name))).map(|(_, expr)| substituted(&expr)).collect();
    let rules = rules();
    let recorded: Vec<&str> = rules.iter().filter(|rule| !rule.alert).map(|rule| rule.expr.as_str()).collect();
    let mut looked_at: BTreeSet<String> = rules.iter().flat_map(|rule| selectors(&rule.expr)).collect();
    looked_at.retain(|selector| !ABSENT.iter().any(|(absent, _)| selector.starts_with(absent)));
    // A heatmap asks for classic and for native buckets; each Prometheus has one of them.
    let of_one_kind = |expr: &str, kind| {
        let (bare, classic) = (bare_histogram(expr), expr.contains("_bucket"));
        let asks_once = !expr.contains(" or ");
        asks_once && ((kind == Histograms::Native && classic) || (kind == Histograms::Classic && bare && !classic))
    };
    for (kind, prometheus) in &scrapers {
        prometheus.wait_until_scraped();
        let wanted = panels.iter().map(String::as_str).chain(recorded.iter().copied());
        let wanted = wanted.chain(looked_at.iter().map(String::as_str)).filter(|expr| !of_one_kind(expr, *kind));
        let wanted: Vec<&str> = wanted.collect();
        assert!(wanted.len() > 150, "{}", wanted.len());
        let silent = prometheus.wait_for_data(wanted);
        assert!(silent.is_empty(), "{kind:?} histograms: no data for {silent:#?}");
        prometheus.assert_rules_are_well();
    }
    // Both counted the same, once by buckets and once without.
    for (kind, prometheus) in &scrapers {
        let count = if *kind == Histograms::Classic { "sum(NAME_count)" } else { "histogram_count(sum(NAME))" };
        let counted = prometheus.query(&count.replace("NAME", "sightwire_stage_duration_seconds"));
        assert!(counted.iter().all(|count| *count > 100.0) && counted.len() == 1, "{kind:?}: {counted:?}");
    }
    the_page_is_sound(&node);
}

/// Whether it names a histogram without an ending.
fn bare_histogram(expr: &str) -> bool {
    let histograms = names::ALL.iter().filter(|metric| metric.kind == names::Kind::Histogram);
    let named = files::named(expr);
    histograms.map(|metric| metric.name).any(|name| named.contains(name))
}

/// The page in each form, and every label of every series within its bounds.
fn the_page_is_sound(node: &Node) {
    let (kind, _) = node.metrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let (kind, body) =
        node.metrics("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited");
    assert!(kind.starts_with("application/vnd.google.protobuf") && body.len() > 1000, "{kind}");
    let text = node.text();
    promtool(&["check", "metrics"], Some(&text));

    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let base = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
        let base = base.chain([name]).find_map(|name| names::ALL.iter().find(|metric| metric.name == name));
        let metric = base.unwrap_or_else(|| panic!("{name} is not in the list"));
        let pairs = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<(&str, &str)> = pairs.filter(|(label, _)| *label != "le").collect();
        assert_eq!(pairs.iter().map(|(label, _)| *label).collect::<Vec<_>>(), metric.labels, "{line}");
        for (label, (_, value)) in metric.labels.iter().zip(pairs) {
            seen.entry(label).or_default().insert(value.trim_matches('"').to_owned());
        }
    }
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(seen["camera"], all(&["door", "gate", "missing", "porch"]));
    assert_eq!((&seen["bus"], &seen["model"]), (&all(&["mqtt", "nats"]), &all(&["shapes"])));
    assert_eq!(seen["stage"], all(&Stage::ALL.map(Stage::as_str)));
    assert_eq!(seen["kind"], all(&MessageKind::ALL.map(MessageKind::as_str)));
    assert!(seen["outcome"].is_superset(&all(&Outcome::ALL.map(Outcome::as_str))));
    assert!(seen["outcome"].is_superset(&all(&FrameOutcome::ALL.map(FrameOutcome::as_str))));
    assert!(seen["reason"].is_superset(&all(&DropReason::ALL.map(DropReason::as_str))));
    for (label, values) in &seen {
        assert!(values.len() < 24, "{label} has {} values: {values:?}", values.len());
    }
}
