//! Pushed pictures of every kind that programs make, and how fast they go in.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::client::{Node, until};

const CANVAS: &str = "  canvas: { source: \"push:\", model: shapes, max_fps: 0, queue: { when_full: block } }\n";

/// What ffmpeg makes of its test picture, 64x48.
fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=1"]).args(args);
    let output = command.args(["pipe:1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn every_kind_of_jpeg_and_png_is_taken_and_turned_as_it_says() {
    let node = Node::start("", CANVAS);
    let still = ["-frames:v", "1", "-f", "image2pipe"];
    let of = |codec: &[&str]| ffmpeg(&[&still, codec].concat());
    let jpeg = of(&["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]);
    // Little-endian TIFF with one entry: orientation 6, turn right.
    let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    // By Pillow: Image.new("RGB", (32, 16), …).convert("CMYK").save(…, quality=30, optimize=True).
    let cmyk = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAbEhQXFBEbFxYXHhwbIChCKyglJShROj0wQmBVZWRfVV1baniZgWpxkHNbXYW1hpCeo6utq2eAvMm6pseZqKuk/\
                8AAFAgAEAAgBEMRAE0RAFkRAEsRAP/EABgAAQADAQAAAAAAAAAAAAAAAAACBAYF/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwDtuE4TTADCILIA\
                N2mrAAwiCyAD/9k=";
    let cmyk = STANDARD.decode(cmyk).unwrap();
    let kinds = [
        ("image/jpeg", "plain", jpeg.clone(), (64, 48)),
        ("image/jpeg", "turned", [&jpeg[..2], exif, &jpeg[2..]].concat(), (48, 64)),
        ("image/jpeg", "grey", of(&["-c:v", "mjpeg", "-pix_fmt", "gray"]), (64, 48)),
        ("image/jpeg", "CMYK", cmyk, (32, 16)),
        ("image/png", "16 bits", of(&["-c:v", "png", "-pix_fmt", "rgb48be"]), (64, 48)),
        ("image/png", "transparent", of(&["-c:v", "png", "-pix_fmt", "rgba"]), (64, 48)),
        ("image/png", "1 bit", of(&["-c:v", "png", "-pix_fmt", "monob"]), (64, 48)),
        // Its first picture.
        ("image/png", "animated", ffmpeg(&["-f", "apng", "-plays", "0"]), (64, 48)),
    ];
    for (kind, name, bytes, (width, height)) in kinds {
        let answer = node.send("PUT", "/cameras/canvas/frame", &[("Content-Type", kind)], &bytes);
        assert_eq!(answer.status, 202, "{name}: {}", answer.text());
        let id = answer.json()["frame_id"].clone();
        until(&format!("{name} is looked at"), || node.camera("canvas")["latest"]["frame"]["id"] == id);
        let frame = &node.camera("canvas")["latest"]["frame"];
        assert_eq!((&frame["width"], &frame["height"]), (&width.into(), &height.into()), "{name}");
    }
}

/// One connection, picture after picture; how long all of them took.
fn push_all(node: &Node, pictures: u32, body: &[u8]) -> Duration {
    let mut stream = node.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let begun = Instant::now();
    for _ in 0..pictures {
        let head = "PUT /cameras/canvas/frame HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png";
        stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 202"), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let value = line.to_ascii_lowercase();
            length = value.strip_prefix("content-length: ").map_or(length, |n| n.trim().parse().unwrap());
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
    }
    begun.elapsed()
}

/// The way over HTTP is not what limits a program: the same pictures, read from a folder, take about as long.
#[test]
fn pictures_go_in_over_one_connection_about_as_fast_as_from_a_folder() {
    const PICTURES: u32 = 60;
    let body = ffmpeg(&["-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-vf", "scale=640:480"]);
    let folder = tempfile::tempdir().unwrap();
    for n in 0..PICTURES {
        std::fs::write(folder.path().join(format!("{n}.png")), &body).unwrap();
    }
    let common = "model: shapes, max_fps: 0, queue: { when_full: block }";
    let show = format!("  show: {{ source: \"images:{}\", pace: asap, {common} }}\n", folder.path().display());
    let node = Node::start("", CANVAS);
    // Once before it counts, so that everything is warm.
    push_all(&node, 5, &body);
    let pushed = push_all(&node, PICTURES, &body);
    until("all are seen", || node.camera("canvas")["frames"]["inferred"] == PICTURES + 5);
    drop(node);

    std::fs::write(
        folder.path().join("sightwire.yaml"),
        format!("models: {{ shapes: {{ path: \"bundled:shapes\" }} }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\ncameras:\n{show}"),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    command.args(["run", "--until-done", "--summary", "json"]).current_dir(folder.path());
    let output = command.env("XDG_STATE_HOME", folder.path().join("state")).output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &summary["cameras"][0];
    assert_eq!(row["frames_inferred"], PICTURES, "{row}");
    let fps = row["fps"].as_f64().unwrap();
    let rate = f64::from(PICTURES) / pushed.as_secs_f64();
    println!("pushed {rate:.1} pictures/s, from a folder {fps:.1}, ratio {:.2}", rate / fps);
}
