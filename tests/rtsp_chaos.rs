//! A camera that is killed, stalled and brought back, again and again: it streams again each time, and the node is as it was
//! at the beginning. A few rounds in `make test`; `SIGHTWIRE_CHAOS=full` makes fifty of them, seeded by `SIGHTWIRE_CHAOS_SEED`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "helpers of other tests")]
#![allow(clippy::print_stdout, reason = "the seed and the figures are what the long form is for")]

#[path = "e2e/metrics.rs"]
mod metrics;
#[path = "e2e/node.rs"]
mod node;
#[path = "common/rtsp.rs"]
mod rtsp;

use std::time::{Duration, Instant};

use node::{Home, Node, SHAPES, scene};
use rtsp::{Camera, free_port};

/// What the node has of the machine.
#[derive(Debug, Clone, Copy)]
struct Held {
    threads: usize,
    descriptors: usize,
    kilobytes: usize,
}

impl Held {
    fn by(node: &Node) -> Self {
        let folder = format!("/proc/{}", node.process.0.id());
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let figure = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let descriptors = std::fs::read_dir(format!("{folder}/fd")).unwrap().count();
        Self { threads: figure("Threads:"), descriptors, kilobytes: figure("VmRSS:") }
    }

    /// Threads that end take a moment: the least of a few looks.
    fn settled(node: &Node) -> Self {
        let looks = (0..6).map(|_| {
            std::thread::sleep(Duration::from_millis(250));
            Self::by(node)
        });
        looks
            .reduce(|a, b| Self {
                threads: a.threads.min(b.threads),
                descriptors: a.descriptors.min(b.descriptors),
                kilobytes: a.kilobytes.min(b.kilobytes),
            })
            .unwrap()
    }
}

fn read(node: &Node, camera: &str) -> u64 {
    node.camera(camera)["frames"]["read"].as_u64().unwrap()
}

/// Until frames come that were captured from now on.
fn streams_again(node: &Node, what: &str) -> Duration {
    let (back, before) = (Instant::now(), read(node, "door"));
    node::wait_for(what, || {
        let state = node.camera("door");
        // Not one of a burst that was under way when it stalled.
        (state["actual"] == "running" && state["frames"]["read"].as_u64().unwrap() > before + 2).then_some(())
    });
    back.elapsed()
}

fn reconnects(node: &Node) -> f64 {
    node.metrics().sum("sightwire_source_reconnects_total", &[("camera", "door")])
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Blow {
    /// SIGKILL, and away for so long.
    Killed(Duration),
    /// SIGSTOP: its connections stay open and nothing comes.
    Stalled(Duration),
    /// Killed, and back with another size.
    Resized(Duration),
}

fn strike(blow: Blow, camera: &mut Option<Camera>, port: u16) {
    let start = |size: &str| Some(Camera::start_at(port, &["--pattern", "ball", "--size", size]));
    match blow {
        Blow::Killed(away) => {
            *camera = None;
            std::thread::sleep(away);
            *camera = start("640x360");
        }
        Blow::Resized(away) => {
            *camera = None;
            std::thread::sleep(away);
            *camera = start("320x240");
        }
        Blow::Stalled(span) => {
            let camera = camera.as_ref().unwrap();
            camera.signal("STOP");
            std::thread::sleep(span);
            camera.signal("CONT");
        }
    }
}

fn rounds(full: bool) -> Vec<Blow> {
    let millis = Duration::from_millis;
    if !full {
        let short = [Blow::Killed(millis(300)), Blow::Stalled(millis(700)), Blow::Resized(millis(0))];
        return short.into_iter().chain([Blow::Stalled(millis(6500)), Blow::Killed(millis(900))]).collect();
    }
    let seed = std::env::var("SIGHTWIRE_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let blow = |n: u64| match n % 5 {
        0 | 3 => Blow::Killed(millis(rng.u64(0..9000))),
        1 => Blow::Stalled(millis(rng.u64(100..4000))),
        2 => Blow::Stalled(millis(rng.u64(5500..14_000))),
        _ => Blow::Resized(millis(rng.u64(0..3000))),
    };
    (0..50).map(blow).collect()
}

#[test]
fn a_camera_that_is_killed_and_stalled_again_and_again_streams_again_and_leaves_nothing_behind() {
    let full = std::env::var("SIGHTWIRE_CHAOS").is_ok_and(|form| form == "full");
    let port = free_port();
    let mut camera = Some(Camera::start_at(port, &["--pattern", "ball"]));
    let node = Home::new(&format!(
        "{SHAPES}cameras:\n  door: {{ source: \"rtsp://127.0.0.1:{port}/cam\", model: shapes }}\n  \
         yard: {{ source: {}, model: shapes }}\n",
        scene(5, "")
    ))
    .start_owned();
    streams_again(&node, "the first frames");
    // Once round, for what FFmpeg and the allocator set up only once.
    let once: &[Blow] = &[Blow::Resized(Duration::ZERO), Blow::Killed(Duration::ZERO)];
    for &blow in if full { once } else { &once[1..] } {
        strike(blow, &mut camera, port);
        streams_again(&node, "the first rounds");
    }
    let (begin, began, yard) = (Held::settled(&node), reconnects(&node), read(&node, "yard"));
    let mut times = Vec::new();
    let blows = rounds(full);
    for (n, &blow) in blows.iter().enumerate() {
        strike(blow, &mut camera, port);
        let took = streams_again(&node, &format!("streaming after {blow:?}"));
        println!("{n:2} {blow:?}: streaming again after {took:.1?}, {:?}", Held::by(&node));
        times.push(took);
    }
    if full {
        // As it was: the first size.
        strike(Blow::Killed(Duration::ZERO), &mut camera, port);
        streams_again(&node, "the last round");
    }
    // The runtime keeps a thread for blocking work for ten seconds after the last; what leaked stays.
    let patience = Instant::now() + Duration::from_secs(15);
    let mut end = Held::settled(&node);
    while end.threads > begin.threads && Instant::now() < patience {
        end = Held::settled(&node);
    }
    times.sort();
    let (half, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "chaos: RTSP, {} rounds, {} reconnects: streaming again after {half:.1?} (median), {most:.1?} (longest); \
         at the beginning {begin:?}, at the end {end:?}",
        blows.len(),
        reconnects(&node) - began
    );
    assert!(end.threads <= begin.threads, "threads: {begin:?}, {end:?}");
    assert!(end.descriptors <= begin.descriptors, "descriptors: {begin:?}, {end:?}");
    // The allocator keeps some of what it once had; a leak of one frame a round would be more than this in 50.
    assert!(end.kilobytes <= begin.kilobytes + 24 * 1024, "memory: {begin:?}, {end:?}");
    assert!(read(&node, "yard") > yard, "the camera beside it goes on");
    assert_eq!(node.metrics().sum("sightwire_source_abandoned_total", &[]), 0.0);
    if full {
        // The promise is 5 s; one in ten may be held up by a machine that does other things as well.
        let nearly_all = times[times.len() * 9 / 10];
        assert!(nearly_all <= Duration::from_secs(5), "{times:?}");
    }
}
