//! What cameras cost each other, and what they cost while they rest: `make sharing`. Alone in its process, on a quiet machine;
//! prints JSON. `SIGHTWIRE_BIN` names another program to be measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(2);

/// A node of the test's own, on its embedded broker.
struct Node {
    process: Child,
    addr: String,
    _home: TempDir,
}

impl Node {
    fn start(yaml: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let text = format!("node: speed\nstate_dir: state\nhttp: {{ listen: \"127.0.0.1:0\" }}\n{yaml}");
        std::fs::write(home.path().join("sightwire.yaml"), text).unwrap();
        let program = std::env::var("SIGHTWIRE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_sightwire").into());
        let mut command = Command::new(program);
        command.args(["run", "-c", "sightwire.yaml", "--log-format", "json"]).current_dir(home.path());
        let mut process = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let page = lines.find_map(|line| {
            let record: Value = serde_json::from_str(&line).ok()?;
            record["fields"]["page"].as_str().map(str::to_owned)
        });
        let addr = page.expect("a page").trim_start_matches("http://").trim_end_matches('/').to_owned();
        // Nobody reads on: what the node logs must not make it wait.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, addr, _home: home }
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\n{length}Connection: close\r\n\r\n", self.addr).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Frames inferred until now, by camera.
    fn inferred(&self) -> BTreeMap<String, f64> {
        let page = self.ask("GET", "/metrics");
        let lines = page.lines().filter_map(|line| {
            let rest = line.strip_prefix("sightwire_frames_total{camera=\"")?;
            let (camera, count) = rest.split_once("\",outcome=\"inferred\"} ")?;
            Some((camera.to_owned(), count.parse().ok()?))
        });
        lines.collect()
    }

    fn until_state(&self, cameras: usize, state: &str) {
        let gauge = format!("state=\"{state}\"}} 1");
        let begun = Instant::now();
        while self
            .ask("GET", "/metrics")
            .lines()
            .filter(|l| l.starts_with("sightwire_camera_state") && l.ends_with(&gauge))
            .count()
            < cameras
        {
            assert!(begun.elapsed() < PATIENCE, "never {state}, all {cameras} of them");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Processor time of its threads until now, nanoseconds: finer than the ticks of `stat`.
    fn spent(&self) -> BTreeMap<String, u64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap().flatten();
        let one = |task: std::fs::DirEntry| {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).ok();
            let spent = read("schedstat")?.split(' ').next()?.parse().ok()?;
            Some((format!("{} {}", read("comm")?.trim(), task.file_name().to_string_lossy()), spent))
        };
        tasks.filter_map(one).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Cores taken between two looks, by thread name without numbers; threads that came in between count from nothing.
fn cores(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, seconds: f64) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for (thread, spent) in after {
        let name: String = thread.split([' ', '-']).next().unwrap_or_default().into();
        let more = spent.saturating_sub(before.get(thread).copied().unwrap_or(0));
        *all.entry(name).or_insert(0.0) += more as f64 / 1e9 / seconds;
    }
    all
}

/// The real model and a real clip where they are, else what is bundled.
fn material() -> (String, String) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let quoted = |path: PathBuf| format!("\"{}\"", path.display());
    if data.is_dir() {
        let (model, clip) = (data.join("models/yolox_nano_416.onnx"), data.join("videos/car-detection.mp4"));
        (quoted(model), quoted(clip))
    } else {
        ("bundled:shapes".into(), "\"synthetic:shapes\"".into())
    }
}

