//! Real servers for tests: on free ports of 127.0.0.1, ended when the test drops them.
#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot start its servers has failed")]

mod mosquitto;
mod nats;
pub mod process;
mod proxy;

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sightwire::bus::{BusContext, ControlTopics, Heard, Message, MessageKind, OutboxLimits, Qos, Subscriptions, Topic};
use sightwire::domain::{BootId, Name, RawCommand};
use tokio::sync::mpsc;

pub use mosquitto::{Mosquitto, Subscriber, publish, retained};
pub use nats::NatsServer;
pub use proxy::{Proxy, Way};

/// Generous: it only ends a test that would fail anyway.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A port nobody listens on now. Below the range that outgoing connections are given, so that a server that is stopped
/// finds its port free again; spread by process, for several test binaries run at once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (std::process::id() * 61 + step) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Looks again and again until `done`, and fails saying `what` never happened.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A node `garage` with the camera `front-door` in the group `outdoor`.
pub fn context() -> (BusContext, Ears) {
    let (heard, receiver) = mpsc::channel(16);
    let node = name("garage");
    let control = ControlTopics::new(&node, [name("front-door")], [name("outdoor")]);
    let subscriptions = Subscriptions::new(control);
    let cameras = HashMap::new();
    let limits = OutboxLimits::default();
    let context = BusContext { node, boot_id: BootId::new(), subscriptions, heard, cameras, limits, spool: None };
    (context, Ears(receiver))
}

/// What a link heard.
pub struct Ears(pub mpsc::Receiver<Heard>);

impl Ears {
    /// The next, which is a command.
    pub async fn recv(&mut self) -> Option<RawCommand> {
        match self.0.recv().await? {
            Heard::Command(command) => Some(command),
            Heard::Birth(payload) => panic!("no command: a birth, {payload:?}"),
        }
    }
}

/// A message of the camera `front-door` as the node would make it.
pub fn message(kind: MessageKind, payload: impl Into<Bytes>) -> Message {
    let camera = name("front-door");
    let (topic, content_type) = match kind {
        MessageKind::State => (Topic::CameraStatus(camera.clone()), "text/plain"),
        MessageKind::Event => (Topic::Events(camera.clone()), "application/json"),
        MessageKind::Keyframe => (Topic::Keyframe(camera.clone()), "image/jpeg"),
        MessageKind::Detections => (Topic::Detections(camera.clone()), "application/json"),
        MessageKind::Reply => (Topic::Replies(name("garage")), "application/json"),
    };
    Message {
        kind,
        topic,
        payload: payload.into(),
        content_type,
        qos: if kind == MessageKind::Detections { Qos::AtMostOnce } else { Qos::AtLeastOnce },
        retain: matches!(kind, MessageKind::State | MessageKind::Keyframe),
        properties: vec![("camera", "front-door".into())],
        correlation: None,
        id: None,
        camera: Some(camera),
        captured_at: Some(Instant::now()),
        late: None,
        shrink: None,
        trace: None,
    }
}
