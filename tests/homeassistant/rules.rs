//! Every discovery message is what Home Assistant accepts, to the last key: those it does not know it drops in silence.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{FRONT, House, YARD, entities, wait_for};

const NEW: &str = include_str!("rules-2026.11.json");
const OLD: &str = include_str!("rules-2024.3.json");

struct Rules(Value);

impl Rules {
    fn of(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    fn holds_keys(&self, what: &str, found: &Map<String, Value>, rule: &Value) {
        let known: BTreeSet<&str> = words(&rule["known"]).collect();
        let unknown: Vec<_> = found.keys().filter(|key| !known.contains(key.as_str())).collect();
        assert!(unknown.is_empty(), "{what}: Home Assistant {} does not know {unknown:?}", self.0["version"]);
        let missing: Vec<_> = words(&rule["required"]).filter(|key| !found.contains_key(*key)).collect();
        assert!(missing.is_empty(), "{what}: {missing:?} must be there");
    }

    fn holds_entity(&self, platform: &str, entity: &Map<String, Value>) {
        let rule = &self.0["platforms"][platform];
        let what = entity["unique_id"].as_str().unwrap();
        self.holds_keys(what, entity, rule);
        let one_of = |key: &str, of: &Value| {
            if let Some(value) = entity.get(key) {
                assert!(words(of).any(|word| value == word), "{what}: {key} {value} is none of {of}");
            }
        };
        one_of("device_class", &rule["device_classes"]);
        one_of("state_class", &self.0["state_classes"]);
        one_of("entity_category", &json!(["config", "diagnostic"]));
        one_of("availability_mode", &json!(["all"]));
        if let Some(units) = entity.get("device_class").and_then(|class| self.0["units"].get(class.as_str().unwrap())) {
            one_of("unit_of_measurement", units);
        }
        // A sensor cannot be configured; Home Assistant refuses one that says so.
        if platform.ends_with("sensor") {
            assert_ne!(entity.get("entity_category"), Some(&json!("config")), "{what}");
        }
        for (key, value) in entity.iter().filter(|(key, _)| key.ends_with("_topic")) {
            let topic = value.as_str().unwrap();
            assert!(topic.starts_with("sightwire/") && !topic.contains(['+', '#']), "{what}: {key}: {topic}");
        }
        let icon = entity.get("icon").map_or("mdi:eye", |icon| icon.as_str().unwrap());
        assert!(icon.starts_with("mdi:") || icon.is_empty(), "{what}: {icon}");
    }

    fn holds_about(&self, topic: &str, message: &Value) {
        self.holds_keys(topic, message["origin"].as_object().unwrap(), &self.0["origin"]);
        self.holds_keys(topic, message["device"].as_object().unwrap(), &self.0["device"]);
        assert!(!message["device"]["identifiers"].as_array().unwrap().is_empty(), "{topic}");
        // `homeassistant/<component>/[<node>/]<object>/config`
        let words: Vec<&str> = topic.split('/').collect();
        assert!(
            matches!(words[..], ["homeassistant", _, _, "config"] | ["homeassistant", _, _, _, "config"]),
            "{topic}"
        );
        let fits = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        assert!(words.iter().all(|word| fits(word) && !word.is_empty()), "{topic}");
    }
}

fn words(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Of all entities: no id twice.
fn are_distinct<'a>(what: &str, ids: impl Iterator<Item = &'a Value>) {
    let mut met = BTreeSet::new();
    ids.for_each(|id| assert!(met.insert(id.as_str().unwrap()), "{what}: {id} twice"));
    assert!(!met.is_empty());
}

#[test]
fn a_device_message_is_what_home_assistant_accepts_to_the_last_key() {
    let house = House::new("{}", &[FRONT, YARD]);
    let _node = house.home.start();
    // The last to come: a label that was seen.
    wait_for("an entity of a seen label", || {
        let found = entities(&house.announced());
        found.into_iter().find(|e| {
            let id = e["default_entity_id"].as_str().unwrap();
            id.starts_with("sensor.yard_") && id.ends_with("_count")
        })
    });
    let rules = Rules::of(NEW);
    let announced = house.announced();
    let topics: Vec<&str> = announced.keys().map(String::as_str).collect();
    let device = |name: &str| format!("homeassistant/device/sightwire_{name}/config");
    assert_eq!(topics, [device("camera_front-door"), device("camera_yard"), device("node_garage")]);
    for (topic, message) in &announced {
        rules.holds_about(topic, message);
        rules.holds_keys(topic, message.as_object().unwrap(), &rules.0["message"]);
        for component in message["components"].as_object().unwrap().values() {
            let mut entity = component.as_object().unwrap().clone();
            let platform = entity.remove("platform").unwrap();
            rules.holds_entity(platform.as_str().unwrap(), &entity);
        }
    }
    let all = entities(&announced);
    are_distinct("unique_id", all.iter().map(|entity| &entity["unique_id"]));
    are_distinct("default_entity_id", all.iter().map(|entity| &entity["default_entity_id"]));

    let (node, front) = (&announced[&device("node_garage")], &announced[&device("camera_front-door")]);
    assert_eq!(front["device"]["via_device"], node["device"]["identifiers"][0]);
    assert!(node["device"].get("via_device").is_none());
    assert_eq!((&front["device"]["name"], &node["device"]["name"]), (&json!("Front door"), &json!("Sightwire Garage")));
    assert_eq!(front["origin"]["name"], "Sightwire");
    assert!(house.find("event.front_door_object").is_some() && house.find("event.yard_object").is_none());
    let status = |of: &str| json!({ "topic": format!("sightwire/{of}/status") });
    let seen = house.entity("binary_sensor.front_door_circle");
    assert_eq!(seen["availability"], json!([status("nodes/garage"), status("cameras/front-door")]));
    assert_eq!(seen["availability_mode"], "all");
    assert_eq!(house.entity("switch.front_door")["availability"], json!([status("nodes/garage")]));
}

#[test]
fn a_message_an_entity_is_what_an_older_release_accepts() {
    let house = House::new("{ style: components }", &[FRONT, YARD]);
    let _node = house.home.start();
    let count = || house.announced().keys().filter(|topic| topic.contains("camera_yard/label_")).count();
    wait_for("an entity of a seen label", || (count() > 0).then_some(()));
    let rules = Rules::of(OLD);
    let announced = house.announced();
    for (topic, message) in &announced {
        rules.holds_about(topic, message);
        rules.holds_entity(topic.split('/').nth(1).unwrap(), message.as_object().unwrap());
    }
    are_distinct("unique_id", announced.values().map(|entity| &entity["unique_id"]));
    let switch = &announced["homeassistant/switch/sightwire_camera_front-door/switch/config"];
    assert_eq!((&switch["object_id"], &switch["device"]["name"]), (&json!("front_door"), &json!("Front door")));
    assert!(announced.len() > 40, "{}", announced.len());
}
