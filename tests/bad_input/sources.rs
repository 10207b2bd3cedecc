//! Sources that are not there, broken, silent, or guarded; and the healthy camera beside them.

use std::net::TcpListener;
use std::process::Command;

use crate::program::{Folder, small};

/// A tiny film; its table of contents comes first, so that a cut one opens.
fn film(folder: &Folder, name: &str) -> Vec<u8> {
    let path = folder.path().join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=d=4:s=320x240:r=15", "-movflags", "+faststart", "-y"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    std::fs::read(path).unwrap()
}

#[test]
fn broken_files_and_folders_are_told_apart_and_a_healthy_camera_goes_on() {
    let folder = Folder::new();
    let whole = film(&folder, "whole.mp4");
    folder.write("cut.mp4", &whole[..whole.len() / 2]);
    folder.write("empty.mp4", "");
    folder.write("text.mp4", "this is a text, which FFmpeg would play");
    folder.write("noise.mp4", (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
    std::fs::create_dir(folder.path().join("nothing")).unwrap();
    let cases = [
        ("gone", "gone.mp4", "source_not_found"),
        ("empty", "empty.mp4", "source_undecodable"),
        ("text", "text.mp4", "source_undecodable"),
        ("noise", "noise.mp4", "source_undecodable"),
        ("cut", "cut.mp4", "source_truncated"),
        ("folder", "nothing", "source_open_failed"),
        ("glob", "images:nothing/*.jpg", "source_open_failed"),
        ("stills", "images:nothing", "source_open_failed"),
        ("nodir", "images:nowhere", "source_not_found"),
        ("films", "images:*.mp4", "source_undecodable"),
        ("webcam", "webcam:99", "source_open_failed"),
    ];
    let cameras: String = cases
        .iter()
        .map(|(name, source, _)| format!("  {name}: {{ source: \"{source}\", model: m, max_fps: 0, pace: asap }}\n"))
        .collect();
    let config = small(&folder, &cameras);

    let outcome = folder.with(&config, &["check"]);
    assert_eq!(outcome.code, 1);
    outcome
        .row("camera", "gone", &["FAIL", "gone.mp4: not found"])
        .row("camera", "empty", &["FAIL", "0 bytes"])
        .row("camera", "text", &["FAIL", "a text file, not a video"])
        .row("camera", "folder", &["FAIL", "write images:"])
        .row("camera", "glob", &["FAIL", "no file matches"])
        .row("camera", "stills", &["FAIL", "no jpg, jpeg, png, webp, bmp, tif or tiff"])
        .row("camera", "webcam", &["FAIL", "/dev/video99"])
        .row("camera", "good", &["ok", "320x240"]);

    let mut node = folder.node(&config);
    for (name, _, code) in cases {
        node.until_reason(name, code);
        assert_eq!(node.camera(name)["actual"], "failed", "{name}");
    }
    node.goes_on("good");
    let log = node.end();
    // Trying again is not said again.
    assert_eq!(log.matches("there is no /dev/video99").count(), 1, "{log}");
}

#[test]
fn streams_that_are_down_guarded_or_silent_are_told_apart_and_hold_nobody_up() {
    let folder = Folder::new();
    // Accepts and says nothing. OpenCV opens one stream at a time: the others must not wait for this one.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = down.local_addr().unwrap().port();
    drop(down);
    let guarded = guarded_camera();
    let config = small(
        &folder,
        &format!(
            "  silent: {{ source: \"rtsp://a:geheim@{}/x\", model: m }}\n  \
               down: {{ source: \"rtsp://a:geheim@127.0.0.1:{closed}/x\", model: m }}\n  \
               lost: {{ source: \"rtsp://a:geheim@no.such.host.invalid/x?password=geheim\", model: m }}\n  \
               strange: {{ source: \"rtsp://a:geheim@{guarded}/http\", model: m }}\n  \
               nouser: {{ source: \"rtsp://{guarded}/x\", model: m }}\n  \
               wrong: {{ source: \"rtsp://a:geheim@{guarded}/x\", model: m }}\n",
            silent.local_addr().unwrap()
        ),
    );
    let mut node = folder.node(&config);
    for (name, code) in [
        ("down", "source_open_failed"),
        ("lost", "source_open_failed"),
        ("nouser", "source_unauthorized"),
        ("wrong", "source_unauthorized"),
        ("strange", "source_unauthorized"),
    ] {
        node.until_reason(name, code);
    }
    // It answers nobody for ten seconds; the others were through before.
    assert_eq!(node.camera("silent")["actual"], "connecting");
    node.until_reason("silent", "source_open_timeout");
    node.goes_on("good");
    let message = |camera: &str| node.camera(camera)["reason"]["message"].as_str().unwrap().to_owned();
    assert!(message("down").contains("nothing listens at 127.0.0.1:"), "{}", message("down"));
    assert!(message("wrong").contains("401 Unauthorized, with the ones given"), "{}", message("wrong"));
    assert!(message("nouser").contains("holds no user and password"), "{}", message("nouser"));
    let log = node.end();
    assert!(!log.contains("[rtsp @"), "FFmpeg writes past the log: {log}");
}

/// An RTSP server that refuses everyone.
fn guarded_camera() -> std::net::SocketAddr {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().unwrap();
                let (mut number, mut options) = (String::from("1"), false);
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    options |= line.starts_with("OPTIONS");
                    if let Some(value) = line.strip_prefix("CSeq: ") {
                        number = value.trim().into();
                    }
                    if line.is_empty() {
                        let answer = if options {
                            format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n")
                        } else {
                            format!(
                                "RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n"
                            )
                        };
                        options = false;
                        if answers.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}
