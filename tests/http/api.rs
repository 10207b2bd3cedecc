//! The API and the document that describes it.

use serde_json::{Value, json};

use crate::client::{Node, until};

const TWO: &str = "  door: { source: \"synthetic:shapes?width=160&height=120\", model: shapes, groups: [outdoor] }\n  \
                   yard: { source: \"synthetic:shapes?width=160&height=120\", model: shapes, groups: [outdoor] }\n";
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn a_command_is_answered_when_it_is_applied() {
    let node = Node::start("", TWO);
    node.until_state("door", "running");
    let reply = node.post("/api/cameras/door/stop?id=a%20b", &[], b"").expect(200).json();
    assert_eq!((&reply["ok"], &reply["id"], &reply["target"]), (&json!(true), &json!("a b"), &json!("camera/door")));
    assert_eq!(reply["state"]["actual"], "stopped");
    assert_eq!(node.camera("door")["actual"], "stopped");
    assert_eq!(node.camera("yard")["desired"], "running");
    let problem = node.post("/api/cameras/door/resume", &[], b"").problem(409, "not_paused");
    assert_eq!(problem["replies"][0]["error"]["code"], "not_paused");
    node.post("/api/cameras/door/start", &[JSON], b"{}").expect(200);

    let replies = node.post("/api/groups/outdoor/pause", &[], b"").expect(200).json();
    let targets: Vec<&Value> = replies.as_array().unwrap().iter().map(|reply| &reply["target"]).collect();
    assert_eq!(targets, ["camera/door", "camera/yard"]);
    node.post("/api/cameras/door/stop", &[], b"").expect(200);
    let mixed = node.post("/api/groups/outdoor/resume", &[], b"").problem(409, "not_paused");
    assert_eq!((&mixed["replies"][0]["ok"], &mixed["replies"][1]["ok"]), (&json!(false), &json!(true)));
    assert!(mixed["detail"].as_str().unwrap().starts_with("1 of 2 targets"), "{mixed}");

    let status = node.post("/api/node/status", &[], b"").expect(200).json();
    assert_eq!((&status[0]["target"], status.as_array().unwrap().len()), (&json!("node/garage"), 3));
}

#[test]
fn what_is_wrong_with_a_command_is_said() {
    let node = Node::start("", TWO);
    for (path, headers, body, status, code) in [
        ("/api/cameras/nobody/stop", vec![], "", 404, "unknown_camera"),
        ("/api/cameras/No%20Body/stop", vec![], "", 404, "unknown_camera"),
        ("/api/groups/nobody/stop", vec![], "", 404, "no_camera"),
        ("/api/cameras/door/explode", vec![], "", 404, "unknown_command"),
        ("/api/cameras/door/stop?expires_at=1", vec![], "", 409, "expired"),
        ("/api/cameras/door/stop?expires_at=soon", vec![], "", 400, "malformed"),
        ("/api/cameras/door/stop?expires_at=inf", vec![], "", 400, "malformed"),
        ("/api/cameras/door/stop", vec![JSON], "{", 400, "malformed"),
        ("/api/cameras/door/stop", vec![JSON], "[1]", 400, "malformed"),
        ("/api/cameras/door/stop", vec![], "{}", 415, "unsupported_media_type"),
        ("/api/cameras/door/stop", vec![("Content-Type", "text/plain")], "{}", 415, "unsupported_media_type"),
    ] {
        node.post(path, &headers, body.as_bytes()).problem(status, code);
    }
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
    node.post("/api/cameras/door/stop", &[JSON], long.as_bytes()).problem(413, "too_large");
    node.send("DELETE", "/api/cameras/door/stop", &[], b"").problem(405, "method_not_allowed");
    let refused = node.get("/api/cameras/door/stop", &[]).expect(405);
    assert!(refused.header("allow").contains("POST"), "{:?}", refused.headers);
    node.get("/nowhere", &[]).problem(404, "not_found");
    node.get("/api/cameras/%ff", &[]).problem(400, "bad_request");
    assert_eq!(node.camera("door")["desired"], "running");
}

#[test]
fn a_client_that_hangs_up_does_not_cut_a_command_in_half() {
    use std::io::Write as _;
    let node = Node::start("", TWO);
    node.until_state("door", "running");
    let mut stream = node.connect();
    write!(stream, "POST /api/cameras/door/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").unwrap();
    // What the server has not read yet was never said.
    until("it is begun", || node.camera("door")["desired"] == "stopped");
    drop(stream);
    node.until_state("door", "stopped");
    until("it is remembered", || {
        find(node.path(), "switches.json")
            .is_some_and(|file| std::fs::read_to_string(file).unwrap().contains("stopped"))
    });
}

fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.ends_with(name) {
                return Some(entry);
            }
            if entry.is_dir() {
                folders.push(entry);
            }
        }
    }
    None
}

/// Every operation of the document is there, and answers in the ways the document names.
#[test]
fn the_document_describes_the_server_that_serves_it() {
    let node = Node::start("", TWO);
    node.until_state("door", "running");
    let document = node.get("/api/openapi.json", &[]).expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = json!({ "components": document["components"] });
    for (path, methods) in document["paths"].as_object().unwrap() {
        let real = path.replace("{camera}", "door").replace("{group}", "outdoor").replace("{command}", "status");
        let real = real
            .replace("/page/{file}", "/page/main.js")
            .replace("{file}", "x")
            .replace("{session}", "x")
            .replace("{id}", "x");
        for method in ["get", "post", "put", "patch", "delete", "options"] {
            if methods.get(method).is_none() {
                node.send(&method.to_ascii_uppercase(), &real, &[], b"").problem(405, "method_not_allowed");
            }
        }
        for (method, operation) in methods.as_object().unwrap() {
            // It goes on for ever.
            if path.ends_with("stream.mjpeg") {
                node.send("HEAD", &real, &[], b"").expect(200);
                continue;
            }
            let answer = node.send(&method.to_ascii_uppercase(), &real, &[], b"");
            let described = &operation["responses"][answer.status.to_string()];
            assert!(described.is_object(), "{method} {path}: {} is not described: {}", answer.status, answer.text());
            let described = resolved(described, &document);
            let Some(media) = described["content"].as_object() else { continue };
            let kind = answer.header("content-type").split(';').next().unwrap();
            let described = media.get(kind).or(media.get("*/*"));
            let schema = &described.unwrap_or_else(|| panic!("{method} {path}: {kind} is not described"))["schema"];
            if kind.ends_with("json") {
                let mut whole = schemas.clone();
                for (key, value) in schema.as_object().unwrap() {
                    whole[key] = value.clone();
                }
                let body = answer.json();
                let validator = jsonschema::validator_for(&whole).unwrap();
                let faults: Vec<String> =
                    validator.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
                assert!(faults.is_empty(), "{method} {path}: {faults:?} in {body}");
            }
        }
    }
}

fn resolved<'a>(value: &'a Value, document: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}
