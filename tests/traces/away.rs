//! A collector that is not there, comes late, or takes nothing: frames do not mind.

use crate::collector::Collector;
use crate::common::{Mosquitto, free_port};
use crate::node::{Home, Node, SHAPES, buses, scene, wait_for};
use crate::traces;
use crate::witness::MqttWitness;

fn home(broker: &Mosquitto, endpoint: &str) -> Home {
    Home::new(&format!(
        "{}{}{SHAPES}cameras:\n  door: {{ source: {}, model: shapes, max_fps: 0 }}\n",
        buses(Some((broker.port, "5")), None),
        traces(endpoint, "0s", ""),
        scene(40, ""),
    ))
}

fn counted(node: &Node, outcome: &str) -> f64 {
    node.metrics().sum("sightwire_traces_total", &[("outcome", outcome)])
}

fn said(node: &Node, what: &str) -> usize {
    node.log.all().iter().filter(|line| line.contains(what)).count()
}

#[test]
fn while_the_collector_is_away_frames_go_on_and_what_there_is_no_room_for_is_counted() {
    let broker = Mosquitto::open();
    let witness = MqttWitness::v5(broker.port);
    let port = free_port();
    let node = home(&broker, &format!("http://127.0.0.1:{port}")).start_owned();
    wait_for("dropped traces", || (counted(&node, "dropped") > 20.0).then_some(()));
    witness.inbox.wait_many("detections", 100, |m| m.is_of("door", "detections"));
    let seqs: Vec<u64> = witness.inbox.of("door", "detections").iter().map(|m| m.detections().seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "no message is missing: {seqs:?}");
    assert_eq!(said(&node, "takes no traces"), 1, "said once");
    let collector = Collector::at(port, "200 OK");
    wait_for("exported traces", || (counted(&node, "exported") > 0.0).then_some(()));
    // It answers before it notes them.
    wait_for("what was exported", || (!collector.spans().is_empty()).then_some(()));
    assert_eq!(said(&node, "takes traces again"), 1);
    assert!(node.end().0.success());
}

#[test]
fn what_the_collector_refuses_for_good_is_counted_and_said_once() {
    let broker = Mosquitto::open();
    let collector = Collector::at(0, "401 Unauthorized");
    let node = home(&broker, &collector.endpoint()).start_owned();
    wait_for("failed traces", || (counted(&node, "failed") > 20.0).then_some(()));
    assert_eq!(counted(&node, "exported"), 0.0);
    assert_eq!(said(&node, "401 Unauthorized"), 1);
    assert!(node.end().0.success());
}
