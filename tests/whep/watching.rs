//! A viewer that does everything right.

use std::time::Duration;

use sightwire::domain::Timestamp;

use crate::http::{delete, request};
use crate::node::{PATIENCE, wait_for};
use crate::viewer::Viewer;
use crate::{figure, node, say};

const CAMERA: [(&str, &str); 2] = [("camera", "cam"), ("way", "webrtc")];

#[test]
fn a_viewer_sees_the_camera_from_an_idr_picture_on_with_the_right_time_in_it() {
    let begun = Timestamp::now();
    let node = node("");
    assert_eq!(figure(&node, "sightwire_viewers", &CAMERA), 0.0);
    let mut viewer = Viewer::open(&node.addr, "cam");
    let mut clocks = Vec::new();
    let seen = viewer.watch(PATIENCE, |shown| {
        assert_eq!((shown.width, shown.height), (480, 240));
        // Labels may lie over both strips.
        let Some(clock) = shown.clock else { return false };
        assert!(clock >= begun && clock <= shown.at, "{clock:?} at {:?}", shown.at);
        clocks.push(clock);
        clocks.len() == 20
    });
    assert!(seen, "only {} pictures", clocks.len());
    assert!(clocks.is_sorted(), "pictures came in their order");
    assert!(clocks.first() < clocks.last());
    // SPS, PPS and IDR first; what follows leans on it.
    assert_eq!(viewer.units[0], [7, 8, 5]);
    assert_eq!(figure(&node, "sightwire_viewers", &CAMERA), 1.0);
    assert!(figure(&node, "sightwire_webrtc_frames_total", &[("outcome", "sent")]) >= 20.0);

    // A decoder that lost its way is helped.
    let before = viewer.units.len();
    viewer.ask_for_idr();
    let mut after = 0;
    viewer.watch(PATIENCE, |_| {
        after += 1;
        after == 30
    });
    assert!(viewer.units[before..].iter().any(|unit| unit == &[7, 8, 5]), "{:?}", &viewer.units[before..]);

    assert_eq!(delete(&node.addr, &viewer.location), 204);
    assert!(!viewer.watch(PATIENCE, |_| false) && !viewer.is_alive(), "the viewer was told good-bye");
    wait_for("the session is gone", || (delete(&node.addr, &viewer.location) == 404).then_some(()));
    wait_for("nobody watches", || (figure(&node, "sightwire_viewers", &CAMERA) == 0.0).then_some(()));
    assert_eq!(figure(&node, "sightwire_webrtc_sessions_ended_total", &[("reason", "left")]), 1.0);
    node.end();
}

#[test]
fn a_viewer_that_closes_its_connection_is_gone_and_one_too_many_is_refused() {
    let node = node("max_sessions: 2");
    let mut viewers: Vec<Viewer> = (0..2).map(|_| Viewer::open(&node.addr, "cam")).collect();
    for viewer in &mut viewers {
        assert!(viewer.watch(PATIENCE, |_| true));
    }
    let offer = crate::viewer::Offer::new(str0m::media::Direction::RecvOnly, true);
    let refused = crate::http::post(&node.addr, "cam", &offer.sdp);
    assert_eq!(refused.status, 503);
    assert!(refused.problem().contains("max_sessions"), "{}", refused.body);
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(figure(&node, "sightwire_webrtc_sessions_refused_total", &[("reason", "full")]), 1.0);

    viewers[0].hang_up();
    wait_for("its place is free", || (figure(&node, "sightwire_viewers", &CAMERA) == 1.0).then_some(()));
    let mut next = Viewer::open(&node.addr, "cam");
    assert!(next.watch(PATIENCE, |_| true), "the next one has the place");
    assert!(viewers[1].watch(PATIENCE, |_| true), "the other one saw nothing of it");
    node.end();
}

#[test]
fn a_stopped_camera_shows_its_slate_and_the_end_of_the_node_is_said() {
    let node = node("");
    let mut viewer = Viewer::open(&node.addr, "cam");
    assert!(viewer.watch(PATIENCE, |shown| shown.clock.is_some()));
    say(&node, "stop");
    node.wait_until("cam", "stopped");
    let mut slates = 0;
    let slate = viewer.watch(PATIENCE, |shown| {
        slates = if shown.clock.is_none() { slates + 1 } else { 0 };
        slates == 3
    });
    assert!(slate, "pictures that say it is stopped");
    say(&node, "start");
    assert!(viewer.watch(PATIENCE, |shown| shown.clock.is_some()), "and the camera again");
    let (status, log) = node.end();
    assert!(status.success(), "{}", log.text());
    assert!(!viewer.watch(Duration::from_secs(5), |_| false) && !viewer.is_alive(), "the viewer was told good-bye");
}

#[test]
fn candidates_that_come_later_are_taken_with_the_sessions_etag_only() {
    let node = node("");
    let viewer = Viewer::open(&node.addr, "cam");
    let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
    let fragment = b"a=ice-ufrag:x\r\na=ice-pwd:y\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 x.local 9 typ host\r\n";
    let patch = |path: &str, headers: &[(&str, &str)], body: &[u8]| request(&node.addr, "PATCH", path, headers, body);
    let at = &viewer.location;
    assert_eq!(patch(at, &[kind, ("If-Match", &viewer.etag)], fragment).status, 204);
    assert_eq!(patch(at, &[kind], fragment).status, 428);
    assert_eq!(patch(at, &[kind, ("If-Match", "\"other\"")], fragment).status, 412);
    assert_eq!(patch(at, &[kind, ("If-Match", "*")], fragment).status, 422);
    assert_eq!(patch(at, &[kind, ("If-Match", &viewer.etag)], b"nonsense").status, 400);
    assert_eq!(patch(at, &[("If-Match", &viewer.etag)], fragment).status, 415);
    assert_eq!(patch("/cameras/cam/whep/0", &[kind, ("If-Match", &viewer.etag)], fragment).status, 404);
    let options = request(&node.addr, "OPTIONS", "/cameras/cam/whep", &[], b"");
    assert_eq!((options.status, options.header("accept-post")), (204, "application/sdp"));
    node.end();
}
