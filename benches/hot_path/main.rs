//! What a frame costs, part by part: `make bench`. Compare two runs on one machine; a lone figure says little.
//!
//! `SIGHTWIRE_STAGE=NAME SIGHTWIRE_ROUNDS=N` runs one stage so often and measures nothing: `.ci/callgrind` counts its
//! instructions, which are the same on a busy machine.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a benchmark may fail by panicking")]

mod stages;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use sightwire::codec;
use sightwire::inference::{Detector, ModelConfig, OnnxDetector, Runtime};

/// The part around a model is what is ours to make small; it is measured between true runs of the model, in caches as they are.
fn around_a_model(c: &mut Criterion) {
    let mut detector = OnnxDetector::load(&Runtime::load().unwrap(), &ModelConfig::new("bundled:shapes")).unwrap();
    let mut found = Vec::new();
    for (width, height) in [(640, 480), (1920, 1080)] {
        let frame = stages::picture(width, height);
        c.bench_function(&format!("around the model, {width}x{height}"), |b| {
            b.iter_custom(|rounds| {
                let cost = |_| detector.detect(&frame, &mut found).map(|t| t.preprocess + t.postprocess).unwrap();
                (0..rounds).map(cost).sum()
            });
        });
    }
    let frame = stages::picture(640, 480);
    c.bench_function("the model itself", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| detector.detect(&frame, &mut found).unwrap().inference).sum());
    });
}

/// What a frame costs only when somebody wants its picture.
fn show(c: &mut Criterion) {
    let (mut frame, found) = (stages::picture(1920, 1080), stages::objects(20));
    let (mut overlay, mut encoder, mut jpeg) = (codec::Overlay::new(), codec::JpegEncoder::new(), Vec::new());
    c.bench_function("draw twenty boxes, 1920x1080", |b| {
        b.iter(|| overlay.draw(black_box(&mut frame.bgr), frame.width, frame.height, &found));
    });
    c.bench_function("encode JPEG, 1920x1080", |b| {
        b.iter(|| encoder.encode(black_box(&frame), 0, 80, None, &mut jpeg).unwrap());
    });
}

fn main() {
    let said = |name: &str| std::env::var(name).ok();
    if let Some(wanted) = said("SIGHTWIRE_STAGE") {
        if wanted == "list" {
            for (name, _) in stages::ALL {
                println!("{name}");
            }
            return;
        }
        let (_, make) = stages::ALL.iter().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("no {wanted}"));
        let rounds = said("SIGHTWIRE_ROUNDS").map_or(1, |text| text.parse::<u32>().unwrap());
        let mut stage = make();
        (0..rounds).for_each(|_| stage());
        return;
    }
    let mut c = Criterion::default().warm_up_time(Duration::from_secs(1)).configure_from_args();
    for (name, make) in stages::ALL {
        // Made only when it is asked for.
        let mut stage = None;
        c.bench_function(name, |b| b.iter(stage.get_or_insert_with(make)));
    }
    around_a_model(&mut c);
    show(&mut c);
    c.final_summary();
}
