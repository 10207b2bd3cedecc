//! A zoo of small models in the shapes that people's exporters give them (`tests/golden/zoo.py` makes it): each is
//! recognised from the file alone, fed as its exporter's own code feeds it, and read right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sightwire::domain::{BBox, Frame};
use sightwire::inference::{Detector, LabelsConfig, ModelConfig, OnnxDetector, Runtime};

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Refused { file: String, refused: Vec<String> },
    Found { file: String, family: String, config: Settings, found: Vec<Wanted> },
}

#[derive(Deserialize)]
struct Settings {
    labels: Option<LabelsConfig>,
}

#[derive(Deserialize, Debug)]
struct Wanted {
    label: String,
    class_id: u32,
    score: f32,
    bbox: BBox,
}

fn zoo() -> (PathBuf, Vec<Entry>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zoo");
    let entries = serde_json::from_str(&std::fs::read_to_string(folder.join("zoo.json")).unwrap()).unwrap();
    (folder, entries)
}

/// Three upright bands of 40 by 80 pixels, blue green red, as `zoo.py` has it.
fn picture() -> Frame {
    let bands = [[30, 90, 210], [200, 60, 120], [90, 180, 40]];
    let row: Vec<u8> = bands.iter().flat_map(|band| band.repeat(40)).collect();
    let mut frame = Frame::empty();
    (frame.width, frame.height, frame.bgr) = (120, 80, row.repeat(80));
    frame
}

/// What is wrong with what was found, if anything.
fn faults(detector: &mut OnnxDetector, family: &str, wanted: &[Wanted]) -> Vec<String> {
    let mut faults = Vec::new();
    if detector.info().family != family {
        faults.push(format!("taken for {}, not {family}", detector.info().family));
    }
    let mut found = Vec::new();
    detector.detect(&picture(), &mut found).unwrap();
    if found.len() != wanted.len() {
        faults.push(format!("{} found, not {}: {found:#?}", found.len(), wanted.len()));
    }
    for (ours, wanted) in found.iter().zip(wanted) {
        let same = *ours.label == *wanted.label
            && ours.class_id == wanted.class_id
            && (ours.score - wanted.score).abs() < 0.02
            && ours.bbox.iou(&wanted.bbox) > 0.98;
        if !same {
            faults.push(format!("{wanted:?} wanted, found {ours:?}"));
        }
    }
    faults
}

#[test]
fn every_model_of_the_zoo_is_recognised_fed_and_read_as_its_exporter_means_it() {
    let runtime = Runtime::load().unwrap();
    let (folder, entries) = zoo();
    let mut report = Vec::new();
    for entry in &entries {
        let Entry::Found { file, family, config: settings, found } = entry else { continue };
        let mut config = ModelConfig::new(folder.join(file));
        config.labels.clone_from(&settings.labels);
        match OnnxDetector::load(&runtime, &config) {
            Ok(mut detector) => {
                report.extend(faults(&mut detector, family, found).iter().map(|fault| format!("{file}: {fault}")));
            }
            Err(error) => report.push(format!("{file}: {error}")),
        }
    }
    assert!(report.is_empty(), "\n{}", report.join("\n"));
    assert!(entries.len() > 35, "the zoo has only {} models", entries.len());
}

#[test]
fn what_is_no_detector_is_refused_with_its_inputs_outputs_and_a_remedy() {
    let runtime = Runtime::load().unwrap();
    let (folder, entries) = zoo();
    for entry in &entries {
        let Entry::Refused { file, refused } = entry else { continue };
        let error = OnnxDetector::load(&runtime, &ModelConfig::new(folder.join(file))).err();
        let text = error.unwrap_or_else(|| panic!("{file} is taken for a detector")).to_string();
        for word in refused {
            assert!(text.contains(word.as_str()), "{file}: `{word}` is not said in\n{text}");
        }
        assert!(text.contains("input ") && text.contains("output "), "{file}: {text}");
    }
}
