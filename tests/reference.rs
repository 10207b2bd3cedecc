//! Our boxes beside those of the model's own project: `tests/golden/yolox_reference.py` made the golden file.
//! Needs `../shared/data`; without it the test says so and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sightwire::domain::{BBox, Detection, Frame};
use sightwire::inference::{Detector, ModelConfig, OnnxDetector, Runtime};

#[derive(Deserialize)]
struct Reference {
    class_id: u32,
    score: f32,
    bbox: BBox,
}

fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let named = std::env::var_os("SIGHTWIRE_TEST_DATA").map(PathBuf::from);
    let found = named.into_iter().chain([beside]).find(|path| path.join("models").is_dir());
    if found.is_none() {
        eprintln!("skipped: ../shared/data is not here");
    }
    found
}

#[test]
fn yolox_boxes_are_those_of_its_own_project() {
    let Some(data) = data() else { return };
    let golden: BTreeMap<String, Vec<Reference>> =
        serde_json::from_str(include_str!("golden/yolox_nano_416.json")).unwrap();
    let mut config = ModelConfig::new(data.join("models/yolox_nano_416.onnx"));
    // A little below the reference's 0.3, so that a box on the threshold is missed by neither side.
    config.confidence = 0.28;
    let mut detector = OnnxDetector::load(&Runtime::load().unwrap(), &config).unwrap();
    assert_eq!(detector.info().family, "yolox");
    let (mut frame, mut found) = (Frame::empty(), Vec::new());
    let mut compared = 0;
    for (image, wanted) in &golden {
        sightwire::source::read_picture(&data.join("images").join(image), &mut frame).unwrap();
        detector.detect(&frame, &mut found).unwrap();
        for reference in wanted {
            let same = |d: &&Detection| d.class_id == reference.class_id && d.bbox.iou(&reference.bbox) >= 0.95;
            let ours = found.iter().find(same).unwrap_or_else(|| {
                panic!("{image}: no box like class {} {:?} among {found:#?}", reference.class_id, reference.bbox)
            });
            assert!((ours.score - reference.score).abs() <= 0.02, "{image}: {} and {}", ours.score, reference.score);
            compared += 1;
        }
        // None is extra: what we find above the threshold, with its margin, the reference found too.
        for ours in found.iter().filter(|d| d.score > 0.32) {
            let same = |r: &&Reference| r.class_id == ours.class_id && r.bbox.iou(&ours.bbox) >= 0.95;
            assert!(wanted.iter().any(|r| same(&r)), "{image}: extra {ours:?}");
        }
    }
    assert!(compared > 30, "only {compared} boxes were compared");
}
