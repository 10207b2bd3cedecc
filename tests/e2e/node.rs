//! A node of the test's own: its file, its folder, its process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::metrics::Page;

/// Only ends a test that would fail anyway.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Looks again and again until there is something, and fails saying `what` never happened.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_longer(what, PATIENCE, look)
}

fn wait_longer<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < patience, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A child that never outlives its owner.
pub struct Running(pub Child);

impl Running {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }

    /// `TERM`, `INT`, `KILL`
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success(), "cannot signal {}", self.0.id());
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the process ends", || self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

/// What a process writes, line by line, as it comes.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub fn follow(output: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let into = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                into.0.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        lines
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        self.all().join("\n")
    }

    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            if let Some(line) = self.0.lock().unwrap().iter().find(|line| wanted(line)) {
                return line.clone();
            }
            assert!(start.elapsed() < PATIENCE, "no line {what} in:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The program with these arguments, both outputs followed.
pub struct Program {
    pub process: Running,
    pub out: Lines,
    pub log: Lines,
}

impl Program {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.args(arguments).current_dir(folder).env_remove("RUST_LOG");
        let mut process = Running::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let out = Lines::follow(process.0.stdout.take().unwrap());
        let log = Lines::follow(process.0.stderr.take().unwrap());
        Self { process, out, log }
    }
}

/// A configuration and the folder it lives in; the node `garage` can be started from it again and again.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// `rest`: buses, models and cameras.
    pub fn new(rest: &str) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.rewrite(rest);
        home
    }

    /// Another file in the place of the one that was there.
    pub fn rewrite(&self, rest: &str) {
        std::fs::write(self.path().join("sightwire.yaml"), Self::text(rest)).unwrap();
    }

    /// The whole file.
    pub fn text(rest: &str) -> String {
        format!("node: garage\nstate_dir: state\nhttp: {{ listen: \"127.0.0.1:0\" }}\n{rest}")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Running when this returns.
    pub fn start(&self) -> Node {
        Node::new(Program::start(self.path(), &["run", "-c", "sightwire.yaml", "--log-format", "json"]))
    }

    /// For a node that is started only once: it keeps the folder.
    pub fn start_owned(self) -> Node {
        let mut node = self.start();
        node.home = Some(self);
        node
    }

    pub fn start_until_done(&self) -> Node {
        let arguments = ["run", "-c", "sightwire.yaml", "--log-format", "json", "--until-done", "--summary", "json"];
        Node::new(Program::start(self.path(), &arguments))
    }

    /// Runs until every source has ended, and gives the summary.
    pub fn run_until_done(&self) -> Value {
        self.start_until_done().done()
    }
}

/// A running node.
pub struct Node {
    pub process: Running,
    pub out: Lines,
    pub log: Lines,
    /// Host and port of its page.
    pub addr: String,
    home: Option<Home>,
}

impl Node {
    fn new(program: Program) -> Self {
        let line = program.log.wait("running", |line| line.contains(r#""message":"running""#));
        let record: Value = serde_json::from_str(&line).unwrap();
        let page = record["fields"]["page"].as_str().unwrap();
        let addr = page.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { process: program.process, out: program.out, log: program.log, addr, home: None }
    }

    /// Waits for the end of an `--until-done` run that goes well.
    pub fn done(mut self) -> Value {
        // Hundreds of frames: a busy machine may take long.
        let ended = || self.process.0.try_wait().unwrap();
        let status = wait_longer("everything is done", 5 * PATIENCE, ended);
        assert!(status.success(), "{status}\n{}", self.log.text());
        let line = self.out.wait("of the summary", |line| line.starts_with('{'));
        serde_json::from_str(&line).unwrap()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        get(&self.addr, path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.log.text()))
    }

    pub fn metrics(&self) -> Page {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        Page::parse(&text)
    }

    /// The camera as the API shows it.
    pub fn camera(&self, name: &str) -> Value {
        serde_json::from_str(&self.get(&format!("/api/cameras/{name}")).1).unwrap()
    }

    pub fn wait_until(&self, camera: &str, actual: &str) {
        let start = Instant::now();
        loop {
            let state = self.camera(camera);
            if state["actual"] == actual {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{camera} is never {actual}: {state}\n{}", self.log.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM; the exit status and the node's last words.
    pub fn end(mut self) -> (ExitStatus, Lines) {
        self.process.signal("TERM");
        self.ended()
    }

    /// The exit status and the last words of one that was told to end.
    pub fn ended(&mut self) -> (ExitStatus, Lines) {
        (self.process.wait(), self.log.clone())
    }
}

pub fn get(addr: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no head"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| std::io::Error::other("no status"))?, body.to_owned()))
}

/// The bundled detector.
pub const SHAPES: &str = "models: { shapes: { path: \"bundled:shapes\" } }\n";

/// The buses of a configuration; `mqtt` with its version.
pub fn buses(mqtt: Option<(u16, &str)>, nats: Option<u16>) -> String {
    let mqtt =
        mqtt.map(|(port, version)| format!("  mqtt: {{ url: \"mqtt://127.0.0.1:{port}\", version: {version} }}\n"));
    let nats = nats.map(|port| format!("  nats: {{ url: \"nats://127.0.0.1:{port}\" }}\n"));
    ["buses:\n".to_owned(), mqtt.unwrap_or_default(), nats.unwrap_or_default()].concat()
}

/// A small scene: `more` are further parameters of the source.
pub fn scene(fps: u32, more: &str) -> String {
    format!("\"synthetic:shapes?width=320&height=240&fps={fps}{more}\"")
}

/// Where recorded videos and other people's models are; they do not come with the project.
pub fn test_data() -> PathBuf {
    std::env::var_os("SIGHTWIRE_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
}

/// A server that takes connections and never says a word.
pub struct Silent {
    pub port: u16,
}

impl Silent {
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                held.push(stream);
            }
        });
        Self { port }
    }

    /// A node whose one camera, `hung`, is this one.
    pub fn home(&self, buses: &str) -> Home {
        let source = format!("rtsp://127.0.0.1:{}/stream", self.port);
        Home::new(&format!("{buses}{SHAPES}cameras:\n  hung: {{ source: \"{source}\", model: shapes }}\n"))
    }
}
