//! Signed commands from key to audit, by our own program and by the example in docs/control.md.

use std::process::Command;

use serde_json::Value;

use crate::common::{Mosquitto, Subscriber, publish};
use crate::nodes::{Fleet, sightwire};

/// The Python program that docs/control.md shows.
fn example() -> &'static str {
    let guide = include_str!("../../docs/control.md");
    let (_, rest) = guide.split_once("```python\n").expect("an example in Python");
    rest.split_once("```").expect("it ends").0
}

/// What the configuration is to say of a new key.
fn keygen(folder: &std::path::Path, args: &[&str]) -> String {
    let output = sightwire(folder).arg("keygen").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.strip_prefix("control:\n  operators:\n").expect("a part of the configuration").to_owned()
}

fn fits_its_schema(audit: &Value) {
    let validator = jsonschema::validator_for(&sightwire::envelope::schema("audit").unwrap()).unwrap();
    let problems: Vec<String> = validator.iter_errors(audit).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}: {audit}");
}

/// The audit message with this id and code (`null` = accepted).
fn audited(audit: &mut Subscriber, id: &str, code: &Value) -> Value {
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
    let wanted = |line: &str| {
        let audit = read(line);
        audit["id"] == id && audit["code"] == *code
    };
    let audit = read(&audit.wait_for(&format!("of {id}, {code}"), wanted));
    fits_its_schema(&audit);
    audit
}

