//! The motion gate at work in a camera's processor: what is said while nothing changes; and, on real clips, what it saves and
//! what it misses (`docs/motion-gate.md`).

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sightwire::bus::MessageKind;
use sightwire::domain::{BBox, Detection, Frame, Timestamp};
use sightwire::envelope::{Detections, PublishConfig, PublishWhen, SkipStatic, StillRules};
use sightwire::inference::{DetectTiming, Detector, ModelConfig, OnnxDetector, Runtime};
use sightwire::pipeline::{CameraConfig, Processor, Tuning};
use sightwire::source::{OpenOptions, Pace, Read, SourceSpec, open};
use sightwire::telemetry::{CameraMetrics, FrameOutcome};

use crate::{Said, processor};

/// A camera behind its model: the test is the model, and the clock.
struct Camera {
    processor: Processor,
    metrics: Arc<CameraMetrics>,
    said: Arc<Said>,
}

impl Camera {
    fn new(skip: Option<StillRules>, confidence: f32, publish: PublishConfig) -> Self {
        let spec: SourceSpec = "synthetic:shapes".parse().unwrap();
        let config = CameraConfig {
            skip_static: SkipStatic(skip),
            publish,
            ..CameraConfig::new(spec, "model".parse().unwrap())
        };
        let (metrics, said) = (Arc::new(CameraMetrics::new("door")), Arc::<Said>::default());
        let processor = processor("door", &config, confidence, &metrics, &said);
        Self { processor, metrics, said }
    }

    /// As a worker does it; whether the model was asked.
    fn see(&mut self, frame: &Frame, found: &[Detection]) -> bool {
        if self.processor.is_still(frame) {
            self.processor.repeat(frame.clone(), Duration::ZERO);
            return false;
        }
        self.processor.process(frame.clone(), &mut found.to_vec(), DetectTiming::default(), Duration::ZERO);
        true
    }

    fn said(&self, kind: MessageKind) -> Vec<serde_json::Value> {
        let said = self.said.0.lock().unwrap();
        said.iter().filter(|(of, _)| *of == kind).map(|(_, value)| value.clone()).collect()
    }

    fn detections(&self) -> Vec<Detections> {
        self.said(MessageKind::Detections).into_iter().map(|value| serde_json::from_value(value).unwrap()).collect()
    }

    fn events(&self) -> Vec<(String, u64)> {
        let event = |value: serde_json::Value| {
            (value["event"].as_str().unwrap().to_owned(), value["track_id"].as_u64().unwrap())
        };
        self.said(MessageKind::Event).into_iter().map(event).collect()
    }
}

/// A wall, ten frames a second.
fn frame(n: u32, grey: u8) -> Frame {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let begun = *BEGUN.get_or_init(Instant::now);
    let after = Duration::from_millis(100) * n;
    Frame {
        id: u64::from(n) + 1,
        captured_at: Timestamp::from_micros(1_700_000_000_000_000).plus(after),
        captured_instant: begun + after,
        width: 128,
        height: 72,
        bgr: vec![grey; 3 * 128 * 72],
        ..Frame::empty()
    }
}

fn car(x: f32) -> Detection {
    Detection { label: "car".into(), score: 0.9, bbox: BBox::from([x, 0.2, x + 0.3, 0.5]), class_id: 2, track_id: None }
}

fn on() -> StillRules {
    StillRules::default()
}

#[test]
fn what_is_found_in_a_still_picture_is_said_again_with_its_age_and_keeps_its_track() {
    let mut camera = Camera::new(Some(on()), 0.4, PublishConfig::default());
    let asked: Vec<u32> = (0..250).filter(|&n| camera.see(&frame(n, 90), &[car(0.2)])).collect();
    // Two, for a track is confirmed by the second; then whenever what is known is 10 s old.
    assert_eq!(asked, [0, 1, 101, 201]);
    let said = camera.detections();
    assert_eq!(said.len(), 2 + 9 + 1 + 9 + 1 + 4, "each inference and each heartbeat");
    assert!(said.iter().map(|m| m.seq).eq(1..=said.len() as u64));
    for message in &said {
        let found_now = asked.contains(&u32::try_from(message.frame.id - 1).unwrap());
        assert_eq!(message.inferred_at.is_none(), found_now, "{message:?}");
        assert!(message.inferred_at.is_none_or(|at| {
            let age = message.timestamp.since(at);
            age >= Duration::from_secs(1) && age < Duration::from_secs(10)
        }));
        assert_eq!(message.detections[0].bbox, car(0.2).bbox);
        assert_eq!(message.detections[0].track_id, (message.seq > 1).then_some(1));
    }
    assert_eq!(camera.events(), [("started".to_owned(), 1)]);
    let counts = FrameOutcome::ALL.map(|outcome| camera.metrics.totals.outcome(outcome));
    assert_eq!(counts.iter().sum::<u64>(), 250, "each frame is counted once");
    assert_eq!(camera.metrics.totals.outcome(FrameOutcome::SkippedStatic), 246);
    assert_eq!(camera.metrics.totals.dropped(), 0);
    // It drives off: the track ends as it would without the gate, with all its time.
    for n in 250..265 {
        camera.see(&frame(n, 140), &[]);
    }
    assert_eq!(camera.events().last().unwrap(), &("ended".to_owned(), 1));
    let ended = camera.said(MessageKind::Event).pop().unwrap();
    assert!((ended["duration"].as_f64().unwrap() - 24.9).abs() < 0.001, "{ended}");
}

