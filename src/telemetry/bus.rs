//! One bus's figures: the law of messages, the outbox's fill, latency up to the socket and up to the acknowledgement.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::{names, recorder};

/// The kind of a message, as in the `kind` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Status, state, counts, keyframe metadata: the latest value wins.
    State,
    Event,
    Keyframe,
    Detections,
    Reply,
}

impl MessageKind {
    pub const ALL: [Self; 5] = [Self::State, Self::Event, Self::Keyframe, Self::Detections, Self::Reply];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Event => "event",
            Self::Keyframe => "keyframe",
            Self::Detections => "detections",
            Self::Reply => "reply",
        }
    }
}

/// What became of a message. `offered + restored = sent or acked + dropped + refused + kept + waiting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Offered,
    /// Found in the spool, where an earlier run left it.
    Restored,
    /// Handed to the socket; this kind knows no acknowledgement (QoS 0, core NATS).
    Sent,
    Acked,
    /// Given up by us; [`DropReason`] says why.
    Dropped,
    /// Refused by the broker, or too large for it.
    Refused,
    /// Left in the spool for the next run.
    Kept,
}

impl Outcome {
    pub const ALL: [Self; 7] =
        [Self::Offered, Self::Restored, Self::Sent, Self::Acked, Self::Dropped, Self::Refused, Self::Kept];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Restored => "restored",
            Self::Sent => "sent",
            Self::Acked => "acked",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Kept => "kept",
        }
    }
}

/// Why a message was given up, as in the `reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// No room in memory: the oldest of its class goes.
    Full,
    /// The deadline of the shut-down, and no spool that would keep it.
    Closed,
    /// No room in the spool: the oldest goes, keyframes first, events last.
    SpoolFull,
    /// The spool held it and could not give it back: damaged.
    Damaged,
}

impl DropReason {
    pub const ALL: [Self; 4] = [Self::Full, Self::Closed, Self::SpoolFull, Self::Damaged];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Closed => "closed",
            Self::SpoolFull => "spool_full",
            Self::Damaged => "damaged",
        }
    }
}

/// What a server said or showed besides its work, as in the `notice` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Another client with our id threw us out.
    TakenOver,
    /// Control topics that we may not listen on.
    ControlRefused,
    /// Topics of others (Home Assistant, Frigate) that we may not listen on.
    ListenRefused,
    /// A topic that we may not publish to.
    PublishForbidden,
    /// The server is about to shut down.
    LameDuck,
    /// It, or we, could not keep up, and messages were lost.
    SlowConsumer,
    /// Connected, and the delivery probe does not come back.
    NotDelivering,
    /// Connected, and whether anybody would receive cannot be known: the probe is forbidden, or never came back.
    Unproven,
    /// Any other complaint.
    Error,
}

impl Notice {
    pub const ALL: [Self; 9] = [
        Self::TakenOver,
        Self::ControlRefused,
        Self::ListenRefused,
        Self::PublishForbidden,
        Self::LameDuck,
        Self::SlowConsumer,
        Self::NotDelivering,
        Self::Unproven,
        Self::Error,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::ControlRefused => "control_refused",
            Self::ListenRefused => "listen_refused",
            Self::PublishForbidden => "publish_forbidden",
            Self::LameDuck => "lame_duck",
            Self::SlowConsumer => "slow_consumer",
            Self::NotDelivering => "not_delivering",
            Self::Unproven => "unproven",
            Self::Error => "error",
        }
    }
}

struct CameraLatency {
    publish: Histogram,
    ack: Histogram,
    deliver: Histogram,
}

/// Handles of one bus.
pub struct BusMetrics {
    bus: &'static str,
    messages: [[Counter; 7]; 5],
    dropped: [[Counter; 4]; 5],
    waiting: [Gauge; 5],
    bytes: [Gauge; 5],
    connected: Gauge,
    reconnects: Counter,
    round_trip: Histogram,
    /// The last one in microseconds; 0: none yet.
    last_round_trip: AtomicU64,
    delivering: Gauge,
    control: Gauge,
    notices: [Counter; 9],
    shrunk: Counter,
    cameras: Mutex<HashMap<String, CameraLatency>>,
}

