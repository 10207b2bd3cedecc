//! The stages of a frame, each by itself: a name, and what makes something that runs it once.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use sightwire::bus::{Message, MessageKind, Outbox, OutboxLimits, Publisher, Qos, Topic};
use sightwire::codec::Encoder;
use sightwire::domain::{BBox, BootId, Colours, Detection, Frame, Matrix, Name, Timestamp, Yuv};
use sightwire::envelope::{Detections, Encoding, EnvelopeBuilder, Origin, PayloadChoice, Timing};
use sightwire::inference::stages::{Preparing, Reading, Thinning};
use sightwire::inference::{FamilyChoice, InputConfig, Interpolation, PerChannel, Resize};
use sightwire::pipeline::Sample;
use sightwire::source::synthetic::{Scene, SceneParams};
use sightwire::telemetry::BusMetrics;
use sightwire::tracker::{Tracker, TrackerConfig};

pub type Stage = Box<dyn FnMut()>;

/// Name, a word of a file name too, and what makes it.
type Named = (&'static str, fn() -> Stage);

pub const ALL: &[Named] = &[
    ("preprocess-480x360-to-416", || prepare((480, 360), letterbox())),
    ("preprocess-planes-480x360-to-416", || prepare_planes((480, 360))),
    ("preprocess-planes-1920x1080-to-416", || prepare_planes((1920, 1080))),
    ("preprocess-640x480-to-416", || prepare((640, 480), letterbox())),
    ("preprocess-1920x1080-to-416", || prepare((1920, 1080), letterbox())),
    ("preprocess-1920x1080-to-640", || prepare_for((1920, 1080), (640, 640), letterbox())),
    ("preprocess-1920x1080-stretch-320x240", || prepare_for((1920, 1080), (320, 240), stretch())),
    ("preprocess-640x480-warp-416", || prepare((640, 480), filter(Interpolation::Warp))),
    ("preprocess-640x480-antialias-416", || prepare((640, 480), filter(Interpolation::Antialias))),
    ("decode-yolo-80x8400", || read(FamilyChoice::Yolo, 640, &[("output0", &[1, 84, 8400])])),
    ("decode-yolov5-25200x85", || read(FamilyChoice::Yolov5, 640, &[("output", &[1, 25200, 85])])),
    ("decode-yolox-3549x85", || read(FamilyChoice::Yolox, 416, &[("output", &[1, 3549, 85])])),
    ("decode-nanodet-3598x112", || read(FamilyChoice::Nanodet, 416, &[("output", &[1, 3598, 112])])),
    ("decode-fastestdet-22x22", || read(FamilyChoice::Fastestdet, 352, &[("output", &[1, 85, 22, 22])])),
    ("decode-ultraface-4420", || {
        read_at(FamilyChoice::Ultraface, (320, 240), &[("scores", &[1, 4420, 2]), ("boxes", &[1, 4420, 4])])
    }),
    ("decode-end2end-300x6", || read(FamilyChoice::YoloEnd2end, 640, &[("output0", &[1, 300, 6])])),
    ("decode-detr-300x80", || {
        read(FamilyChoice::Detr, 640, &[("logits", &[1, 300, 80]), ("pred_boxes", &[1, 300, 4])])
    }),
    ("decode-ssd-1917x91", || read(FamilyChoice::Ssd, 300, &[("scores", &[1, 1917, 91]), ("boxes", &[1, 1917, 4])])),
    ("nms-10-objects-found-8-times", || thin(10, 8)),
    ("nms-100-objects-found-20-times", || thin(100, 20)),
    ("track-10-objects", || track(10)),
    ("track-50-objects", || track(50)),
    ("json-10-objects", || say(10, Encoding::Json)),
    ("protobuf-10-objects", || say(10, Encoding::Protobuf)),
    ("outbox", outbox),
    ("picture-check-1920x1080", || {
        let (mut sample, frame) = (Sample::default(), picture(1920, 1080));
        Box::new(move || _ = black_box(sample.take(black_box(&frame))))
    }),
];

fn camera() -> Name {
    "front-door".parse().unwrap()
}

pub fn picture(width: u32, height: u32) -> Frame {
    let mut frame = Frame { id: 1, width, height, ..Frame::empty() };
    Scene::new(SceneParams { width, height, ..SceneParams::default() }).render(40, &mut frame.bgr);
    frame
}

/// As on a busy street: side by side, some close to one another.
pub fn objects(count: u16) -> Vec<Detection> {
    let one = |at: u16| {
        let (x, y) = (f32::from(at % 10) * 0.09, f32::from(at / 10) * 0.15);
        let bbox = BBox::from([x, y, x + 0.08, y + 0.2]);
        Detection { label: "car".into(), score: 0.9, bbox, class_id: 2, track_id: Some(at.into()) }
    };
    (0..count).map(one).collect()
}

fn message(objects: Vec<Detection>) -> Detections {
    let origin = Origin { camera: camera(), node: "garage".parse().unwrap(), boot_id: BootId::new() };
    EnvelopeBuilder::new(origin).detections(&picture(64, 48), objects, Timing::default())
}

/// As YOLOX wants it: BGR, 0…255.
fn letterbox() -> InputConfig {
    InputConfig { std: Some(PerChannel::Each([1.0; 3])), ..InputConfig::default() }
}

fn stretch() -> InputConfig {
    InputConfig { resize: Some(Resize::Stretch), ..InputConfig::default() }
}

fn filter(interpolation: Interpolation) -> InputConfig {
    InputConfig { interpolation: Some(interpolation), ..InputConfig::default() }
}

fn prepare(from: (u32, u32), how: InputConfig) -> Stage {
    prepare_for(from, (416, 416), how)
}

fn prepare_for((width, height): (u32, u32), to: (u32, u32), how: InputConfig) -> Stage {
    let (mut preparing, frame) = (Preparing::new(to.0, to.1, &how), picture(width, height));
    Box::new(move || preparing.run(black_box(&frame)))
}

/// As a video decoder leaves them.
fn prepare_planes((width, height): (u32, u32)) -> Stage {
    let (mut preparing, bgr) = (Preparing::new(416, 416, &letterbox()), picture(width, height).bgr);
    let (wide, high) = (width as usize, height as usize);
    let plane = |channel: usize, step: usize| -> Vec<u8> {
        let rows = (0..high).step_by(step);
        rows.flat_map(|y| (0..wide).step_by(step).map(move |x| 3 * (wide * y + x)))
            .map(|at| bgr[at + channel])
            .collect()
    };
    let colours = Colours { matrix: Matrix::Bt601, full_range: false };
    let yuv = Yuv::packed([plane(1, 1), plane(0, 2), plane(2, 2)], (width, height), colours);
    let frame = Frame { width, height, yuv, ..Frame::empty() };
    Box::new(move || preparing.run(black_box(&frame)))
}

fn read(family: FamilyChoice, side: u32, outputs: &[(&str, &[i64])]) -> Stage {
    read_at(family, (side, side), outputs)
}

/// Scores as a model's are: nearly all next to nothing, and a few objects.
fn read_at(family: FamilyChoice, size: (u32, u32), outputs: &[(&str, &[i64])]) -> Stage {
    let value = |_, at: usize| match family {
        // Boxes are pixels, and distributions are no scores.
        FamilyChoice::YoloEnd2end if at % 6 < 4 => 20.0,
        FamilyChoice::Nanodet if at % 112 >= 80 => 3.0,
        _ if at % 997 == 4 => 0.9,
        _ => 0.01,
    };
    let mut reading = Reading::new(family, size, outputs, value).unwrap();
    Box::new(move || _ = black_box(reading.run(0.4).unwrap()))
}

fn thin(objects: u16, times: u16) -> Stage {
    let mut thinning = Thinning::new(objects, times);
    Box::new(move || _ = black_box(thinning.run()))
}

fn track(count: u16) -> Stage {
    let mut tracker = Tracker::new(TrackerConfig::for_confidence(0.4));
    let (mut events, mut at, mut objects) = (Vec::new(), 0, objects(count));
    Box::new(move || {
        at += 66_666;
        events.clear();
        tracker.update(black_box(&mut objects), Timestamp::from_micros(at), &mut events);
    })
}

fn say(count: u16, encoding: Encoding) -> Stage {
    let (mut encoder, message) = (Encoder::default(), message(objects(count)));
    Box::new(move || drop(black_box(encoder.detections(black_box(&message), PayloadChoice::Full, encoding))))
}

/// Offer, take, settle.
fn outbox() -> Stage {
    let outbox = Outbox::new("bench", BusMetrics::new("bench"), OutboxLimits::default(), HashMap::new());
    let (payload, content_type) =
        Encoder::default().detections(&message(objects(10)), PayloadChoice::Full, Encoding::Json);
    let camera = camera();
    Box::new(move || {
        outbox.offer(Message {
            kind: MessageKind::Detections,
            topic: Topic::Detections(camera.clone()),
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
    })
}
