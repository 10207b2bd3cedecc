//! What is made of a frame once its objects are found: tracks, payloads, counts, keyframes. One a camera.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::frigate::{Frigate, FrigateTopics};
use super::keyframes::{KeyframeJob, KeyframeSlot};
use super::motion::MotionGate;
use super::shutter::Shutter;
use super::tuning::{Dial, Tuning};
use super::{KeyframeConfig, KeyframeWhen, PublishConfig, TrackerChoice, traced};
use crate::bus::{Message, MessageKind, Publisher, Qos, Topic};
use crate::codec::{self, Encoder};
use crate::domain::{Detection, Frame, Label, Name, Timestamp};
use crate::envelope::{
    Counts, Detections, EnvelopeBuilder, Event, EventKind, KeyframeReason, Numbers, Origin, PublishPolicy, Timing,
    TrackSpan,
};
use crate::inference::DetectTiming;
use crate::live::{EventId, Feed, LiveMessage, Studio};
use crate::telemetry::{CameraMetrics, FrameOutcome, Sampler, Stage, Trace};
use crate::tracker::{TrackEvent, TrackEventKind, Tracker, TrackerConfig};

/// The latest result of a camera, for whoever looks on.
pub type Live = watch::Sender<Option<Arc<Detections>>>;

/// Where a label goes of which a camera says for the first time that it sees some.
pub type FirstSeen = mpsc::UnboundedSender<(Name, Label)>;

/// Between two pictures of a camera that are made for the gallery alone.
const THUMBNAIL_REST: Duration = Duration::from_secs(1);

pub struct Processor {
    publish: PublishConfig,
    keyframe_config: Option<KeyframeConfig>,
    wanted: Option<HashSet<Label>>,
    confidence: f32,
    /// What the detector is asked for: the tracker lives on less than what is said.
    floor: Arc<Dial>,
    tracker: Option<Tracker>,
    builder: EnvelopeBuilder,
    /// Of the processor before.
    past: Past,
    policy: PublishPolicy,
    counts: Counts,
    /// Labels of which somebody was told that some are seen, in earlier boots too.
    counted: BTreeSet<Label>,
    first_seen: FirstSeen,
    publisher: Arc<dyn Publisher>,
    metrics: Arc<CameraMetrics>,
    keyframes: Arc<KeyframeSlot>,
    shutter: Arc<Shutter>,
    last_keyframe: Option<Instant>,
    encoder: Encoder,
    /// The message said before the last one, to be filled in again.
    spent: Option<Arc<Detections>>,
    /// A message cannot carry the time of its own encoding: it carries that of the one before.
    last_encode: Duration,
    events: Vec<TrackEvent>,
    motion: MotionGate,
    /// Whether that is on, for who brings the frames.
    sifts: Arc<AtomicBool>,
    /// What the last inference found, kept while pictures in which nothing has changed are skipped.
    last_found: Vec<Detection>,
    live: Live,
    feed: Arc<Feed>,
    /// When a picture was last made for the gallery alone.
    last_thumbnail: Option<Instant>,
    studio: Arc<Studio>,
    /// None: Frigate's topics are not wanted.
    frigate: Option<Frigate>,
    sampler: Sampler,
    /// Of the frame that is being processed.
    trace: Option<Trace>,
}

/// What a processor is built from.
pub struct ProcessorParts {
    pub tracker: TrackerChoice,
    pub tuning: Tuning,
    /// Labels that earlier boots counted: they are said to be zero now, wanted or not.
    pub counted: BTreeSet<Label>,
    pub first_seen: FirstSeen,
    pub origin: Origin,
    pub publisher: Arc<dyn Publisher>,
    pub metrics: Arc<CameraMetrics>,
    pub keyframes: Arc<KeyframeSlot>,
    pub live: Live,
    /// Everything said, for whoever looks on.
    pub feed: Arc<Feed>,
    pub studio: Arc<Studio>,
    pub frigate: Option<FrigateTopics>,
    /// Which frames are traced.
    pub sampler: Sampler,
}

/// How far a camera's numbers went: they never go back within a boot, whatever becomes of the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    numbers: Numbers,
    last_track: u64,
}

