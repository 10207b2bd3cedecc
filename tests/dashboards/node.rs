//! A node whose run leaves something in every figure: two buses, cameras that work, one that cannot, one that nobody pushes to, losses.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::process::Process;
use crate::common::{Mosquitto, NatsServer};
use crate::http;

const PATIENCE: Duration = Duration::from_secs(90);

pub struct Node {
    pub address: String,
    log: PathBuf,
    _process: Process,
    _folder: TempDir,
}

impl Node {
    pub fn start(mqtt: &Mosquitto, nats: &NatsServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "node: garage
state_dir: state
http: {{ listen: \"127.0.0.1:0\" }}
buses:
  mqtt: {{ url: \"mqtt://127.0.0.1:{}\", probe_interval: 1s }}
  nats: {{ url: \"{}\", probe_interval: 1s }}
models: {{ shapes: {{ path: \"bundled:shapes\" }} }}
cameras:
  door:
    source: \"synthetic:shapes?width=160&height=120&fps=10\"
    model: shapes
    max_fps: 0
    publish: {{ qos: 1 }}
    keyframes: {{ when: [event], every: 1s }}
  gate: {{ source: \"synthetic:shapes?width=64&height=48&fps=200\", model: shapes, max_fps: 0 }}
  missing: {{ source: gone.mp4, model: shapes }}
  porch: {{ source: \"push:\", model: shapes }}
",
            mqtt.port,
            nats.url()
        );
        std::fs::write(folder.path().join("sightwire.yaml"), config).unwrap();
        let log = folder.path().join("log");
        let file = File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.arg("run").current_dir(folder.path()).env_remove("RUST_LOG");
        command.stdout(Stdio::null()).stderr(Stdio::from(file));
        let process = Process::spawn(&mut command);
        let mut node = Self { address: String::new(), log, _process: process, _folder: folder };
        node.wait("it runs", |node| {
            let log = std::fs::read_to_string(&node.log).unwrap();
            let page = log.split("page=http://").nth(1).and_then(|rest| rest.split('/').next());
            page.unwrap_or_default().clone_into(&mut node.address);
            !node.address.is_empty()
        });
        node
    }

    /// The page in this form.
    pub fn metrics(&self, accept: &str) -> (String, Vec<u8>) {
        let (status, head, body) = http::get_with_head(&self.address, "/metrics", accept).unwrap();
        assert_eq!(status, 200, "{head}");
        let kind =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-type: ").map(str::to_owned));
        (kind.unwrap(), body)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.metrics("").1).unwrap()
    }

    /// The sum of all series that begin so.
    pub fn sum(&self, series: &str) -> f64 {
        let page = self.text();
        page.lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    pub fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "never happened: {what}\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
