//! A real Prometheus that scrapes a node, and promtool. Both are Debian's; `make setup` puts them into `.prometheus/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::free_port;
use crate::common::process::{Process, listening};
use crate::http;

/// For what may take as long as a busy machine wants.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program of this name, where `make setup` put it, else the machine's own.
pub fn tool(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".prometheus").join(name);
    if own.exists() { own } else { name.into() }
}

/// `promtool` with these arguments; fails with its words when it does.
pub fn promtool(arguments: &[&str], input: Option<&str>) -> String {
    let mut command = Command::new(tool("promtool"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let Output { status, stdout, stderr } = match input {
        None => command.output().unwrap_or_else(|e| panic!("promtool: {e}; `make setup` installs it")),
        Some(text) => {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            command.stdin(file.reopen().unwrap()).output().unwrap()
        }
    };
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "promtool {arguments:?}: {status}\n{said}");
    said
}

/// How it keeps histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histograms {
    Classic,
    Native,
}

pub struct Prometheus {
    address: String,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes the node each second, and computes the project's rules as often.
    pub fn scraping(node: &str, histograms: Histograms) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/rules/*.yml");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\n\
             scrape_configs: [{{ job_name: sightwire, static_configs: [{{ targets: [\"{node}\"] }}] }}]\n",
            rules.display()
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let mut command = Command::new(tool("prometheus"));
        command.arg(format!("--config.file={}/prometheus.yml", folder.path().display()));
        command.arg(format!("--storage.tsdb.path={}/data", folder.path().display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        if histograms == Histograms::Native {
            command.arg("--enable-feature=native-histograms");
        }
        let process = listening(command.stdout(Stdio::null()).stderr(Stdio::null()), port);
        Self { address: format!("127.0.0.1:{port}"), _process: process, _folder: folder }
    }

    fn api(&self, path: &str) -> Option<Value> {
        let (status, body) = http::get(&self.address, path, "")?;
        let answer: Value = serde_json::from_slice(&body).ok()?;
        // 503 while it starts.
        assert!(status != 400 && status != 422, "{path}: {answer}");
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// The values of a query now, those left out that are no number; fails on a query that is wrong.
    pub fn query(&self, expr: &str) -> Vec<f64> {
        let encoded: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}")).unwrap_or_default();
        let result = data["result"].as_array().cloned().unwrap_or_default();
        let value = |sample: &Value| match sample["histogram"][1]["count"].as_str() {
            Some(count) => count.parse::<f64>().ok(),
            None => sample["value"][1].as_str()?.parse().ok(),
        };
        result.iter().filter_map(value).filter(|value| !value.is_nan()).collect()
    }

    /// Waits until all of these give data, and says which never do.
    pub fn wait_for_data<'a>(&self, exprs: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut left: Vec<&str> = exprs.into_iter().collect();
        let start = Instant::now();
        loop {
            left.retain(|expr| self.query(expr).is_empty());
            if left.is_empty() || start.elapsed() > PATIENCE {
                return left;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Fails when a rule could not be computed.
    pub fn assert_rules_are_well(&self) {
        let data = self.api("/api/v1/rules").unwrap();
        let groups = data["groups"].as_array().unwrap();
        let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
        assert!(rules.len() > 40, "{} rules", rules.len());
        let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
        assert!(ill.is_empty(), "{ill:#?}");
    }

    /// Waits until the target is up; fails with the scrape's error.
    pub fn wait_until_scraped(&self) {
        let start = Instant::now();
        loop {
            let targets = self.api("/api/v1/targets").unwrap_or_default();
            let target = &targets["activeTargets"][0];
            if target["health"] == "up" {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "never scraped: {target}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