/// Takes the processor. One whose last user panicked is mended first: its open tracks end, it begins anew, and its numbers
/// go on where they were.
pub fn lock(processor: &Mutex<Processor>) -> MutexGuard<'_, Processor> {
    processor.lock().unwrap_or_else(|poisoned| {
        processor.clear_poison();
        let mut processor = poisoned.into_inner();
        // A second panic leaves nothing to be ended: the tracks were taken out before.
        let _ended = catch_unwind(AssertUnwindSafe(|| processor.finish(Timestamp::now())));
        processor
    })
}

impl Processor {
    #[must_use]
    pub fn new(parts: ProcessorParts) -> Self {
        let ProcessorParts {
            tracker,
            tuning,
            counted,
            first_seen,
            origin,
            publisher,
            metrics,
            keyframes,
            live,
            studio,
            feed,
            frigate,
            sampler,
        } = parts;
        let Tuning { confidence, labels, skip_static, publish, keyframes: keyframe_config, .. } = tuning;
        let wanted = labels.as_deref().map(label_set);
        let tracker = match tracker {
            TrackerChoice::Bytetrack => Some(Tracker::new(TrackerConfig::for_confidence(confidence))),
            TrackerChoice::None => None,
        };
        let labels = || wanted.iter().flatten().chain(&counted).cloned();
        let frigate =
            frigate.map(|topics| Frigate::new(topics, origin.clone(), tracker.is_some(), labels(), publisher.clone()));
        let motion = MotionGate::new(&skip_static);
        let mut processor = Self {
            policy: PublishPolicy::new(publish),
            counts: Counts::new(labels()),
            counted,
            first_seen,
            publish,
            keyframe_config,
            wanted,
            confidence,
            floor: Arc::new(Dial::new(floor(confidence, tracker.is_some()))),
            tracker,
            builder: EnvelopeBuilder::new(origin),
            past: Past::default(),
            publisher,
            metrics,
            keyframes,
            shutter: Arc::default(),
            last_keyframe: None,
            encoder: Encoder::default(),
            spent: None,
            last_encode: Duration::ZERO,
            events: Vec::new(),
            sifts: Arc::new(AtomicBool::new(motion.is_on())),
            motion,
            last_found: Vec::new(),
            live,
            feed,
            last_thumbnail: None,
            studio,
            frigate,
            sampler,
            trace: None,
        };
        // A node that comes back says its zeros, so that nobody sees the ghosts of the last boot.
        processor.publish_counts(&[]);
        processor
    }

    /// Goes on after what another processor of this camera said.
    #[must_use]
    pub fn after(mut self, past: Past) -> Self {
        self.builder = EnvelopeBuilder::after(self.builder.origin().clone(), past.numbers);
        self.tracker = self.tracker.map(|tracker| tracker.after(past.last_track));
        self.past = past;
        self
    }

    #[must_use]
    pub fn past(&self) -> Past {
        // One that tracks nothing hands on what it was given.
        let last_track = self.tracker.as_ref().map_or(self.past.last_track, Tracker::last_id);
        Past { numbers: self.builder.numbers(), last_track }
    }

    /// What the detector is to be asked for, now and later.
    #[must_use]
    pub fn floor(&self) -> Arc<Dial> {
        self.floor.clone()
    }

    /// Whether frames may turn out not to be worth inferring, now and later.
    #[must_use]
    pub fn sifts(&self) -> Arc<AtomicBool> {
        self.sifts.clone()
    }

    /// By which somebody asks for a picture.
    #[must_use]
    pub fn shutter(&self) -> Arc<Shutter> {
        self.shutter.clone()
    }

    /// Goes by other settings from the next frame on. Tracks and numbers go on.
    pub fn tune(&mut self, tuning: &Tuning) {
        let Tuning { confidence, labels, skip_static, publish, keyframes, .. } = tuning;
        self.confidence = *confidence;
        self.floor.set(floor(*confidence, self.tracker.is_some()));
        if let Some(tracker) = &mut self.tracker {
            tracker.configure(TrackerConfig::for_confidence(*confidence));
        }
        if self.publish != *publish {
            self.publish = *publish;
            self.policy = PublishPolicy::new(*publish);
        }
        self.keyframe_config.clone_from(keyframes);
        // What was found by other settings is not said again.
        self.motion.configure(skip_static);
        self.sifts.store(self.motion.is_on(), Ordering::Relaxed);
        self.wanted = labels.as_deref().map(label_set);
        let changed = self.counts.want(self.wanted.as_ref());
        self.say_counts(changed);
        if let Some(frigate) = &mut self.frigate {
            frigate.want(self.wanted.as_ref());
        }
    }

