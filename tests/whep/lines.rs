//! Lines that lose, that are thin, that lead round a corner.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use str0m::media::Direction;

use crate::http::post;
use crate::node::PATIENCE;
use crate::viewer::{Offer, Viewer};
use crate::{figure, node, node_at};

/// Longer than the rest of the suite waits: what is lost is asked for again.
const LONG: Duration = Duration::from_mins(2);

#[test]
fn what_a_line_loses_is_sent_again_and_the_pictures_stay_whole() {
    let node = node("");
    let mut viewer = Viewer::open(&node.addr, "cam");
    viewer.loses_one_in = 10;
    let mut clocks = Vec::new();
    // A picture that is not whole is no picture here: the decoder would fail, or the clock be unreadable.
    let seen = viewer.watch(LONG, |shown| {
        clocks.extend(shown.clock);
        clocks.len() == 60
    });
    assert!(seen && clocks.is_sorted(), "only {} pictures", clocks.len());
    node.end();
}

#[test]
fn a_line_that_is_too_thin_is_sent_less_and_nobody_else_is() {
    let node = node("");
    let (mut thin, mut wide) = (Viewer::open(&node.addr, "cam"), Viewer::open(&node.addr, "cam"));
    // Three datagrams a second: less than the slowest machine sends.
    thin.lag = Duration::from_millis(300);
    let over = std::sync::atomic::AtomicBool::new(false);
    let skipped = || figure(&node, "sightwire_webrtc_frames_total", &[("outcome", "skipped")]);
    let (mut few, mut many) = (0, 0);
    std::thread::scope(|scope| {
        let (thin, wide, few, many, over) = (&mut thin, &mut wide, &mut few, &mut many, &over);
        let watch = |viewer: &mut Viewer, seen: &mut u32| {
            viewer.watch(LONG, |_| {
                *seen += 1;
                over.load(std::sync::atomic::Ordering::Relaxed)
            });
        };
        scope.spawn(move || watch(thin, few));
        scope.spawn(move || watch(wide, many));
        let begun = std::time::Instant::now();
        while skipped() < 5.0 && begun.elapsed() < LONG - PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(skipped() >= 5.0, "{} frames skipped; the thin line showed {few}, the wide {many}", skipped());
    assert!(few + 5 <= many, "{few} on the thin line, {many} on the wide");
    assert!(thin.is_alive() && wide.is_alive());
    node.end();
}

#[test]
fn the_newer_internet_protocol_will_do() {
    let node = node_at("[::1]:0", "");
    let offer = Offer::from(IpAddr::V6(Ipv6Addr::LOCALHOST), Direction::RecvOnly, true);
    let response = post(&node.addr, "cam", &offer.sdp);
    assert!(response.body.contains(" ::1 "), "{}", response.body);
    assert!(offer.accept(&response).watch(PATIENCE, |shown| shown.clock.is_some()));
    node.end();
}

#[test]
fn the_address_that_is_announced_is_told_alone_and_whoever_comes_by_it_is_answered() {
    let node = node("announce: [203.0.113.7]");
    let real: SocketAddr = node.addr.parse().unwrap();
    let told = SocketAddr::from(([203, 0, 113, 7], real.port()));
    let mut viewer = Viewer::open(&node.addr, "cam");
    let candidates: Vec<&str> = viewer.answer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    assert!(
        candidates.len() == 1 && candidates[0].contains(&format!(" 203.0.113.7 {} ", real.port())),
        "{candidates:?}"
    );
    viewer.leads_to = Some((told, real));
    assert!(viewer.watch(PATIENCE, |shown| shown.clock.is_some()));
    node.end();
}
