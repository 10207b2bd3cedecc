//! What a crowd of viewers costs those who detect: `make live-load`.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Node;
use crate::common::{Mosquitto, Subscriber};
use crate::viewer::metric;

const VIEWERS: usize = 100;
/// Of these, so many read next to nothing.
const SLOW: usize = 20;
const ROUNDS: usize = 4;
const SPAN: Duration = Duration::from_secs(15);

/// Viewers that read and throw away until dropped.
struct Crowd {
    over: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn gather(node: &Node) -> Self {
        let (over, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let viewer = |index: usize| {
            let (over, bytes, mut stream) = (over.clone(), bytes.clone(), node.connect());
            let host = node.address.clone();
            std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
                use std::io::Write;
                write!(stream, "GET /cameras/door/stream.mjpeg HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
                let mut buffer = vec![0; 64 << 10];
                while !over.load(Ordering::Relaxed) {
                    let read = if index < SLOW {
                        std::thread::sleep(Duration::from_millis(500));
                        stream.read(&mut buffer[..4096])
                    } else {
                        stream.read(&mut buffer)
                    };
                    bytes.fetch_add(read.unwrap() as u64, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..VIEWERS).map(|index| viewer(index).unwrap()).collect();
        Self { over, bytes, threads }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// Milliseconds from capture until a subscriber had the message, and messages a second.
fn look(messages: &mut Subscriber) -> (Vec<f64>, f64) {
    let before = messages.seen().len();
    let begun = Instant::now();
    std::thread::sleep(SPAN);
    let seen = &messages.seen()[before..];
    let late = |line: &String| {
        let (received, payload) = line.split_once(' ').unwrap();
        let message: serde_json::Value = serde_json::from_str(payload).unwrap();
        (received.parse::<f64>().unwrap() - message["timestamp"].as_f64().unwrap()) * 1000.0
    };
    (seen.iter().map(late).collect(), seen.len() as f64 / begun.elapsed().as_secs_f64())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
#[ignore = "two minutes, and a release build: `make live-load`"]
fn a_hundred_viewers_beside_none() {
    let broker = Mosquitto::open();
    let mut messages = Subscriber::with(broker.port, "sightwire/cameras/door/detections", &["-F", "%U %p"]);
    let cameras = format!(
        "  door: {{ source: \"synthetic:shapes?objects=3\", model: shapes }}\nbuses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n",
        broker.port
    );
    let node = Node::start("", &cameras);
    std::thread::sleep(Duration::from_secs(3));
    let (mut alone, mut watched) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        let (late, rate) = look(&mut messages);
        alone.0.extend(late);
        alone.1.push(rate);
        let crowd = Crowd::gather(&node);
        std::thread::sleep(Duration::from_secs(1));
        let (late, rate) = look(&mut messages);
        watched.0.extend(late);
        watched.1.push(rate);
        let read = crowd.bytes.load(Ordering::Relaxed) >> 20;
        eprintln!("round {round}: {:.1} and {rate:.1} messages a second; the crowd read {read} MiB", alone.1[round]);
    }
    let latencies = (median(&mut alone.0), median(&mut watched.0));
    let rates = (median(&mut alone.1), median(&mut watched.1));
    let superseded = metric(&node, "sightwire_video_superseded_total{camera=\"door\"}");
    println!(
        "capture to subscriber, median: {:.2} ms alone, {:.2} ms with {VIEWERS} viewers, ratio {:.3}\n\
         messages a second: {:.2} alone, {:.2} with them, ratio {:.3}; {superseded} frames superseded",
        latencies.0,
        latencies.1,
        latencies.1 / latencies.0,
        rates.0,
        rates.1,
        rates.1 / rates.0
    );
}