    /// Hands over a picture that somebody asked for while nothing is looked for in pictures.
    pub fn shoot(&self, frame: &Frame) {
        self.hand_over(frame.clone(), &[], None, Some(KeyframeReason::Snapshot), Vec::new(), Vec::new());
    }

    /// Whether the frame shows nothing that the last inference has not seen, so that [`Processor::repeat`] will do. Ask it of
    /// every frame, before it is inferred.
    pub fn is_still(&mut self, frame: &Frame) -> bool {
        if !self.motion.is_on() {
            return false;
        }
        // The gate sees every frame, for the next may be held against this one.
        let still = self.motion.is_still(frame);
        // Somebody who asks for a picture gets boxes of that very picture, and lines that came with one are not left unsaid.
        still
            && self.tracker.as_ref().is_none_or(Tracker::is_settled)
            && !self.shutter.is_pressed()
            && frame.text.is_empty()
    }

    /// Says again what the last inference found, when it is time to: the frame shows the same. Gives a buffer back as
    /// [`Processor::process`] does.
    pub fn repeat(&mut self, frame: Frame, wait: Duration) -> Option<Frame> {
        let at = frame.captured_at;
        if let Some(tracker) = &mut self.tracker {
            tracker.hold(at);
        }
        self.metrics.stage(Stage::Wait, wait);
        let found = std::mem::take(&mut self.last_found);
        let said = self.motion.is_due(&frame) && self.policy.decide(frame.captured_instant, &found);
        if said {
            let (decode, wait) = (Timing::millis(frame.decode), Timing::millis(wait));
            let timing = Timing { decode, wait, encode: Timing::millis(self.last_encode), ..Timing::default() };
            self.publish_detections(&frame, &found, timing, Some(self.motion.inferred_at()));
        }
        let pictures = self.frigate.as_mut().map_or_else(Vec::new, |frigate| frigate.see(&[], &frame, &found));
        self.metrics.frame(FrameOutcome::SkippedStatic);
        let buffer = self.keyframe(frame, &found, said, Vec::new(), pictures);
        self.last_found = found;
        buffer
    }

    /// Says what was found in the frame. Gives a buffer back unless a keyframe or a viewer took it.
    pub fn process(
        &mut self,
        frame: Frame,
        found: &mut Vec<Detection>,
        cost: DetectTiming,
        wait: Duration,
    ) -> Option<Frame> {
        if let Some(wanted) = &self.wanted {
            found.retain(|d| wanted.contains(&d.label));
        }
        let track_begin = Instant::now();
        self.events.clear();
        if let Some(tracker) = &mut self.tracker {
            tracker.update(found, frame.captured_at, &mut self.events);
        }
        found.retain(|d| d.score >= self.confidence);
        let track = track_begin.elapsed();
        self.record(wait, cost, track);
        self.trace = self.sampler.frame(frame.ready_at);
        if let Some(trace) = &self.trace {
            traced::stages(trace, self.builder.origin(), &frame, wait, cost, (track_begin, track));
        }
        let timing = Timing {
            decode: Timing::millis(frame.decode),
            wait: Timing::millis(wait),
            preprocess: Timing::millis(cost.preprocess),
            inference: Timing::millis(cost.inference),
            postprocess: Timing::millis(cost.postprocess),
            track: Timing::millis(track),
            encode: Timing::millis(self.last_encode),
        };
        // Events first: they begin what the detections message shows.
        let shown = self.publish_events(frame.captured_at, Some(frame.captured_instant));
        let said = self.policy.decide(frame.captured_instant, found);
        if said {
            self.publish_detections(&frame, found, timing, None);
        }
        if self.motion.is_on() {
            self.motion.inferred(&frame);
            self.last_found.clone_from(found);
        }
        self.publish_counts(found);
        let pictures = self.frigate.as_mut().map_or_else(Vec::new, |frigate| frigate.see(&self.events, &frame, found));
        self.metrics.frame(FrameOutcome::Inferred);
        self.trace = None;
        self.keyframe(frame, found, said, shown, pictures)
    }

    /// The camera stops or has ended: open tracks end, and it sees nothing.
    pub fn finish(&mut self, at: Timestamp) {
        self.events.clear();
        // Of a frame whose processing panicked.
        self.trace = None;
        if let Some(tracker) = &mut self.tracker {
            tracker.finish(at, &mut self.events);
        }
        self.publish_events(at, None);
        self.publish_counts(&[]);
        if let Some(frigate) = &mut self.frigate {
            frigate.finish(&self.events);
        }
        self.policy.reset();
        self.motion.forget();
        self.live.send_replace(None);
    }