#[test]
fn while_a_track_is_sought_the_model_is_asked_however_still_the_picture() {
    let mut camera = Camera::new(Some(on()), 0.4, PublishConfig::default());
    for n in 0..5 {
        camera.see(&frame(n, 90), &[car(0.2)]);
    }
    // The light changes, and the model does not find it any more: it goes on looking for as long as the tracker is patient.
    let asked = (5..30).filter(|&n| camera.see(&frame(n, 110), &[])).count();
    assert!((11..=13).contains(&asked), "{asked}");
    assert_eq!(camera.events(), [("started".to_owned(), 1), ("ended".to_owned(), 1)]);
}

#[test]
fn what_publishes_changes_only_or_finds_only_is_not_made_to_talk() {
    for (when, found, expected) in [
        (PublishWhen::OnChange, vec![car(0.2)], 2),
        (PublishWhen::NonEmpty, vec![], 0),
        (PublishWhen::NonEmpty, vec![car(0.2)], 2 + 4),
    ] {
        let mut camera = Camera::new(Some(on()), 0.4, PublishConfig { when, ..PublishConfig::default() });
        for n in 0..50 {
            camera.see(&frame(n, 90), &found);
        }
        assert_eq!(camera.detections().len(), expected, "{when:?}");
    }
}

#[test]
fn after_a_stop_other_settings_or_a_line_of_text_the_model_is_asked() {
    let mut camera = Camera::new(Some(on()), 0.4, PublishConfig::default());
    let still = |camera: &mut Camera, n| !camera.see(&frame(n, 90), &[]);
    assert!(!still(&mut camera, 0) && still(&mut camera, 1));
    camera.processor.finish(Timestamp::now());
    assert!(!still(&mut camera, 2) && still(&mut camera, 3));
    let spec: SourceSpec = "synthetic:shapes".parse().unwrap();
    let config =
        CameraConfig { skip_static: SkipStatic(Some(on())), ..CameraConfig::new(spec, "model".parse().unwrap()) };
    camera.processor.tune(&Tuning::new(&config, 0.7));
    assert!(!still(&mut camera, 4) && still(&mut camera, 5));
    assert!(camera.see(&Frame { text: vec!["gate 4 is open".into()], ..frame(6, 90) }, &[]));
    let asks = camera.processor.shutter().press().unwrap();
    assert!(!still(&mut camera, 7), "somebody wants a picture with boxes");
    drop(asks);
    let off = CameraConfig { skip_static: SkipStatic::default(), ..config };
    camera.processor.tune(&Tuning::new(&off, 0.7));
    assert!((8..20).all(|n| !still(&mut camera, n)));
}

/// What one clip gives at one rate and one threshold.
#[derive(Default)]
struct Tally {
    frames: usize,
    inferred: usize,
    /// Detections of the run without a gate; those of them that no message about that very frame shows, and those that none
    /// within a second shows. All, and those smaller than a hundredth of the picture.
    found: [usize; 2],
    missed: [usize; 2],
    lost: [usize; 2],
    tracks: [usize; 2],
}

