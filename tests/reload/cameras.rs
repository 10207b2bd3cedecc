//! Cameras come, go and begin anew; the others do not notice.

use std::collections::BTreeSet;

use serde_json::json;

use crate::common::retained;
use crate::node::wait_for;
use crate::witness::{Received, publish};
use crate::{Yard, camera, names};

const KEYFRAMES: &str = ", max_fps: 0, keyframes: { when: [detections], every: 1s }";

/// Tracks that began and did not end, by their ids; fails if one began twice.
fn open_tracks(yard: &Yard, camera: &str) -> BTreeSet<u64> {
    let (mut open, mut ever) = (BTreeSet::new(), BTreeSet::new());
    for message in yard.witness.inbox.of(camera, "events") {
        let event = message.json();
        let id = event["track_id"].as_u64().unwrap();
        if event["event"] == "started" {
            assert!(ever.insert(id), "{camera}: track {id} began twice");
            open.insert(id);
        } else {
            assert!(open.remove(&id), "{camera}: track {id} ended without a beginning");
        }
    }
    open
}

fn retained_of(yard: &Yard, camera: &str) -> Vec<String> {
    let counts = ["circle", "square", "triangle"].map(|label| format!("counts/{label}"));
    let kinds = ["status", "state", "keyframe", "keyframe/meta"].map(str::to_owned).into_iter().chain(counts);
    let topics = kinds.map(|kind| format!("sightwire/cameras/{camera}/{kind}"));
    topics.filter(|topic| retained(yard.broker.port, topic).is_some()).collect()
}

#[test]
fn only_what_changed_restarts_and_the_others_lose_nothing() {
    let stays = camera("stays", 15, 1, ", max_fps: 0");
    let before = [stays.clone(), camera("goes", 15, 2, KEYFRAMES), camera("moves", 15, 3, KEYFRAMES)];
    let yard = Yard::open(&before.concat());
    for name in ["stays", "goes", "moves"] {
        yard.flows(name);
    }
    yard.witness.inbox.wait("a picture", |m| m.is_of("goes", "keyframe"));
    wait_for("tracks are open", || (!open_tracks(&yard, "goes").is_empty()).then_some(()));

    let after = [stays, camera("moves", 12, 4, KEYFRAMES), camera("comes", 15, 5, "")];
    yard.write(&after.concat());
    let done = yard.hang_up();
    assert_eq!(done["ok"], true, "{done}");
    let lists = ["added", "removed", "restarted", "changed", "needs_restart"].map(|list| names(&done[list]));
    assert_eq!(lists, [vec!["comes"], vec!["goes"], vec!["moves"], vec![], vec![]], "{done}");
    for name in ["stays", "moves", "comes"] {
        yard.flows(name);
    }

    // Nothing is left of the one that went: no open track, no retained word, no series, no ear.
    assert_eq!(open_tracks(&yard, "goes"), BTreeSet::new());
    assert_eq!(retained_of(&yard, "goes"), Vec::<String>::new());
    assert!(retained_of(&yard, "moves").len() > 4, "{:?}", retained_of(&yard, "moves"));
    let page = yard.node.metrics();
    assert!(page.samples.iter().all(|sample| sample.labels.get("camera").is_none_or(|camera| camera != "goes")));
    assert!(page.sum("sightwire_frames_total", &[("camera", "comes")]) > 0.0);
    assert_eq!(yard.node.get("/api/cameras/goes").0, 404);
    publish(yard.broker.port, "sightwire/cameras/goes/control", b"status", &[]);
    publish(yard.broker.port, "sightwire/cameras/comes/control", b"status", &[]);
    let replies = yard.witness.inbox.wait("the new one's answer", |m| m.topic == "sightwire/nodes/garage/replies");
    assert_eq!(replies.json()["target"], "camera/comes");
    let said = yard.witness.inbox.of("goes", "detections").len();

    // It comes back in the same boot: its numbers go on.
    yard.write(&before.concat());
    let done = yard.hang_up();
    assert_eq!(names(&done["added"]), ["goes"], "{done}");
    yard.flows("goes");
    assert!(yard.node.metrics().sum("sightwire_frames_total", &[("camera", "goes")]) > 0.0);
    assert!(yard.witness.inbox.of("goes", "detections").len() > said);
    for name in ["stays", "goes", "moves"] {
        let (detections, events) = yard.is_whole(name);
        assert!(detections > 10 && events > 0, "{name}: {detections} detections, {events} events");
        open_tracks(&yard, name);
    }
    // The one that stayed did so in every respect: no frame lost, no reconnect, never offline again.
    let stays = yard.node.camera("stays");
    assert_eq!(stays["actual"], "running");
    let words: Vec<String> = yard.witness.inbox.of("stays", "status").iter().map(Received::text).collect();
    assert_eq!(words, ["offline", "online"], "connecting, then running");
    let frames: Vec<u64> = yard
        .witness
        .inbox
        .of("stays", "detections")
        .iter()
        .map(|m| m.json()["frame"]["id"].as_u64().unwrap())
        .collect();
    assert!(frames.is_sorted(), "{frames:?}");
}

