//! `sightwire detect` as a user runs it: the real program on pictures whose true boxes are known, and on what is no picture.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few boxes and pixels"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine;
use opencv::core::{CV_8UC1, CV_8UC4, CV_16UC1, Mat, Scalar, Vector};
use serde_json::{Value, json};
use sightwire::codec::{JpegEncoder, encode_png};
use sightwire::domain::{BBox, Frame};
use sightwire::source::read_picture;
use sightwire::source::synthetic::{Scene, SceneParams};

/// The evaluation's seeds: the bundled model was trained on none of them.
const SEED: u64 = 1_000_300;

/// A folder to work in.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A frame of the synthetic scene, in the format that the name asks for.
    fn scene(&self, name: &str, index: u64) -> PathBuf {
        self.write(name, encoded(name, &scene(index)))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.args(["detect", "--model", "bundled:shapes"]).args(args).current_dir(self.0.path());
        for variable in ["ORT_DYLIB_PATH", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command
    }

    fn detect(&self, args: &[&str]) -> Outcome {
        Outcome::of(&self.command(args).output().unwrap())
    }
}

fn scene(index: u64) -> Frame {
    let params = SceneParams { seed: SEED, ..SceneParams::default() };
    let mut frame = Frame { width: params.width, height: params.height, ..Frame::empty() };
    Scene::new(params).render(index, &mut frame.bgr);
    frame
}

fn encoded(name: &str, frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    if name.to_lowercase().ends_with(".png") {
        encode_png(frame, &mut bytes).unwrap();
    } else {
        JpegEncoder::new().encode(frame, 0, 95, None, &mut bytes).unwrap();
    }
    bytes
}

fn plain(width: u32, height: u32, value: u8) -> Frame {
    Frame { width, height, bgr: vec![value; (width * height * 3) as usize], ..Frame::empty() }
}

/// How it ended, and what it said.
struct Outcome {
    code: i32,
    lines: Vec<Value>,
    stderr: String,
}

impl Outcome {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let lines: Vec<Value> =
            stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
        let schema = sightwire::envelope::schema("detections").unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for line in &lines {
            let problems: Vec<String> = validator.iter_errors(line).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{problems:?} in {line}");
        }
        assert!(!stderr.contains("panicked") && !stderr.contains('\x1b'), "{stderr}");
        Self { code: output.status.code().unwrap_or(-1), lines, stderr }
    }

    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.stderr);
        self
    }

    /// The names of the pictures that were looked at.
    fn names(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line["camera"].as_str().unwrap()).collect()
    }

    #[track_caller]
    fn line(&self, name: &str) -> &Value {
        let said = |line: &&Value| line["camera"] == name;
        self.lines.iter().find(said).unwrap_or_else(|| panic!("no line of {name}; {}", self.stderr))
    }
}

fn boxes(line: &Value) -> Vec<(String, BBox)> {
    let one = |d: &Value| (d["label"].as_str().unwrap().to_owned(), serde_json::from_value(d["bbox"].clone()).unwrap());
    line["detections"].as_array().unwrap().iter().map(one).collect()
}

/// The part of the scene's true boxes, 0…1, that the line has with the right label.
fn share_found(line: &Value, index: u64) -> f64 {
    let truth = Scene::new(SceneParams { seed: SEED, ..SceneParams::default() }).truth(index);
    let found = boxes(line);
    let hits = truth.iter().filter(|t| found.iter().any(|(label, b)| label == t.label && b.iou(&t.bbox) > 0.6)).count();
    hits as f64 / truth.len() as f64
}

#[test]
fn each_picture_gives_one_line_with_its_true_boxes() {
    let folder = Folder::new();
    for (name, index) in [("stills/10.png", 40), ("stills/2.jpg", 80), ("stills/other.PNG", 120)] {
        folder.scene(name, index);
    }
    folder.write("stills/notes.txt", "no picture, and not named as one");
    let dated = UNIX_EPOCH + Duration::from_millis(1_600_000_000_250);
    fs::File::options().write(true).open(folder.at("stills/10.png")).unwrap().set_modified(dated).unwrap();

    let outcome = folder.detect(&["stills"]).ends(0);
    assert_eq!(outcome.stderr, "");
    // As a person counts, not as letters sort.
    assert_eq!(outcome.names(), ["2.jpg", "10.png", "other.PNG"]);
    for (at, (line, index)) in outcome.lines.iter().zip([80, 40, 120]).enumerate() {
        assert_eq!((line["seq"].as_u64(), line["frame"]["id"].as_u64()), (Some(at as u64 + 1), Some(at as u64 + 1)));
        assert_eq!((line["frame"]["width"].as_u64(), line["frame"]["height"].as_u64()), (Some(640), Some(480)));
        assert_eq!(line["boot_id"], outcome.lines[0]["boot_id"]);
        assert!(share_found(line, index) >= 0.75, "{line}");
    }
    let png = outcome.line("10.png");
    assert_eq!(png["timestamp"].as_f64(), Some(1_600_000_000.25), "the file's date");
    assert_eq!((&png["frame"]["timestamp_source"], &png["file"]), (&"file".into(), &"stills/10.png".into()));
}

