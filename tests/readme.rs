//! The README's examples are true: its configurations load, its payloads fit their schemas, its commands exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_collect,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

const README: &str = include_str!("../README.md");

/// The fenced blocks that stand under a marker such as `<!-- schema: event -->`: what the marker says, and the block.
fn marked(kind: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in README.split("<!-- ").skip(1) {
        let (marker, rest) = part.split_once(" -->").expect("a marker is closed");
        if !marker.starts_with(kind) {
            continue;
        }
        let (_, rest) = rest.split_once("```").expect("a block follows");
        let (fence, _) = rest.split_once("```").expect("the block is closed");
        let (_language, block) = fence.split_once('\n').unwrap();
        let indent = block.len() - block.trim_start_matches(' ').len();
        let block: String = block.lines().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
        let said = marker.split_once(": ").map_or_else(String::new, |(_, said)| said.to_owned());
        found.push((said, block));
    }
    found
}

/// A folder with the files that the examples name; what is in them is not looked at.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("models")).unwrap();
    for file in ["models/yolox_nano.onnx", "mqtt_password", "ca.pem", "client.pem", "client.key", "node.creds"] {
        fs::write(folder.path().join(file), "x\n").unwrap();
    }
    folder
}

/// The variables that the examples need.
fn environment(name: &str) -> Option<String> {
    match name {
        "CAM_PASSWORD" => Some("secret".into()),
        "HOME" => Some("/home/you".into()),
        _ => None,
    }
}

#[test]
fn every_payload_in_the_readme_fits_its_schema() {
    let examples = marked("schema");
    assert_eq!(examples.len(), 4);
    for (name, block) in examples {
        let schema = sightwire::envelope::schema(&name).unwrap_or_else(|| panic!("no schema {name}"));
        let payload: serde_json::Value =
            serde_json::from_str(&block).unwrap_or_else(|e| panic!("{name}: {e}\n{block}"));
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<String> =
            validator.iter_errors(&payload).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

#[test]
fn every_configuration_in_the_readme_loads() {
    let folder = folder();
    let examples = marked("config");
    assert_eq!(examples.len(), 2);
    for (_, block) in examples {
        let loaded = sightwire::config::load_text(&block, &folder.path().join("sightwire.yaml"), &environment);
        let loaded = loaded.unwrap_or_else(|e| panic!("{e}\n{block}"));
        assert_eq!(loaded.config.cameras.len(), 1);
    }
}

#[test]
fn the_full_configuration_shows_the_defaults() {
    let folder = folder();
    let load = |text: &str| {
        sightwire::config::load_text(text, &folder.path().join("sightwire.yaml"), &environment).unwrap().config
    };
    let (_, full) = marked("config").pop().unwrap();
    let shown = load(&full);
    let bare = load(
        "models: { street: { path: models/yolox_nano.onnx } }\ncameras: { front-door: { source: clip.mp4, model: street } }",
    );
    let (camera, plain) = (shown.cameras.values().next().unwrap(), bare.cameras.values().next().unwrap());
    assert_eq!(camera.publish, plain.publish);
    assert_eq!(
        (camera.max_fps, camera.queue, camera.tracker, camera.pace),
        (plain.max_fps, plain.queue, plain.tracker, plain.pace)
    );
    assert_eq!(camera.keyframes, Some(sightwire::pipeline::KeyframeConfig::default()));
    let (model, plain) = (shown.models.values().next().unwrap(), bare.models.values().next().unwrap());
    assert_eq!(
        (
            model.confidence,
            model.iou,
            model.max_candidates,
            model.max_detections,
            &model.device,
            model.workers,
            model.threads
        ),
        (
            plain.confidence,
            plain.iou,
            plain.max_candidates,
            plain.max_detections,
            &plain.device,
            plain.workers,
            plain.threads
        )
    );
    assert_eq!(shown.http, bare.http);
    assert_eq!(shown.homeassistant, Some(sightwire::homeassistant::HomeAssistantConfig::default()));
    assert_eq!(shown.frigate, bare.frigate);
}

#[test]
fn every_link_into_the_repository_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in README.split("](").skip(1) {
        let (target, _) = part.split_once(')').unwrap();
        if !target.starts_with('#') && !target.contains("://") {
            assert!(root.join(target).exists(), "{target}");
        }
    }
}
