//! Files that are no configuration, or a wrong one.

use crate::program::{Folder, Outcome, SECRET};

const SMALLEST: &str =
    "models: { shapes: { path: bundled:shapes } }\ncameras: { demo: { source: synthetic:shapes, model: shapes } }\n";

#[test]
fn a_file_that_is_missing_empty_or_no_yaml_is_said_with_the_remedy() {
    let folder = Folder::new();
    folder.sightwire(&["run"]).fails(2, &["sightwire.yaml: there is no such file", "-c FILE", "sightwire demo"]);
    folder.sightwire(&["check", "-c", "x/y.yaml"]).fails(2, &["x/y.yaml: there is no such file"]);
    folder.sightwire(&["run", "-c", "."]).fails(2, &["cannot be read", "fix: "]);
    folder.with("", &["run"]).fails(2, &["the file is empty", "smallest useful file"]);
    folder.with("# nothing\n", &["run"]).fails(2, &["the file is empty"]);
    folder.with("a: [1,\n b: {", &["run"]).fails(2, &["sightwire.yaml:3:1", "not YAML"]);
    folder.with("just a word", &["run"]).fails(2, &["sightwire.yaml:1:1", "not a mapping"]);
    folder.write("sightwire.yaml", b"node: \xff\xfe");
    folder.sightwire(&["run"]).fails(2, &["sightwire.yaml:1:7", "UTF-8"]);
    folder.write("sightwire.yaml", b"\x00\x01\x02");
    folder.sightwire(&["check", "--offline"]).fails(2, &["sightwire.yaml:1:1"]);
    folder.write("sightwire.yaml", vec![b'#'; 2 << 20]);
    folder.sightwire(&["run"]).fails(2, &["larger than", "no configuration"]);
}

#[test]
fn bombs_are_refused_at_once() {
    let folder = Folder::new();
    let aliases: String = ('b'..='h')
        .map(|c| format!("{c}: &{c} [{}]\n", vec![format!("*{}", (c as u8 - 1) as char); 10].join(",")))
        .collect();
    folder.with(&format!("a: &a [x,x,x,x,x,x,x,x,x,x]\n{aliases}"), &["run"]).fails(2, &["aliases repeat"]);
    for open in ["[", "{a: "] {
        folder.with(&format!("a: {}", open.repeat(100_000)), &["run"]).fails(2, &["nested more than 32 levels"]);
    }
}

const MANY: &str = r#"node: "Garage One"
buses:
  mqtt: { url: "http://u:geheim1@h", qos: 5 }
  kafka: {}
models:
  street: { path: nope.onnx, confidense: 0.3, confidence: 1.5, device: gpu, workers: -1 }
  Other: { path: bundled:nothing }
  none: { path: "bundled:nothing", device: [] }
cameras:
  front-door: { source: "rtsp://user:${NOT_THERE}@camera/s", model: stret, max_fps: fast }
  front-door: { source: webcam:0, model: street }
  back:
    source: "rtsp://admin:geheim2@cam/x"
    model: nothere
    publish: { qos: 7, min_interval: soon }
    queue: { depth: 0 }
  y: { source: "ftp://a:geheim3@b/c", model: street }
  z: { source: "", model: street }
  w: 5
http: { listen: 0.0.0.0:8720 }
"#;

#[test]
fn all_problems_are_said_at_once_each_with_its_place() {
    let folder = Folder::new();
    for args in [&["run"][..], &["check"], &["check", "--offline"]] {
        folder.with(MANY, args).fails(
            2,
            &[
                "sightwire.yaml:1:7: node: 'Garage One'",
                "3:16: buses.mqtt.url: 'http://***@h' does not begin with mqtt://",
                "3:38: buses.mqtt.qos: there is no such key",
                "4:3: buses.kafka: there is no such key",
                "6:19: models.street.path: there is no file nope.onnx",
                "6:30: models.street.confidense: there is no such key\n    fix: did you mean 'confidence'?",
                "6:59: models.street.confidence: '1.5' is too large: at most 1",
                "models.street.device: 'gpu' is not known here",
                "models.street.workers: '-1' is too small",
                "7:3: models.Other: 'Other' is not a name",
                "models.none.path: 'bundled:nothing' does not come with the program\n    fix: write 'bundled:shapes'",
                "models.none.device: the list is empty",
                "10:25: cameras.front-door.source: the environment variable NOT_THERE is not set",
                "cameras.front-door.model: there is no model 'stret'\n    fix: did you mean 'street'?",
                "cameras.front-door.max_fps: 'fast' is text, not a number",
                "11:3: cameras.front-door: two cameras are named 'front-door': the first is in line 10",
                "cameras.back.model: there is no model 'nothere'",
                "cameras.back.publish.qos: '7' is too large",
                "cameras.back.publish.min_interval: 'soon' does not fit\n    fix: write a length of time",
                "cameras.back.queue.depth: '0' is too small",
                "cameras.y.source: ftp://***@b/c: no source is of the kind 'ftp:'",
                "cameras.z.source: is empty",
                "cameras.w: '5' is a number, not a mapping",
                "http.listen: '0.0.0.0:8720' can be reached from other machines, and there is no 'token_file'",
                "problems; nothing was started",
            ],
        );
    }
    assert!(!folder.path().join("state").exists(), "nothing is opened or made before the configuration is right");
}

