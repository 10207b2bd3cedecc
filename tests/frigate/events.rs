//! Events, counts and pictures of a scene, held against Frigate's documentation and against Sightwire's own messages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::common::Mosquitto;
use crate::node::{Home, wait_for};
use crate::witness::{Inbox, Received};
use crate::{ON, camera, counted, retained, text, witness};

/// Every key of `before` and `after` in <https://docs.frigate.video/integrations/mqtt/>, but for licence plates.
const DOCUMENTED: [&str; 27] = [
    "id",
    "camera",
    "frame_time",
    "snapshot",
    "label",
    "sub_label",
    "top_score",
    "false_positive",
    "start_time",
    "end_time",
    "score",
    "box",
    "area",
    "ratio",
    "region",
    "current_zones",
    "entered_zones",
    "thumbnail",
    "has_snapshot",
    "has_clip",
    "active",
    "stationary",
    "motionless_count",
    "position_changes",
    "attributes",
    "current_attributes",
    "current_estimated_speed",
];
const OF_SNAPSHOT: [&str; 6] = ["frame_time", "box", "area", "region", "score", "attributes"];

/// The messages of each object, in their order.
fn by_id(inbox: &Inbox) -> BTreeMap<String, Vec<Received>> {
    let mut objects: BTreeMap<String, Vec<Received>> = BTreeMap::new();
    for message in inbox.all().into_iter().filter(|m| m.topic == "frigate/events") {
        let id = message.json()["after"]["id"].as_str().unwrap().to_owned();
        objects.entry(id).or_default().push(message);
    }
    objects
}

fn kinds(told: &[Received]) -> Vec<String> {
    told.iter().map(|m| m.json()["type"].as_str().unwrap().to_owned()).collect()
}

fn pixels(bbox: &Value) -> [u64; 4] {
    let list = bbox.as_array().unwrap();
    assert_eq!(list.len(), 4);
    [0, 1, 2, 3].map(|at| list[at].as_u64().expect("whole pixels"))
}

/// Names, types and units of one object's view.
fn is_frigates(view: &Value) {
    for key in DOCUMENTED {
        assert!(view.get(key).is_some(), "no {key}: {view}");
    }
    let [x0, y0, x1, y1] = pixels(&view["box"]);
    assert!(x0 < x1 && x1 <= 320 && y0 < y1 && y1 <= 240, "within the frame, in pixels: {view}");
    assert_eq!(view["area"], (x1 - x0) * (y1 - y0));
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let ratio = (x1 - x0) as f64 / (y1 - y0) as f64;
    assert!((view["ratio"].as_f64().unwrap() - ratio).abs() < 1e-4, "{view}");
    assert_eq!(pixels(&view["region"]), [0, 0, 320, 240]);
    assert_eq!(view["active"], !view["stationary"].as_bool().unwrap());
    assert!(view["label"].is_string());
    assert!(view["score"].as_f64().unwrap() <= 1.0 && view["top_score"].as_f64().unwrap() <= 1.0);
    if let Value::Object(snapshot) = &view["snapshot"] {
        assert_eq!(snapshot.keys().map(String::as_str).collect::<BTreeSet<_>>(), OF_SNAPSHOT.into());
        assert!(snapshot["frame_time"].as_f64() <= view["frame_time"].as_f64());
    }
}

/// One object's messages, from `new` to `end`, tell one story; and it is the one that Sightwire's own events tell.
fn is_a_story(told: &[Received], own: &[Value]) {
    let mut before = Value::Null;
    let mut id = None;
    for (at, message) in told.iter().enumerate() {
        assert_eq!((message.qos, message.retain), (1, false));
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        let said = message.json();
        let (was, is) = (&said["before"], &said["after"]);
        [was, is].into_iter().for_each(is_frigates);
        assert_eq!(*id.get_or_insert(is["id"].clone()), is["id"]);
        assert_eq!((&was["id"], &is["camera"]), (&is["id"], &"left".into()));
        assert!(is["frame_time"].as_f64() >= is["start_time"].as_f64());
        assert_eq!(is["false_positive"], false);
        assert_eq!(was["false_positive"], at == 0, "what was not confirmed might have been nothing");
        if at > 0 {
            assert_eq!(*was, before, "as it was told last");
        }
        assert_eq!(is["end_time"].is_null(), said["type"] != "end");
        before = is.clone();
    }
    let start = before["start_time"].as_f64().unwrap();
    let (seconds, tail) = id.as_ref().unwrap().as_str().unwrap().split_once('-').unwrap();
    assert_eq!(seconds, format!("{start:.6}"));
    assert!(tail.len() == 6 && tail.bytes().all(|c| c.is_ascii_alphanumeric()));
    // Several may begin and end at the same moment.
    let of = |kind: &str, key: &str, time: &Value, fits: &dyn Fn(&Value) -> bool| {
        let same = |event: &Value| {
            event["event"] == kind && event["label"] == before["label"] && event[key] == *time && fits(event)
        };
        assert!(own.iter().any(same), "no {kind} of {time}: {before}");
    };
    let first = pixels(&told[0].json()["after"]["box"]);
    let is_there = |event: &Value| {
        let scaled = [320.0, 240.0, 320.0, 240.0].into_iter().zip(event["bbox"].as_array().unwrap());
        // The fractions of our own message are rounded.
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        let off = |(found, (size, share)): (u64, (f64, &Value))| (found as f64 - share.as_f64().unwrap() * size).abs();
        first.into_iter().zip(scaled).map(off).all(|off| off < 0.6)
    };
    of("started", "first_seen", &before["start_time"], &is_there);
    of("ended", "last_seen", &before["end_time"], &|_| true);
}

