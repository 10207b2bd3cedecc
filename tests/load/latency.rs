//! How old is what one sees? The scene carries its time of capture in the picture.

use std::time::{Duration, Instant};

use sightwire::domain::Timestamp;
use sightwire::source::synthetic::read_clock;

use crate::client::Node;
use crate::viewer::{Viewer, decode};
use crate::whep;

const CLOCK: &str =
    "  door: { source: \"synthetic:shapes?width=640&height=480&fps=15&clock=true\", model: shapes, max_fps: 0 }\n";
const PICTURES: usize = 150;

fn age(at: Timestamp) -> f64 {
    (Timestamp::now().as_secs_f64() - at.as_secs_f64()) * 1000.0
}

fn mjpeg(node: &Node) -> Vec<f64> {
    let mut viewer = Viewer::of(node, "door");
    let mut ages = Vec::new();
    while ages.len() < PICTURES {
        let (picture, width, height) = decode(&viewer.frame().jpeg);
        ages.extend(read_clock(&picture, width, height).map(age));
    }
    ages
}

fn webrtc(node: &Node) -> Vec<f64> {
    let mut viewer = whep::Viewer::open(&node.address, "door");
    let mut ages = Vec::new();
    viewer.watch(Duration::from_mins(2), |shown| {
        ages.extend(shown.clock.map(age));
        ages.len() == PICTURES
    });
    ages
}

/// As a player does that stays as near to now as the playlist lets it: each segment is shown from when it is whole, at its pace.
fn hls(node: &Node) -> Vec<f64> {
    let at = |line: &str| humantime::parse_rfc3339(line).unwrap();
    let (mut ages, mut last) = (Vec::new(), String::new());
    let begun = Instant::now();
    while ages.len() < 20 && begun.elapsed() < Duration::from_mins(2) {
        let list = node.get("/cameras/door/hls/index.m3u8", &[]).expect(200).text();
        let newest = list.lines().last().unwrap().to_owned();
        if newest != last {
            let captured = list.lines().rev().find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")).unwrap();
            node.get(&format!("/cameras/door/hls/{newest}"), &[]).expect(200);
            // Its first picture is shown now, so it is the age of all that follow at their pace.
            ages.push(at(captured).elapsed().unwrap().as_secs_f64() * 1000.0);
            last = newest;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ages
}

#[test]
#[ignore = "durations, and a release build: `make load`"]
fn what_one_sees_is_of_a_moment_ago() {
    let node = Node::start("", CLOCK);
    node.until_state("door", "running");
    for (way, ages, most) in
        [("MJPEG", mjpeg(&node), 150.0), ("WebRTC", webrtc(&node), 150.0), ("HLS", hls(&node), 3000.0)]
    {
        let mut ages = ages;
        ages.sort_by(f64::total_cmp);
        let (p50, p95) = (ages[ages.len() / 2], ages[ages.len() * 95 / 100]);
        println!("capture to picture by {way}: p50 {p50:.0} ms, p95 {p95:.0} ms, of {} pictures", ages.len());
        assert!(p50 < most, "{way}: {p50} ms, wanted: under {most}");
    }
}
