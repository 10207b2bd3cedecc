//! Commands that come while a reload exchanges cameras.

use std::time::Duration;

use serde_json::{Value, json};

use crate::witness::{Received, publish};
use crate::{Yard, camera, node};

/// Cameras `a` to `f`, all of which a change of `fps` restarts.
fn cameras(fps: u32) -> String {
    ('a'..='f').zip(1..).map(|(name, seed)| camera(&name.to_string(), fps, seed, "")).collect()
}

fn ask(yard: &Yard, camera: &str, command: &Value) {
    publish(yard.broker.port, &format!("sightwire/cameras/{camera}/control"), command.to_string().as_bytes(), &[]);
}

fn answer(yard: &Yard, id: &str) -> Value {
    let of = |m: &Received| m.topic == "sightwire/nodes/garage/replies" && m.json()["id"] == id;
    yard.witness.inbox.wait(id, of).json()
}

#[test]
fn what_is_commanded_while_its_camera_begins_anew_holds() {
    let yard = Yard::open(&cameras(10));
    yard.flows("f");
    for round in 0..12_u32 {
        let before = yard.last();
        yard.write(&cameras(11 + round % 2));
        yard.node.process.signal("HUP");
        // Somewhere between the file's reading and the last camera's new session.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 15));
        let (stop, set) = (format!("stop-{round}"), format!("set-{round}"));
        ask(&yard, "a", &json!({"command": "stop", "id": stop}));
        ask(&yard, "b", &json!({"command": "set", "id": set, "args": {"max_fps": round + 1}}));
        let stopped = answer(&yard, &stop);
        assert_eq!((&stopped["ok"], &stopped["state"]["actual"]), (&true.into(), &"stopped".into()), "{stopped}");
        assert_eq!(answer(&yard, &set)["ok"], true);
        node::wait_for("the reload is over", || yard.last().filter(|last| Some(last) != before.as_ref()));
        let state = yard.node.camera("a");
        assert_eq!((&state["desired"], &state["actual"]), (&"stopped".into(), &"stopped".into()), "round {round}");
        assert_eq!(yard.node.camera("b")["settings"]["max_fps"], f64::from(round + 1), "round {round}");
        let start = format!("start-{round}");
        ask(&yard, "a", &json!({"command": "start", "id": start}));
        assert_eq!(answer(&yard, &start)["ok"], true);
        yard.node.wait_until("a", "running");
    }
}

#[test]
fn a_camera_that_is_taken_out_while_it_is_commanded_is_answered_for() {
    let (a, b) = (camera("a", 10, 1, ""), camera("b", 10, 2, ""));
    let yard = Yard::open(&[a.as_str(), &b].concat());
    yard.flows("b");
    for round in 0..6_u32 {
        let before = yard.last();
        yard.write(&if round % 2 == 0 { a.clone() } else { [a.as_str(), &b].concat() });
        yard.node.process.signal("HUP");
        std::thread::sleep(Duration::from_millis(u64::from(round) * 20));
        let id = format!("stop-{round}");
        publish(
            yard.broker.port,
            "sightwire/nodes/garage/control",
            json!({"command": "pause", "id": id}).to_string().as_bytes(),
            &[],
        );
        node::wait_for("the reload is over", || yard.last().filter(|last| Some(last) != before.as_ref()));
        // The one that stays is always among those that answer; the other did it, or is not known any more.
        let of = |m: &Received| {
            let reply = m.topic == "sightwire/nodes/garage/replies" && m.json()["id"] == id;
            reply && m.json()["target"] == "camera/a"
        };
        assert_eq!(yard.witness.inbox.wait(&id, of).json()["ok"], true);
        for m in yard.witness.inbox.all().iter().filter(|m| m.topic.ends_with("/replies") && m.json()["id"] == id) {
            let reply = m.json();
            assert!(reply["ok"] == true || reply["error"]["code"] == "unknown_camera", "{reply}");
        }
    }
}
