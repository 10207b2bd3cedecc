//! Runs that end by themselves, and reloads at the end.

use std::time::Duration;

use crate::common::Mosquitto;
use crate::node::{Home, SHAPES, buses, scene};

#[test]
fn until_done_waits_for_what_a_reload_brought_and_not_for_what_it_took_away() {
    let broker = Mosquitto::open();
    let line = |name: &str, frames: u32| {
        let source = scene(20, &format!("&frames={frames}"));
        format!("  {name}: {{ source: {source}, model: shapes, max_fps: 0, queue: {{ when_full: block }} }}\n")
    };
    let head = format!("{}{SHAPES}cameras:\n", buses(Some((broker.port, "5")), None));
    // The first would take five minutes.
    let home = Home::new(&format!("{head}{}{}", line("long", 6000), line("short", 60)));
    let node = home.start_until_done();
    node.wait_until("short", "running");
    home.rewrite(&format!("{head}{}{}", line("short", 60), line("later", 100)));
    node.process.signal("HUP");
    node.log.wait("of the reload", |line| line.contains("configuration reloaded"));
    let summary = node.done();
    let cameras: Vec<(&str, u64)> = summary["cameras"]
        .as_array()
        .unwrap()
        .iter()
        .map(|camera| (camera["camera"].as_str().unwrap(), camera["frames_inferred"].as_u64().unwrap()))
        .collect();
    assert_eq!(cameras, [("later", 100), ("short", 60)], "{summary}");
}

#[test]
fn a_reload_at_the_end_does_no_harm() {
    let broker = Mosquitto::open();
    let camera = format!("  a: {{ source: {}, model: shapes }}\n", scene(10, ""));
    let home = Home::new(&format!("{}{SHAPES}cameras:\n{camera}", buses(Some((broker.port, "5")), None)));
    for wait in [0, 30, 200] {
        let mut node = home.start();
        node.wait_until("a", "running");
        node.process.signal("HUP");
        std::thread::sleep(Duration::from_millis(wait));
        node.process.signal("TERM");
        node.process.signal("HUP");
        let (status, log) = node.ended();
        assert!(status.success(), "{status}\n{}", log.text());
        assert!(!log.text().contains("panicked"), "{}", log.text());
    }
}
