//! `docs/home-assistant.md` names what there is, all of it, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;
use sightwire::app;
use sightwire::config::load_text;
use sightwire::homeassistant::HomeAssistantConfig;

use crate::entities;

const GUIDE: &str = include_str!("../../docs/home-assistant.md");

/// The fenced blocks of YAML.
fn blocks() -> Vec<&'static str> {
    GUIDE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

fn config(text: &str) -> sightwire::config::Config {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("models")).unwrap();
    std::fs::write(folder.path().join("models/yolox_nano.onnx"), "x").unwrap();
    let known = |name: &str| matches!(name, "CAM_PASSWORD" | "HOME").then(|| "/home/you".to_owned());
    load_text(text, &folder.path().join("sightwire.yaml"), &known).unwrap_or_else(|e| panic!("{e}")).config
}

/// Entities as the guide's tables name them.
fn named() -> BTreeSet<&'static str> {
    let cells = GUIDE.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn the_guides_tables_name_every_entity_that_its_configuration_makes() {
    let announced = app::announced(&config(blocks()[0]), &"garage".parse().unwrap());
    let announced = announced.into_iter().map(|(topic, payload)| (topic, serde_json::from_str(&payload).unwrap()));
    let made = entities(&announced.collect());
    let made: BTreeSet<&str> = made.iter().filter_map(|entity: &Value| entity["default_entity_id"].as_str()).collect();
    assert_eq!(named(), made);
}

#[test]
fn the_guides_configurations_load_and_show_the_defaults() {
    let (whole, section) = (blocks()[0], blocks()[1]);
    let mut shown = config(&whole.replace("homeassistant: {}\n", section)).homeassistant.unwrap();
    assert_eq!(shown.birth_topic.take(), Some(HomeAssistantConfig::default().birth_topic()));
    assert!(shown.labels.take().is_some());
    assert_eq!(shown, HomeAssistantConfig::default());
}
