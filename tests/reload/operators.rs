//! Who may command what, exchanged while the node runs.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::witness::{Received, publish};
use crate::{SHAPES, Yard, camera};

fn sightwire(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    let output = command.args(args).current_dir(folder).env_remove("SIGHTWIRE_BUS").output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_key_that_is_taken_out_of_the_file_opens_nothing_after_a_reload() {
    let a = camera("a", 10, 1, "");
    let yard = Yard::open(&a);
    yard.flows("a");
    let bus = format!("mqtt://127.0.0.1:{}", yard.broker.port);
    let home = yard.home.path();
    let key = |file: &str| {
        let (code, line) = sightwire(home, &["keygen", file]);
        assert_eq!(code, 0, "{line}");
        line.strip_prefix("control:\n  operators:\n").unwrap().to_owned()
    };
    let (ana, ben) = (key("ana.key"), key("ben.key"));
    let operators = |lines: &str| {
        let control = if lines.is_empty() { String::new() } else { format!("control:\n  operators:\n{lines}") };
        std::fs::write(yard.file(), format!("{}{control}", yard.text(SHAPES, &a))).unwrap();
    };
    let start = |by: &str| {
        let file = format!("{by}.key");
        let signed = ["ctl", "--json", "--bus", &bus, "start", "--all", "--operator", by, "--key-file", &file];
        let (code, said) = sightwire(home, &signed);
        let roll: Value = serde_json::from_str(&said).unwrap();
        (code, roll["rows"][0]["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    // Where nobody can sign nothing needs it.
    assert_eq!(yard.reload("none")["ok"], true);
    operators(&ana);
    let done = yard.reload("first");
    assert_eq!((&done["ok"], &done["state"]["reload"]["needs_restart"]), (&true.into(), &Value::Null), "{done}");
    assert_eq!(yard.reload("unsigned")["error"]["code"], "unsigned", "reload itself is closed now");
    assert_eq!((start("ana").0, start("ben").1.as_str()), (0, "bad_signature"));
    // Her key for his; SIGHUP, for the file is its owner's.
    operators(&ben);
    assert_eq!(yard.hang_up()["ok"], true);
    assert_eq!((start("ana").1.as_str(), start("ben").0), ("bad_signature", 0));
    // A key that is none changes nothing.
    operators("    ben: { public_key: AAAA }\n");
    assert_eq!(yard.hang_up()["ok"], false);
    assert_eq!(start("ben").0, 0);
    operators("    desk: { hmac_key_file: nowhere.key }\n");
    let refused = yard.hang_up();
    assert!(refused["error"].as_str().unwrap().contains("nowhere.key"), "{refused}");
    assert_eq!(start("ben").0, 0);
    operators("");
    assert_eq!(yard.hang_up()["ok"], true);
    publish(
        yard.broker.port,
        "sightwire/control",
        json!({"command": "start", "id": "open"}).to_string().as_bytes(),
        &[],
    );
    let of = |m: &Received| m.topic == "sightwire/nodes/garage/replies" && m.json()["id"] == "open";
    assert_eq!(yard.witness.inbox.wait("an answer", of).json()["ok"], true);
    yard.flows("a");
    yard.is_whole("a");
}