#[test]
fn sections_of_the_wrong_shape_are_explained() {
    let folder = Folder::new();
    let outcome = folder.with("models: [a, b]\ncameras: door\n", &["run"]);
    outcome.fails(2, &["models: this is a list, not a mapping", "cameras: 'door' is text, not a mapping", "NAME: {"]);
    folder.with("models: {}\ncameras: {}\n", &["run"]).fails(2, &["there is no model", "there is no camera"]);
    folder.with("node: x\n", &["run"]).fails(2, &["models: is missing", "cameras: is missing"]);
    folder.with(&format!("{SMALLEST}---\na: b\n"), &["run"]).fails(2, &["a second document begins here"]);
}

#[test]
fn operators_who_could_not_sign_are_said() {
    let folder = Folder::new();
    let wrong = "control:\n  operators:\n    ana: { public_key: AAAA }\n    eve: {}\n    desk: { hmac_key_file: no.key, may: [explode] }\n    \
                 both: { public_key: AAAA, hmac_key_file: no.key }\n  require_signature: [start, fly]\n";
    folder.with(&format!("{SMALLEST}{wrong}"), &["check", "--offline"]).fails(
        2,
        &[
            "control.operators.ana.public_key: the key cannot be used: it is not an ed25519 key of 32 bytes",
            "control.operators.eve: an operator without a key can sign nothing",
            "control.operators.desk.hmac_key_file: there is no file",
            "control.operators.desk.may",
            "control.operators.both.hmac_key_file: public_key and hmac_key_file exclude each other",
            "control.require_signature",
        ],
    );
    let nobody = format!("{SMALLEST}control: {{ require_signature: [start] }}\n");
    folder.with(&nobody, &["run"]).fails(2, &["control.require_signature: nobody can sign: there are no operators"]);
    folder.write("short.key", format!("{SECRET}\n"));
    let short =
        format!("{SMALLEST}state_dir: state\ncontrol: {{ operators: {{ ana: {{ hmac_key_file: short.key }} }} }}\n");
    folder.with(&short, &["run"]).fails(1, &["control.operators.ana.hmac_key_file", "short.key", "32 characters"]);
}

#[test]
fn what_the_environment_gives_is_never_shown() {
    let folder = Folder::new();
    folder.write(
        "sightwire.yaml",
        "models: { m: { path: \"bundled:${PW}\" } }\nbuses: { mqtt: { url: \"mqtt://h:${PW}\", password: [\"${PW}\"] } }\ncameras:\n  a: { source: \"gopher://u:${PW}@h/x\", model: m, max_fps: \"${PW}\", pace: \"${PW}\" }\n  b: { source: \"webcam:${PW}\", model: \"${PW}\" }\nhttp: { listen: \"${PW}\", token_file: \"${PW}\" }\n",
    );
    let mut command = folder.command(&["run"]);
    command.env("PW", format!("{SECRET}-123"));
    // `decent` holds that it is nowhere.
    Outcome::of(command).fails(2, &["cameras.a.source: gopher://***@h/x", "cameras.b.source", "http.listen"]);
}

#[test]
fn waiting_for_the_end_of_what_never_ends_is_refused_before_anything_starts() {
    let folder = Folder::new();
    let config = "models: { m: { path: bundled:shapes } }\ncameras: { a: { source: \"rtsp://u:geheim@127.0.0.1:1/x\", model: m } }\n";
    let outcome = folder.with(config, &["run", "--until-done"]);
    outcome.fails(2, &["--until-done", "no camera has one", "a: rtsp://***@127.0.0.1:1/x"]);
    assert!(!folder.path().join("state").exists());
    folder.with(SMALLEST, &["run", "--summary", "json"]).fails(2, &["--until-done"]);
    folder.with(SMALLEST, &["run", "--until-done", "--summary", "xml"]).fails(2, &["table, json"]);
}

#[test]
fn the_smallest_file_works() {
    let folder = Folder::new();
    let outcome = folder.with(SMALLEST, &["check"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    outcome.row("model", "shapes", &["ok", "on cpu"]).row("camera", "demo", &["ok", "640x480"]);
}
