//! A camera whose pictures come regularly and show nothing is told from a healthy one.

use crate::common::Mosquitto;
use crate::node::{Home, Node, SHAPES, buses, wait_for};
use crate::rtsp::Camera;
use crate::witness::{MqttWitness, assert_valid};

fn reason(node: &Node) -> (String, String) {
    let state = node.camera("door");
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (word(&state["actual"]), word(&state["reason"]["code"]))
}

fn wait_until(node: &Node, code: &str) {
    wait_for(&format!("the picture is {code:?}"), || {
        (reason(node) == ("running".to_owned(), code.to_owned())).then_some(())
    });
}

#[test]
fn a_frozen_a_black_and_a_covered_picture_are_told_in_state_readiness_metrics_and_log() {
    let broker = Mosquitto::open();
    let mut camera = Camera::start(&["--control", "--pattern", "snow", "--bitrate", "3000"]);
    let home = Home::new(&format!(
        "{}{SHAPES}cameras:\n  door:\n    source: \"{}\"\n    model: shapes\n    \
         picture_check: {{ frozen_after: 5s, black_after: 2s, covered_after: 2s }}\n",
        buses(Some((broker.port, "5")), None),
        camera.url("")
    ));
    let node = home.start();
    node.wait_until("door", "running");
    let began = std::time::Instant::now();
    let witness = MqttWitness::v5(broker.port);
    let mut spoil = |how: &[&str], code: &str, well: &[&str]| {
        for command in how {
            camera.tell(command);
        }
        wait_until(&node, code);
        let told = witness.inbox.wait(code, |m| m.is_of("door", "state") && m.json()["reason"]["code"] == code);
        assert_valid("state", &told.json());
        assert_eq!(told.json()["actual"], "running");
        let readiness: serde_json::Value = serde_json::from_str(&node.get("/readyz").1).unwrap();
        let detail = readiness["cameras"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("running: {code}: ")), "{detail}");
        let gauges =
            |wanted: &str| node.metrics().sum("sightwire_camera_picture", &[("camera", "door"), ("condition", wanted)]);
        for condition in ["frozen_picture", "black_picture", "covered_lens"] {
            assert_eq!(gauges(condition), f64::from(u8::from(condition == code)), "{condition} of {code}");
        }
        for command in well {
            camera.tell(command);
        }
        wait_until(&node, "");
        assert_eq!(gauges(code), 0.0);
    };
    spoil(&["pattern checkers-8"], "frozen_picture", &["pattern snow"]);
    spoil(&["pattern black"], "black_picture", &["pattern snow"]);
    // Its normal is known by then.
    std::thread::sleep(std::time::Duration::from_secs(23).saturating_sub(began.elapsed()));
    spoil(&["blur on"], "covered_lens", &["blur off"]);
    let log = node.log.text();
    for code in ["frozen_picture", "black_picture", "covered_lens"] {
        assert_eq!(log.matches(&format!("\"code\":\"{code}\"")).count(), 1, "{log}");
        assert_eq!(log.matches(&format!("\"was\":\"{code}\"")).count(), 1, "{log}");
    }
    assert_eq!(node.camera("door")["actual"], "running");
}