#[test]
fn signed_commands_are_carried_out_once_and_all_are_written_down() {
    let keys = tempfile::tempdir().unwrap();
    let ana = keygen(keys.path(), &["ana.key"]);
    let desk = keygen(keys.path(), &["--hmac", "desk.key"]);
    let desk = desk
        .replace("desk.key", &keys.path().join("desk.key").display().to_string())
        .replace(" }", ", may: [stop, start] }");
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(keys.path().join("ana.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(!sightwire(keys.path()).args(["keygen", "ana.key"]).output().unwrap().status.success(), "never over a key");

    let broker = Mosquitto::open();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let control = format!("control:\n  operators:\n{ana}{desk}");
    let mut fleet = Fleet::of(1, 2, &format!("mqtt: {{ url: \"{url}\" }}"), &url, &control);
    let mut audit = Subscriber::with(broker.port, "sightwire/nodes/n0/audit", &["-F", "%p"]);
    let mut replies = Subscriber::with(broker.port, "sightwire/nodes/n0/replies", &["-F", "%p"]);
    let mut commands = Subscriber::with(broker.port, "sightwire/control", &["-F", "%p"]);
    let key = |name: &str| keys.path().join(format!("{name}.key")).display().to_string();

    // Unsigned: stop is open, start is closed.
    assert_eq!(fleet.ctl(&["stop", "--all", "--id", "open"]).code, 0);
    let refused = fleet.ctl(&["start", "--all", "--id", "closed"]);
    assert_eq!((refused.code, refused.with("refused").len()), (1, 2), "{}", refused.said);
    assert_eq!(refused.rows()[0]["error"]["code"], "unsigned");
    assert_eq!(audited(&mut audit, "open", &Value::Null)["results"].as_array().unwrap().len(), 2);
    assert_eq!(audited(&mut audit, "closed", &"unsigned".into())["accepted"], false);

    // Signed, by both kinds of keys; the desk may not set.
    let ana_key = key("ana");
    let signed = fleet.ctl(&[
        "start",
        "--all",
        "--id",
        "signed",
        "--operator",
        "ana",
        "--key-file",
        &ana_key,
        "--expires",
        "2m",
    ]);
    assert_eq!((signed.code, signed.with("ok").len()), (0, 2), "{}", signed.said);
    assert_eq!(audited(&mut audit, "signed", &Value::Null)["operator"], "ana");
    let desk_key = key("desk");
    let by_desk = |args: &[&str]| fleet.ctl(&[args, &["--operator", "desk", "--key-file", &desk_key]].concat());
    assert_eq!(by_desk(&["start", "--all", "--id", "desk"]).code, 0);
    let set = by_desk(&["set", "confidence=0.7", "--camera", "n0-c0", "--id", "more"]);
    assert_eq!((set.code, &set.rows()[0]["error"]["code"]), (1, &"not_authorized".into()), "{}", set.said);
    assert_eq!(audited(&mut audit, "more", &"not_authorized".into())["operator"], "desk");
    let eve = keygen(keys.path(), &["eve.key"]);
    assert!(eve.contains("eve: { public_key: "));
    let forged = fleet.ctl(&["start", "--all", "--id", "forged", "--operator", "ana", "--key-file", &key("eve")]);
    assert_eq!(forged.rows()[0]["error"]["code"], "bad_signature", "{}", forged.said);
    let unknown = fleet.ctl(&["start", "--all", "--id", "unknown", "--operator", "eve", "--key-file", &key("eve")]);
    assert_eq!(unknown.rows()[0]["error"], forged.rows()[0]["error"], "who may sign is nobody's business");
    assert_eq!(audited(&mut audit, "unknown", &"unknown_operator".into())["claimed_operator"], "eve");

    // Caught on the wire and played again: to all, to a camera, and after a restart of the node.
    let caught = commands.wait_for("signed command", |line| line.starts_with("ey"));
    publish(broker.port, "sightwire/control", &caught, &[]);
    audited(&mut audit, "signed", &"replayed".into());
    let answered = |line: &str, code: &str| {
        let reply: Value = serde_json::from_str(line).unwrap_or_default();
        reply["id"] == "signed" && reply["error"]["code"] == code
    };
    replies.wait_for("that it was taken before", |line| answered(line, "replayed"));
    publish(broker.port, "sightwire/cameras/n0-c0/control", &caught, &[]);
    replies.wait_for("that it was for all", |line| answered(line, "wrong_target"));
    fleet.nodes.remove(0).kill();
    fleet.run(0);
    let again =
        (0..60).map(|_| fleet.ctl(&["status", "--node", "n0", "--timeout", "2s"])).any(|status| status.code == 0);
    assert!(again, "it is back");
    let mut later = Subscriber::with(broker.port, "sightwire/nodes/n0/replies", &["-F", "%p"]);
    publish(broker.port, "sightwire/control", &caught, &[]);
    later.wait_for("that it was taken before the restart", |line| answered(line, "replayed"));
}

#[test]
fn the_example_in_the_guide_signs_what_a_node_takes() {
    let keys = tempfile::tempdir().unwrap();
    let script = keys.path().join("sign.py");
    std::fs::write(&script, example()).unwrap();
    let ana = keygen(keys.path(), &["ana.key"]);
    let desk = keygen(keys.path(), &["--hmac", "desk.key"]);
    let desk = desk.replace("desk.key", &keys.path().join("desk.key").display().to_string());
    let broker = Mosquitto::open();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let control = format!("control:\n  operators:\n{ana}{desk}");
    let _fleet = Fleet::of(1, 1, &format!("mqtt: {{ url: \"{url}\" }}"), &url, &control);
    let mut audit = Subscriber::with(broker.port, "sightwire/nodes/n0/audit", &["-F", "%p"]);
    let ed25519 = Command::new("python3").args(["-c", "import cryptography"]).output().unwrap().status.success();
    if !ed25519 {
        println!("the Python here has no `cryptography`: the example is run with HMAC only");
    }
    for (operator, key) in [("desk", "desk.key"), ("ana", "ana.key")].into_iter().take(1 + usize::from(ed25519)) {
        let args = [operator, key, "set", "camera/n0-c0", r#"{"confidence": 0.7}"#];
        let signed = Command::new("python3").arg(&script).args(args).current_dir(keys.path()).output().unwrap();
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
        publish(broker.port, "sightwire/cameras/n0-c0/control", String::from_utf8(signed.stdout).unwrap().trim(), &[]);
        let line = audit.wait_for(operator, |line| line.contains(&format!(r#""operator":"{operator}""#)));
        let audit: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&audit["accepted"], &audit["results"][0]["ok"]), (&true.into(), &true.into()), "{audit}");
    }
}