#[test]
fn a_camera_that_is_commented_out_for_an_hour_comes_back_as_it_was() {
    let (a, b) = (camera("a", 5, 1, ""), camera("b", 5, 2, ""));
    let mut yard = Yard::open(&[a.as_str(), &b].concat());
    yard.flows("b");
    publish(yard.broker.port, "sightwire/cameras/b/control", b"stop", &[]);
    yard.node.wait_until("b", "stopped");
    yard.write(&a);
    assert_eq!(names(&yard.hang_up()["removed"]), ["b"]);
    // What is remembered of the others is written anew meanwhile, and the node restarted.
    publish(yard.broker.port, "sightwire/cameras/a/control", b"pause", &[]);
    yard.node.wait_until("a", "paused");
    yard.node.process.signal("TERM");
    yard.node.process.wait();
    yard.node = yard.home.start();
    yard.write(&[a.as_str(), &b].concat());
    assert_eq!(names(&yard.hang_up()["added"]), ["b"]);
    yard.node.wait_until("b", "stopped");
    yard.node.wait_until("a", "paused");
}

#[test]
fn the_command_answers_with_what_was_applied_and_two_at_once_are_taken_one_after_the_other() {
    let a = camera("a", 10, 1, "");
    let yard = Yard::open(&a);
    yard.flows("a");
    yard.write(&[a.as_str(), &camera("b", 10, 2, "")].concat());
    let answer = yard.reload("one");
    assert_eq!((&answer["ok"], &answer["target"]), (&json!(true), &json!("node/garage")), "{answer}");
    assert_eq!(names(&answer["state"]["reload"]["added"]), ["b"], "{answer}");
    let cameras = answer["state"]["cameras"].as_array().unwrap();
    assert_eq!(cameras.iter().map(|camera| camera["name"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    yard.flows("b");
    // Nothing changed: nothing is done.
    let answer = yard.reload("nothing");
    let lists = ["added", "removed", "restarted", "changed"].map(|list| names(&answer["state"]["reload"][list]).len());
    assert_eq!((&answer["ok"], lists), (&json!(true), [0; 4]), "{answer}");
    // A flood of them, from both sides: every one is answered, and the node stands.
    yard.write(&a);
    for round in 0..5 {
        yard.node.process.signal("HUP");
        publish(yard.broker.port, "sightwire/control", b"reload", &[]);
        if round == 2 {
            yard.write(&[a.as_str(), &camera("c", 10, 3, "")].concat());
        }
    }
    let is_answer = |m: &Received| m.topic == "sightwire/nodes/garage/replies" && m.json()["command"] == "reload";
    for answer in yard.witness.inbox.wait_many("five answers", 5, is_answer) {
        assert_eq!(answer.json()["ok"], true, "{}", answer.text());
    }
    yard.flows("c");
    yard.flows("a");
    assert!(yard.is_whole("a").0 > 10);
    assert_eq!(yard.node.get("/api/cameras/b").0, 404);
}
