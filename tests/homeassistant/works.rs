//! What an entity would send commands the node: topic, payload and template are taken from the announcement.

use serde_json::{Value, json};

use crate::{FRONT, House, wait_for};

/// What Home Assistant makes of a command template that holds nothing but the value.
fn rendered(entity: &Value, value: &str) -> String {
    let text = entity["command_template"].as_str().unwrap().replace("{{ value }}", value);
    assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
    text
}

fn text<'a>(entity: &'a Value, key: &str) -> &'a str {
    entity[key].as_str().unwrap_or_else(|| panic!("{key} of {entity}"))
}

fn until(house: &House, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || house.state("front-door").filter(&is))
}

#[test]
fn the_switch_stops_and_starts_and_says_what_is_wanted() {
    let house = House::new("{}", &[FRONT]);
    let _node = house.home.start();
    let (switch, seen) = (house.entity("switch.front_door"), house.entity("binary_sensor.front_door_circle"));
    assert_eq!(
        (text(&switch, "state_topic"), &switch["optimistic"]),
        ("sightwire/cameras/front-door/state", &json!(false))
    );
    until(&house, "it runs", |state| state["actual"] == "running");
    wait_for("what is seen is available", || house.is_available(&seen).then_some(()));
    house.send(&switch, text(&switch, "payload_off"));
    until(&house, "it is stopped", |state| state["desired"] == "stopped" && state["actual"] == "stopped");
    wait_for("what is seen is not", || (!house.is_available(&seen)).then_some(()));
    assert!(house.is_available(&switch), "or nobody could switch it on again");
    house.send(&switch, text(&switch, "payload_on"));
    until(&house, "it runs again", |state| state["desired"] == "running" && state["actual"] == "running");
    wait_for("what is seen is available again", || house.is_available(&seen).then_some(()));
}

#[test]
fn the_numbers_set_what_they_show_within_their_bounds() {
    let house = House::new("{}", &[FRONT]);
    let _node = house.home.start();
    let (confidence, fps) = (house.entity("number.front_door_confidence"), house.entity("number.front_door_max_fps"));
    until(&house, "it runs", |state| state["actual"] == "running");
    house.send(&confidence, &rendered(&confidence, "0.62"));
    until(&house, "the confidence", |state| state["settings"]["confidence"] == json!(0.62));
    house.send(&fps, &rendered(&fps, "3"));
    until(&house, "the frame rate", |state| state["settings"]["max_fps"].as_f64() == Some(3.0));
    // Its ends are allowed.
    for (entity, key) in [(&confidence, "confidence"), (&fps, "max_fps")] {
        for end in ["min", "max"] {
            let end = entity[end].as_f64().unwrap();
            house.send(entity, &rendered(entity, &end.to_string()));
            until(&house, key, |state| state["settings"][key].as_f64() == Some(end));
        }
    }
}

#[test]
fn the_buttons_do_what_they_say() {
    let house = House::new("{}", &[FRONT]);
    let node = house.home.start();
    until(&house, "it runs", |state| state["actual"] == "running");
    let press = |id: &str| {
        let button = house.entity(id);
        house.send(&button, text(&button, "payload_press"));
    };
    // No keyframes are configured: the picture comes of the button alone.
    let image = house.entity("image.front_door_keyframe");
    let pictures = || house.witness.inbox.of("front-door", "keyframe");
    assert!(pictures().is_empty());
    press("button.front_door_snapshot");
    let picture = wait_for("a picture", || pictures().pop());
    assert_eq!((picture.topic.as_str(), text(&image, "content_type")), (text(&image, "image_topic"), "image/jpeg"));
    assert!(picture.payload.starts_with(b"\xff\xd8"));

    press("button.front_door_restart");
    let restarted = |state: &Value| state["actual"] == "connecting";
    house.witness.inbox.wait("a new beginning", |m| m.is_of("front-door", "state") && restarted(&m.json()) && m.retain);
    node.wait_until("front-door", "running");

    press("button.sightwire_garage_stop_all");
    node.wait_until("front-door", "stopped");
    press("button.sightwire_garage_start_all");
    node.wait_until("front-door", "running");

    house.configure("{}", &[&FRONT.replace(", square", "")]);
    press("button.sightwire_garage_reload");
    wait_for("the label is gone", || house.find("sensor.front_door_square_count").is_none().then_some(()));
}
