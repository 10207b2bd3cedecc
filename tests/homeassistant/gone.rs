//! What is gone is taken back: a camera, a label, a style, discovery itself; and a node that dies leaves no ghosts.

use serde_json::{Value, json};

use crate::common::retained;
use crate::witness::publish;
use crate::{FRONT, House, YARD, announcements, entities, wait_for};

const FRONT_DOOR: &str = "homeassistant/device/sightwire_camera_front-door/config";
const YARD_CONFIG: &str = "homeassistant/device/sightwire_camera_yard/config";

/// The message that an entity is named in only to be taken back.
fn component(house: &House, topic: &str, key: &str) -> Value {
    house.announced()[topic]["components"][key].clone()
}

#[test]
fn a_camera_and_a_label_that_a_reload_takes_out_are_taken_back_and_come_back() {
    let house = House::new("{}", &[FRONT, YARD]);
    let node = house.home.start();
    house.entity("sensor.front_door_square_count");
    house.entity("switch.yard");

    house.configure("{}", &[&FRONT.replace(", square", "")]);
    node.process.signal("HUP");
    wait_for("the camera is cleared", || retained(house.broker.port, YARD_CONFIG).is_none().then_some(()));
    wait_for("the label is", || house.find("sensor.front_door_square_count").is_none().then_some(()));
    assert_eq!(component(&house, FRONT_DOOR, "label_square_count"), json!({ "platform": "sensor" }));
    assert_eq!(component(&house, FRONT_DOOR, "label_square_occupancy"), json!({ "platform": "binary_sensor" }));
    assert!(house.find("sensor.front_door_circle_count").is_some(), "the other stays");
    assert!(house.find("switch.yard").is_none() && house.find("button.sightwire_garage_reload").is_some());

    house.configure("{}", &[FRONT, YARD]);
    node.process.signal("HUP");
    house.entity("sensor.front_door_square_count");
    house.entity("switch.yard");
}

#[test]
fn what_was_removed_while_the_node_was_away_is_taken_back_when_it_comes() {
    let house = House::new("{}", &[FRONT, YARD]);
    let node = house.home.start();
    house.entity("switch.yard");
    house.entity("sensor.front_door_square_count");
    node.end();
    house.configure("{}", &[&FRONT.replace(", square", "")]);
    let node = house.home.start();
    wait_for("the camera is cleared", || retained(house.broker.port, YARD_CONFIG).is_none().then_some(()));
    wait_for("the label is", || house.find("sensor.front_door_square_count").is_none().then_some(()));
    node.end();
    // Without the section nothing stands announced.
    house.configure("", &[FRONT]);
    let _node = house.home.start();
    wait_for("all is cleared", || house.announced().is_empty().then_some(()));
    assert_eq!(retained(house.broker.port, "homeassistant/#"), None);
}

#[test]
fn another_style_takes_the_old_one_back_before_it_announces() {
    let house = House::new("{}", &[FRONT]);
    let node = house.home.start();
    house.entity("sensor.front_door_square_count");
    let old = house.announced();
    let entities = entities(&old).len();
    node.end();
    let before = announcements(&house.witness.inbox).len();
    house.configure("{ style: components }", &[FRONT]);
    let node = house.home.start();
    wait_for("all entities one by one", || (house.announced().len() == entities).then_some(()));
    let said = announcements(&house.witness.inbox).split_off(before);
    let cleared = said.iter().filter(|message| message.payload.is_empty()).count();
    assert_eq!(cleared, old.len());
    assert!(said[..cleared].iter().all(|message| old.contains_key(&message.topic)), "the old ones go first");
    node.end();
    house.configure("{ style: device }", &[FRONT]);
    let _node = house.home.start();
    wait_for("and back", || (house.announced() == old).then_some(()));
}

#[test]
fn a_killed_nodes_entities_are_unavailable_and_it_leaves_no_ghosts() {
    let house = House::new("{}", &[FRONT]);
    let mut node = house.home.start();
    let (objects, switch) = (house.entity("sensor.front_door_objects"), house.entity("switch.front_door"));
    let connectivity = house.entity("binary_sensor.sightwire_garage_connectivity");
    let topic = objects["state_topic"].as_str().unwrap();
    wait_for("something is seen", || house.last(topic).filter(|count| count != "0"));
    assert!([&objects, &switch].iter().all(|entity| house.is_available(entity)));
    node.process.signal("KILL");
    node.process.wait();
    wait_for("the will", || (!house.is_available(&switch)).then_some(()));
    assert!(!house.is_available(&objects));
    // Whether the node is there is known all the same.
    assert!(house.is_available(&connectivity));
    assert_eq!(house.last(connectivity["state_topic"].as_str().unwrap()).as_deref(), Some("offline"));

    // Stopped before anything is seen again.
    let node = house.home.start();
    wait_for("it is back", || house.is_available(&switch).then_some(()));
    publish(house.broker.port, "sightwire/cameras/front-door/control", b"stop", &[]);
    node.wait_until("front-door", "stopped");
    node.end();
    let mut node = house.home.start();
    node.wait_until("front-door", "stopped");
    node.process.signal("KILL");
    node.process.wait();
    let node = house.home.start();
    node.wait_until("front-door", "stopped");
    wait_for("the switch", || house.is_available(&switch).then_some(()));
    assert!(!house.is_available(&objects));
    let kept = |entity: &str| retained(house.broker.port, house.entity(entity)["state_topic"].as_str().unwrap());
    for entity in ["sensor.front_door_objects", "sensor.front_door_circle_count", "sensor.front_door_square_count"] {
        assert_eq!(kept(entity).as_deref(), Some("0"), "{entity}");
    }
}