    fn record(&self, wait: Duration, cost: DetectTiming, track: Duration) {
        for (stage, took) in [
            (Stage::Wait, wait),
            (Stage::Preprocess, cost.preprocess),
            (Stage::Inference, cost.inference),
            (Stage::Postprocess, cost.postprocess),
            (Stage::Track, track),
        ] {
            self.metrics.stage(stage, took);
        }
    }

    /// `inferred_at`: when what is said again was found.
    fn publish_detections(
        &mut self,
        frame: &Frame,
        found: &[Detection],
        timing: Timing,
        inferred_at: Option<Timestamp>,
    ) {
        // What is said again is counted once.
        for detection in found.iter().filter(|_| inferred_at.is_none()) {
            self.metrics.detection(&detection.label);
        }
        self.motion.said(frame);
        let message = self.next_message(frame, found, timing, inferred_at);
        let begin = Instant::now();
        let publish = self.publish;
        let (payload, content_type) = self.encoder.detections(&message, publish.payload, publish.encoding);
        self.last_encode = begin.elapsed();
        self.metrics.stage(Stage::Encode, self.last_encode);
        let trace = self.trace.as_ref().map(|trace| traced::message(trace, "detections", message.seq, begin));
        let qos = if publish.qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        self.publisher.offer(Message {
            kind: MessageKind::Detections,
            topic: Topic::Detections(message.camera.clone()),
            payload,
            content_type,
            qos,
            retain: false,
            properties: traced::properties(trace.as_ref()),
            correlation: None,
            id: Some(self.message_id("detections", message.seq)),
            camera: Some(message.camera.clone()),
            captured_at: Some(frame.captured_instant),
            late: Some(codec::late(publish.encoding)),
            shrink: None,
            trace,
        });
        self.feed.say(Some(&message.camera), || LiveMessage::Detections(message.clone()));
        self.spent = self.live.send_replace(Some(message));
    }

    /// In memory of a message that nobody looks at any more, if there is one: no allocation a frame.
    fn next_message(
        &mut self,
        frame: &Frame,
        found: &[Detection],
        timing: Timing,
        inferred_at: Option<Timestamp>,
    ) -> Arc<Detections> {
        if let Some(mut spent) = self.spent.take()
            && let Some(message) = Arc::get_mut(&mut spent)
        {
            self.builder.refill(message, frame, found, timing);
            message.inferred_at = inferred_at;
            return spent;
        }
        Arc::new(Detections { inferred_at, ..self.builder.detections(frame, found.to_vec(), timing) })
    }

    /// What the gallery calls them.
    fn publish_events(&mut self, at: Timestamp, captured: Option<Instant>) -> Vec<EventId> {
        let mut shown = Vec::new();
        let events = std::mem::take(&mut self.events);
        for event in &events {
            let kind = match event.kind {
                TrackEventKind::Started => EventKind::Started,
                TrackEventKind::Ended => EventKind::Ended,
            };
            let track = TrackSpan {
                id: event.track_id,
                label: event.label.clone(),
                score: event.score,
                bbox: event.bbox,
                first_bbox: event.first_bbox,
                first_seen: event.first_seen,
                last_seen: event.last_seen,
                duration: event.duration,
            };
            let message = self.builder.event(kind, at, track);
            self.publish_event(&message, captured);
            shown.push(self.feed.event(message));
        }
        // The buffer is kept: no allocation a frame.
        self.events = events;
        shown
    }

    fn publish_event(&self, event: &Event, captured: Option<Instant>) {
        let begin = Instant::now();
        let (payload, content_type) = codec::encode_event(event, self.publish.encoding);
        let trace = self.trace.as_ref().map(|trace| traced::message(trace, "event", event.seq, begin));
        self.publisher.offer(Message {
            kind: MessageKind::Event,
            topic: Topic::Events(event.camera.clone()),
            payload,
            content_type,
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: traced::properties(trace.as_ref()),
            correlation: None,
            id: Some(self.message_id("event", event.seq)),
            camera: Some(event.camera.clone()),
            captured_at: captured,
            late: Some(codec::late(self.publish.encoding)),
            shrink: None,
            trace,
        });
    }

