//! What a frame costs, part by part: `make bench`. Compare two runs on one machine; a lone figure says little.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use sightwire::bus::{Message, MessageKind, Outbox, OutboxLimits, Publisher, Qos, Topic};
use sightwire::codec;
use sightwire::domain::{BBox, BootId, Detection, Frame, Name, Timestamp};
use sightwire::envelope::{Detections, Encoding, EnvelopeBuilder, Origin, PayloadChoice, Timing};
use sightwire::inference::{Detector, ModelConfig, OnnxDetector, Runtime};
use sightwire::pipeline::Sample;
use sightwire::source::synthetic::{Scene, SceneParams};
use sightwire::telemetry::BusMetrics;
use sightwire::tracker::{Tracker, TrackerConfig};

fn camera() -> Name {
    "front-door".parse().unwrap()
}

fn picture(width: u32, height: u32) -> Frame {
    let mut frame = Frame { id: 1, width, height, ..Frame::empty() };
    Scene::new(SceneParams { width, height, ..SceneParams::default() }).render(40, &mut frame.bgr);
    frame
}

/// Ten objects, as on a busy street.
fn ten() -> Vec<Detection> {
    (0..10u8)
        .map(|n| {
            let x = f32::from(n) * 0.09;
            Detection {
                label: "car".into(),
                score: 0.9,
                bbox: BBox::from([x, 0.3, x + 0.08, 0.5]),
                class_id: 2,
                track_id: Some(n.into()),
            }
        })
        .collect()
}

fn message() -> Detections {
    let origin = Origin { camera: camera(), node: "garage".parse().unwrap(), boot_id: BootId::new() };
    EnvelopeBuilder::new(origin).detections(&picture(64, 48), ten(), Timing::default())
}

fn picture_check(c: &mut Criterion) {
    let mut sample = Sample::default();
    let frame = picture(1920, 1080);
    c.bench_function("picture check, one look at 1920x1080", |b| b.iter(|| sample.take(black_box(&frame))));
}

fn detect(c: &mut Criterion) {
    let mut detector = OnnxDetector::load(&Runtime::load().unwrap(), &ModelConfig::new("bundled:shapes")).unwrap();
    let mut found = Vec::new();
    for (width, height) in [(640, 480), (1920, 1080)] {
        let frame = picture(width, height);
        // The part around the model is what is ours to make small.
        c.bench_function(&format!("around the model, {width}x{height}"), |b| {
            b.iter_custom(|rounds| {
                let cost = |_| detector.detect(&frame, &mut found).map(|t| t.preprocess + t.postprocess).unwrap();
                (0..rounds).map(cost).sum()
            });
        });
    }
    let frame = picture(640, 480);
    c.bench_function("the model itself", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| detector.detect(&frame, &mut found).unwrap().inference).sum());
    });
}

fn say(c: &mut Criterion) {
    let message = message();
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        c.bench_function(&format!("encode ten objects, {encoding:?}"), |b| {
            b.iter(|| codec::encode_detections(black_box(&message), PayloadChoice::Full, encoding));
        });
    }
}

fn show(c: &mut Criterion) {
    let (mut frame, found) = (picture(1920, 1080), [ten(), ten()].concat());
    let (mut overlay, mut encoder, mut jpeg) = (codec::Overlay::new(), codec::JpegEncoder::new(), Vec::new());
    c.bench_function("draw twenty boxes, 1920x1080", |b| {
        b.iter(|| overlay.draw(black_box(&mut frame.bgr), frame.width, frame.height, &found));
    });
    c.bench_function("encode JPEG, 1920x1080", |b| {
        b.iter(|| encoder.encode(black_box(&frame), 0, 80, None, &mut jpeg).unwrap());
    });
}

fn track(c: &mut Criterion) {
    let mut tracker = Tracker::new(TrackerConfig::for_confidence(0.4));
    let (mut events, mut at, mut objects) = (Vec::new(), 0, ten());
    c.bench_function("track ten objects", |b| {
        b.iter(|| {
            at += 66_666;
            events.clear();
            tracker.update(&mut objects, Timestamp::from_micros(at), &mut events);
        });
    });
}

fn outbox(c: &mut Criterion) {
    let outbox = Outbox::new("bench", BusMetrics::new("bench"), OutboxLimits::default(), HashMap::new());
    let (payload, content_type) = codec::encode_detections(&message(), PayloadChoice::Full, Encoding::Json);
    c.bench_function("outbox: offer, take, settle", |b| {
        b.iter(|| {
            outbox.offer(Message {
                kind: MessageKind::Detections,
                topic: Topic::Detections(camera()),
                payload: payload.clone(),
                content_type,
                qos: Qos::AtMostOnce,
                retain: false,
                properties: Vec::new(),
                correlation: None,
                id: None,
                camera: None,
                captured_at: Some(Instant::now()),
                late: None,
                shrink: None,
                trace: None,
            });
            let parcel = outbox.try_next().unwrap();
            outbox.sent(parcel.ticket);
        });
    });
}

criterion_group!(benches, detect, say, show, track, outbox, picture_check);
criterion_main!(benches);
