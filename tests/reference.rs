//! Our boxes beside those of each model's own project, on the same pixels. `tests/golden/*_reference.py` made the golden
//! files; `cargo test --test reference -- --nocapture` prints the table of `docs/accuracy.md`.
//! Needs `../shared/data`; without it the test says so and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so, and the table is printed")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sightwire::domain::{BBox, Detection, Frame};
use sightwire::inference::{Detector, ModelConfig, OnnxDetector, Runtime};

/// The rule: every reference box above `REQUIRED` has one of ours of its class, this near, and none is extra.
const REQUIRED: f32 = 0.3;
const IOU: f32 = 0.95;
const SCORE: f32 = 0.02;
/// Below the lowest box of a golden file, so that a box on the threshold is missed by neither side.
const CONFIDENCE: f32 = 0.28;

#[derive(Deserialize)]
struct Golden {
    model: String,
    settings: Settings,
    pictures: Vec<Picture>,
}

/// Suppression as the model's own project does it.
#[derive(Deserialize)]
struct Settings {
    iou: f32,
    class_agnostic_nms: bool,
}

#[derive(Deserialize)]
struct Picture {
    title: String,
    image: String,
    edit: Edit,
    boxes: Vec<Reference>,
}

/// What was done to the still: whole pixels are moved, so that both sides see the same picture to the bit.
#[derive(Deserialize)]
struct Edit {
    crop: Option<[u32; 4]>,
    #[serde(default)]
    grey: bool,
    repeat: Option<u32>,
}

#[derive(Deserialize)]
struct Reference {
    class_id: u32,
    score: f32,
    bbox: BBox,
}

/// A row of the accuracy table.
#[derive(Default)]
struct Row {
    wanted: usize,
    matched: usize,
    extra: usize,
    worst_iou: f32,
    worst_score: f32,
    faults: String,
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

/// The picture of `size` whose pixel is the one of `frame` that `from` names.
fn remade(frame: &Frame, (width, height): (u32, u32), from: impl Fn(u32, u32) -> (u32, u32)) -> Vec<u8> {
    let mut bgr = Vec::with_capacity((width * height * 3) as usize);
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let (x, y) = from(x, y);
        let at = (y * frame.width + x) as usize * 3;
        bgr.extend_from_slice(&frame.bgr[at..at + 3]);
    }
    bgr
}

fn apply(edit: &Edit, frame: &mut Frame) {
    if let Some([left, top, width, height]) = edit.crop {
        frame.bgr = remade(frame, (width, height), |x, y| (left + x, top + y));
        (frame.width, frame.height) = (width, height);
    }
    if edit.grey {
        frame.bgr.chunks_exact_mut(3).for_each(|pixel| pixel.fill(pixel[1]));
    }
    if let Some(n) = edit.repeat {
        let (width, height) = (frame.width * n, frame.height * n);
        frame.bgr = remade(frame, (width, height), |x, y| (x / n, y / n));
        (frame.width, frame.height) = (width, height);
    }
}

fn compare(picture: &Picture, found: &[Detection], row: &mut Row) {
    let nearest = |class: u32, bbox: &BBox| {
        let ours = found.iter().filter(|d| d.class_id == class);
        ours.max_by(|a, b| a.bbox.iou(bbox).total_cmp(&b.bbox.iou(bbox)))
    };
    let title = &picture.title;
    for reference in picture.boxes.iter().filter(|r| r.score > REQUIRED) {
        row.wanted += 1;
        let (iou, apart) = nearest(reference.class_id, &reference.bbox)
            .map_or((0.0, 1.0), |d| (d.bbox.iou(&reference.bbox), (d.score - reference.score).abs()));
        row.worst_iou = row.worst_iou.min(iou);
        row.worst_score = row.worst_score.max(apart);
        if iou >= IOU && apart <= SCORE {
            row.matched += 1;
        } else {
            let Reference { class_id, score, bbox } = reference;
            writeln!(
                row.faults,
                "  {title}: class {class_id} {score} {bbox:?}: ours IoU {iou:.3}, score {apart:.3} off"
            )
            .unwrap();
        }
    }
    // None is extra: what we find above the threshold the reference found too, there or just below it.
    for ours in found.iter().filter(|d| d.score > REQUIRED) {
        let same = |r: &&Reference| r.class_id == ours.class_id && r.bbox.iou(&ours.bbox) >= IOU;
        if !picture.boxes.iter().any(|r| same(&r)) {
            row.extra += 1;
            writeln!(row.faults, "  {title}: extra {} {} {:?}", ours.label, ours.score, ours.bbox).unwrap();
        }
    }
}

/// The model over all its pictures, as its own project would read it.
fn measure(data: &Path, golden: &Golden, family: &str) -> Row {
    let mut config = ModelConfig::new(data.join("models").join(&golden.model));
    config.confidence = CONFIDENCE;
    config.iou = golden.settings.iou;
    config.class_agnostic_nms = golden.settings.class_agnostic_nms;
    let mut detector = OnnxDetector::load(&Runtime::load().unwrap(), &config).unwrap();
    assert_eq!(detector.info().family, family, "{}", golden.model);
    let (mut frame, mut found) = (Frame::empty(), Vec::new());
    let mut row = Row { worst_iou: 1.0, ..Row::default() };
    for picture in &golden.pictures {
        sightwire::source::read_picture(&data.join("images").join(&picture.image), &mut frame).unwrap();
        apply(&picture.edit, &mut frame);
        detector.detect(&frame, &mut found).unwrap();
        compare(picture, &found, &mut row);
    }
    row
}

#[test]
fn boxes_are_those_of_the_models_own_projects() {
    let Some(data) = data() else { return };
    let golden = [
        ("yolox", include_str!("golden/yolox_nano_416.json")),
        ("nanodet", include_str!("golden/nanodet_m_416.json")),
        ("ultraface", include_str!("golden/version-RFB-320.json")),
        ("fastestdet", include_str!("golden/FastestDet_352.json")),
    ];
    let mut faults = String::new();
    eprintln!("| model | family | pictures | reference boxes | matched | extra | worst IoU | worst score difference |");
    eprintln!("|---|---|---|---|---|---|---|---|");
    for (family, text) in golden {
        let golden: Golden = serde_json::from_str(text).unwrap();
        let row = measure(&data, &golden, family);
        let (model, pictures) = (&golden.model, golden.pictures.len());
        let Row { wanted, matched, extra, worst_iou, worst_score, .. } = row;
        eprintln!(
            "| `{model}` | {family} | {pictures} | {wanted} | {matched} | {extra} | {worst_iou:.3} | {worst_score:.3} |"
        );
        assert!(wanted >= 50, "{model}: only {wanted} boxes were compared");
        faults += &row.faults;
    }
    assert!(faults.is_empty(), "\n{faults}");
}
