//! MJPEG and the picture of now.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sightwire::source::synthetic::{Scene, SceneParams, read_clock};

use crate::client::{Node, until};
use crate::common::{Mosquitto, Subscriber};
use crate::viewer::{Part, Viewer, decode, encoded, metric, threads, viewers};

const DOOR: &str = "  door: { source: \"synthetic:shapes?objects=3\", model: shapes }\n";

/// The part of the box's line, of twenty points a side, that is painted over the scene.
fn painted(part: &Part, scene: &Scene, [x0, y0, x1, y1]: [f64; 4]) -> f64 {
    let (picture, width, height) = decode(&part.jpeg);
    let mut plain = Vec::new();
    scene.render(part.frame_id - 1, &mut plain);
    assert_eq!(picture.len(), plain.len());
    let differs = |x: f64, y: f64| {
        let near = |at: f64, side: usize| (at * side as f64) as usize;
        let (cx, cy) = (near(x, width), near(y, height));
        let around = (cy.saturating_sub(2)..(cy + 3).min(height))
            .flat_map(|y| (cx.saturating_sub(2)..(cx + 3).min(width)).map(move |x| 3 * (y * width + x)));
        around.map(|at| (0..3).map(|c| u32::from(picture[at + c].abs_diff(plain[at + c]))).sum::<u32>()).max()
            > Some(150)
    };
    let points: Vec<(f64, f64)> = (1..20)
        .flat_map(|i| {
            let t = f64::from(i) / 20.0;
            let (x, y) = (x0 + (x1 - x0) * t, y0 + (y1 - y0) * t);
            [(x, y0), (x, y1), (x0, y), (x1, y)]
        })
        .collect();
    points.iter().filter(|(x, y)| differs(*x, *y)).count() as f64 / points.len() as f64
}

