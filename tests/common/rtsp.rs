//! A real RTSP camera (gst-rtsp-server) as a child process.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Camera {
    child: Child,
    said: BufReader<ChildStdout>,
    control: ChildStdin,
    pub port: u16,
}

impl Camera {
    /// Starts on a free port and waits until it listens; `arguments` as in `tests/tools/rtsp_cam.py`.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    /// The same on a port of the caller's: a camera that comes back.
    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        Self::start_by(Command::new("/usr/bin/python3"), port, arguments)
    }

    /// The same by a command that starts `/usr/bin/python3`: elsewhere.
    pub fn start_by(mut python: Command, port: u16, arguments: &[&str]) -> Self {
        let mut child = python
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/rtsp_cam.py"))
            .args(["--port", &port.to_string(), "--seconds", "1200"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 with gst-rtsp-server");
        let said = BufReader::new(child.stdout.take().unwrap());
        let control = child.stdin.take().unwrap();
        let mut camera = Self { child, said, control, port };
        camera.hear("READY");
        camera
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert!(line.starts_with(word), "the camera says {line:?}");
    }

    /// Changes something in mid-stream; of a camera started with `--control`.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.control, "{command}").unwrap();
        self.hear("OK");
    }

    pub fn url(&self, credentials: &str) -> String {
        format!("rtsp://{credentials}127.0.0.1:{}/cam", self.port)
    }

    /// `STOP` freezes it with its connections open.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn kill(&mut self) {
        let _gone = (self.child.kill(), self.child.wait());
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Below the range that outgoing connections are given, so that a camera that comes back finds its port free again.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(32_100..32_700);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