#[test]
fn files_folders_and_patterns_are_looked_at_in_the_order_they_are_named_and_once() {
    let folder = Folder::new();
    for name in ["b/1.png", "b/2.png", "a/1.png", "c.png"] {
        folder.scene(name, 40);
    }
    let outcome = folder.detect(&["c.png", "b/*.png", "a", "b/1.png"]).ends(0);
    let files: Vec<&str> = outcome.lines.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["c.png", "b/1.png", "b/2.png", "a/1.png"]);
}

#[test]
fn a_picture_comes_by_standard_input_too() {
    let folder = Folder::new();
    let mut command = folder.command(&["--overlay", "out", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&encoded("x.jpg", &scene(40))).unwrap();
    let outcome = Outcome::of(&child.wait_with_output().unwrap()).ends(0);
    let line = outcome.line("stdin");
    assert_eq!(line["frame"]["timestamp_source"], "host");
    assert!(share_found(line, 40) >= 0.75, "{line}");
    assert!(folder.at("out/stdin.jpg").is_file());
}

#[test]
fn overlays_have_their_pictures_name_and_differ_from_it_only_around_the_boxes() {
    let folder = Folder::new();
    folder.scene("stills/a.png", 40);
    folder.scene("stills/b.jpg", 80);
    let before = fs::read(folder.at("stills/a.png")).unwrap();
    let outcome = folder.detect(&["--overlay", "deep/down/boxes", "stills"]).ends(0);
    assert_eq!(fs::read(folder.at("stills/a.png")).unwrap(), before, "the picture itself is untouched");
    assert_eq!(listed(&folder.at("deep/down/boxes")), ["a.png", "b.jpg"]);
    assert!(fs::read(folder.at("deep/down/boxes/b.jpg")).unwrap().starts_with(&[0xff, 0xd8]));

    let (mut plain, mut drawn) = (Frame::empty(), Frame::empty());
    read_picture(&folder.at("stills/a.png"), &mut plain).unwrap();
    read_picture(&folder.at("deep/down/boxes/a.png"), &mut drawn).unwrap();
    assert_eq!((plain.width, plain.height), (drawn.width, drawn.height));
    let pixel = |frame: &Frame, x: u32, y: u32| -> Vec<u8> {
        let at = 3 * (y * frame.width + x) as usize;
        frame.bgr[at..at + 3].to_vec()
    };
    let found = boxes(outcome.line("a.png"));
    assert!(!found.is_empty());
    for (label, bbox) in &found {
        // The lower right corner carries no label here; halfway up the right side there is a line.
        let (x, y) = ((bbox.x_max * 640.0) as u32, (f32::midpoint(bbox.y_min, bbox.y_max) * 480.0) as u32);
        let changed = (x.saturating_sub(4)..(x + 4).min(640)).any(|x| pixel(&plain, x, y) != pixel(&drawn, x, y));
        assert!(changed, "{label} at {bbox:?} has a line");
    }
    let changed = plain.bgr.chunks_exact(3).zip(drawn.bgr.chunks_exact(3)).filter(|(a, b)| a != b).count();
    assert!(changed < 640 * 480 / 4, "most of the picture is as it was: {changed}");
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn overlays_never_overwrite_a_picture_that_was_named_nor_each_other() {
    let folder = Folder::new();
    for name in ["x.png", "other/x.png"] {
        folder.scene(name, 40);
    }
    let before = fs::read(folder.at("x.png")).unwrap();
    // Into the folder that the first comes from; the second has the same name.
    folder.detect(&["--overlay", ".", "x.png", "other/x.png"]).ends(0);
    assert_eq!(fs::read(folder.at("x.png")).unwrap(), before);
    assert_eq!(listed(folder.0.path()), ["other", "x-2.png", "x-overlay.png", "x.png"]);
    // Once more: overlays of the last run may be replaced.
    folder.detect(&["--overlay", ".", "x.png", "other/x.png"]).ends(0);
    assert_eq!(listed(folder.0.path()), ["other", "x-2.png", "x-overlay.png", "x.png"]);
}

#[test]
fn what_is_no_picture_is_named_with_its_reason_and_the_rest_goes_on() {
    let folder = Folder::new();
    let jpeg = encoded("x.jpg", &scene(40));
    let png = encoded("x.png", &scene(40));
    folder.write("cut.jpg", &jpeg[..jpeg.len() / 2]);
    folder.write("cut.png", &png[..png.len() / 2]);
    folder.write("text.jpg", "I am no picture\n");
    folder.write("empty.jpg", "");
    folder.write("film.gif", "GIF89a\x01\0\x01\0\0\0\0;");
    folder.write("bomb.png", {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]);
        bytes
    });
    let mut torn = png.clone();
    let middle = torn.len() / 2;
    torn[middle..middle + 64].fill(0);
    folder.write("torn.png", torn);
    folder.scene("good.jpg", 40);
    fs::create_dir(folder.at("nothing")).unwrap();
    let bad = [
        ("cut.jpg", "cut short"),
        ("cut.png", "cut short"),
        ("text.jpg", "not a JPEG"),
        ("empty.jpg", "empty (0 bytes)"),
        ("film.gif", "a GIF"),
        ("bomb.png", "100 megapixels"),
        ("absent.jpg", "not found"),
        ("*.xyz", "no file matches"),
        ("nothing", "holds no jpg"),
    ];
    let mut args: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
    args.insert(3, "good.jpg");
    let outcome = folder.detect(&args).ends(1);
    assert_eq!(outcome.names(), ["good.jpg"]);
    assert_eq!(outcome.lines[0]["seq"], 1);
    assert_eq!(outcome.lines[0]["frame"]["id"], 4, "its place among those that were named");
    let said: BTreeMap<&str, &str> =
        outcome.stderr.lines().filter_map(|line| line.strip_prefix("error: ")?.split_once(": ")).collect();
    for (name, why) in bad {
        assert!(
            said.get(name).is_some_and(|said| said.contains(why)),
            "{name}: {why} is missing in\n{}",
            outcome.stderr
        );
    }
    assert!(
        outcome.stderr.ends_with("error: 9 of 10 pictures failed; the lines above say why\n"),
        "{}",
        outcome.stderr
    );
    // Damage that only its decoder finds.
    let outcome = folder.detect(&["torn.png"]).ends(1);
    assert!(outcome.stderr.contains("error: torn.png: damaged"), "{}", outcome.stderr);
}

