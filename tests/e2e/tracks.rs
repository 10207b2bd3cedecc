//! Identities over a whole boot: no id comes twice, however often the camera's session begins anew.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::Mosquitto;
use crate::node::{Home, SHAPES, buses, scene};
use crate::witness::{Inbox, MqttWitness, assert_valid, publish};

fn started(inbox: &Inbox, camera: &str) -> usize {
    inbox.of(camera, "events").iter().filter(|m| m.json()["event"] == "started").count()
}

/// Holds what must be true of a camera's events: ids that only grow, each ended once, spans that fit.
fn judge(inbox: &Inbox, camera: &str) {
    let mut open: BTreeMap<u64, Value> = BTreeMap::new();
    let mut last = 0;
    for (index, message) in inbox.of(camera, "events").iter().enumerate() {
        let event = message.json();
        assert_valid("event", &event);
        assert_eq!(event["seq"], index + 1);
        let id = event["track_id"].as_u64().unwrap();
        let span = event["last_seen"].as_f64().unwrap() - event["first_seen"].as_f64().unwrap();
        // A session that begins anew may begin its clock anew, but no track lives through that.
        assert!((event["duration"].as_f64().unwrap() - span).abs() < 0.001, "{event}");
        if event["event"] == "started" {
            assert!(id > last, "{camera}: id {id} after {last}");
            last = id;
            open.insert(id, event);
        } else {
            let begin = open.remove(&id).unwrap_or_else(|| panic!("{camera}: {id} ended, but is not open"));
            for same in ["first_bbox", "first_seen", "label"] {
                assert_eq!(begin[same], event[same], "{camera}: {same} of {id}");
            }
            assert!(event["duration"].as_f64() >= begin["duration"].as_f64());
        }
    }
}

#[test]
fn a_track_id_never_comes_back_however_often_the_camera_begins_anew() {
    let broker = Mosquitto::open();
    let witness = MqttWitness::v5(broker.port);
    let node = Home::new(&format!(
        "{}{SHAPES}cameras:\n  live: {{ source: {}, model: shapes, max_fps: 0 }}\n  short: {{ source: {}, model: shapes, max_fps: 0, pace: asap }}\n",
        buses(Some((broker.port, "5")), None),
        scene(15, "&objects=9&seed=5"),
        scene(15, "&objects=9&seed=6&frames=30")
    ))
    .start_owned();
    let inbox = &witness.inbox;
    let tell = |camera: &str, word: &str| {
        publish(broker.port, &format!("sightwire/cameras/{camera}/control"), word.as_bytes(), &[]);
    };
    for round in 1..=3 {
        let before = (started(inbox, "live"), started(inbox, "short"));
        if round > 1 {
            tell("live", "stop");
            node.wait_until("live", "stopped");
            tell("live", "start");
            tell("short", "start");
        }
        crate::node::wait_for("tracks begin", || {
            (started(inbox, "live") > before.0 && started(inbox, "short") > before.1).then_some(())
        });
        node.wait_until("live", "running");
        node.wait_until("short", "ended");
    }
    let (status, log) = node.end();
    assert!(status.success(), "{}", log.text());
    for camera in ["live", "short"] {
        assert!(started(inbox, camera) >= 3, "a track a round");
        judge(inbox, camera);
    }
}