#[test]
fn an_objects_events_go_from_new_over_update_to_end_in_frigates_words() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    // No keyframes: pictures are made for Frigate's topics alone.
    let node = Home::new(&text(&broker, ON, &camera("left", ""))).start_owned();
    node.wait_until("left", "running");
    let inbox = &witness.inbox;
    let whole = |told: &Vec<Received>| {
        let kinds = kinds(told);
        kinds.len() > 2 && kinds.last().is_some_and(|last| last == "end")
    };
    wait_for("some objects went their way", || {
        (by_id(inbox).values().filter(|told| whole(told)).count() > 2).then_some(())
    });
    let own: Vec<Value> = inbox.of("left", "events").iter().map(Received::json).collect();
    let objects = by_id(inbox);
    for told in objects.values() {
        let kinds = kinds(told);
        assert_eq!(kinds[0], "new");
        let middle = kinds[1..].iter().rev().skip(usize::from(kinds.last().unwrap() == "end"));
        assert!(middle.clone().all(|kind| kind == "update"), "{kinds:?}");
    }
    objects.values().filter(|told| whole(told)).for_each(|told| is_a_story(told, &own));
}

#[test]
fn counts_and_pictures_are_retained_and_a_camera_that_stops_counts_zero() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    let node = Home::new(&text(&broker, ON, &camera("left", ", labels: [circle, square]"))).start_owned();
    let inbox = &witness.inbox;
    // Zeros first, of what is looked for.
    for label in ["circle", "square", "all"] {
        let first = inbox.wait("a zero", |m| m.topic == format!("frigate/left/{label}"));
        assert_eq!((first.text().as_str(), first.retain, first.qos), ("0", true, 1));
        assert_eq!(inbox.wait("a zero", |m| m.topic == format!("frigate/left/{label}/active")).text(), "0");
    }
    let counts = counted(&broker, "left");
    assert_eq!(counts["all"], counts["circle"] + counts["square"], "{counts:?}");
    assert!(counts["all/active"] <= counts["all"], "{counts:?}");
    assert_eq!(counts.len(), 6, "two labels and all of them: {counts:?}");

    let picture = |m: &Received| m.topic.starts_with("frigate/left/") && m.topic.ends_with("/snapshot");
    let jpeg = inbox.wait("a picture", picture);
    assert!(jpeg.payload.starts_with(&[0xff, 0xd8]) && jpeg.payload.ends_with(&[0xff, 0xd9]), "a whole JPEG");
    assert_eq!((jpeg.retain, jpeg.qos, jpeg.content_type.as_deref()), (true, 1, Some("image/jpeg")));
    assert!(["circle", "square"].iter().any(|label| jpeg.topic == format!("frigate/left/{label}/snapshot")));
    assert!(retained(&broker, &jpeg.topic)[&jpeg.topic].ends_with(" bytes"));
    assert!(inbox.of("left", "keyframe").is_empty(), "no keyframes are configured");

    let open = |inbox: &Inbox| by_id(inbox).into_values().filter(|told| kinds(told).last().unwrap() != "end").count();
    wait_for("an object is in sight", || (open(inbox) > 0).then_some(()));
    crate::witness::publish(broker.port, "sightwire/cameras/left/control", b"stop", &[]);
    node.wait_until("left", "stopped");
    wait_for("zeros", || crate::counts(&broker, "left").values().all(|count| *count == 0).then_some(()));
    wait_for("every object has ended", || (open(inbox) == 0).then_some(()));
    assert!(
        retained(&broker, &jpeg.topic)[&jpeg.topic].ends_with(" bytes"),
        "the last picture stays, as Frigate's does"
    );
}

#[test]
fn a_picture_is_a_keyframe_and_frigates_at_once_where_both_are_wanted() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    let keyframes = ", keyframes: { when: [event], every: 0s }";
    let node = Home::new(&text(&broker, ON, &camera("left", keyframes))).start_owned();
    let inbox = &witness.inbox;
    let both = || {
        let all = inbox.all();
        let of = |wanted: &dyn Fn(&&Received) -> bool| -> BTreeSet<Vec<u8>> {
            all.iter().filter(wanted).map(|m| m.payload.clone()).collect()
        };
        let frigates = of(&|m| m.topic.ends_with("/snapshot"));
        let own = of(&|m| m.is_of("left", "keyframe"));
        frigates.intersection(&own).next().is_some().then_some(())
    };
    wait_for("the same picture at both", both);
    assert!(node.metrics().sum("sightwire_keyframes_total", &[("outcome", "failed")]) < 1.0);
}

#[test]
fn without_the_section_nothing_is_said_there() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    let node = Home::new(&text(&broker, "", &camera("left", ""))).start_owned();
    witness.inbox.wait_many("detections", 10, |m| m.is_of("left", "detections"));
    node.wait_until("left", "running");
    assert!(witness.inbox.all().iter().all(|m| !m.topic.starts_with("frigate/")));
}
