//! `enabled/set` and `enabled/state`: the same judge as for every other command.

use std::time::Duration;

use serde_json::Value;

use crate::common::Mosquitto;
use crate::node::{Home, wait_for};
use crate::witness::{MqttWitness, publish};
use crate::{ON, camera, text, wait_retained, witness};

const STATE: &str = "frigate/left/enabled/state";
const SET: &str = "frigate/left/enabled/set";
/// Long enough for whatever was still under way to show itself.
const SETTLE: Duration = Duration::from_millis(1500);

/// The answer to the latest command; `count` of them came.
fn answer(witness: &MqttWitness, count: usize) -> Value {
    let answers = witness.inbox.wait_many("the answer", count, |m| m.topic == "sightwire/nodes/garage/replies");
    answers.last().unwrap().json()
}

fn audited(witness: &MqttWitness, count: usize) -> Value {
    let audited = witness.inbox.wait_many("the audit", count, |m| m.topic == "sightwire/nodes/garage/audit");
    audited.last().unwrap().json()
}

#[test]
fn off_stops_the_camera_and_on_starts_it_and_both_are_answered_and_written_down() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    let home = Home::new(&text(&broker, ON, &[camera("left", ""), camera("right", "")].concat()));
    let mut node = home.start();
    node.wait_until("left", "running");
    wait_retained(&broker, STATE, "ON");
    witness.inbox.wait("an event", |m| m.topic == "frigate/events");

    publish(broker.port, SET, b"OFF", &[]);
    let stopped = answer(&witness, 1);
    assert_eq!((&stopped["ok"], &stopped["target"]), (&true.into(), &"camera/left".into()), "{stopped}");
    assert_eq!(stopped["state"]["actual"], "stopped");
    let audit = audited(&witness, 1);
    assert_eq!((&audit["command"], &audit["bus"], &audit["accepted"]), (&"stop".into(), &"mqtt".into(), &true.into()));
    wait_retained(&broker, STATE, "OFF");
    wait_retained(&broker, "frigate/right/enabled/state", "ON");
    assert_eq!(node.camera("right")["actual"], "running");

    // What is neither switches nothing.
    publish(broker.port, SET, b"TOGGLE", &[]);
    wait_for("it is refused", || {
        let ignored = [("command", "unknown"), ("result", "refused")];
        (node.metrics().sum("sightwire_control_commands_total", &ignored) > 0.0).then_some(())
    });
    assert_eq!(node.camera("left")["actual"], "stopped");

    // Remembered, as every switch is; and what was retained meanwhile is refused.
    node.process.signal("TERM");
    node.process.wait();
    let before = witness.inbox.all().iter().filter(|m| m.topic == "sightwire/nodes/garage/replies").count();
    publish(broker.port, SET, b"ON", &["-r"]);
    let node = home.start();
    let again = answer(&witness, before + 1);
    assert_eq!((&again["ok"], &again["error"]["code"]), (&false.into(), &"retained".into()), "{again}");
    node.wait_until("left", "stopped");
    wait_retained(&broker, STATE, "OFF");

    publish(broker.port, SET, b"ON", &[]);
    node.wait_until("left", "running");
    wait_retained(&broker, STATE, "ON");
}

#[test]
fn a_start_that_must_be_signed_is_refused_there_too() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    let signed = "control:\n  operators: { ana: { public_key: 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= } }\n";
    let node = Home::new(&text(&broker, &format!("{ON}{signed}"), &camera("left", ""))).start_owned();
    node.wait_until("left", "running");
    wait_retained(&broker, STATE, "ON");
    publish(broker.port, SET, b"OFF", &[]);
    assert_eq!(answer(&witness, 1)["ok"], true, "a stop is open");
    publish(broker.port, SET, b"ON", &[]);
    let refused = answer(&witness, 2);
    assert_eq!((&refused["ok"], &refused["error"]["code"]), (&false.into(), &"unsigned".into()), "{refused}");
    let audit = audited(&witness, 2);
    assert_eq!((&audit["accepted"], &audit["code"]), (&false.into(), &"unsigned".into()), "{audit}");
    assert_eq!(node.camera("left")["actual"], "stopped");
    wait_retained(&broker, STATE, "OFF");
    let page = node.metrics();
    let counted = |result| page.sum("sightwire_control_commands_total", &[("result", result)]);
    assert_eq!((counted("ok"), counted("unsigned")), (1.0, 1.0));
}

#[test]
fn a_camera_that_is_switched_off_is_silent() {
    let broker = Mosquitto::open();
    let witness = witness(&broker);
    let node = Home::new(&text(&broker, ON, &camera("left", ""))).start_owned();
    node.wait_until("left", "running");
    witness.inbox.wait("an event", |m| m.topic == "frigate/events");
    publish(broker.port, SET, b"OFF", &[]);
    answer(&witness, 1);
    let said = || witness.inbox.all().iter().filter(|m| m.topic.starts_with("frigate/") && m.topic != SET).count();
    // What was said before may still be on its way: the answer overtakes it.
    std::thread::sleep(SETTLE);
    let before = said();
    std::thread::sleep(SETTLE);
    assert_eq!(said(), before);
    assert_eq!(node.camera("left")["actual"], "stopped");
}
