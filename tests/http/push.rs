//! Pictures that a program pushes.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Node, SECRET, until};

const JPEG: (&str, &str) = ("Content-Type", "image/jpeg");
const PNG: (&str, &str) = ("Content-Type", "image/png");

fn canvas(more: &str) -> String {
    format!("  canvas: {{ source: \"push:\", model: shapes, max_fps: 0{more} }}\n")
}

/// A picture that the bundled model knows something of: a frame of its own scene.
fn picture(width: u32, height: u32) -> Vec<u8> {
    use sightwire::source::{self, OpenOptions};
    let spec = format!("synthetic:shapes?width={width}&height={height}&seed=3").parse().unwrap();
    let mut frame = sightwire::domain::Frame::empty();
    source::open(&spec, &OpenOptions::default()).unwrap().read(&mut frame).unwrap();
    let mut png = Vec::new();
    sightwire::codec::encode_png(&frame, &mut png).unwrap();
    png
}

fn counted(node: &Node, what: &str) -> u64 {
    node.camera("canvas")["frames"][what].as_u64().unwrap()
}

#[test]
fn a_pushed_picture_becomes_a_message_with_its_text_its_number_and_its_time() {
    let node = Node::start("", &canvas(", queue: { when_full: block }"));
    let path = "/cameras/canvas/frame";
    assert_eq!(node.camera("canvas")["actual"], "connecting", "until the first");
    until("it is ready for it", || node.get("/readyz", &[]).status == 200);
    let query = "?text=Zeile%20eins&text=zwei%20%F0%9F%8E%A8&timestamp=1763683200.25";
    let taken = node.send("PUT", &format!("{path}{query}"), &[PNG], &picture(320, 240)).expect(202).json();
    assert_eq!(taken, json!({ "camera": "canvas", "frame_id": 1 }));
    until("it is processed", || node.camera("canvas")["latest"]["frame"]["id"] == 1);
    let camera = node.camera("canvas");
    let latest = &camera["latest"];
    assert_eq!(camera["actual"], "running");
    assert_eq!(latest["text"], json!(["Zeile eins", "zwei 🎨"]));
    assert_eq!(
        (&latest["timestamp"], &latest["frame"]["timestamp_source"]),
        (&json!(1_763_683_200.25), &json!("client"))
    );
    assert_eq!((&latest["frame"]["width"], &latest["frame"]["height"]), (&json!(320), &json!(240)));
    assert!(!latest["detections"].as_array().unwrap().is_empty(), "{latest}");
    node.send("PUT", path, &[PNG], &picture(320, 240)).expect(202);
    until("the next has no text", || {
        let camera = node.camera("canvas");
        camera["latest"]["frame"]["id"] == 2 && camera["latest"]["text"] == Value::Null
    });
}

#[test]
fn with_block_every_picture_waits_for_room_and_is_seen() {
    let node = Node::start("", &canvas(", queue: { depth: 1, when_full: block }"));
    let body = picture(320, 240);
    let ids: Vec<u64> = std::thread::scope(|scope| {
        let push = || {
            let one =
                |_| node.send("PUT", "/cameras/canvas/frame", &[PNG], &body).expect(202).json()["frame_id"].as_u64();
            (0..10).map(|n| one(n).unwrap()).collect::<Vec<u64>>()
        };
        let programs = [(); 4].map(|()| scope.spawn(push));
        programs.into_iter().flat_map(|program| program.join().unwrap()).collect()
    });
    let mut ids = ids;
    ids.sort_unstable();
    assert_eq!(ids, (1..=40).collect::<Vec<u64>>(), "each its own number");
    until("all are seen", || counted(&node, "inferred") == 40);
    assert_eq!((counted(&node, "read"), counted(&node, "dropped")), (40, 0));
}

#[test]
fn with_drop_oldest_a_full_queue_is_answered_at_once_and_nothing_taken_is_lost() {
    let node = Node::start("", &canvas(", queue: { depth: 1, when_full: drop_oldest }"));
    let body = picture(1280, 960);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let push =
            || (0..10).map(|_| node.send("PUT", "/cameras/canvas/frame", &[PNG], &body).status).collect::<Vec<u16>>();
        let programs = [(); 6].map(|()| scope.spawn(push));
        programs.into_iter().flat_map(|program| program.join().unwrap()).collect()
    });
    let taken = answers.iter().filter(|status| **status == 202).count() as u64;
    assert!(answers.iter().all(|status| matches!(status, 202 | 429)) && taken >= 1, "{answers:?}");
    until("what was taken is accounted for", || counted(&node, "inferred") + counted(&node, "dropped") == taken);
    assert_eq!(counted(&node, "read"), taken);
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_reason() {
    let other = "  door: { source: \"synthetic:shapes\", model: shapes }\n";
    let node = Node::start(", max_frame: 100KiB", &(canvas("") + other));
    let (path, good) = ("/cameras/canvas/frame", picture(64, 48));
    let put = |path: &str, kind: (&str, &str), body: &[u8]| node.send("PUT", path, &[kind], body);
    put("/cameras/nobody/frame", PNG, &good).problem(404, "unknown_camera");
    put("/cameras/door/frame", PNG, &good).problem(409, "not_pushed");
    put(path, ("Content-Type", "image/gif"), &good).problem(415, "unsupported_media_type");
    put(path, ("X-Nothing", "x"), &good).problem(415, "unsupported_media_type");
    put(path, JPEG, b"").problem(422, "undecodable");
    put(path, JPEG, b"GIF89a...").problem(422, "undecodable");
    put(path, PNG, &good[..good.len() / 2]).problem(422, "undecodable");
    put(&format!("{path}?colour=red"), PNG, &good).problem(400, "malformed");
    put(&format!("{path}?timestamp=soon"), PNG, &good).problem(422, "invalid_timestamp");
    put(&format!("{path}?text=%1b[2J"), PNG, &good).problem(422, "invalid_text");
    put(&format!("{path}?text={}", "x".repeat(501)), PNG, &good).problem(422, "text_too_long");
    let problem = put(path, JPEG, &vec![0xff; 200 * 1024]).problem(413, "too_large");
    assert!(problem["detail"].as_str().unwrap().contains("102400 bytes"), "{problem}");
    // A header that claims 65535x65535 is refused by its header.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bomb.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]);
    put(path, PNG, &bomb).problem(422, "undecodable");

    put(path, PNG, &good).expect(202);
    for (command, back, code) in [("pause", "resume", "paused"), ("stop", "start", "stopped")] {
        node.post(&format!("/api/cameras/canvas/{command}"), &[], b"").expect(200);
        put(path, PNG, &good).problem(409, code);
        node.post(&format!("/api/cameras/canvas/{back}"), &[], b"").expect(200);
        put(path, PNG, &good).expect(202);
    }
    assert_eq!(counted(&node, "read"), 3, "nothing else came in");
}

#[test]
fn the_python_example_streams_what_it_renders() {
    let node = Node::start(", token_file: token", &canvas(", queue: { when_full: block }"));
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/push.py"));
    command.args(["--url", &format!("http://{}", node.address), "--frames", "12", "--token-file"]);
    let output = command.arg(node.path().join("token")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("picture 12 of 12: frame 12\n"), "{said}");
    let bearer = format!("Bearer {SECRET}");
    let camera = || node.get("/api/cameras/canvas", &[("Authorization", &bearer)]).expect(200).json();
    until("all are seen", || camera()["frames"]["inferred"] == 12);
    assert_eq!(camera()["latest"]["text"][0], "picture 12 of 12");
}
