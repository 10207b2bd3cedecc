//! A real RTSP camera (gst-rtsp-server) as a child process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Camera {
    child: Child,
    pub port: u16,
}

impl Camera {
    /// Starts on a free port and waits until it listens; `arguments` as in `tests/tools/rtsp_cam.py`.
    pub fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/rtsp_cam.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(tool)
            .args(["--port", &port.to_string(), "--seconds", "120"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 with gst-rtsp-server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("READY"), "the camera did not start: {line:?}");
        Self { child, port }
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

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
