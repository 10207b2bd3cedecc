//! How often a frame asks for memory on its way from the picture to the bus, stage by stage, once everything has run for a
//! while. The numbers are exact: more is a mistake to be found, fewer is a number to be lowered here.
//!
//! What ONNX Runtime's own code takes is not seen: it has an arena of its own and keeps what it took.
//!
//! The counter counts for one thread: each round runs in the test's own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sightwire::bus::{Outbox, OutboxLimits};
use sightwire::codec::Encoder;
use sightwire::domain::{BBox, BootId, Colours, Detection, Frame, Matrix, Name, Timestamp, Yuv};
use sightwire::envelope::{Encoding, EnvelopeBuilder, Origin, PayloadChoice, Timing};
use sightwire::inference::stages::{Preparing, Reading};
use sightwire::inference::{
    DetectTiming, Detector, FamilyChoice, InputConfig, Interpolation, ModelConfig, OnnxDetector, Runtime,
};
use sightwire::live::{Studio, VideoConfig};
use sightwire::pipeline::{CameraConfig, KeyframeQueue, Processor, ProcessorParts, Tuning};
use sightwire::source::synthetic::{Scene, SceneParams};
use sightwire::telemetry::{BusMetrics, CameraMetrics, Sampler};
use sightwire::tracker::{Tracker, TrackerConfig};
use tokio::sync::{mpsc, watch};

/// More messages than fit into a block.
const ROUNDS: u64 = 32;

/// Blocks that a round takes, where all rounds take as many.
fn each(what: &str, mut round: impl FnMut()) -> u64 {
    (0..ROUNDS / 2).for_each(|_| round());
    let sum = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| round())).count_total;
    assert_eq!(sum % ROUNDS, 0, "{what}: {sum} blocks in {ROUNDS} rounds, not each time as many");
    sum / ROUNDS
}

fn picture(width: u32, height: u32) -> Frame {
    let mut frame = Frame { id: 1, width, height, ..Frame::empty() };
    Scene::new(SceneParams { width, height, ..SceneParams::default() }).render(40, &mut frame.bgr);
    frame
}

fn ten() -> Vec<Detection> {
    let object = |at: u8| {
        let x = f32::from(at) * 0.09;
        let bbox = BBox::from([x, 0.3, x + 0.08, 0.5]);
        Detection { label: "car".into(), score: 0.9, bbox, class_id: 2, track_id: None }
    };
    (0..10).map(object).collect()
}

fn origin() -> Origin {
    Origin { camera: "front-door".parse().unwrap(), node: "garage".parse().unwrap(), boot_id: BootId::new() }
}

/// Preparing the picture, running the model, reading what it says. Preparing and reading take none: see their own.
fn looking(model: &Path) -> u64 {
    // So low that every model finds something in anything.
    let config = ModelConfig { confidence: 0.01, ..ModelConfig::new(model) };
    let mut detector = OnnxDetector::load(&Runtime::load().unwrap(), &config).unwrap();
    let (frame, mut found) = (picture(160, 120), Vec::new());
    let blocks = each(&model.display().to_string(), || {
        detector.detect(&frame, &mut found).unwrap();
    });
    assert!(!found.is_empty(), "{}", model.display());
    blocks
}

fn preparing(how: Interpolation) -> u64 {
    let frame = picture(160, 120);
    let how = InputConfig { interpolation: Some(how), ..InputConfig::default() };
    let mut preparing = Preparing::new(96, 96, &how);
    each("preparing", || preparing.run(&frame))
}

/// As a video decoder leaves them.
fn preparing_planes() -> u64 {
    let colours = Colours { matrix: Matrix::Bt601, full_range: false };
    let yuv = Yuv::packed([vec![90; 160 * 120], vec![99; 80 * 60], vec![150; 80 * 60]], (160, 120), colours);
    let frame = Frame { width: 160, height: 120, yuv, ..Frame::empty() };
    assert!(frame.is_whole());
    let mut preparing = Preparing::new(96, 96, &InputConfig::default());
    each("preparing planes", || preparing.run(&frame))
}

fn reading(family: FamilyChoice, size: (u32, u32), outputs: &[(&str, &[i64])]) -> u64 {
    let value = |_, at: usize| match family {
        // Boxes are pixels there.
        FamilyChoice::YoloEnd2end if at % 6 < 4 => 20.0,
        _ if at % 97 == 4 => 0.9,
        _ => 0.01,
    };
    let mut reading = Reading::new(family, size, outputs, value).unwrap();
    each(family.as_str(), || assert!(reading.run(0.4).is_ok()))
}

fn tracking() -> u64 {
    let mut tracker = Tracker::new(TrackerConfig::for_confidence(0.4));
    let (mut found, mut events, mut at) = (ten(), Vec::new(), 0);
    each("tracking", || {
        at += 66_666;
        events.clear();
        tracker.update(&mut found, Timestamp::from_micros(at), &mut events);
        assert!(found.iter().all(|d| d.track_id.is_some()) || at < 200_000);
    })
}