fn env_or(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// So many cameras of one model, each as fast as it is let, for a while.
fn share(cameras: usize, span: Duration) -> Value {
    let (model, source) = material();
    let camera = |n| {
        format!(
            "  c{n}: {{ source: {source}, model: m, max_fps: 0, pace: asap, loop: true, queue: {{ depth: 2, when_full: block }} }}\n"
        )
    };
    let all: String = (0..cameras).map(camera).collect();
    let node = Node::start(&format!("models:\n  m: {{ path: {model}, threads: 1, workers: 1 }}\ncameras:\n{all}"));
    node.until_state(cameras, "running");
    std::thread::sleep(Duration::from_secs(2));
    let (before, cpu, begun) = (node.inferred(), node.spent(), Instant::now());
    std::thread::sleep(span);
    let (after, cpu_after, seconds) = (node.inferred(), node.spent(), begun.elapsed().as_secs_f64());
    let rates: Vec<f64> = after.iter().map(|(camera, count)| (count - before[camera]) / seconds).collect();
    let all: f64 = rates.iter().sum();
    let (least, most) = rates.iter().fold((f64::MAX, 0.0_f64), |(a, b), &rate| (a.min(rate), b.max(rate)));
    let cores = cores(&cpu, &cpu_after, seconds);
    json!({
        "cameras": cameras, "fps": all, "spread": (most - least) / (all / cameras as f64),
        // By turns it is a frame or two: on a slow machine that alone is a spread of some percent.
        "apart_frames": (most - least) * seconds, "cores": cores,
        "cpu_ms_a_frame": cores.values().sum::<f64>() * 1e3 / all,
    })
}

#[test]
#[ignore = "minutes, and a release build on a quiet machine: `make sharing`"]
fn eight_cameras_beside_one() {
    let (rounds, span) = (env_or("SPEED_ROUNDS", 5), Duration::from_secs(env_or("SPEED_SECONDS", 15)));
    let rounds: Vec<[Value; 2]> = (0..rounds).map(|_| [share(1, span), share(8, span)]).collect();
    let figures = |of: fn(&[Value; 2]) -> f64| median(rounds.iter().map(of).collect());
    let part = |key: &'static str| rounds.iter().map(move |[one, eight]| (&eight[key], &one[key]));
    let ratio = |key| median(part(key).map(|(eight, one)| eight.as_f64().unwrap() / one.as_f64().unwrap()).collect());
    let result = json!({
        "what": "8 cameras of one model beside 1",
        "fps_ratio": ratio("fps"), "cpu_a_frame_ratio": ratio("cpu_ms_a_frame"),
        "spread": figures(|[_, eight]| eight["spread"].as_f64().unwrap()),
        "goal": { "fps_ratio": 0.98, "spread": 0.05 }, "rounds": rounds,
    });
    println!("{result:#}");
}

/// So many stopped cameras, for a while: cores in all and by thread.
fn rest(cameras: usize, span: Duration) -> Value {
    let camera = |n| format!("  c{n}: {{ source: \"synthetic:shapes\", model: m }}\n");
    let all: String = (0..cameras).map(camera).collect();
    let node = Node::start(&format!("models:\n  m: {{ path: \"bundled:shapes\" }}\ncameras:\n{all}"));
    node.until_state(cameras, "running");
    for n in 0..cameras {
        node.ask("POST", &format!("/api/cameras/c{n}/stop"));
    }
    node.until_state(cameras, "stopped");
    std::thread::sleep(Duration::from_secs(5));
    let (before, begun) = (node.spent(), Instant::now());
    std::thread::sleep(span);
    let cores = cores(&before, &node.spent(), begun.elapsed().as_secs_f64());
    json!({ "cameras": cameras, "percent_of_a_core": cores.values().sum::<f64>() * 100.0, "cores": cores })
}

#[test]
#[ignore = "minutes, and a release build on a quiet machine: `make sharing`"]
fn stopped_cameras() {
    let span = Duration::from_secs(env_or("SPEED_SECONDS", 60));
    let (one, many) = (rest(1, span), rest(MANY, span));
    let percent = |look: &Value| look["percent_of_a_core"].as_f64().unwrap();
    let each = (percent(&many) - percent(&one)) / (MANY - 1) as f64;
    let result = json!({
        "what": "stopped cameras", "percent_of_a_core_each": each, "goal": 0.1, "looks": [one, many],
    });
    println!("{result:#}");
}

const MANY: usize = 51;
