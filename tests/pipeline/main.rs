//! Between source and bus: frames that are not inferred, that are prepared ahead, and that are inferred together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod ahead;
mod batch;
mod motion;
#[path = "../bad_input/onnx.rs"]
#[allow(dead_code, reason = "made for the tests of bad input; these use a part of it")]
mod onnx;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sightwire::bus::{Message, MessageKind, Publisher};
use sightwire::domain::{BootId, Name};
use sightwire::envelope::Origin;
use sightwire::live::{Studio, VideoConfig};
use sightwire::pipeline::{CameraConfig, KeyframeQueue, Processor, ProcessorParts, Tuning};
use sightwire::telemetry::{CameraMetrics, Sampler};
use tokio::sync::{mpsc, watch};

/// Keeps what is said.
#[derive(Default)]
pub struct Said(Mutex<Vec<(MessageKind, serde_json::Value)>>);

impl Publisher for Said {
    fn offer(&self, message: Message) {
        let value = serde_json::from_slice(&message.payload).unwrap_or_default();
        self.0.lock().unwrap().push((message.kind, value));
    }
}

/// A camera's, which nobody watches.
fn processor(
    camera: &str,
    config: &CameraConfig,
    confidence: f32,
    metrics: &Arc<CameraMetrics>,
    said: &Arc<Said>,
) -> Processor {
    let name: Name = camera.parse().unwrap();
    Processor::new(ProcessorParts {
        keyframes: Arc::<KeyframeQueue>::default().slot(metrics.clone()),
        tracker: config.tracker,
        tuning: Tuning::new(config, confidence),
        counted: BTreeSet::new(),
        first_seen: mpsc::unbounded_channel().0,
        origin: Origin { camera: name.clone(), node: "garage".parse().unwrap(), boot_id: BootId::new() },
        publisher: said.clone(),
        metrics: metrics.clone(),
        live: watch::channel(None).0,
        feed: Arc::default(),
        sampler: Sampler::default(),
        frigate: None,
        studio: Studio::new(name, VideoConfig::default(), Box::new(|| unreachable!("nobody watches"))),
    })
}
