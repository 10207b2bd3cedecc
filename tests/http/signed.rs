//! Commands over HTTP that are signed, and those that are to be.

use serde_json::json;
use sightwire::control::auth::jws::{Claims, seal};
use sightwire::control::auth::{SigningKey, generate};
use sightwire::domain::Timestamp;

use crate::client::{Node, SECRET};

const SIGNED: (&str, &str) = ("Content-Type", "application/jose");
const DOOR: &str = "  door: { source: \"synthetic:shapes?width=160&height=120\", model: shapes, groups: [outdoor] }\n";

fn sign(key: &SigningKey, command: &str, target: &str, id: &str) -> String {
    let now = Timestamp::now();
    let claims = Claims {
        command: command.into(),
        target: target.into(),
        id: id.into(),
        issued_at: now,
        expires_at: now.plus(std::time::Duration::from_mins(1)),
        args: serde_json::Map::new(),
    };
    seal(&claims, "ana", key)
}

/// `more`: further lines of `control:`.
fn node(key: &SigningKey, http: &str, more: &str) -> Node {
    let operator = format!("ana: {{ public_key: {} }}", key.public_key().unwrap());
    Node::start(http, &format!("{DOOR}control:\n  operators: {{ {operator} }}\n{more}"))
}

#[test]
fn a_signed_command_is_posted_as_it_is_to_the_path_it_is_for_and_taken_once() {
    let key = SigningKey::read(&generate(false).unwrap()).unwrap();
    let node = node(&key, "", "");
    node.until_state("door", "running");
    let (stop, start) = (sign(&key, "stop", "camera/door", "1"), sign(&key, "start", "camera/door", "2"));
    let reply = node.post("/api/cameras/door/stop", &[SIGNED], stop.as_bytes()).expect(200).json();
    assert_eq!((&reply["id"], &reply["state"]["actual"]), (&json!("1"), &json!("stopped")));
    node.post("/api/cameras/door/stop", &[SIGNED], stop.as_bytes()).problem(403, "replayed");
    // Whatever is not what was signed is refused before its id is used up.
    let said = node.post("/api/cameras/door/stop", &[SIGNED], start.as_bytes()).problem(400, "malformed");
    assert_eq!(said["detail"], "the path says stop, and start was signed: post it to the path it is for");
    node.post("/api/groups/outdoor/start", &[SIGNED], start.as_bytes()).problem(422, "wrong_target");
    node.post("/api/cameras/door/start?id=x", &[SIGNED], start.as_bytes()).problem(400, "malformed");
    let (rest, _) = start.rsplit_once('.').unwrap();
    node.post("/api/cameras/door/start", &[SIGNED], format!("{rest}.AAAA").as_bytes()).problem(403, "bad_signature");
    for none in ["", "stop", "{}", "ey.ey", "ey.ey.ey"] {
        node.post("/api/cameras/door/start", &[SIGNED], none.as_bytes()).problem(400, "malformed");
    }
    assert_eq!(node.camera("door")["desired"], "stopped");
    node.post("/api/cameras/door/start", &[SIGNED], start.as_bytes()).expect(200);
    let status = sign(&key, "status", "node/garage", "3");
    assert_eq!(node.post("/api/node/status", &[SIGNED], status.as_bytes()).expect(200).json()[0]["id"], "3");
    // HTTP is trusted unless the file says otherwise.
    node.post("/api/cameras/door/start", &[], b"").expect(200);
    let log = node.log();
    assert!(log.contains("operator=\"ana\"") && !log.contains(start.rsplit_once('.').unwrap().1), "{log}");
}

#[test]
fn where_http_is_not_trusted_a_closed_command_needs_a_signature_whoever_is_logged_in() {
    let key = SigningKey::read(&generate(false).unwrap()).unwrap();
    let node = node(&key, ", token_file: token", "  trust_http: false\n");
    let bearer = format!("Bearer {SECRET}");
    let token = ("Authorization", bearer.as_str());
    let said = node.post("/api/cameras/door/start", &[token], b"").problem(403, "unsigned");
    assert_eq!(said["replies"][0]["error"]["code"], "unsigned");
    node.post("/api/cameras/door/stop", &[token], b"").expect(200);
    let start = sign(&key, "start", "camera/door", "1");
    node.post("/api/cameras/door/start", &[SIGNED], start.as_bytes()).problem(401, "token_needed");
    node.post("/api/cameras/door/start", &[SIGNED, token], start.as_bytes()).expect(200);
    node.post("/api/node/reload", &[token], b"").problem(403, "unsigned");
}
