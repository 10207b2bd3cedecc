//! What a crowd of viewers costs those who detect: `make load`.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::client::{Node, until};
use crate::common::{Mosquitto, Subscriber};
use crate::crowd::{Burners, Crowd, Size, spent};
use crate::viewer::{encoded, metric, threads, viewers};

const CROWD: Size = Size { mjpeg: 100, slow_mjpeg: 20, webrtc: 20, slow_webrtc: 4, last_in_line: true };
/// For the suite: as many as a busy machine still lets in.
const HANDFUL: Size = Size { mjpeg: 30, slow_mjpeg: 6, webrtc: 5, slow_webrtc: 1, last_in_line: false };
const SOURCE: &str = "synthetic:shapes?objects=3";

/// Everything is encoded once, nothing is lost for those who are quick, and detection goes on: no durations.
#[test]
fn however_many_watch_there_is_one_encoder_and_detection_goes_on() {
    let node = Node::start("", &format!("  door: {{ source: \"{SOURCE}\", model: shapes, max_fps: 5 }}\n"));
    node.until_state("door", "running");
    let inferred = "sightwire_frames_total{camera=\"door\",outcome=\"inferred\"}";
    let crowd = Crowd::gather(&node, HANDFUL);
    everybody_sees(&crowd, HANDFUL);
    assert_eq!((viewers(&node, "mjpeg"), viewers(&node, "webrtc"), threads(&node)), (30.0, 5.0, 1));
    let count = || (metric(&node, inferred), encoded(&node, "jpeg"), encoded(&node, "h264"));
    let (before, counting) = (count(), Instant::now());
    until("detection goes on", || metric(&node, inferred) >= before.0 + 20.0);
    let after = count();
    let frames = after.0 - before.0;
    assert!(after.1 - before.1 <= frames + 2.0, "{before:?} {after:?}");
    // A picture that stays is shown again every 0.4 s: also while a slow machine makes the next.
    let beats = counting.elapsed().as_secs_f64() / 0.4;
    assert!(after.2 - before.2 <= frames + beats + 2.0, "{before:?} {after:?}");
    drop(crowd);
    until("all have left", || viewers(&node, "mjpeg") + viewers(&node, "webrtc") == 0.0 && threads(&node) == 0);
}

fn everybody_sees(crowd: &Crowd, size: Size) {
    let begun = Instant::now();
    while crowd.began() != (size.mjpeg as u64, size.webrtc as u64) {
        assert!(begun.elapsed() < Duration::from_mins(4), "only so many see something: {:?}", crowd.began());
        std::thread::sleep(Duration::from_millis(50));
    }
}

const ROUNDS: usize = 8;
const SPAN: Duration = Duration::from_secs(8);
/// For everybody to be in their seats.
const SETTLE: Duration = Duration::from_secs(3);
/// What a viewer may cost at most, of the median from capture to publish.
const WANTED: f64 = 1.1;

/// What was seen of the node for a while.
struct Look {
    /// Milliseconds from capture until the subscriber had the message, and until the node had handed it to the socket.
    witness: f64,
    own: f64,
    /// Messages a second.
    rate: f64,
    /// Cores that the viewers and the node took.
    viewers: f64,
    node: f64,
}

fn look(node: &Node, messages: &mut Subscriber) -> Look {
    std::thread::sleep(SETTLE);
    let (before, buckets, cpu, begun) = (messages.seen().len(), histogram(node), spent(node), Instant::now());
    std::thread::sleep(SPAN);
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_after = spent(node);
    let late = |line: &String| {
        let (received, payload) = line.split_once(' ').unwrap();
        let message: serde_json::Value = serde_json::from_str(payload).unwrap();
        (received.parse::<f64>().unwrap() - message["timestamp"].as_f64().unwrap()) * 1000.0
    };
    let mut witness: Vec<f64> = messages.seen()[before..].iter().map(late).collect();
    Look {
        rate: witness.len() as f64 / seconds,
        witness: median(&mut witness),
        own: middle(&buckets, &histogram(node)),
        viewers: (cpu_after.0 - cpu.0) / seconds,
        node: (cpu_after.1 - cpu.1) / seconds,
    }
}

