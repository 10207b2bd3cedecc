//! A stream of messages as a node would make them, of every class, numbered by the program's own envelope.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fastrand::Rng;
use sightwire::bus::{Message, MessageKind, Publisher, Qos, Topic};
use sightwire::codec;
use sightwire::domain::{BBox, BootId, Detection, Frame, Name, Timestamp};
use sightwire::envelope::{Encoding, EnvelopeBuilder, EventKind, Origin, PayloadChoice, Timing, TrackSpan};
use tokio_util::sync::CancellationToken;

use super::common::name;
use super::ledger::Line;
use super::plan::{between, ms};

/// What was offered and has to arrive: the last number of each line, and the last state.
#[derive(Debug, Clone, Default)]
pub struct Promised {
    pub events: BTreeMap<Line, u64>,
    /// Of the camera that wants them acknowledged.
    pub detections: BTreeMap<Line, u64>,
    pub status: String,
}

impl Promised {
    pub fn event_count(&self) -> u64 {
        self.events.values().sum()
    }
}

pub struct Stream {
    publisher: Arc<dyn Publisher>,
    boot_id: BootId,
    cameras: Vec<EnvelopeBuilder>,
    promised: Promised,
    /// Where every numbered message is written down, once it was offered.
    diary: Option<File>,
}

const DETECTIONS: PayloadChoice = PayloadChoice::Full;

impl Stream {
    pub fn new(publisher: Arc<dyn Publisher>, boot_id: BootId, cameras: usize) -> Self {
        let origin = |i| Origin { camera: name(&format!("cam-{i}")), node: name("garage"), boot_id: boot_id.clone() };
        let cameras = (0..cameras).map(|i| EnvelopeBuilder::new(origin(i))).collect();
        Self { publisher, boot_id, cameras, promised: Promised::default(), diary: None }
    }

    pub fn with_diary(self, diary: File) -> Self {
        Self { diary: Some(diary), ..self }
    }

    /// Some hundreds a second until it is stopped.
    pub async fn flow(mut self, mut dice: Rng, stop: CancellationToken) -> Promised {
        while !stop.is_cancelled() {
            // Mostly a few, now and then more than the link has on its way at once.
            let burst = if dice.u8(..25) == 0 { 200 } else { 20 };
            for _ in 0..dice.usize(1..burst) {
                self.event(dice.usize(..self.cameras.len()));
            }
            match dice.u8(..10) {
                0..4 => self.detections(0, Qos::AtLeastOnce),
                4..8 => self.detections(1, Qos::AtMostOnce),
                8 => self.status(dice.u32(..)),
                _ => self.keyframe(dice.usize(1_000..40_000)),
            }
            tokio::time::sleep(between(&mut dice, ms(0), ms(120))).await;
        }
        self.promised
    }

    pub fn event(&mut self, camera: usize) {
        let now = Timestamp::now();
        let builder = &mut self.cameras[camera];
        let track = TrackSpan {
            id: 1,
            label: "car".into(),
            score: 0.9,
            bbox: BBox::default(),
            first_seen: now,
            last_seen: now,
            first_bbox: BBox::default(),
            duration: ms(0),
        };
        let event = builder.event(EventKind::Started, now, track);
        let (payload, content_type) = codec::encode_event(&event, Encoding::Json);
        let line = self.offer(event.camera, "event", event.seq, Qos::AtLeastOnce, payload, content_type);
        self.promised.events.insert(line, event.seq);
    }

    pub fn detections(&mut self, camera: usize, qos: Qos) {
        let found =
            Detection { label: "car".into(), score: 0.9, bbox: BBox::default(), class_id: 2, track_id: Some(1) };
        let detections = self.cameras[camera].detections(&Frame::empty(), vec![found; 4], Timing::default());
        let (payload, content_type) = codec::encode_detections(&detections, DETECTIONS, Encoding::Json);
        let line = self.offer(detections.camera, "detections", detections.seq, qos, payload, content_type);
        if qos == Qos::AtLeastOnce {
            self.promised.detections.insert(line, detections.seq);
        }
    }

    fn offer(
        &self,
        camera: Name,
        kind: &'static str,
        seq: u64,
        qos: Qos,
        payload: Bytes,
        content_type: &'static str,
    ) -> Line {
        let event = kind == "event";
        let line = (camera.to_string(), self.boot_id.to_string(), kind);
        self.publisher.offer(Message {
            kind: if event { MessageKind::Event } else { MessageKind::Detections },
            topic: if event { Topic::Events(camera.clone()) } else { Topic::Detections(camera.clone()) },
            payload,
            content_type,
            qos,
            retain: false,
            properties: Vec::new(),
            correlation: None,
            id: Some(format!("{camera}-{}-{kind}-{seq}", self.boot_id)),
            camera: Some(camera),
            captured_at: Some(Instant::now()),
            late: Some(codec::late(Encoding::Json)),
            shrink: None,
            trace: None,
        });
        if let (Some(mut diary), Qos::AtLeastOnce) = (self.diary.as_ref(), qos) {
            let (camera, boot, kind) = &line;
            let entry = format!("{camera} {boot} {kind} {seq} {}\n", Timestamp::now().as_micros());
            diary.write_all(entry.as_bytes()).unwrap();
        }
        line
    }

    fn status(&mut self, number: u32) {
        let camera = self.cameras[0].origin().camera.clone();
        self.promised.status = format!("status-{number}");
        self.publisher.offer(Message::word(
            Topic::CameraStatus(camera.clone()),
            self.promised.status.clone(),
            Some(camera),
        ));
    }

    fn keyframe(&self, bytes: usize) {
        let camera = self.cameras[0].origin().camera.clone();
        let id = format!("{camera}-{}-keyframe-{}", self.boot_id, fastrand::u64(..));
        let state = Message::state(Topic::Keyframe(camera.clone()), vec![0; bytes].into(), "image/jpeg", Some(camera));
        self.publisher.offer(Message { kind: MessageKind::Keyframe, id: Some(id), ..state });
    }
}
