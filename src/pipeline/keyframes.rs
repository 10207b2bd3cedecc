//! Keyframes are encoded beside the detection path: a JPEG costs as much as a small model's inference.
//!
//! One slot a camera: the newest wins, and what it replaced is counted. One thread serves all cameras in turn.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::shutter::Shot;
use crate::bus::{Message, MessageKind, Publisher, Qos, Topic};
use crate::codec::{self, JpegEncoder};
use crate::domain::{Detection, Frame};
use crate::envelope::{Encoding, FrameInfo, KeyframeConfig, KeyframeMeta, KeyframeReason, Origin};
use crate::live::{EventId, Feed};
use crate::telemetry::{CameraMetrics, KeyframeOutcome};

/// A picture to be said, with the boxes that were computed on it.
pub struct KeyframeJob {
    pub frame: Frame,
    pub detections: Vec<Detection>,
    pub origin: Origin,
    /// `seq` of the detections message of the same frame, when there was one.
    pub seq: Option<u64>,
    /// `None`: no keyframe, for the gallery and for `pictures` alone.
    pub reason: Option<KeyframeReason>,
    /// The events of this picture.
    pub shown: Vec<EventId>,
    /// Addresses of others at which the picture is wanted, retained, over MQTT.
    pub pictures: Vec<String>,
    pub feed: Arc<Feed>,
    /// How the picture and its metadata are made.
    pub config: KeyframeConfig,
    pub encoding: Encoding,
    /// Who asked for this picture; none where a rule did.
    pub waiting: Vec<oneshot::Sender<Shot>>,
}

impl KeyframeJob {
    /// Of no camera: the spool knows the cameras' own topics only.
    fn publish_pictures(&self, jpeg: &Bytes, publisher: &dyn Publisher) {
        for address in &self.pictures {
            publisher.offer(Message {
                kind: MessageKind::Keyframe,
                captured_at: Some(self.frame.captured_instant),
                shrink: Some(smaller),
                ..Message::state(Topic::Absolute(address.clone()), jpeg.clone(), codec::JPEG, None)
            });
        }
    }

    fn is_also_for(&mut self, pictures: Vec<String>) {
        self.pictures.extend(pictures);
        self.pictures.sort_unstable();
        self.pictures.dedup();
    }
}

/// A picture for the gallery alone is as wide, and as good.
const THUMBNAIL: (u32, u8) = (480, 75);

/// A camera's place in the queue.
pub struct KeyframeSlot {
    job: Mutex<Option<KeyframeJob>>,
    metrics: Arc<CameraMetrics>,
    queue: Arc<KeyframeQueue>,
    /// The last JPEG, for HTTP.
    last: Mutex<Option<Bytes>>,
    me: Weak<Self>,
}

impl KeyframeSlot {
    /// Hands the job over; one that still waits is replaced and counted, unless somebody asked for that one.
    pub fn put(&self, mut job: KeyframeJob) {
        let mut place = lock(&self.job);
        let Some(mut before) = place.take() else {
            *place = Some(job);
            drop(place);
            if let Some(me) = self.me.upgrade() {
                self.queue.push(me);
            }
            return;
        };
        if job.reason.is_none() && job.pictures.is_empty() {
            // What is for the gallery alone takes no keyframe's place.
            *place = Some(before);
            return;
        }
        if before.reason.is_some() && job.reason.is_some() {
            self.metrics.keyframe(KeyframeOutcome::Superseded);
        }
        *place = if job.waiting.is_empty() && !before.waiting.is_empty() {
            before.is_also_for(job.pictures);
            Some(before)
        } else {
            job.waiting.append(&mut before.waiting);
            // A newer picture is as good a keyframe.
            job.reason = job.reason.or(before.reason);
            job.is_also_for(before.pictures);
            Some(job)
        };
    }

