//! Home Assistant says when it starts, and is told everything again: not by all nodes at the same moment.

use std::collections::BTreeSet;

use crate::witness::publish;
use crate::{FRONT, House, announcements, wait_for};

const ANSWERED: &str = "Home Assistant has started";

fn answers(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(ANSWERED));
    lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"]["delay"].to_string()).collect()
}

#[test]
fn a_birth_is_answered_after_a_random_delay_with_everything_and_a_death_is_not() {
    let house = House::new("{}", &[FRONT]);
    let node = house.home.start();
    house.entity("switch.front_door");
    wait_for("it listens", || (node.metrics().sum("sightwire_bus_control_connected", &[]) > 0.0).then_some(()));
    let said = |topic: &str| house.witness.inbox.all().iter().filter(|m| m.topic == topic).count();
    let document = "homeassistant/device/sightwire_camera_front-door/config";
    let (status, state) = ("sightwire/cameras/front-door/status", "sightwire/nodes/garage/state");
    for round in 1..=3 {
        let before = [document, status, state].map(said);
        let documents = house.announced();
        publish(house.broker.port, "homeassistant/status", b"offline", &[]);
        // Twice: it is answered once.
        publish(house.broker.port, "homeassistant/status", b"online", &[]);
        publish(house.broker.port, "homeassistant/status", b"online", &[]);
        wait_for("all is said again", || {
            let now = [document, status, state].map(said);
            now.iter().zip(before).all(|(now, before)| *now > before).then_some(())
        });
        assert_eq!(house.announced(), documents, "the same as before");
        assert_eq!(answers(&node.log.text()).len(), round);
    }
    assert_eq!(announcements(&house.witness.inbox).iter().filter(|m| m.topic == document).count(), 4);
    let delays: BTreeSet<String> = answers(&node.log.text()).into_iter().collect();
    assert_eq!(delays.len(), 3, "at random: {delays:?}");
}

#[test]
fn births_and_announcements_are_where_the_configuration_says() {
    let house = House::new("{ prefix: homeassistant/test, birth_topic: homeassistant/up }", &[FRONT]);
    let node = house.home.start();
    let document = "homeassistant/test/device/sightwire_camera_front-door/config";
    wait_for("it is announced there", || house.announced().contains_key(document).then_some(()));
    wait_for("it listens", || (node.metrics().sum("sightwire_bus_control_connected", &[]) > 0.0).then_some(()));
    publish(house.broker.port, "homeassistant/status", b"online", &[]);
    publish(house.broker.port, "homeassistant/up", b"online", &[]);
    node.log.wait("of the answer", |line| line.contains(ANSWERED));
    assert_eq!(answers(&node.log.text()).len(), 1);
}
