//! The program under test, and a folder to break things in.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::PATIENCE;

/// In every password of these tests: it must come out nowhere.
pub const SECRET: &str = "geheim";

/// A folder of its own for each test: configuration, state, whatever is broken.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `sightwire` in this folder, with nothing of the tester's environment that it heeds.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.args(args).current_dir(self.path()).env("XDG_STATE_HOME", self.path().join("state"));
        for variable in ["ORT_DYLIB_PATH", "RUST_LOG", "SIGHTWIRE_CONFIG", "SIGHTWIRE_BUS"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command
    }

    pub fn sightwire(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.command(args))
    }

    /// Writes the configuration and carries the command out on it.
    pub fn with(&self, config: &str, args: &[&str]) -> Outcome {
        self.write("sightwire.yaml", config);
        self.sightwire(args)
    }

    /// A node on this configuration, when it runs.
    pub fn node(&self, config: &str) -> Node {
        self.write("sightwire.yaml", config);
        Node::start(self.command(&["run"]), self.path())
    }
}

/// How a command ended and what it said. Made only of output that is fit for people.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        let outcome =
            Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) };
        decent(&outcome.stdout);
        decent(&outcome.stderr);
        outcome
    }

    /// Ended with this code, and its error says all of this.
    #[track_caller]
    pub fn fails(&self, code: i32, says: &[&str]) -> &Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for part in says {
            assert!(self.stderr.contains(part), "'{part}' is missing in:\n{}", self.stderr);
        }
        self
    }

    /// A row of `check`'s table says all of this.
    #[track_caller]
    pub fn row(&self, what: &str, name: &str, says: &[&str]) -> &Self {
        let is_row = |line: &&str| {
            let mut words = line.split_whitespace().skip(1);
            (words.next(), words.next()) == (Some(what), Some(name))
        };
        let from = self.stdout.lines().position(|line| is_row(&line)).unwrap_or_else(|| panic!("{}", self.stdout));
        // What goes on under the row belongs to it.
        let mut lines = self.stdout.lines().skip(from);
        let first = lines.next().unwrap_or_default().to_owned();
        let row = lines.take_while(|line| line.starts_with(' ')).fold(first, |row, line| row + "\n" + line);
        for part in says {
            assert!(row.contains(part), "'{part}' is missing in:\n{row}");
        }
        self
    }
}

/// No panic, no colour in a pipe, no password.
#[track_caller]
pub fn decent(text: &str) {
    for bad in ["panicked", "RUST_BACKTRACE", "\x1b", SECRET] {
        assert!(!text.contains(bad), "{bad:?} is in:\n{text}");
    }
}

/// A running node; ended when dropped.
pub struct Node {
    child: Child,
    log: PathBuf,
    pub http: String,
}

impl Node {
    pub fn start(mut command: Command, folder: &Path) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let log = folder.join(format!("log-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        let file = File::create(&log).unwrap();
        let child = command.stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file)).spawn().unwrap();
        let mut node = Self { child, log, http: String::new() };
        node.until("the node runs", |node| {
            let log = node.log();
            let ended = node.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended: {ended:?}\n{log}");
            let page = log.split("page=http://").nth(1).and_then(|rest| rest.split('/').next());
            page.map(ToOwned::to_owned).is_some_and(|page| {
                node.http = page;
                true
            })
        });
        node
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "never happened: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The API's view of a camera.
    pub fn camera(&self, name: &str) -> Value {
        let (status, body) = request(&self.http, &get(&format!("/api/cameras/{name}")));
        assert_eq!(status, 200, "{body}");
        decent(&body);
        serde_json::from_str(&body).unwrap()
    }

    #[track_caller]
    pub fn until_reason(&mut self, camera: &str, code: &str) {
        self.until(&format!("{camera} is {code}"), |node| node.camera(camera)["reason"]["code"] == code);
    }

    /// The camera goes on: more frames than now are inferred.
    #[track_caller]
    pub fn goes_on(&mut self, camera: &str) {
        let inferred = |node: &Self| node.camera(camera)["frames"]["inferred"].as_u64().unwrap();
        let before = inferred(self);
        self.until(&format!("{camera} goes on"), |node| inferred(node) > before);
    }

    /// SIGTERM; what it said.
    pub fn end(mut self) -> String {
        decent(&request(&self.http, &get("/metrics")).1);
        let sent = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
        let status = self.child.wait().unwrap();
        let log = self.log();
        decent(&log);
        assert!(status.success(), "{status}\n{log}");
        log
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// Status and body of an answer, 0 when there is none.
pub fn request(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may hang up on a request that is too large before it is sent.
    let _sent = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _cut = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// The smallest node: a camera `good` on the model `m`, whose file is written too. `{more}` are further cameras.
pub fn small(folder: &Folder, cameras: &str) -> String {
    let model = crate::onnx::Model::new([1, 3, 64, 64])
        .output("output", &[1, 84, 7])
        .metadata("names", "['a','b']".replace('\'', "\"").as_str());
    folder.write("m.onnx", model.bytes());
    format!(
        "models: {{ m: {{ path: m.onnx }} }}\nhttp: {{ listen: 127.0.0.1:0 }}\ncameras:\n  good: {{ source: \"synthetic:shapes?width=320&height=240\", model: m, max_fps: 5 }}\n{cameras}"
    )
}