fn saying(payload: PayloadChoice, encoding: Encoding) -> u64 {
    let (mut encoder, mut builder, frame) = (Encoder::default(), EnvelopeBuilder::new(origin()), picture(64, 48));
    let mut message = builder.detections(&frame, ten(), Timing::default());
    let found = ten();
    each("saying", || {
        builder.refill(&mut message, &frame, &found, Timing::default());
        assert!(encoder.detections(&message, payload, encoding).0.len() > 100);
    })
}

/// All that a camera's processor does with a frame, and the way through the outbox to whoever sends it.
fn all_after_the_model() -> u64 {
    let origin = origin();
    let camera: Name = origin.camera.clone();
    let metrics = Arc::new(CameraMetrics::new(camera.as_str()));
    let outbox = Outbox::new(
        "mqtt",
        BusMetrics::new("mqtt"),
        OutboxLimits::default(),
        HashMap::from([(camera.clone(), metrics.clone())]),
    );
    let config: CameraConfig =
        serde_json::from_value(serde_json::json!({ "source": "synthetic:shapes", "model": "m" })).unwrap();
    let mut processor = Processor::new(ProcessorParts {
        keyframes: Arc::<KeyframeQueue>::default().slot(metrics.clone()),
        tracker: config.tracker,
        tuning: Tuning::new(&config, 0.4),
        counted: BTreeSet::new(),
        first_seen: mpsc::unbounded_channel().0,
        origin,
        publisher: outbox.clone(),
        metrics,
        live: watch::channel(None).0,
        feed: Arc::default(),
        sampler: Sampler::default(),
        frigate: None,
        studio: Studio::new(camera, VideoConfig::default(), Box::new(|| panic!("nobody watches"))),
    });
    let (mut frame, mut found, mut at) = (Some(picture(64, 48)), ten(), 0);
    each("all after the model", || {
        at += 66_666;
        let now = Instant::now();
        // A picture of the first events is kept for the gallery.
        let mut next = frame.take().unwrap_or_else(|| picture(64, 48));
        (next.captured_at, next.captured_instant, next.ready_at) = (Timestamp::from_micros(at), now, now);
        frame = processor.process(next, &mut found, DetectTiming::default(), Duration::ZERO);
        while let Some(parcel) = outbox.try_next() {
            outbox.sent(parcel.ticket);
        }
    })
}

/// Outputs, by name.
type Shapes = &'static [(&'static str, &'static [i64])];

#[test]
fn a_frame_takes_so_much_memory_and_no_more() {
    for how in [Interpolation::Linear, Interpolation::Warp, Interpolation::Antialias] {
        assert_eq!(preparing(how), 0, "{how:?}");
    }
    assert_eq!(preparing_planes(), 0);
    let decoded: [(FamilyChoice, u32, Shapes); 6] = [
        (FamilyChoice::Yolo, 64, &[("output0", &[1, 9, 84])]),
        (FamilyChoice::Yolov5, 64, &[("output", &[1, 252, 10])]),
        (FamilyChoice::Yolox, 64, &[("output", &[1, 84, 10])]),
        (FamilyChoice::Fastestdet, 64, &[("output", &[1, 10, 4, 4])]),
        (FamilyChoice::YoloEnd2end, 64, &[("output0", &[1, 300, 6])]),
        (FamilyChoice::Detr, 64, &[("logits", &[1, 300, 8]), ("pred_boxes", &[1, 300, 4])]),
    ];
    for (family, side, outputs) in decoded {
        assert_eq!(reading(family, (side, side), outputs), 0, "{}", family.as_str());
    }
    assert_eq!(tracking(), 0);
    assert_eq!(saying(PayloadChoice::Full, Encoding::Json), 0);
    assert_eq!(saying(PayloadChoice::Full, Encoding::Protobuf), 0);
    // The list of the smaller form.
    assert_eq!(saying(PayloadChoice::Minimal, Encoding::Json), 1);
    assert_eq!(saying(PayloadChoice::Minimal, Encoding::Protobuf), 0);
    // `ort` wraps the input and each output anew, and the list of outputs is made anew.
    assert_eq!(looking(Path::new("bundled:shapes")), 4);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/models");
    for (file, blocks) in [("yolox_nano_416.onnx", 4), ("version-RFB-320.onnx", 7)] {
        let file = data.join(file);
        if file.is_file() {
            assert_eq!(looking(&file), blocks, "{}", file.display());
        } else {
            eprintln!("skipped: {} is not there", file.display());
        }
    }
    // The message's id, and the message itself as the outbox shares it.
    assert_eq!(all_after_the_model(), 2);
}