#[test]
fn a_folders_pictures_that_cannot_be_read_are_not_passed_over_in_silence() {
    let folder = Folder::new();
    folder.scene("phone/1.jpg", 40);
    folder.write("phone/IMG_0001.HEIC", "x");
    folder.write("phone/IMG_0002.HEIC", "x");
    let outcome = folder.detect(&["phone"]).ends(0);
    assert_eq!(outcome.names(), ["1.jpg"]);
    assert!(outcome.stderr.contains("note: phone: left out") && outcome.stderr.contains("IMG_0001.HEIC and 1 more"));
}

#[test]
fn bad_usage_models_and_labels_end_with_2_before_a_picture_is_read() {
    let folder = Folder::new();
    folder.scene("good.jpg", 40);
    folder.write("three.txt", "a\nb\nc\n");
    folder.write("text.onnx", "I am no model\n");
    folder.write("file", "");
    for (args, says) in [
        (&["--model", "absent.onnx", "good.jpg"][..], "--model absent.onnx: cannot be read"),
        (&["--model", "text.onnx", "good.jpg"], "it is a text file"),
        (&["--model", "bundled:cats", "good.jpg"], "bundled:shapes"),
        (&["--labels", "three.txt", "good.jpg"], "3 labels"),
        (&["--labels", "absent.txt", "good.jpg"], "labels file absent.txt"),
        (&["--labels", "a,b", "good.jpg"], "2 labels"),
        (&["--confidence", "1.5", "good.jpg"], "from 0 to 1"),
        (&["--iou", "NaN", "good.jpg"], "from 0 to 1"),
        (&["--family", "yolox", "good.jpg"], "family"),
        (&["--family", "magic", "good.jpg"], "possible values"),
        (&["--overlay", "file", "good.jpg"], "--overlay file: is no folder"),
        (&["--overlay", "out"], "<IMAGE>"),
        (&["--no-such-option", "good.jpg"], "--no-such-option"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.arg("detect").current_dir(folder.0.path()).env_remove("ORT_DYLIB_PATH").stdin(Stdio::null());
        if !args.contains(&"--model") {
            command.args(["--model", "bundled:shapes"]);
        }
        let outcome = Outcome::of(&command.args(args).output().unwrap()).ends(2);
        assert!(outcome.stderr.contains(says), "{args:?}: '{says}' is missing in\n{}", outcome.stderr);
        assert!(outcome.lines.is_empty());
    }
    assert!(!folder.at("out").exists());
}

#[test]
fn pictures_of_every_kind_and_size_are_looked_at() {
    let folder = Folder::new();
    let grey = Mat::new_rows_cols_with_default(48, 64, CV_8UC1, Scalar::all(90.0)).unwrap();
    let deep = Mat::new_rows_cols_with_default(48, 64, CV_16UC1, Scalar::all(40_000.0)).unwrap();
    let clear = Mat::new_rows_cols_with_default(48, 64, CV_8UC4, Scalar::new(10.0, 200.0, 30.0, 0.0)).unwrap();
    for (name, picture) in [("grey.jpg", &grey), ("grey.png", &grey), ("deep.png", &deep), ("clear.png", &clear)] {
        let mut bytes = Vector::<u8>::new();
        opencv::imgcodecs::imencode_def(&name[name.len() - 4..], picture, &mut bytes).unwrap();
        folder.write(name, bytes.as_slice());
    }
    for (name, picture) in [("a.webp", &clear), ("a.tif", &deep), ("a.bmp", &grey)] {
        let mut bytes = Vector::<u8>::new();
        opencv::imgcodecs::imencode_def(&name[1..], picture, &mut bytes).unwrap();
        folder.write(name, bytes.as_slice());
    }
    // Red, as a printer says it; made by Pillow 13: Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(…, optimize=True).
    let cmyk = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3OFBtUVdfYmdoZz5NcXlwZHhcZW\
                dj/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABQAAQAAAAAAAAAAAAAAAAAAAAf/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oADgRDAE0AWQBLAAA/AEAfj8gP/9k=";
    let path = folder.write("cmyk.jpg", base64::engine::general_purpose::STANDARD.decode(cmyk).unwrap());
    let mut frame = Frame::empty();
    read_picture(&path, &mut frame).unwrap();
    assert!(frame.bgr[2] > 180 && frame.bgr[0] < 80 && frame.bgr[1] < 80, "{:?}", &frame.bgr[..3]);

    let sizes = [("1x1.png", 1, 1), ("thin.png", 1, 2000), ("flat.jpg", 3000, 2), ("8k.jpg", 7680, 4320)];
    for (name, width, height) in sizes {
        folder.write(name, encoded(name, &plain(width, height, 0)));
    }
    let outcome = folder.detect(&["--overlay", "out", "."]).ends(0);
    assert_eq!(outcome.stderr, "", "decoders are silent too");
    assert_eq!(outcome.lines.len(), 12);
    for (name, width, height) in sizes {
        let line = outcome.line(name);
        assert_eq!(line["frame"]["width"], width);
        assert!(boxes(line).is_empty(), "all black: {line}");
        let mut frame = Frame::empty();
        read_picture(&folder.at("out").join(name), &mut frame).unwrap();
        assert_eq!((frame.width, frame.height), (width, height));
    }
    for (name, written) in [("a.webp", "a.webp.jpg"), ("a.tif", "a.tif.png"), ("a.bmp", "a.bmp.png")] {
        outcome.line(name);
        assert!(folder.at("out").join(written).is_file(), "{written}");
    }
}

#[test]
fn boxes_and_overlays_are_those_of_the_picture_as_it_is_shown() {
    let folder = Folder::new();
    let shown = scene(40);
    // Stored turned to the left, as a phone does, and said so: orientation 6 is "turn it to the right to show it".
    let (width, height) = (shown.height, shown.width);
    let mut stored = plain(width, height, 0);
    for y in 0..height {
        for x in 0..width {
            let (from, to) = (3 * (x * shown.width + (shown.width - 1 - y)) as usize, 3 * (y * width + x) as usize);
            stored.bgr[to..to + 3].copy_from_slice(&shown.bgr[from..from + 3]);
        }
    }
    let jpeg = encoded("x.jpg", &stored);
    let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    folder.write("phone.jpg", [&jpeg[..2], exif, &jpeg[2..]].concat());
    let outcome = folder.detect(&["--overlay", "out", "phone.jpg"]).ends(0);
    let line = outcome.line("phone.jpg");
    assert_eq!((line["frame"]["width"].as_u64(), line["frame"]["height"].as_u64()), (Some(640), Some(480)));
    assert!(share_found(line, 40) >= 0.75, "{line}");
    let mut frame = Frame::empty();
    read_picture(&folder.at("out/phone.jpg"), &mut frame).unwrap();
    assert_eq!((frame.width, frame.height), (640, 480), "the overlay is upright by itself");
}

#[test]
fn a_crowd_of_boxes_is_said_and_drawn() {
    let folder = Folder::new();
    folder.scene("a.jpg", 40);
    let outcome = folder.detect(&["--confidence", "0", "--iou", "1", "--overlay", "out", "a.jpg"]).ends(0);
    assert_eq!(boxes(outcome.line("a.jpg")).len(), 300, "as many as a model's default gives");
    assert!(folder.at("out/a.jpg").is_file());
}

#[test]
fn an_overlay_that_cannot_be_written_is_an_error_and_its_line_is_there() {
    let folder = Folder::new();
    folder.scene("a.jpg", 40);
    folder.scene("b.jpg", 40);
    fs::create_dir_all(folder.at("out/a.jpg")).unwrap();
    let outcome = folder.detect(&["--overlay", "out", "a.jpg", "b.jpg"]).ends(1);
    assert_eq!(outcome.names(), ["a.jpg", "b.jpg"]);
    assert!(outcome.stderr.contains("error: out/a.jpg: cannot be written"), "{}", outcome.stderr);
    assert_eq!(listed(&folder.at("out")), ["a.jpg", "b.jpg"], "nothing half-written is left");
}

#[test]
fn an_interrupt_ends_it_even_while_it_waits_for_standard_input() {
    let folder = Folder::new();
    folder.scene("a.jpg", 40);
    let mut command = folder.command(&["a.jpg", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _open = child.stdin.take().unwrap();
    // Its first line is out: it waits for the second picture now, or soon.
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut first).unwrap();
    assert!(first.contains("a.jpg"), "{first}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("interrupted: 1 of 2 pictures were not looked at"), "{stderr}");
}

#[test]
fn detect_says_of_the_reference_images_what_each_models_own_project_says() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let named = std::env::var_os("SIGHTWIRE_TEST_DATA").map(PathBuf::from);
    let Some(data) = named.into_iter().chain([beside]).find(|path| path.join("models").is_dir()) else {
        eprintln!("skipped: ../shared/data is not here");
        return;
    };
    for golden in [
        include_str!("golden/yolox_nano_416.json"),
        include_str!("golden/nanodet_m_416.json"),
        include_str!("golden/version-RFB-320.json"),
        include_str!("golden/FastestDet_352.json"),
    ] {
        let golden: Value = serde_json::from_str(golden).unwrap();
        let (model, iou) = (golden["model"].as_str().unwrap(), golden["settings"]["iou"].to_string());
        let folder = Folder::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.args(["detect", "--overlay", "out", "--confidence", "0.28", "--iou", &iou, "--model"]);
        command.arg(data.join("models").join(model)).arg(data.join("images")).current_dir(folder.0.path());
        let outcome = Outcome::of(&command.output().unwrap()).ends(0);
        // That a model was mended is told; nothing else is.
        let log: Vec<&str> = outcome.stderr.lines().filter(|line| !line.contains(" INFO graph mended: ")).collect();
        assert!(log.is_empty(), "{model}: {log:?}");
        assert_eq!((outcome.lines.len(), listed(&folder.at("out")).len()), (7, 7), "{model}");
        let mut compared = 0;
        for picture in golden["pictures"].as_array().unwrap().iter().filter(|picture| picture["edit"] == json!({})) {
            let found = boxes(outcome.line(picture["image"].as_str().unwrap()));
            for reference in picture["boxes"].as_array().unwrap().iter().filter(|r| r["score"].as_f64() > Some(0.3)) {
                let bbox: BBox = serde_json::from_value(reference["bbox"].clone()).unwrap();
                let same = found.iter().any(|(_, ours)| ours.iou(&bbox) >= 0.95);
                assert!(same, "{model}: {}: {reference}", picture["image"]);
                compared += 1;
            }
        }
        assert!(compared > 20, "{model}: only {compared}");
    }
}