/// `cargo test --locked --test pipeline -- --ignored --nocapture` prints the table of `docs/motion-gate.md`.
#[test]
#[ignore = "measures, on ../shared/data"]
fn what_the_gate_saves_and_misses_on_real_clips() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    println!(
        "| clip, frames a second | threshold | inferences saved | detections | not in that frame's message | in none within 1 s | of them small | tracks with, without |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for clip in ["car-detection.mp4", "person-bicycle-car-detection.mp4", "faces-pan-640x480.mp4"] {
        let model = if clip.starts_with("faces") { "version-RFB-320.onnx" } else { "yolox_nano_416.onnx" };
        for max_fps in [0.0, 5.0] {
            for (threshold, t) in THRESHOLDS.iter().zip(measure(&data, clip, model, max_fps)) {
                let rate = if max_fps > 0.0 { format!("{max_fps}") } else { "all".into() };
                let part = |some: usize, of: usize| format!("{some} ({:.1} %)", 100.0 * some as f64 / of.max(1) as f64);
                println!(
                    "| {clip}, {rate} | {threshold} | {} of {} | {}, {} small | {} | {} | {} of {} | {}, {} |",
                    part(t.frames - t.inferred, t.frames),
                    t.frames,
                    t.found[0],
                    t.found[1],
                    part(t.missed[0], t.found[0]),
                    part(t.lost[0], t.found[0]),
                    part(t.lost[1], t.found[1]),
                    t.found[1],
                    t.tracks[1],
                    t.tracks[0],
                );
            }
        }
    }
}

const THRESHOLDS: [u8; 4] = [4, 8, 12, 16];
const CONFIDENCE: f32 = 0.4;

/// One run of the model serves the camera without a gate and those with one: it finds the same in the same picture.
fn measure(data: &Path, clip: &str, model: &str, max_fps: f64) -> Vec<Tally> {
    let path = data.join("models").join(model);
    let config = ModelConfig { confidence: 0.1, ..ModelConfig::new(path.to_str().unwrap()) };
    let mut detector = OnnxDetector::load(&Runtime::load().unwrap(), &config).unwrap();
    let spec: SourceSpec = data.join("videos").join(clip).to_str().unwrap().parse().unwrap();
    let mut source = open(&spec, &OpenOptions { pace: Pace::Asap, ..OpenOptions::default() }).unwrap();
    let mut full = Camera::new(None, CONFIDENCE, PublishConfig::default());
    let rules = |threshold| StillRules { threshold, heartbeat: "0".parse().unwrap(), ..StillRules::default() };
    let mut gated: Vec<Camera> =
        THRESHOLDS.iter().map(|&t| Camera::new(Some(rules(t)), CONFIDENCE, PublishConfig::default())).collect();
    let (mut frame, mut found, mut last) = (Frame::empty(), Vec::new(), None);
    let mut tallies: Vec<Tally> = THRESHOLDS.iter().map(|_| Tally::default()).collect();
    while source.read(&mut frame).unwrap() == Read::Frame {
        let early = |last: Timestamp| frame.captured_at.since(last).as_secs_f64() < 0.9 / max_fps;
        if max_fps > 0.0 && last.is_some_and(early) {
            continue;
        }
        last = Some(frame.captured_at);
        detector.detect(&frame, &mut found).unwrap();
        full.see(&frame, &found);
        for (camera, tally) in gated.iter_mut().zip(&mut tallies) {
            tally.frames += 1;
            tally.inferred += usize::from(camera.see(&frame, &found));
        }
    }
    let truth = full.detections();
    for (camera, tally) in gated.iter().zip(&mut tallies) {
        compare(&truth, &camera.detections(), tally);
        tally.tracks = [&full, camera].map(|c| c.events().iter().filter(|(event, _)| event == "started").count());
    }
    tallies
}

fn compare(truth: &[Detections], told: &[Detections], tally: &mut Tally) {
    assert_eq!(truth.len(), told.len(), "one message a frame");
    let shows = |message: &Detections, d: &Detection| {
        message.detections.iter().any(|other| other.label == d.label && other.bbox.iou(&d.bbox) >= 0.5)
    };
    for (at, message) in truth.iter().enumerate() {
        let near = |other: &&Detections| {
            let apart = other.timestamp.since(message.timestamp).max(message.timestamp.since(other.timestamp));
            apart <= Duration::from_secs(1)
        };
        for found in &message.detections {
            let missed = !shows(&told[at], found);
            let lost = missed && !told.iter().filter(near).any(|other| shows(other, found));
            for kind in 0..=usize::from(found.bbox.area() < 0.01) {
                tally.found[kind] += 1;
                tally.missed[kind] += usize::from(missed);
                tally.lost[kind] += usize::from(lost);
            }
        }
    }
}