/// The node's own figures: bounds in seconds, and how many were below each.
fn histogram(node: &Node) -> Vec<(f64, f64)> {
    let text = node.get("/metrics", &[]).expect(200).text();
    let lines = text.lines().filter_map(|line| {
        let rest =
            line.strip_prefix("sightwire_capture_to_publish_seconds_bucket{camera=\"door\",bus=\"mqtt\",le=\"")?;
        let (bound, count) = rest.split_once("\"} ")?;
        Some((bound.parse().ok()?, count.parse().ok()?))
    });
    lines.collect()
}

/// The median of what came between the two, in milliseconds; even within a bucket.
fn middle(before: &[(f64, f64)], after: &[(f64, f64)]) -> f64 {
    let counts: Vec<(f64, f64)> =
        after.iter().zip(before).map(|(after, before)| (after.0, after.1 - before.1)).collect();
    let half = counts.last().unwrap().1 / 2.0;
    let at = counts.iter().position(|(_, below)| *below >= half).unwrap();
    let (low, below) = if at == 0 { (0.0, 0.0) } else { counts[at - 1] };
    let (high, up_to) = counts[at];
    1000.0 * (low + (high - low) * (half - below) / (up_to - below).max(1.0))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The machine's own ups and downs are slower than a round: each look at the crowd is compared with those beside it.
#[test]
#[ignore = "five minutes, and a release build: `make load`"]
fn a_hundred_and_twenty_viewers_beside_none() {
    let broker = Mosquitto::open();
    let mut messages = Subscriber::with(broker.port, "sightwire/cameras/door/detections", &["-F", "%U %p"]);
    let buses = format!("buses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n", broker.port);
    let node = Node::start("", &format!("  door: {{ source: \"{SOURCE}\", model: shapes, max_fps: 0 }}\n{buses}"));
    let (mut rounds, mut cores) = (Vec::new(), 0.5);
    for round in 0..ROUNDS {
        let alone = look(&node, &mut messages);
        let crowd = Crowd::gather(&node, CROWD);
        everybody_sees(&crowd, CROWD);
        let watched = look(&node, &mut messages);
        let seen = crowd.seen();
        let (read, shown) =
            (seen.mjpeg_bytes.load(Ordering::Relaxed) >> 20, seen.webrtc_pictures.load(Ordering::Relaxed));
        drop(crowd);
        until("all have left", || threads(&node) == 0);
        cores = if round == 0 { watched.viewers } else { f64::midpoint(cores, watched.viewers) };
        let burners = Burners::new(cores);
        let burnt = look(&node, &mut messages);
        drop(burners);
        for (name, look) in [("alone", &alone), ("watched", &watched), ("burnt", &burnt)] {
            eprintln!(
                "{round} {name:8} {:6.2} ms to the subscriber, {:6.2} ms to the socket, {:5.2} messages a second; cores: viewers {:.2}, node {:.2}",
                look.witness, look.own, look.rate, look.viewers, look.node
            );
        }
        eprintln!("{round} MJPEG {read} MiB, WebRTC {shown} pictures");
        rounds.push((alone, watched, burnt));
    }
    let ratio = |of: fn(&Look) -> f64, beside: fn(&(Look, Look, Look)) -> &Look| {
        median(&mut rounds.iter().map(|round| of(&round.1) / of(beside(round))).collect::<Vec<f64>>())
    };
    let superseded = metric(&node, "sightwire_video_superseded_total{camera=\"door\"}");
    println!(
        "With 100 MJPEG and 20 WebRTC viewers, medians of {ROUNDS} rounds' ratios ({superseded} frames superseded):"
    );
    for (what, beside) in
        [("without", (|r| &r.0) as fn(&(Look, Look, Look)) -> &Look), ("the same processor time burnt", |r| &r.2)]
    {
        println!(
            "beside {what}: capture to subscriber {:.3}, capture to socket {:.3}, messages a second {:.3}",
            ratio(|look| look.witness, beside),
            ratio(|look| look.own, beside),
            ratio(|look| look.rate, beside)
        );
    }
    let own = ratio(|look| look.own, |round| &round.0);
    assert!(own < WANTED, "capture to publish is {own:.3} times as long with the viewers; wanted: under {WANTED}");
}
