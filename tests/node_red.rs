//! The example flow for Node-RED, held to the program: its topics are real ones, its functions read real payloads, its commands
//! are valid. The flow itself runs in a real Node-RED by `make clients`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sightwire::envelope;

const FLOW: &str = "docs/node-red/flows.json";

fn nodes() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(FLOW).unwrap()).unwrap()
}

/// Topics that the program says or listens on, each with a sample payload where it says one.
fn explained() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sightwire.yaml");
    let text = "node: garage\nmodels: { shapes: { path: 'bundled:shapes' } }\n\
        cameras: { front-door: { source: 'synthetic:shapes', model: shapes, labels: [person] } }\n";
    std::fs::write(&file, text).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    let said = check.args(["check", "--offline", "--explain", "-c"]).arg(&file).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8(said.stdout).unwrap();
    let mut topics: Vec<(String, String)> = Vec::new();
    for line in said.lines() {
        if let Some((topic, _)) = line.split_once("  (") {
            topics.push((topic.to_owned(), String::new()));
        } else if let (Some(sample), Some((_, last))) = (line.strip_prefix("    "), topics.last_mut()) {
            sample.clone_into(last);
        }
    }
    topics
}

fn sample(topic: &str) -> Value {
    let topics = explained();
    let (_, sample) = topics.iter().find(|(known, _)| known == topic).unwrap_or_else(|| panic!("{topic}: {topics:?}"));
    serde_json::from_str(sample).unwrap()
}

/// What the named function nodes return of the messages, by the machine's own Node.js.
fn run(calls: &Value) -> Vec<Value> {
    let mut node = Command::new("node");
    node.args(["tests/clients/node-red/functions.mjs", FLOW]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().expect("Node.js is there (make setup installs it)");
    node.stdin.take().unwrap().write_all(calls.to_string().as_bytes()).unwrap();
    let said = node.wait_with_output().unwrap();
    assert!(said.status.success());
    serde_json::from_slice(&said.stdout).unwrap()
}

/// MQTT 5.0, section 4.7: `+` is one level.
fn matches(filter: &str, topic: &str) -> bool {
    let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
    filter.len() == topic.len() && filter.iter().zip(&topic).all(|(want, is)| *want == "+" || want == is)
}

#[test]
fn every_wire_leads_to_a_node_and_every_broker_is_there() {
    let nodes = nodes();
    let ids: HashSet<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), nodes.len(), "an id is used twice");
    for node in &nodes {
        let wired = node["wires"].as_array().into_iter().flatten().flat_map(|output| output.as_array().unwrap());
        for to in wired.chain(node.get("broker").filter(|_| node["type"] != "mqtt-broker")).chain(node.get("z")) {
            assert!(ids.contains(to.as_str().unwrap()), "{} of {} leads nowhere", to, node["name"]);
        }
    }
}

#[test]
fn the_flow_needs_nothing_but_what_comes_with_node_red() {
    let own = ["tab", "mqtt-broker", "comment", "mqtt in", "mqtt out", "function", "rbe", "inject", "debug"];
    for node in nodes() {
        assert!(own.contains(&node["type"].as_str().unwrap()), "{}", node["type"]);
    }
}

#[test]
fn every_topic_it_listens_to_is_one_that_the_program_says_or_the_flow_names_for_answers() {
    let topics = explained();
    let listened: Vec<_> = nodes().into_iter().filter(|node| node["type"] == "mqtt in").collect();
    assert!(listened.len() >= 3);
    for node in listened {
        let filter = node["topic"].as_str().unwrap();
        let said = topics.iter().any(|(topic, sample)| matches(filter, topic) && !sample.is_empty());
        assert!(said || filter == "sightwire/node-red/answers", "{filter}: {topics:?}");
    }
}

#[test]
fn a_detection_of_the_wanted_label_becomes_a_notification_and_others_do_not() {
    let topic = "sightwire/cameras/front-door/detections";
    let seen = sample(topic);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut seen = seen.clone();
        change(&mut seen);
        json!({ "topic": topic, "payload": seen })
    };
    let filter = |msg: Value| json!({ "name": "wanted, sure enough", "msg": msg });
    let wanted = filter(changed(&|_| {}));
    let faint = filter(changed(&|seen| seen["detections"][0]["score"] = json!(0.5)));
    let other = filter(changed(&|seen| seen["detections"][0]["label"] = json!("cat")));
    let late = filter(changed(&|seen| seen["replayed"] = json!(true)));
    let elsewhere = filter(json!({ "topic": "sightwire/cameras/yard/detections", "payload": seen.clone() }));
    let results = run(&json!([wanted, faint, other, late, elsewhere]));
    assert_eq!(
        results.iter().map(|msg| msg["payload"].clone()).collect::<Vec<_>>(),
        [json!(1), json!(0), json!(0), Value::Null, Value::Null]
    );
    let said = run(&json!([{ "name": "say it", "msg": results[0] }, { "name": "say it", "msg": results[1] }]));
    let said: Vec<_> = said.iter().map(|msg| msg["payload"].as_str().unwrap()).collect();
    assert!(said[0].ends_with("front-door: 1 × person, 94 % sure"), "{said:?}");
    assert!(said[1].ends_with("front-door: no person any more"), "{said:?}");
}

#[test]
fn what_its_buttons_send_is_a_command_and_goes_where_the_camera_listens() {
    let validator = jsonschema::validator_for(&envelope::schema("control").unwrap()).unwrap();
    let topics = explained();
    let buttons: Vec<Value> = nodes().into_iter().filter(|node| node["type"] == "inject").collect();
    assert_eq!(buttons.len(), 3);
    for button in buttons {
        let msg = json!({ "payload": button["payload"] });
        let sent = run(&json!([{ "name": "as a command", "msg": msg }])).remove(0);
        assert!(validator.is_valid(&sent["payload"]), "{sent}");
        assert!(topics.iter().any(|(topic, _)| sent["topic"] == topic.as_str()), "{sent}");
        assert_eq!((&sent["retain"], &sent["responseTopic"]), (&json!(false), &json!("sightwire/node-red/answers")));
    }
}

#[test]
fn answers_and_states_are_put_into_words() {
    let state = sample("sightwire/cameras/front-door/state");
    let mut stopped = state.clone();
    stopped["actual"] = json!("stopped");
    let ok =
        json!({ "node": "garage", "command": "stop", "target": "camera/front-door", "ok": true, "state": stopped });
    let refused = json!({ "node": "garage", "command": "stop", "target": "camera/front-door", "ok": false,
        "error": { "code": "expired", "message": "it expired 1.0 s ago" } });
    let validator = jsonschema::validator_for(&envelope::schema("reply").unwrap()).unwrap();
    assert!(validator.is_valid(&ok) && validator.is_valid(&refused));
    let results = run(&json!([
        { "name": "in words", "msg": { "payload": ok } },
        { "name": "in words", "msg": { "payload": refused } },
        { "name": "state in words", "msg": { "payload": state } },
    ]));
    let words: Vec<_> = results.iter().map(|msg| msg["payload"].as_str().unwrap()).collect();
    assert_eq!(
        words[..2],
        [
            "camera/front-door: stop applied, now stopped",
            "camera/front-door: stop refused (expired): it expired 1.0 s ago"
        ]
    );
    assert!(words[2].starts_with("front-door: running, wanted running"), "{words:?}");
}
