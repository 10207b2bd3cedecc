//! One payload of each kind, as a node of this configuration would say it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::app;
use crate::codec;
use crate::config::Config;
use crate::domain::{BBox, BootId, Detection, Frame, Name, Target, Timestamp};
use crate::envelope::{
    ActualState, BusState, CameraSummary, Encoding, EnvelopeBuilder, EventKind, FrameInfo, KeyframeMeta,
    KeyframeReason, ModelSummary, NodeState, Origin, Reply, Timing, TrackSpan, Verb,
};
use crate::frigate::{Objects, Said, Sight};
use crate::pipeline::{Applied, CameraConfig, StateView, Tuning};
use crate::telemetry::CameraMetrics;

/// The samples of one camera.
pub struct Samples<'a> {
    origin: Origin,
    camera: &'a CameraConfig,
    confidence: f32,
    label: &'a str,
}

impl<'a> Samples<'a> {
    pub fn new(node: &Name, name: &Name, config: &'a Config) -> Self {
        let camera = &config.cameras[name];
        Self {
            origin: Origin { camera: name.clone(), node: node.clone(), boot_id: BootId::new() },
            confidence: config.models.get(&camera.model).map_or(0.0, |model| model.confidence),
            // What the model knows is only seen by opening it.
            label: camera.labels.as_ref().and_then(|labels| labels.first()).map_or("person", String::as_str),
            camera,
        }
    }

    pub fn label(&self) -> &str {
        self.label
    }

    pub fn detections(&self) -> String {
        let timing = Timing {
            decode: 4.1,
            wait: 0.3,
            preprocess: 0.9,
            inference: 11.8,
            postprocess: 0.1,
            track: 0.05,
            encode: 0.02,
        };
        let message = EnvelopeBuilder::new(self.origin.clone()).detections(&frame(), vec![self.found()], timing);
        text(&codec::encode_detections(&message, self.camera.publish.payload, Encoding::Json).0)
    }

    fn found(&self) -> Detection {
        Detection {
            label: self.label.into(),
            score: 0.94,
            bbox: BBox::from([0.11, 0.33, 0.28, 0.77]),
            class_id: 0,
            track_id: Some(17),
        }
    }

    pub fn event(&self) -> String {
        let now = Timestamp::now();
        let bbox = BBox::from([0.11, 0.33, 0.28, 0.77]);
        let (id, label, score) = (17, self.label.into(), 0.94);
        // Found twice, every second frame of a 15 fps camera apart.
        let duration = Duration::from_micros(133_333);
        let first_bbox = BBox::from([0.1, 0.32, 0.27, 0.76]);
        let (first_seen, last_seen) = (Timestamp::from_micros(now.as_micros() - 133_333), now);
        let track = TrackSpan { id, label, score, bbox, first_bbox, first_seen, last_seen, duration };
        json(&EnvelopeBuilder::new(self.origin.clone()).event(EventKind::Started, now, track))
    }

    pub fn frigate_event(&self) -> String {
        let (mut objects, mut said) = (Objects::new(self.origin.camera.clone(), BootId::new(), true, []), Vec::new());
        let (frame, found) = (frame(), self.found());
        let sight = Sight { found: &found, at: frame.captured_at, size: (frame.width, frame.height) };
        objects.started(17, Timestamp::from_micros(sight.at.as_micros() - 133_333), sight, &mut said);
        let event = said.into_iter().find_map(|said| if let Said::Event(json) = said { Some(json) } else { None });
        text(&event.unwrap_or_default())
    }

    pub fn state(&self) -> String {
        let metrics = Arc::new(CameraMetrics::new(self.origin.camera.as_str()));
        let file = Tuning::new(self.camera, self.confidence);
        let view = StateView::new(self.origin.clone(), app::settings(self.camera, &file, &file), metrics);
        json(&view.describe(&Applied { actual: ActualState::Running, ..Applied::default() }))
    }

    pub fn keyframe_meta(&self) -> String {
        let frame = frame();
        let width = self.camera.keyframes.as_ref().map_or(frame.width, |k| k.max_width.min(frame.width));
        json(&KeyframeMeta {
            timestamp: frame.captured_at,
            camera: self.origin.camera.clone(),
            node: self.origin.node.clone(),
            boot_id: self.origin.boot_id.clone(),
            seq: Some(1042),
            frame: FrameInfo::from(&frame),
            width,
            height: width * frame.height / frame.width,
            bytes: 87_049,
            content_type: codec::JPEG.into(),
            reason: KeyframeReason::Event,
        })
    }
}

pub fn node_state(node: &Name, config: &Config) -> String {
    let bus = |name: &str, there: bool| {
        there.then(|| BusState { name: name.into(), connected: true, problem: None, spool: None })
    };
    let (mqtt, nats) = (config.buses.mqtt.is_some(), config.buses.nats.is_some());
    json(&NodeState {
        timestamp: Timestamp::now(),
        node: node.clone(),
        boot_id: BootId::new(),
        version: env!("CARGO_PKG_VERSION").into(),
        onnxruntime: None,
        started_at: Timestamp::now(),
        cameras: config
            .cameras
            .keys()
            .map(|name| CameraSummary { name: name.clone(), state: ActualState::Running })
            .collect(),
        models: config
            .models
            .keys()
            .map(|name| ModelSummary { name: name.clone(), family: None, device: None, input: None })
            .collect(),
        buses: [bus("mqtt", mqtt || !nats), bus("nats", nats)].into_iter().flatten().collect(),
        reload: None,
    })
}

pub fn reply(node: &Name) -> String {
    json(&Reply {
        id: Some("the command's".into()),
        node: node.clone(),
        command: Some(Verb::Stop.as_str().into()),
        target: Target::Node(node.clone()).to_string(),
        ok: true,
        applied_at: Some(Timestamp::now()),
        state: None,
        keyframe: None,
        error: None,
    })
}

fn frame() -> Frame {
    Frame { id: 5210, captured_at: Timestamp::now(), width: 1920, height: 1080, ..Frame::empty() }
}

fn json<T: Serialize>(payload: &T) -> String {
    text(&codec::encode_json(payload).0)
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