impl std::fmt::Debug for BusMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BusMetrics").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl BusMetrics {
    /// `bus` is `mqtt` or `nats`.
    #[must_use]
    pub fn new(bus: &'static str) -> Self {
        let counter = |kind: MessageKind, outcome: Outcome| {
            recorder::counter(&names::MESSAGES, &[("bus", bus), ("kind", kind.as_str()), ("outcome", outcome.as_str())])
        };
        let dropped = |kind: MessageKind, reason: DropReason| {
            let labels = [("bus", bus), ("kind", kind.as_str()), ("reason", reason.as_str())];
            recorder::counter(&names::MESSAGES_DROPPED, &labels)
        };
        let gauge = |metric, kind: MessageKind| recorder::gauge(metric, &[("bus", bus), ("kind", kind.as_str())]);
        let connected = recorder::gauge(&names::BUS_CONNECTED, &[("bus", bus)]);
        connected.set(0.0);
        let control = recorder::gauge(&names::BUS_CONTROL_CONNECTED, &[("bus", bus)]);
        control.set(0.0);
        let delivering = recorder::gauge(&names::BUS_DELIVERING, &[("bus", bus)]);
        delivering.set(f64::NAN);
        let notice =
            |notice: Notice| recorder::counter(&names::BUS_NOTICES, &[("bus", bus), ("notice", notice.as_str())]);
        Self {
            bus,
            messages: MessageKind::ALL.map(|kind| Outcome::ALL.map(|outcome| counter(kind, outcome))),
            dropped: MessageKind::ALL.map(|kind| DropReason::ALL.map(|reason| dropped(kind, reason))),
            waiting: MessageKind::ALL.map(|kind| gauge(&names::OUTBOX_MESSAGES, kind)),
            bytes: MessageKind::ALL.map(|kind| gauge(&names::OUTBOX_BYTES, kind)),
            connected,
            reconnects: recorder::counter(&names::BUS_RECONNECTS, &[("bus", bus)]),
            round_trip: recorder::histogram(&names::BUS_ROUND_TRIP, &[("bus", bus)]),
            last_round_trip: AtomicU64::new(0),
            delivering,
            control,
            notices: Notice::ALL.map(notice),
            shrunk: recorder::counter(&names::KEYFRAMES_SHRUNK, &[("bus", bus)]),
            cameras: Mutex::default(),
        }
    }

    pub fn count(&self, kind: MessageKind, outcome: Outcome, by: u64) {
        self.messages[kind as usize][outcome as usize].increment(by);
    }

    /// Beside [`Outcome::Dropped`].
    pub fn dropped(&self, kind: MessageKind, reason: DropReason, by: u64) {
        self.dropped[kind as usize][reason as usize].increment(by);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub fn waiting(&self, kind: MessageKind, messages: usize, bytes: usize) {
        self.waiting[kind as usize].set(messages as f64);
        self.bytes[kind as usize].set(bytes as f64);
    }

    pub fn connected(&self, yes: bool) {
        self.connected.set(f64::from(u8::from(yes)));
    }

    pub fn reconnect(&self) {
        self.reconnects.increment(1);
    }

    /// Whether every control topic is subscribed to.
    pub fn control_connected(&self, yes: bool) {
        self.control.set(f64::from(u8::from(yes)));
    }

    /// Whether the delivery probe comes back; `None`: nobody knows.
    pub fn delivering(&self, yes: Option<bool>) {
        self.delivering.set(yes.map_or(f64::NAN, |yes| f64::from(u8::from(yes))));
    }

    pub fn round_trip(&self, took: Duration) {
        self.round_trip.record(took.as_secs_f64());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.last_round_trip.store(micros.max(1), Ordering::Relaxed);
    }

    /// Of the last delivery probe that came back.
    pub fn last_round_trip(&self) -> Option<Duration> {
        let micros = self.last_round_trip.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub fn notice(&self, notice: Notice) {
        self.notices[notice as usize].increment(1);
    }

    pub fn keyframe_shrunk(&self) {
        self.shrunk.increment(1);
    }

    /// `capture`: from capture until handed to the socket; `deliver`: from offered until then.
    pub fn published(&self, camera: &str, capture: Duration, deliver: Duration) {
        self.with_camera(camera, |latency| {
            latency.publish.record(capture.as_secs_f64());
            latency.deliver.record(deliver.as_secs_f64());
        });
    }

    pub fn acked(&self, camera: &str, capture: Duration) {
        self.with_camera(camera, |latency| latency.ack.record(capture.as_secs_f64()));
    }

    fn with_camera(&self, camera: &str, record: impl FnOnce(&CameraLatency)) {
        let mut cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        if !cameras.contains_key(camera) {
            let labels = [("camera", camera), ("bus", self.bus)];
            let latency = CameraLatency {
                publish: recorder::histogram(&names::CAPTURE_TO_PUBLISH, &labels),
                ack: recorder::histogram(&names::CAPTURE_TO_ACK, &labels),
                deliver: recorder::histogram(&names::STAGE_DURATION, &[("camera", camera), ("stage", "deliver")]),
            };
            cameras.insert(camera.to_owned(), latency);
        }
        if let Some(latency) = cameras.get(camera) {
            record(latency);
        }
    }
}
