//! Offers that cannot be answered.

use str0m::media::Direction;

use crate::http::{delete, post, request};
use crate::viewer::{Offer, Viewer};
use crate::{figure, node};

#[test]
fn an_offer_that_cannot_be_served_is_told_why() {
    let node = node("");
    let good = Offer::new(Direction::RecvOnly, true).sdp;
    let refused = |offer: &str, status: u16, why: &str| {
        let response = post(&node.addr, "cam", offer);
        assert_eq!(response.status, status, "{why}: {}", response.body);
        assert!(response.problem().contains(why), "{why}: {}", response.body);
    };
    refused("", 400, "no SDP");
    refused("hello", 400, "no SDP");
    refused(&good.replace("m=video", "m=audio"), 400, "no video");
    refused(&Offer::new(Direction::RecvOnly, false).sdp, 400, "no H264");
    refused(&Offer::new(Direction::SendOnly, true).sdp, 400, "does not want to receive");
    refused(&good.replace("a=fingerprint", "a=nothing"), 400, "fingerprint");
    refused(&"v=0\r\n".repeat(100_000), 413, "at most 65536 bytes");
    let typed =
        |kind: &str| request(&node.addr, "POST", "/cameras/cam/whep", &[("Content-Type", kind)], good.as_bytes());
    assert_eq!(typed("text/plain").status, 415);
    assert!(typed("application/json").problem().contains("application/sdp"));
    assert_eq!(post(&node.addr, "nobody", &good).status, 404);
    assert_eq!(post(&node.addr, "%20", &good).status, 404);
    assert_eq!(delete(&node.addr, "/cameras/cam/whep/0123456789abcdef"), 404);
    assert_eq!(delete(&node.addr, "/cameras/nobody/whep/0"), 404);
    let got = request(&node.addr, "GET", "/cameras/cam/whep", &[], b"");
    assert_eq!(got.status, 405);
    assert!(figure(&node, "sightwire_webrtc_sessions_refused_total", &[("reason", "offer")]) >= 6.0);
    assert_eq!(delete(&node.addr, &Viewer::open(&node.addr, "cam").location), 204);
    node.end();
}

/// Any byte of a true offer changed, lines lost, doubled and cut: an answer or a reason, and the node goes on.
#[test]
fn a_damaged_offer_is_answered_or_refused_and_harms_nothing() {
    let node = node("max_sessions: 1000");
    let good = Offer::new(Direction::RecvOnly, true).sdp;
    let mut random = fastrand::Rng::with_seed(7);
    let mut opened = 0;
    for round in 0..400 {
        let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..lines.len());
            match random.u8(..5) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), "99999999999"),
                3 => {
                    let end = random.usize(..=lines[at].len());
                    lines[at].truncate(end);
                }
                _ => {
                    let mut bytes = lines[at].clone().into_bytes();
                    if let Some(byte) = bytes.get_mut(random.usize(..200)) {
                        *byte = random.u8(b' '..=b'~');
                    }
                    lines[at] = String::from_utf8(bytes).unwrap();
                }
            }
        }
        let response = post(&node.addr, "cam", &(lines.join("\r\n") + "\r\n"));
        match response.status {
            201 => {
                opened += 1;
                assert_eq!(delete(&node.addr, response.header("location")), 204, "round {round}");
            }
            400 => assert!(!response.problem().is_empty()),
            status => panic!("round {round}: {status} {}", response.body),
        }
    }
    assert!(opened > 0, "some were harmless");
    let log = node.log.text();
    assert!(!log.contains("panic"), "{log}");
    assert_eq!(figure(&node, "sightwire_webrtc_sessions_ended_total", &[("reason", "failed")]), 0.0);
    assert!(Viewer::open(&node.addr, "cam").watch(crate::node::PATIENCE, |_| true));
    node.end();
}