    fn publish_counts(&mut self, found: &[Detection]) {
        let changed = self.counts.update(found);
        self.say_counts(changed);
        if let Some(total) = self.counts.total(found) {
            let camera = &self.builder.origin().camera;
            let topic = Topic::Objects(camera.clone());
            self.publisher.offer(Message::word(topic, total.to_string(), Some(camera.clone())));
        }
    }

    fn say_counts(&mut self, changed: Vec<(Label, u32)>) {
        let camera = &self.builder.origin().camera;
        for (label, count) in changed {
            if count > 0 && self.counted.insert(label.clone()) {
                // Nobody listens any more when the node ends.
                let _ended = self.first_seen.send((camera.clone(), label.clone()));
            }
            let topic = Topic::Count(camera.clone(), label.to_string());
            self.publisher.offer(Message::word(topic, count.to_string(), Some(camera.clone())));
        }
    }

    fn keyframe(
        &mut self,
        frame: Frame,
        found: &[Detection],
        said: bool,
        shown: Vec<EventId>,
        pictures: Vec<String>,
    ) -> Option<Frame> {
        let reason = self.keyframe_reason(frame.captured_instant, said, !shown.is_empty());
        if reason.is_some() {
            self.last_keyframe = Some(frame.captured_instant);
        } else if !self.thumbnail_due(frame.captured_instant, &shown) && pictures.is_empty() {
            return self.studio.take(frame, found);
        }
        self.studio.offer(&frame, found);
        let seq = said.then(|| self.builder.last_detections_seq());
        self.hand_over(frame, found, seq, reason, shown, pictures);
        None
    }

    fn hand_over(
        &self,
        frame: Frame,
        found: &[Detection],
        seq: Option<u64>,
        reason: Option<KeyframeReason>,
        shown: Vec<EventId>,
        pictures: Vec<String>,
    ) {
        let waiting = if reason == Some(KeyframeReason::Snapshot) { self.shutter.take() } else { Vec::new() };
        self.keyframes.put(KeyframeJob {
            frame,
            detections: found.to_vec(),
            origin: self.builder.origin().clone(),
            seq,
            reason,
            shown,
            pictures,
            feed: self.feed.clone(),
            config: self.keyframe_config.clone().unwrap_or_default(),
            encoding: self.publish.encoding,
            waiting,
        });
    }

    /// Events that make no keyframe have a small picture all the same, but never more than one a second.
    fn thumbnail_due(&mut self, now: Instant, shown: &[EventId]) -> bool {
        let rests = |last: Instant| now.saturating_duration_since(last) < THUMBNAIL_REST;
        if shown.is_empty() || self.last_thumbnail.is_some_and(rests) {
            return false;
        }
        self.last_thumbnail = Some(now);
        true
    }

    fn keyframe_reason(&self, now: Instant, said: bool, had_event: bool) -> Option<KeyframeReason> {
        if self.shutter.is_pressed() {
            return Some(KeyframeReason::Snapshot);
        }
        let config = self.keyframe_config.as_ref()?;
        if had_event && config.when.contains(&KeyframeWhen::Event) {
            return Some(KeyframeReason::Event);
        }
        if said && config.when.contains(&KeyframeWhen::Detections) {
            return Some(KeyframeReason::Detections);
        }
        let due = self.last_keyframe.is_none_or(|last| now.saturating_duration_since(last) >= config.every.0);
        (due && !config.every.0.is_zero()).then_some(KeyframeReason::Interval)
    }

    /// Unique for ever: a message that is sent again is stored once.
    fn message_id(&self, kind: &str, seq: u64) -> String {
        let Origin { camera, boot_id, .. } = self.builder.origin();
        let mut id = String::with_capacity(camera.as_str().len() + boot_id.as_str().len() + kind.len() + 23);
        // Into a String nothing fails.
        let _written = write!(id, "{camera}-{boot_id}-{kind}-{seq}");
        id
    }
}

fn label_set(labels: &[String]) -> HashSet<Label> {
    labels.iter().map(|label| label.as_str().into()).collect()
}

/// `ByteTrack` lives on the detections that are not good enough to be said: they keep a half-hidden object's track alive.
/// The processor takes them out again.
fn floor(confidence: f32, tracked: bool) -> f64 {
    f64::from(if tracked { TrackerConfig::for_confidence(confidence).low } else { confidence })
}