    /// Waits until the picture that was handed over last, if any, is said. Those of other cameras before it are few: each
    /// camera has one at most.
    pub fn settle(&self) {
        let mine = |slot: &Arc<Self>| std::ptr::eq(Arc::as_ptr(slot), self);
        let mut state = lock(&self.queue.state);
        while !state.shut && (state.now.as_ref().is_some_and(mine) || state.ready.iter().any(mine)) {
            state = self.queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The last keyframe as JPEG.
    #[must_use]
    pub fn last(&self) -> Option<Bytes> {
        lock(&self.last).clone()
    }
}

/// The slots that hold a job, and the thread that empties them.
#[derive(Default)]
pub struct KeyframeQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<Arc<KeyframeSlot>>,
    /// Whose picture is being encoded.
    now: Option<Arc<KeyframeSlot>>,
    shut: bool,
}

impl KeyframeQueue {
    /// A place for one camera.
    #[must_use]
    pub fn slot(self: &Arc<Self>, metrics: Arc<CameraMetrics>) -> Arc<KeyframeSlot> {
        Arc::new_cyclic(|me| KeyframeSlot {
            job: Mutex::default(),
            metrics,
            queue: self.clone(),
            last: Mutex::default(),
            me: me.clone(),
        })
    }

    fn push(&self, slot: Arc<KeyframeSlot>) {
        lock(&self.state).ready.push_back(slot);
        self.changed.notify_all();
    }

    /// Encodes until [`KeyframeQueue::shut`]; run it on a thread of its own.
    pub fn run(&self, publisher: &dyn Publisher) {
        let mut encoder = JpegEncoder::default();
        let mut jpeg = Vec::new();
        while let Some(slot) = self.next() {
            let job = lock(&slot.job).take();
            if let Some(mut job) = job {
                let waiting = std::mem::take(&mut job.waiting);
                let Some(reason) = job.reason else {
                    slot.beside(&job, &mut encoder, &mut jpeg, publisher);
                    continue;
                };
                // One camera's odd picture must not take the others' encoder away.
                let encode = || slot.encode(&job, reason, &mut encoder, &mut jpeg, publisher);
                let shot = catch_unwind(AssertUnwindSafe(encode)).unwrap_or_else(|_| {
                    slot.metrics.keyframe(KeyframeOutcome::Failed);
                    Err("the encoder panicked; please report it".into())
                });
                if shot.is_err() {
                    encoder = JpegEncoder::default();
                }
                for who in waiting {
                    // Who gave up waiting misses nothing: the picture is on the bus.
                    let _told = who.send(shot.clone());
                }
            }
        }
    }