#[test]
fn boxes_are_drawn_on_the_frame_that_they_were_computed_on() {
    let broker = Mosquitto::open();
    let mut messages = Subscriber::with(broker.port, "sightwire/cameras/door/detections", &["-F", "%p"]);
    let cameras = format!("{DOOR}buses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n", broker.port);
    let node = Node::start("", &cameras);
    let mut viewer = Viewer::of(&node, "door");
    let scene = Scene::new(SceneParams { objects: 3, ..SceneParams::default() });
    let mut compared = 0;
    while compared < 10 {
        let part = viewer.frame();
        let id = format!("\"frame\":{{\"id\":{},", part.frame_id);
        let message = messages.wait_for(&id, |line| line.contains(&id));
        let message: Value = serde_json::from_str(&message).unwrap();
        assert_eq!(message["timestamp"].as_f64().unwrap(), part.timestamp);
        for detection in message["detections"].as_array().unwrap() {
            let corners: Vec<f64> = detection["bbox"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let bbox = [corners[0], corners[1], corners[2], corners[3]];
            // At the very edge there is no room for a line, nor for one beside it.
            if bbox.iter().any(|corner| !(0.06..0.94).contains(corner)) {
                continue;
            }
            let share = painted(&part, &scene, bbox);
            let beside = painted(&part, &scene, [bbox[0] - 0.03, bbox[1] - 0.04, bbox[2] - 0.03, bbox[3] - 0.04]);
            assert!(share > 0.9, "frame {}: {share} of {bbox:?}", part.frame_id);
            assert!(beside < 0.6, "frame {}: {beside} beside {bbox:?}", part.frame_id);
            compared += 1;
        }
    }
}

#[test]
fn however_many_watch_a_frame_is_encoded_once_and_nothing_while_nobody_does() {
    let node = Node::start("", DOOR);
    node.until_state("door", "running");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((encoded(&node, "jpeg"), encoded(&node, "h264"), threads(&node)), (0.0, 0.0, 0));
    let inferred = "sightwire_frames_total{camera=\"door\",outcome=\"inferred\"}";
    let before = metric(&node, inferred);
    let mut crowd: Vec<Viewer> = (0..8).map(|_| Viewer::of(&node, "door")).collect();
    for viewer in &mut crowd {
        (0..20).for_each(|_| drop(viewer.frame()));
    }
    assert_eq!((viewers(&node, "mjpeg"), threads(&node)), (8.0, 1));
    let (pictures, frames) = (encoded(&node, "jpeg"), metric(&node, inferred) - before);
    // Besides frames there may have been a slate before the first of them.
    assert!((20.0..=frames + 2.0).contains(&pictures), "{pictures} pictures of {frames} frames");
    assert_eq!(encoded(&node, "h264"), 0.0);
    drop(crowd);
    until("the thread ends", || threads(&node) == 0 && viewers(&node, "mjpeg") == 0.0);
    let after = encoded(&node, "jpeg");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(encoded(&node, "jpeg"), after);
}

#[test]
fn who_reads_nothing_holds_up_nobody_and_who_reads_late_gets_the_newest() {
    let node = Node::start("", DOOR);
    let mut asleep = Viewer::of(&node, "door");
    let mut awake = Viewer::of(&node, "door");
    let first = awake.frame().frame_id;
    let begun = Instant::now();
    let mut last = first;
    // Longer than what the sockets hold.
    while begun.elapsed() < Duration::from_secs(8) {
        let part = awake.frame();
        assert!(part.frame_id > last, "pictures come in order, none twice");
        last = part.frame_id;
    }
    assert!(last > first + 10, "{first} to {last}");
    assert!(asleep.part().jpeg.len() > 1000);
    drop(asleep);
    assert!(awake.frame().frame_id > last);
}

#[test]
fn a_picture_of_now_tells_its_frame_and_a_stopped_camera_says_so_in_the_picture() {
    let node = Node::start("", "  door: { source: \"synthetic:shapes?clock=true&objects=3\", model: shapes }\n");
    let mut viewer = Viewer::of(&node, "door");
    viewer.frame();
    let (still, clock) = (0..50)
        .find_map(|_| {
            let still = node.get("/cameras/door/frame.jpg", &[]).expect(200);
            let (picture, width, height) = decode(&still.body);
            // Now and then boxes lie over both of the clock's strips; not for ever.
            let clock = read_clock(&picture, width, height);
            if clock.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            clock.map(|clock| (still, clock.as_secs_f64()))
        })
        .unwrap();
    assert_eq!(still.header("content-type"), "image/jpeg");
    assert!(still.header("x-frame-id").parse::<u64>().unwrap() > 0);
    let told: f64 = still.header("x-timestamp").parse().unwrap();
    assert!((told - clock).abs() < 0.0011, "{told} and {clock} in the picture");

    node.post("/api/cameras/door/stop", &[("Content-Type", "application/json")], b"").expect(200);
    let slate = loop {
        let part = viewer.part();
        if part.frame_id == 0 {
            break part;
        }
    };
    let brightness = |jpeg: &[u8]| {
        let (picture, ..) = decode(jpeg);
        picture.iter().map(|&level| u64::from(level)).sum::<u64>() / picture.len() as u64
    };
    assert!(brightness(&slate.jpeg) * 2 < brightness(&still.body), "darkened");
    assert_eq!(viewer.part().frame_id, 0, "it is said again");
    assert_eq!(node.get("/cameras/door/frame.jpg", &[]).expect(200).header("x-frame-id"), "0");
    node.post("/api/cameras/door/start", &[("Content-Type", "application/json")], b"").expect(200);
    viewer.frame();
}

/// How many of a picture's pixels are not of its ground's colour.
fn written(jpeg: &[u8]) -> (usize, usize, usize) {
    let (picture, width, height) = decode(jpeg);
    let ground = picture[0];
    (picture.chunks_exact(3).filter(|pixel| pixel[0].abs_diff(ground) > 60).count(), width, height)
}

#[test]
fn a_camera_that_is_paused_or_cannot_be_reached_says_so_in_the_picture() {
    let nowhere = "  nowhere: { source: \"rtsp://127.0.0.1:9/none\", model: shapes }\n";
    let node = Node::start("", &format!("{DOOR}{nowhere}"));
    let slate = Viewer::of(&node, "nowhere").part();
    let (letters, width, height) = written(&slate.jpeg);
    assert_eq!((slate.frame_id, width, height), (0, 640, 360));
    assert!(letters > 300, "{letters} pixels of letters");

    let mut viewer = Viewer::of(&node, "door");
    viewer.frame();
    node.post("/api/cameras/door/pause", &[("Content-Type", "application/json")], b"").expect(200);
    let mut said = || loop {
        let part = viewer.part();
        if part.frame_id == 0 {
            return part.jpeg;
        }
    };
    let (first, again) = (said(), said());
    assert_eq!(first, again, "the same is said again and again");
    node.post("/api/cameras/door/resume", &[("Content-Type", "application/json")], b"").expect(200);
    viewer.frame();
}

/// As Home Assistant's MJPEG camera takes a still: chunks until the end of a picture is in them.
const STILL: &str = r#"
import sys, urllib.request
stream = urllib.request.urlopen(sys.argv[1], timeout=30)
assert stream.headers.get_content_type() == "multipart/x-mixed-replace", stream.headers
boundary = stream.headers.get_param("boundary")
data = b""
while data.count(b"\xff\xd9") < 3:
    data += stream.read1(65536)
    end = data.find(b"\xff\xd9")
    if end != -1 and not data[:end].count(b"\xff\xd8"):
        sys.exit("a picture ends that never began")
# As everybody reads it who goes by RFC 2046.
for part in data.split(b"--" + boundary.encode() + b"\r\n")[1:3]:
    head, body = part.split(b"\r\n\r\n", 1)
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
    assert fields[b"Content-Type"] == b"image/jpeg", fields
    body = body[: -len(b"\r\n")]
    assert len(body) == int(fields[b"Content-Length"]) and body[:2] == b"\xff\xd8" and body[-2:] == b"\xff\xd9"
"#;

#[test]
fn other_programs_read_it() {
    let node = Node::start("", DOOR);
    node.until_state("door", "running");
    let url = format!("http://{}/cameras/door/stream.mjpeg", node.address);
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(&url).stdin(Stdio::null()).output().unwrap();
        let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program}: {log}");
        assert!(!log.contains("error") && !log.contains("Invalid") && !log.contains("mismatch"), "{program}: {log}");
        out.into_owned()
    };
    run("python3", &["-c", STILL]);
    let strict = ["-loglevel", "warning", "-f", "mpjpeg", "-strict_mime_boundary", "1", "-read_intervals", "%+#10"];
    let frames = run("ffprobe", &[&strict[..], &["-show_entries", "frame=width,height", "-of", "csv=p=0"]].concat());
    assert!(frames.lines().filter(|line| line.starts_with("640,480")).count() >= 9, "{frames}");
}

#[test]
fn a_question_for_the_head_and_for_an_unknown_camera_start_nothing() {
    let node = Node::start("", DOOR);
    for path in ["stream.mjpeg", "frame.jpg"] {
        let head = node.send("HEAD", &format!("/cameras/door/{path}"), &[], b"").expect(200);
        assert!(head.body.is_empty() && head.header("cache-control") == "no-store");
        node.get(&format!("/cameras/nobody/{path}"), &[]).problem(404, "unknown_camera");
    }
    node.get("/cameras/nobody/hls/index.m3u8", &[]).problem(404, "unknown_camera");
    node.get("/cameras/door/hls/segment-0.m4s", &[]).problem(404, "no_segment");
    assert_eq!((encoded(&node, "jpeg"), encoded(&node, "h264")), (0.0, 0.0));
}
