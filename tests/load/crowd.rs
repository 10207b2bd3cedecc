//! Many viewers at once, who look at nothing: they read and throw away, at the lowest priority there is.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sightwire::telemetry::{process_cpu, thread_cpu};

use crate::client::Node;
use crate::whep;

/// How many watch camera `door`, and how many of these are too slow for it.
#[derive(Clone, Copy)]
pub struct Size {
    pub mjpeg: usize,
    pub slow_mjpeg: usize,
    pub webrtc: usize,
    pub slow_webrtc: usize,
    /// Only when nobody else wants the processor.
    pub last_in_line: bool,
}

/// Viewers that watch until dropped.
pub struct Crowd {
    over: Arc<AtomicBool>,
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

/// What all of them got.
#[derive(Default)]
pub struct Seen {
    pub mjpeg_bytes: AtomicU64,
    pub mjpeg_began: AtomicU64,
    pub webrtc_pictures: AtomicU64,
    pub webrtc_began: AtomicU64,
}

impl Crowd {
    pub fn gather(node: &Node, size: Size) -> Self {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let mut threads = Vec::new();
        let mut seat = |watch: Box<dyn FnOnce() + Send>| {
            let guest = std::thread::Builder::new().stack_size(1 << 20);
            threads.push(guest.spawn(move || if size.last_in_line { last_in_line(watch) } else { watch() }).unwrap());
        };
        for index in 0..size.mjpeg {
            let (over, seen, node) = (over.clone(), seen.clone(), node.address.clone());
            seat(Box::new(move || read(&node, index < size.slow_mjpeg, &over, &seen)));
        }
        let door = Arc::new(Mutex::new(()));
        for index in 0..size.webrtc {
            let (over, seen, node, door) = (over.clone(), seen.clone(), node.address.clone(), door.clone());
            seat(Box::new(move || watch(&node, index < size.slow_webrtc, &door, &over, &seen)));
        }
        Self { over, seen, threads }
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How many got something, by MJPEG and by WebRTC.
    pub fn began(&self) -> (u64, u64) {
        (self.seen.mjpeg_began.load(Ordering::Relaxed), self.seen.webrtc_began.load(Ordering::Relaxed))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let failed = self.threads.drain(..).filter_map(|thread| thread.join().err()).count();
        assert!(failed == 0 || std::thread::panicking(), "{failed} viewers failed");
    }
}

/// On a machine of two cores the viewers take them from the node they watch; what they cost is not the node's cost.
fn last_in_line(work: impl FnOnce()) {
    rustix::process::setpriority_process(None, 19).unwrap();
    work();
}

fn read(address: &str, slow: bool, over: &AtomicBool, seen: &Seen) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    write!(stream, "GET /cameras/door/stream.mjpeg HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut all = 0;
    while !over.load(Ordering::Relaxed) {
        let read = if slow {
            std::thread::sleep(Duration::from_millis(500));
            stream.read(&mut buffer[..4096])
        } else {
            stream.read(&mut buffer)
        };
        let read = read.unwrap() as u64;
        assert!(read > 0, "the stream ended");
        seen.mjpeg_began.fetch_add(u64::from(all < 4096 && all + read >= 4096), Ordering::Relaxed);
        seen.mjpeg_bytes.fetch_add(read, Ordering::Relaxed);
        all += read;
    }
}

fn watch(address: &str, slow: bool, door: &Mutex<()>, over: &AtomicBool, seen: &Seen) {
    // One after the other: handshakes all at once take a slow machine longer than the viewers wait.
    let entering = door.lock().unwrap_or_else(PoisonError::into_inner);
    let mut viewer = whep::Viewer::open(address, "door");
    viewer.decodes = false;
    viewer.lag = Duration::from_millis(if slow { 40 } else { 0 });
    assert!(viewer.watch(Duration::from_mins(2), |_| true), "a viewer sees nothing");
    seen.webrtc_began.fetch_add(1, Ordering::Relaxed);
    drop(entering);
    while !over.load(Ordering::Relaxed) {
        assert!(viewer.is_alive(), "a viewer was sent away");
        viewer.watch(Duration::from_millis(200), |_| {
            seen.webrtc_pictures.fetch_add(1, Ordering::Relaxed);
            over.load(Ordering::Relaxed)
        });
    }
    viewer.hang_up();
}

/// Threads that take as much processor as a crowd took and watch nothing: what is left between the two is the node's own.
pub struct Burners {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Burners {
    /// `cores`: of processor time, by two threads.
    pub fn new(cores: f64) -> Self {
        const TURN: Duration = Duration::from_millis(4);
        let over = Arc::new(AtomicBool::new(false));
        let burn = |over: Arc<AtomicBool>| {
            move || {
                let (begin, spent) = (std::time::Instant::now(), thread_cpu());
                while !over.load(Ordering::Relaxed) {
                    let due = begin.elapsed().mul_f64((cores / 2.0).min(1.0));
                    if thread_cpu().saturating_sub(spent) > due {
                        std::thread::sleep(TURN);
                    }
                }
            }
        };
        let threads =
            (0..2).map(|_| burn(over.clone())).map(|work| std::thread::spawn(|| last_in_line(work))).collect();
        Self { over, threads }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// Processor time of this process, where the viewers are, and of the node, in seconds.
pub fn spent(node: &Node) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.process.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // In hundredths of a second on every Linux.
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    (process_cpu().as_secs_f64(), ticks / 100.0)
}
