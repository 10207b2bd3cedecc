//! The configuration as its writer meets it: what is taken, and how everything wrong is said at once.

use std::path::Path;

use sightwire::config::{ConfigError, Loaded, load_text, load_with};

fn environment(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/anna".into()),
        "CAM_PASSWORD" => Some("hunter2-secret".into()),
        "DIGITS" => Some("12345".into()),
        "WORD" => Some("zebra-stripes".into()),
        _ => None,
    }
}

fn load(text: &str) -> Result<Loaded, ConfigError> {
    load_text(text, Path::new("sightwire.yaml"), &environment)
}

fn problems(text: &str) -> String {
    let error = load(text).expect_err("this has problems");
    let said = format!("{error}\n{error:?}");
    for secret in ["hunter2", "12345", "zebra", "s3cret"] {
        assert!(!said.contains(secret), "{secret} came out: {said}");
    }
    error.to_string()
}

const GOOD: &str = "
models:
  shapes: { path: bundled:shapes }
cameras:
  front-door: { source: synthetic:shapes, model: shapes }
";

#[test]
fn look() {
    println!(
        "{}",
        problems(
            r#"
node: My Garage
buses:
  mqtt:
    url: tcp://bob:s3cret@localhost:1883
    username: x
    pasword: s3cret
    version: 4
    cert_file: nowhere.pem
    topic_prefix: a/+/b
  nats:
    url: nats://bob:s3cret@
    creds_file: a.creds
    username: bob
models:
  street:
    path: models/none.onnx
    family: yolov9
    confidence: 1.5
    max_candidates: lots
    device: [cpu, gpu]
    labels: { a: 1 }
  shapes: { path: bundled:shapes, workers: 0 }
  good: { path: bundled:shapes }
  good: { path: bundled:shapes }
cameras:
  front-door:
    source: rtsp://user:${CAM_PASSWORD}@camera/stream1
    model: stret
    max_fps: ${WORD}
    publish: { when: always, min_interval: 30 }
    keyframes:
    queue: 5
    loop: "yes"
    labels: [person, [car]]
  front-door:
    source: x
  Back Door: { source: x, model: shapes }
  side:
    source: synthetic:${WORD}
    model: good
  yard:
    source: rtsp://u:${NO_SUCH}@cam
    model: good
  roof: { model: 7 }
http:
  listen: localhost:8720
  port: 80
"#
        )
    );
    for text in ["", "a: [", "- a\n", "a: 1\n---\nb: 2", "cameras: {}\nmodels: {}\n", "models:\ncameras:\n", "\tx: 1"] {
        println!("--- {text:?}\n{}", problems(text));
    }
    println!("{}", load_with(None, &environment).unwrap_err());
    println!("{}", load_with(Some(Path::new("/tmp")), &environment).unwrap_err());
    println!("{:?}", load(GOOD).unwrap());
}
