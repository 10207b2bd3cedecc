//! Pictures: which frame they show, and that they show it.

use std::io::Write;
use std::process::{Command, Stdio};

use sightwire::source::synthetic::{Scene, SceneParams};

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, buses};
use crate::witness::{MqttWitness, NatsWitness, Received, assert_valid};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
const SEED: u64 = 11;

fn home(buses: &str, keyframes: &str) -> Home {
    Home::new(&format!(
        "{buses}{SHAPES}cameras:\n  door:\n    source: \"synthetic:shapes?width={WIDTH}&height={HEIGHT}&fps=5&seed={SEED}\"\n    \
         model: shapes\n    keyframes: {{ {keyframes} }}\n"
    ))
}

/// Width and height, out of the frame header of a whole JPEG.
pub fn size_of(jpeg: &[u8]) -> (u32, u32) {
    assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]), "not a whole JPEG");
    let word = |at: usize| u32::from(jpeg[at]) << 8 | u32::from(jpeg[at + 1]);
    let mut at = 2;
    loop {
        assert_eq!(jpeg[at], 0xff, "a segment begins");
        if matches!(jpeg[at + 1], 0xc0..=0xc2) {
            return (word(at + 7), word(at + 5));
        }
        at += 2 + word(at + 2) as usize;
    }
}

/// Decoded by ffmpeg: packed BGR.
fn decode(jpeg: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mjpeg", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "bgr24", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let jpeg = jpeg.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&jpeg));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The mean over all bytes of how far they are apart.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let mean = sum as f64 / a.len() as f64;
    mean
}

fn number(message: &Received, property: &str) -> u64 {
    let text = message.properties.get(property).unwrap_or_else(|| panic!("no {property}: {:?}", message.properties));
    text.parse().unwrap()
}

#[test]
fn a_keyframe_is_the_picture_of_the_detections_message_that_its_metadata_names() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let (mqtt, nats) = (MqttWitness::v5(broker.port), NatsWitness::new(server.port));
    let both = buses(Some((broker.port, "5")), Some(server.port));
    let node = home(&both, "when: [detections], every: 0s, overlay: false, quality: 95").start_owned();
    let scene =
        Scene::new(SceneParams { width: WIDTH, height: HEIGHT, fps: 5.0, seed: SEED, ..SceneParams::default() });
    for inbox in [&mqtt.inbox, &nats.inbox] {
        for picture in inbox.wait_many("keyframes", 5, |m| m.is_of("door", "keyframe")) {
            assert_eq!(picture.content_type.as_deref(), Some("image/jpeg"));
            assert_eq!(size_of(&picture.payload), (WIDTH, HEIGHT));
            let (frame, seq) = (number(&picture, "frame_id"), number(&picture, "seq"));
            assert_eq!((number(&picture, "width"), number(&picture, "frame_height")), (WIDTH.into(), HEIGHT.into()));
            assert_eq!(picture.properties["camera"], "door");

            let said = inbox.wait("its detections", |m| m.is_of("door", "detections") && m.detections().seq == seq);
            assert_eq!(said.detections().frame.id, frame);
            assert_eq!(said.detections().boot_id.as_str(), picture.properties["boot_id"]);

            let decoded = decode(&picture.payload);
            let mut bgr = Vec::new();
            let mut apart = |index: u64| {
                scene.render(index, &mut bgr);
                difference(&decoded, &bgr)
            };
            let (here, later) = (apart(frame - 1), apart(frame + 1));
            assert!(
                here < 6.0 && here < later,
                "frame {frame}: {here:.2} from itself, {later:.2} from the next but one"
            );
        }
    }
    // The metadata goes its own way too, and belongs to a picture.
    let meta = mqtt.inbox.wait("metadata", |m| m.is_of("door", "keyframe/meta"));
    assert_valid("keyframe-meta", &meta.json());
    let id = meta.json()["frame"]["id"].as_u64().unwrap();
    let picture = mqtt.inbox.wait("its picture", |m| m.is_of("door", "keyframe") && number(m, "frame_id") == id);
    assert_eq!(meta.json()["bytes"], picture.payload.len());
    assert!(picture.qos == 1 && picture.retain && meta.retain, "kept by the broker");
    // Whoever comes late sees the last one at once; HTTP has it too.
    let late = MqttWitness::v311(broker.port);
    late.inbox.wait("the retained picture", |m| m.is_of("door", "keyframe") && m.retain);
    assert_eq!(node.get("/cameras/door/keyframe.jpg").0, 200);
    assert_eq!(node.get("/cameras/nobody/keyframe.jpg").0, 404);
    assert!(!nats.stored("sightwire.cameras.door.keyframe").is_empty(), "kept by the stream");
}

#[test]
fn a_keyframe_comes_with_each_event_scaled_down_as_asked() {
    let broker = Mosquitto::open();
    let witness = MqttWitness::v5(broker.port);
    let node = home(&buses(Some((broker.port, "5")), None), "when: [event], every: 0s, max_width: 160").start_owned();
    let picture = witness.inbox.wait("a keyframe", |m| m.is_of("door", "keyframe"));
    assert_eq!(size_of(&picture.payload), (160, 120));
    assert_eq!(picture.properties["reason"], "event");
    assert_eq!((number(&picture, "frame_width"), number(&picture, "width")), (320, 160));
    // The boxes were computed on this very frame: its detections message names the object that the event is about.
    let said = number(&picture, "seq");
    let detections =
        witness.inbox.wait("its detections", |m| m.is_of("door", "detections") && m.detections().seq == said);
    let detections = detections.detections();
    let event = witness
        .inbox
        .wait("the event", |m| m.is_of("door", "events") && m.event().timestamp == detections.timestamp)
        .event();
    assert!(detections.detections.iter().any(|d| d.track_id == Some(event.track_id)), "{event:?}");
    drop(node);
}
