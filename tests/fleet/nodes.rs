//! Nodes of a fleet, each a process, and `sightwire ctl` as people call it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::process::Process;

/// Only ends a test that would fail anyway.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many nodes, and how many cameras on each.
pub fn size() -> (usize, usize) {
    if whole() { (10, 20) } else { (3, 8) }
}

/// As `make fleet` runs it.
pub fn whole() -> bool {
    std::env::var_os("SIGHTWIRE_FLEET").is_some_and(|form| form == "full")
}

pub struct Fleet {
    pub folder: TempDir,
    pub bus: String,
    pub nodes: Vec<Process>,
}

/// How `ctl` ended, and the document it printed.
pub struct Called {
    pub code: i32,
    pub roll: Value,
    pub took: Duration,
    pub said: String,
}

impl Called {
    pub fn rows(&self) -> &[Value] {
        self.roll["rows"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Targets with this outcome.
    pub fn with(&self, outcome: &str) -> Vec<&str> {
        let with = self.rows().iter().filter(|row| row["outcome"] == outcome);
        with.map(|row| row["target"].as_str().unwrap()).collect()
    }
}

impl Fleet {
    /// Nodes `n0`, `n1`, … with cameras `n0-c0`, …, all running when this returns. `bus`: the configuration's line.
    pub fn start(bus: &str, url: &str, more: &str) -> Self {
        let (nodes, cameras) = size();
        Self::of(nodes, cameras, bus, url, more)
    }

    pub fn of(nodes: usize, cameras: usize, bus: &str, url: &str, more: &str) -> Self {
        let mut fleet = Self { folder: tempfile::tempdir().unwrap(), bus: url.into(), nodes: Vec::new() };
        for node in 0..nodes {
            let scene = |camera: usize| {
                format!("synthetic:shapes?width=96&height=64&fps=1&objects=2&seed={}", node * cameras + camera)
            };
            let camera = |camera| {
                format!(
                    "  n{node}-c{camera}: {{ source: \"{}\", model: shapes, groups: [g{camera}] }}\n",
                    scene(camera)
                )
            };
            let list: String = (0..cameras).map(camera).collect();
            let text = format!(
                "node: n{node}\nstate_dir: state\nhttp: {{ listen: \"127.0.0.1:0\" }}\nbuses: {{ {bus} }}\n{more}\
                 models: {{ shapes: {{ path: \"bundled:shapes\" }} }}\ncameras:\n{list}"
            );
            std::fs::write(fleet.folder.path().join(format!("n{node}.yaml")), text).unwrap();
            fleet.run(node);
        }
        let start = Instant::now();
        loop {
            let status = fleet.ctl(&["status", "--all"]);
            let running = status.rows().iter().filter(|row| row["state"]["actual"] == "running").count();
            if running == nodes * cameras {
                return fleet;
            }
            assert!(start.elapsed() < PATIENCE, "{running} cameras run: {}", status.said);
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Starts the node's process, as the next of `nodes`.
    pub fn run(&mut self, node: usize) {
        let config = format!("n{node}.yaml");
        let mut command = sightwire(self.folder.path());
        command.args(["run", "-c", &config]).stdout(Stdio::null()).stderr(Stdio::null());
        self.nodes.push(Process::spawn(&mut command));
    }

    pub fn ctl(&self, args: &[&str]) -> Called {
        let start = Instant::now();
        let output =
            sightwire(self.folder.path()).args(["ctl", "--json", "--bus", &self.bus]).args(args).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let roll = serde_json::from_str(&out).unwrap_or(Value::Null);
        let code = output.status.code().unwrap_or(-1);
        Called { code, roll, took: start.elapsed(), said: format!("{args:?}: {code}\n{out}{err}") }
    }
}

/// The program, with nothing of the tester's environment that it heeds.
pub fn sightwire(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    command.current_dir(folder).stdin(Stdio::null());
    for variable in ["RUST_LOG", "SIGHTWIRE_CONFIG", "SIGHTWIRE_BUS"] {
        command.env_remove(variable);
    }
    command
}