    fn next(&self) -> Option<Arc<KeyframeSlot>> {
        let mut state = lock(&self.state);
        state.now = None;
        self.changed.notify_all();
        loop {
            if let Some(slot) = state.ready.pop_front() {
                state.now = Some(slot.clone());
                return Some(slot);
            }
            if state.shut {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until every job handed over is encoded.
    pub fn drain(&self) {
        let mut state = lock(&self.state);
        while (state.now.is_some() || !state.ready.is_empty()) && !state.shut {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The thread ends once it is through with what waits.
    pub fn shut(&self) {
        lock(&self.state).shut = true;
        self.changed.notify_all();
    }
}

impl KeyframeSlot {
    /// A picture that is no keyframe: a small one of events for the gallery, or what others want, as keyframes are made.
    fn beside(&self, job: &KeyframeJob, encoder: &mut JpegEncoder, jpeg: &mut Vec<u8>, publisher: &dyn Publisher) {
        let config = &job.config;
        let alone = job.pictures.is_empty();
        let (width, quality) = if alone { THUMBNAIL } else { (config.max_width, config.quality) };
        let overlay = (alone || config.overlay).then_some(job.detections.as_slice());
        let mut encode = || encoder.encode(&job.frame, width, quality, overlay, jpeg);
        match catch_unwind(AssertUnwindSafe(&mut encode)) {
            Ok(Ok(_)) => {
                let bytes = Bytes::copy_from_slice(jpeg);
                job.feed.picture(&job.origin.camera, &job.shown, &bytes);
                job.publish_pictures(&bytes, publisher);
            }
            Ok(Err(error)) => tracing::debug!(camera = %job.origin.camera, "no picture of the event: {error}"),
            Err(_) => {
                self.metrics.keyframe(KeyframeOutcome::Failed);
                *encoder = JpegEncoder::default();
            }
        }
    }

    fn encode(
        &self,
        job: &KeyframeJob,
        reason: KeyframeReason,
        encoder: &mut JpegEncoder,
        jpeg: &mut Vec<u8>,
        publisher: &dyn Publisher,
    ) -> Shot {
        let KeyframeJob { frame, config, .. } = job;
        let overlay = config.overlay.then_some(job.detections.as_slice());
        let encoded = encoder.encode(frame, config.max_width, config.quality, overlay, jpeg);
        let (width, height) = encoded.map_err(|error| {
            self.metrics.keyframe(KeyframeOutcome::Failed);
            tracing::warn!(camera = %job.origin.camera, frame = frame.id, "keyframe not made: {error}");
            error.to_string()
        })?;
        self.metrics.keyframe(KeyframeOutcome::Encoded);
        let bytes = Bytes::copy_from_slice(jpeg);
        *lock(&self.last) = Some(bytes.clone());
        job.feed.picture(&job.origin.camera, &job.shown, &bytes);
        job.publish_pictures(&bytes, publisher);
        let meta = KeyframeMeta {
            timestamp: job.frame.captured_at,
            camera: job.origin.camera.clone(),
            node: job.origin.node.clone(),
            boot_id: job.origin.boot_id.clone(),
            seq: job.seq,
            frame: FrameInfo::from(&job.frame),
            width,
            height,
            bytes: bytes.len() as u64,
            content_type: codec::JPEG.into(),
            reason,
        };
        let camera = &job.origin.camera;
        // The metadata first: who has the picture can look it up.
        let (payload, content_type) = codec::encode_keyframe_meta(&meta, job.encoding);
        let topic = Topic::KeyframeMeta(camera.clone());
        publisher.offer(Message::state(topic, payload, content_type, Some(camera.clone())));
        publisher.offer(Message {
            kind: MessageKind::Keyframe,
            topic: Topic::Keyframe(camera.clone()),
            payload: bytes,
            content_type: codec::JPEG,
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: properties(&meta),
            correlation: None,
            id: Some(format!("{camera}-{}-keyframe-{}", job.origin.boot_id, job.frame.id)),
            camera: Some(camera.clone()),
            captured_at: Some(job.frame.captured_instant),
            late: None,
            shrink: Some(smaller),
            trace: None,
        });
        Ok(meta)
    }
}

/// The keyframe with a picture of at most `limit` bytes, its properties told anew; `keyframe/meta` still tells of the first one.
pub fn smaller(message: &Message, limit: usize) -> Option<Message> {
    let (jpeg, width, height) = codec::shrink_jpeg(&message.payload, limit).ok()?;
    let mut smaller = Message { payload: jpeg.into(), ..message.clone() };
    for (key, value) in &mut smaller.properties {
        match *key {
            "width" => *value = width.to_string(),
            "height" => *value = height.to_string(),
            _ => {}
        }
    }
    Some(smaller)
}

/// The metadata as MQTT 5 user properties and NATS headers.
fn properties(meta: &KeyframeMeta) -> Vec<(&'static str, String)> {
    let mut properties = vec![
        ("camera", meta.camera.to_string()),
        ("node", meta.node.to_string()),
        ("boot_id", meta.boot_id.to_string()),
        ("timestamp", meta.timestamp.as_secs_f64().to_string()),
        ("frame_id", meta.frame.id.to_string()),
        ("frame_width", meta.frame.width.to_string()),
        ("frame_height", meta.frame.height.to_string()),
        ("width", meta.width.to_string()),
        ("height", meta.height.to_string()),
        ("reason", meta.reason.as_str().to_owned()),
    ];
    properties.extend(meta.seq.map(|seq| ("seq", seq.to_string())));
    properties
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks but a clone.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
