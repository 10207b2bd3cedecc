//! `@asyncapi/parser`, with its parser for protobuf payloads, in Node.js.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncapi")
}

/// One process for all: most of its time goes into being loaded.
fn judged(documents: &[Value]) -> Vec<Value> {
    let mut command = Command::new("node");
    command.arg("check.mjs").current_dir(folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("node: {e}; `make setup` installs Node.js"));
    child.stdin.take().unwrap().write_all(json!(documents).to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "check.mjs failed");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// What must be refused.
fn spoilt(pointer: &str, value: Value) -> Value {
    let mut document = sightwire::asyncapi::document();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    document
}

#[test]
fn its_own_parser_takes_the_document_sees_what_is_meant_and_refuses_what_is_wrong() {
    crate::npm::install(&folder());
    let document = sightwire::asyncapi::document();
    let said = judged(&[
        document.clone(),
        spoilt("/operations/sendEvents/bindings/mqtt/qos", json!(3)),
        spoilt("/operations/sendEvents/channel/$ref", json!("#/channels/nowhere")),
        spoilt("/components/messages/eventProtobuf/payload/schema", json!("message {")),
    ]);
    for wrong in &said[1..] {
        assert_ne!(wrong["problems"], json!([]));
    }
    assert_eq!(said[0]["problems"], json!([]));
    let operations = said[0]["operations"].as_array().unwrap();
    assert_eq!(operations.len(), document["operations"].as_object().unwrap().len());
    let of = |id: &str| operations.iter().find(|operation| operation["id"] == id).unwrap();
    let detections = of("sendDetections");
    assert_eq!(detections["action"], "send");
    assert_eq!(detections["address"], "{prefix}/cameras/{camera}/detections");
    let fields = |payload: usize| -> Vec<&str> {
        detections["payloads"][payload].as_array().unwrap().iter().map(|field| field.as_str().unwrap()).collect()
    };
    // Protobuf's fields are those of JSON but for `file`, which stills have alone and only as JSON.
    let (json, protobuf) = (fields(0), fields(2));
    assert_eq!(json.into_iter().filter(|field| *field != "file").collect::<Vec<_>>(), protobuf);
    assert_eq!(of("receiveCameraControlNats")["address"], "{prefix}.cameras.{camera}.control");
}
