//! The dashboards and rules as they are in the repository, and the queries in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sightwire::telemetry::names::{self, Kind};

pub const DASHBOARDS: [&str; 2] = ["fleet", "camera"];
pub const RULES: [&str; 2] = ["sightwire-recording", "sightwire-alerts"];

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

pub fn read(path: &str) -> String {
    let path = folder().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn dashboard(name: &str) -> Value {
    serde_json::from_str(&read(&format!("{name}.json"))).unwrap()
}

pub fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Every query with the title of its panel, as written.
pub fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in panels(dashboard) {
        for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
            found.push((panel["title"].as_str().unwrap().into(), target["expr"].as_str().unwrap().into()));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        found.push((annotation["name"].as_str().unwrap().into(), annotation["expr"].as_str().unwrap().into()));
    }
    found
}

/// As Grafana sends it, with all of everything chosen.
pub fn substituted(expr: &str) -> String {
    let mut expr = expr.to_owned();
    for (variable, value) in [
        ("$__rate_interval", "30s"),
        ("$__interval", "30s"),
        ("$__range", "5m"),
        ("$instance", ".+"),
        ("$camera", ".+"),
        ("$node", ".+"),
        ("$bus", ".+"),
    ] {
        expr = expr.replace(variable, value);
    }
    assert!(!expr.contains('$'), "a variable is left: {expr}");
    expr
}

/// A rule of one of the files: its name, its expression, whether it is an alert.
pub struct Rule {
    pub name: String,
    pub expr: String,
    pub alert: bool,
    pub text: String,
}

/// Read line by line: there is no other YAML reader in the project than that of its configuration.
pub fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for file in RULES {
        let (mut in_expr, text) = (false, read(&format!("rules/{file}.yml")));
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
            let begins = |word: &str| line.strip_prefix(word).map(str::to_owned);
            if let Some(name) = begins("- alert: ").or_else(|| begins("- record: ")) {
                rules.push(Rule { name, expr: String::new(), alert: line.starts_with("- alert"), text: String::new() });
            }
            let Some(rule) = rules.last_mut() else { continue };
            rule.text.push_str(line);
            rule.text.push('\n');
            if let Some(expr) = begins("expr: ") {
                in_expr = expr == ">-";
                rule.expr = if in_expr { String::new() } else { expr };
            } else if in_expr && indent > 8 {
                rule.expr.push_str(line);
                rule.expr.push(' ');
            } else {
                in_expr = false;
            }
        }
    }
    assert!(rules.len() > 40 && rules.iter().all(|rule| !rule.expr.is_empty()), "the rules are not read right");
    rules
}

/// The metrics' names in a query: those of the program, `up`, and what the rules record (with a colon).
pub fn named(expr: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let quoted = expr.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let words = quoted.split(|c| !is_part(c)).filter(|word| {
        word.starts_with("sightwire_")
            || word.starts_with("process_")
            || (word.contains(':') && word.contains("sightwire"))
    });
    words.map(str::to_owned).collect()
}

/// Whether the program has a series of this name.
pub fn is_ours(name: &str) -> bool {
    let is = |name: &str, histogram: bool| {
        names::ALL.iter().any(|metric| metric.name == name && (!histogram || metric.kind == Kind::Histogram))
    };
    is(name, false)
        || ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end).is_some_and(|base| is(base, true)))
}

/// Every selector of a query, `name{…}` without its range: what it looks at.
pub fn selectors(expr: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in named(expr) {
        for (at, _) in expr.match_indices(&name) {
            let rest = &expr[at + name.len()..];
            let before = expr[..at].chars().next_back();
            let whole = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
            if !whole(before) || !whole(rest.chars().next()) {
                continue;
            }
            let labels = rest.starts_with('{').then(|| rest.find('}')).flatten().map_or("", |end| &rest[..=end]);
            found.insert(format!("{name}{labels}"));
        }
    }
    found
}
