//! A real mosquitto, and its own clients as witnesses that share no code with ours.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sightwire::bus::{MqttConfig, MqttVersion};
use tempfile::TempDir;

use super::process::{Process, listening};
use super::{PATIENCE, free_port};

/// A broker; `stop` and `start` make an outage. Its folder, with what it persists, lives as long as it does.
pub struct Mosquitto {
    pub port: u16,
    dir: TempDir,
    process: Option<Process>,
}

impl Mosquitto {
    /// Anonymous, in memory.
    pub fn open() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// `extra`: more lines of its configuration; `{dir}` stands for its folder.
    pub fn with(extra: &str) -> Self {
        let mut broker = Self::down(extra);
        broker.start();
        broker
    }

    /// Configured and not yet started.
    pub fn down(extra: &str) -> Self {
        Self::configured(extra, |_| {})
    }

    /// `prepare` may write files that the configuration names into the folder.
    pub fn configured(extra: &str, prepare: impl FnOnce(&std::path::Path)) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        prepare(dir.path());
        // Started by root it would change to a user that cannot read the folder.
        let config = format!("user root\nlog_dest none\nlistener {port} 127.0.0.1\n{extra}\n")
            .replace("{dir}", dir.path().to_str().unwrap());
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        Self { port, dir, process: None }
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn start(&mut self) {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(self.dir.path().join("mosquitto.conf"));
        self.process = Some(listening(command.stdout(Stdio::null()).stderr(Stdio::null()), self.port));
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate();
        }
    }

    /// SIGKILL: a broker that crashed.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// See [`Process::signal`].
    pub fn signal(&self, name: &str) {
        self.process.iter().for_each(|process| process.signal(name));
    }

    pub fn config(&self, version: MqttVersion) -> MqttConfig {
        MqttConfig { url: format!("mqtt://127.0.0.1:{}", self.port), version, ..MqttConfig::default() }
    }
}

/// `mosquitto_pub` with these further arguments.
pub fn publish(port: u16, topic: &str, payload: &str, more: &[&str]) {
    let status = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic, "-m", payload])
        .args(more)
        .status()
        .unwrap();
    assert!(status.success(), "mosquitto_pub failed");
}

/// What the broker retains at this topic.
pub fn retained(port: u16, topic: &str) -> Option<String> {
    let found = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic, "-C", "1", "-W", "1", "--retained-only"])
        .args(["-F", "%p"])
        .output()
        .unwrap();
    let payload = String::from_utf8_lossy(&found.stdout).trim_end().to_owned();
    (!payload.is_empty()).then_some(payload)
}

/// `mosquitto_sub`, one line a message: `topic retain qos payload`.
pub struct Subscriber {
    process: Process,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Subscriber {
    /// Subscribed when this returns.
    pub fn new(port: u16, topic: &str) -> Self {
        Self::with(port, topic, &["-F", "%t %r %q %p"])
    }

    pub fn with(port: u16, topic: &str, more: &[&str]) -> Self {
        let mut command = Command::new("mosquitto_sub");
        // A line of our own, published below, shows that the subscription stands.
        command
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic, "-t", "test/ready", "-q", "1"])
            .args(more);
        let mut process = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let output = process.child().stdout.take().unwrap();
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let mut subscriber = Self { process, lines, seen: Vec::new() };
        let start = Instant::now();
        while !subscriber.saw(|line| line.contains("ready-mark")) {
            assert!(start.elapsed() < PATIENCE, "mosquitto_sub is not ready");
            publish(port, "test/ready", "ready-mark", &[]);
            subscriber.collect(Duration::from_millis(20));
        }
        subscriber.seen.retain(|line| !line.contains("ready-mark"));
        subscriber
    }

    /// Waits for a line and returns it.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            if let Some(line) = self.seen.iter().find(|line| wanted(line)) {
                return line.clone();
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no message {what}; seen: {:?}",
                self.seen.iter().take(20).collect::<Vec<_>>()
            );
            self.collect(Duration::from_millis(20));
        }
    }

    /// Everything seen so far.
    pub fn seen(&mut self) -> &[String] {
        self.collect(Duration::ZERO);
        // On a busy machine several marks were published before the first came back.
        self.seen.retain(|line| !line.contains("ready-mark"));
        &self.seen
    }

    /// SIGKILL: the broker publishes its will.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    fn saw(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.seen.iter().any(|line| wanted(line))
    }

    fn collect(&mut self, wait: Duration) {
        self.seen.extend(self.lines.recv_timeout(wait));
        self.seen.extend(self.lines.try_iter().filter(|line| !line.contains("ready-mark")));
    }
}
