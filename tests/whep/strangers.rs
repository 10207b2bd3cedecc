//! Whoever knocks at the UDP port with something else, and whoever never comes.

use std::net::UdpSocket;

use str0m::media::Direction;

use crate::http::post;
use crate::node::{PATIENCE, wait_for};
use crate::viewer::{Offer, Viewer};
use crate::{figure, node};

/// Resident memory of the node, bytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn random_datagrams_disturb_no_viewer_and_leave_nothing_behind() {
    let node = node("");
    let mut viewer = Viewer::open(&node.addr, "cam");
    assert!(viewer.watch(PATIENCE, |_| true));
    let ufrag = viewer.answer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap().to_owned();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let before = memory(node.process.0.id());
    let send = |datagram: &[u8]| drop(stranger.send_to(datagram, &*node.addr));
    for round in 0..10_000u32 {
        let length = random.usize(..1500);
        let mut datagram: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        match (round % 5, datagram.first_mut()) {
            // As DTLS and RTP begin.
            (0, Some(first)) => *first = 22,
            (1, Some(first)) => *first = 0x80,
            // A request that names the viewer's session, without its password.
            (2, _) => {
                datagram = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
                datagram.extend((0..12).map(|_| random.u8(..)));
                let name = format!("{ufrag}:stranger");
                datagram.extend([0, 6, 0, u8::try_from(name.len()).unwrap()]);
                datagram.extend(name.as_bytes());
                datagram.resize(datagram.len().next_multiple_of(4), 0);
                let length = u16::try_from(datagram.len() - 20).unwrap().to_be_bytes();
                datagram[2..4].copy_from_slice(&length);
            }
            _ => {}
        }
        send(&datagram);
    }
    let mut seen = 0;
    assert!(
        viewer.watch(PATIENCE, |_| {
            seen += 1;
            seen == 10
        }),
        "the viewer sees on"
    );
    assert!(figure(&node, "sightwire_webrtc_stray_datagrams_total", &[]) > 1000.0);
    let after = memory(node.process.0.id());
    assert!(after < before + (16 << 20), "memory grew from {before} to {after}");
    let log = node.log.text();
    assert!(!log.contains("panic"), "{log}");
    node.end();
}

#[test]
fn whoever_offers_and_never_comes_loses_the_place() {
    let node = node("max_sessions: 3");
    let offer = Offer::new(Direction::RecvOnly, true);
    // The same offer again is another session: nothing is known of who sends it.
    let sessions: Vec<_> = (0..3).map(|_| post(&node.addr, "cam", &offer.sdp)).collect();
    assert!(sessions.iter().all(|session| session.status == 201));
    assert_ne!(sessions[0].header("location"), sessions[1].header("location"));
    assert_eq!(post(&node.addr, "cam", &offer.sdp).status, 503);
    assert_eq!(figure(&node, "sightwire_viewers", &[("camera", "cam"), ("way", "webrtc")]), 0.0);
    wait_for("their places are free", || {
        (figure(&node, "sightwire_webrtc_sessions_ended_total", &[("reason", "never_connected")]) == 3.0).then_some(())
    });
    assert!(Viewer::open(&node.addr, "cam").watch(PATIENCE, |_| true));
    node.end();
}
