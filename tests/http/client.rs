//! A node of one's own, and a client that sends what it is told, right or wrong.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::common::PATIENCE;
use crate::common::process::Process;

/// In every password and token of these tests: it must come out nowhere.
pub const SECRET: &str = "geheim-geheim-geheim";

/// A running node with a folder of its own; both end with it.
pub struct Node {
    pub process: Process,
    pub folder: tempfile::TempDir,
    pub address: String,
    log: PathBuf,
}

impl Node {
    /// `http` goes between the braces of `http:`, `cameras` under `cameras:`.
    pub fn start(http: &str, cameras: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{SECRET}\n")).unwrap();
        let config = format!(
            "node: garage\nmodels: {{ shapes: {{ path: \"bundled:shapes\" }} }}\n\
             http: {{ listen: \"127.0.0.1:0\"{http} }}\ncameras:\n{cameras}"
        );
        std::fs::write(folder.path().join("sightwire.yaml"), config).unwrap();
        let log = folder.path().join("log");
        let file = File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.arg("run").current_dir(folder.path()).env("XDG_STATE_HOME", folder.path().join("state"));
        command.env_remove("RUST_LOG").stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file));
        let process = Process::spawn(&mut command);
        let mut node = Self { process, folder, address: String::new(), log };
        until("the node runs", || {
            let log = node.log();
            let page = log.split("page=http://").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
            assert!(node.process.child().try_wait().unwrap().is_none(), "it ended:\n{log}");
            node.address = page.unwrap_or_default();
            !node.address.is_empty()
        });
        node
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// `GET /path`, with headers of the caller's.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"")
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send("POST", path, headers, body)
    }

    /// One request on a connection of its own. `Host` is the node's address unless it is given; an empty one is left out.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            write!(head, "Host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !body.is_empty() || method != "GET" {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        let mut stream = self.connect();
        // The server may hang up on what is too large before all of it is sent.
        let _sent = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
        Answer::read(&mut stream)
    }

    /// The API's view of a camera.
    pub fn camera(&self, name: &str) -> Value {
        self.get(&format!("/api/cameras/{name}"), &[]).expect(200).json()
    }

    #[track_caller]
    pub fn until_state(&self, camera: &str, actual: &str) {
        until(&format!("{camera} is {actual}"), || self.camera(camera)["actual"] == actual);
    }
}

#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By small letters.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Everything until the server closes. Status 0 when it says nothing.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _reset = stream.read_to_end(&mut bytes);
        let split = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let pairs = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let answer = Self { status, headers, body: bytes.get(split + 4..).unwrap_or_default().to_vec() };
        assert!(!format!("{head}{}", answer.text()).contains(SECRET), "a secret came out: {head}\n{}", answer.text());
        answer
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text());
        self
    }

    /// An error as problem details with this code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text());
        let problem = answer.json();
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        problem
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}
