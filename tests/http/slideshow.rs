//! Stills as a slideshow: each is seen, once or again and again, until somebody stops it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::client::{Node, until};
use crate::common::process::Process;
use crate::common::{Mosquitto, Proxy, Subscriber, retained};

/// A picture that is told from the others by its width.
fn picture(folder: &Path, name: &str, width: u32) {
    use sightwire::domain::Frame;
    let bgr = vec![120; width as usize * 48 * 3];
    let mut png = Vec::new();
    sightwire::codec::encode_png(&Frame { width, height: 48, bgr, ..Frame::empty() }, &mut png).unwrap();
    // Whole or not at all: the show may look into the folder at any moment.
    std::fs::write(folder.join("unfinished"), png).unwrap();
    std::fs::rename(folder.join("unfinished"), folder.join(name)).unwrap();
}

#[test]
fn with_block_each_picture_is_seen_and_until_done_waits_until_all_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=30 {
        picture(folder.path(), &format!("p{n}.png"), 64 + n);
    }
    let config = "models: { shapes: { path: \"bundled:shapes\" } }\nhttp: { listen: \"127.0.0.1:0\" }\ncameras:\n  \
                  show: { source: \"images:p*.png?every=1ms\", model: shapes, max_fps: 0, queue: { depth: 1, when_full: block }, publish: { qos: 1 } }\n";
    std::fs::write(folder.path().join("sightwire.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    command.args(["run", "--until-done", "--summary", "json"]).current_dir(folder.path());
    let output = command.env("XDG_STATE_HOME", folder.path().join("state")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let show = &summary["cameras"][0];
    assert_eq!(
        (&show["frames_read"], &show["frames_dropped"], &show["frames_inferred"]),
        (&30.into(), &0.into(), &30.into())
    );
    assert_eq!(show["messages_lost"], 0, "{show}");
    assert!(show["messages_acknowledged"].as_u64().unwrap() >= 30, "{show}");
}

#[test]
fn a_show_that_repeats_takes_in_what_is_new_and_begins_anew_after_a_stop() {
    let pictures = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        picture(pictures.path(), &format!("{n}.png"), 64 + n);
    }
    let source = format!("images:{}?every=150ms", pictures.path().display());
    let node = Node::start(
        "",
        &format!(
            "  show: {{ source: \"{source}\", model: shapes, max_fps: 0, loop: true, queue: {{ when_full: block }} }}\n"
        ),
    );
    let width = || node.camera("show")["latest"]["frame"]["width"].as_u64().unwrap_or_default();
    for n in [1, 2, 3, 1] {
        until(&format!("picture {n} is shown"), || width() == 64 + n);
    }
    std::fs::write(pictures.path().join("2b.png"), b"rubbish").unwrap();
    picture(pictures.path(), "10.png", 164);
    until("the new one is shown as well", || width() == 164);

    until("another round", || width() == 65);
    until("it is in the middle", || width() == 66);
    let stopped = node.post("/api/cameras/show/stop", &[], b"").expect(200).json();
    let read = stopped["state"]["frames"]["read"].as_u64().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let camera = node.camera("show");
    assert_eq!((camera["frames"]["read"].as_u64(), &camera["latest"]), (Some(read), &Value::Null), "nothing goes on");
    node.post("/api/cameras/show/start", &[], b"").expect(200);
    until("it is shown again", || width() > 0);
    // Frames are counted on, so the number tells how many pictures were shown since.
    let frame = &node.camera("show")["latest"]["frame"];
    let since = usize::try_from(frame["id"].as_u64().unwrap() - read).unwrap();
    assert_eq!(
        frame["width"],
        [65, 66, 67, 164][(since - 1) % 4],
        "from the first picture on, not where it was: {frame}"
    );
    until("more rounds", || node.camera("show")["frames"]["read"].as_u64().unwrap() > read + 12);
    // Once in each session, not at each round.
    assert_eq!(node.log().matches("2b.png").count(), 2, "{}", node.log());
}

/// What stands in `frame.width` tells the pictures apart.
fn widths(lines: &[String]) -> Vec<u64> {
    let payloads = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    payloads.filter_map(|payload| payload["frame"]["width"].as_u64()).collect()
}

#[test]
fn every_picture_reaches_the_broker_through_an_outage_and_one_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=60 {
        picture(folder.path(), &format!("p{n}.png"), 64 + n);
    }
    std::fs::write(folder.path().join("p30b.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    std::fs::write(folder.path().join("p40b.png"), b"").unwrap();
    let broker = Mosquitto::open();
    let road = Proxy::to(broker.port);
    let mut witness = Subscriber::with(broker.port, "sightwire/cameras/show/detections", &["-F", "%p"]);
    let config = format!(
        "models: {{ shapes: {{ path: \"bundled:shapes\" }} }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\n\
         buses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\ncameras:\n  \
         show: {{ source: \"images:p*.png?every=30ms\", model: shapes, max_fps: 0, \
         queue: {{ depth: 1, when_full: block }}, publish: {{ qos: 1 }}, keyframes: {{ when: [event], every: 1ms }} }}\n",
        road.port
    );
    std::fs::write(folder.path().join("sightwire.yaml"), config).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    command.args(["run", "--until-done", "--summary", "json"]).current_dir(folder.path());
    command.env("XDG_STATE_HOME", folder.path().join("state")).env_remove("RUST_LOG").stderr(log);
    let mut node = Process::spawn(command.stdout(std::process::Stdio::piped()));

    until("the show is under way", || widths(witness.seen()).len() >= 5);
    road.cut();
    let before = widths(witness.seen()).len();
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(before < 60, "the broker went away in the middle");
    assert!(node.child().try_wait().unwrap().is_none(), "it does not end while something is unsent");
    road.mend();
    let status = node.child().wait().unwrap();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(status.success(), "{log}");
    let mut summary = String::new();
    std::io::Read::read_to_string(&mut node.child().stdout.take().unwrap(), &mut summary).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let show = &summary["cameras"][0];
    assert_eq!((&show["frames_inferred"], &show["messages_lost"]), (&60.into(), &0.into()), "{show}");

    until("the witness has all", || {
        let seen: std::collections::BTreeSet<u64> = widths(witness.seen()).into_iter().collect();
        seen == (65..=124).collect()
    });
    for name in ["p30b.png", "p40b.png"] {
        assert!(log.contains(&format!("{name}: ")) && log.contains("skipped"), "{name} is named: {log}");
    }
    let keyframe = retained(broker.port, "sightwire/cameras/show/keyframe/meta").unwrap();
    assert!(keyframe.contains("\"width\""), "a show has keyframes as well: {keyframe}");
}
