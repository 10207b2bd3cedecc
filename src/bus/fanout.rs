//! One publisher in front of all links: a message goes to each, and each keeps its own books.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Link, Message, MessageKind, Outbox, Publisher, Tally, Topic};
use crate::domain::Name;
use crate::telemetry::CameraMetrics;

const MQTT: &str = "mqtt";

#[derive(Debug, Clone, Default)]
pub struct Fanout {
    outboxes: Vec<Arc<Outbox>>,
}

impl Fanout {
    #[must_use]
    pub fn new<'a>(links: impl IntoIterator<Item = &'a Link>) -> Self {
        Self { outboxes: links.into_iter().map(|link| Arc::clone(link.outbox())).collect() }
    }

    /// Offers to one bus only, by its name: a reply goes back where the command came from.
    pub fn offer_to(&self, bus: &str, message: Message) {
        if let Some(outbox) = self.outboxes.iter().find(|outbox| outbox.bus() == bus) {
            outbox.offer(message);
        }
    }

    /// A camera that came later: its capture-to-publish totals are filled, by the first bus.
    pub fn fill(&self, camera: &Name, metrics: &Arc<CameraMetrics>) {
        if let Some(first) = self.outboxes.first() {
            first.fill(camera.clone(), Arc::clone(metrics));
        }
    }

    /// Clears what is retained of this camera where `which` says so.
    pub fn clear(&self, camera: &Name, which: impl Fn(&Topic) -> bool) {
        let mut topics: Vec<Topic> = self.outboxes.iter().flat_map(|outbox| outbox.retained_of(camera)).collect();
        // Of keyframes nothing is remembered.
        topics.extend([Topic::Keyframe(camera.clone()), Topic::KeyframeMeta(camera.clone())]);
        let mut seen = HashSet::new();
        for topic in topics.into_iter().filter(|topic| which(topic)) {
            if seen.insert(topic.clone()) {
                self.offer(Message::tombstone(topic, Some(camera.clone())));
            }
        }
    }

    /// Messages of this camera that wait on this bus, unconfirmed ones included.
    #[must_use]
    pub fn waiting_of(&self, bus: &str, camera: &Name) -> u64 {
        let outbox = self.outboxes.iter().find(|outbox| outbox.bus() == bus);
        outbox.map_or(0, |outbox| outbox.camera_tally(camera).waiting)
    }

    /// The camera's figures, summed over all buses.
    #[must_use]
    pub fn camera_tally(&self, camera: &Name) -> Tally {
        self.outboxes.iter().map(|outbox| outbox.camera_tally(camera)).fold(Tally::default(), Tally::plus)
    }

    /// Each bus's name, all its messages' figures, and how long its last delivery probe was on the way.
    #[must_use]
    pub fn figures(&self) -> Vec<(&'static str, Tally, Option<Duration>)> {
        let all = |outbox: &Outbox| {
            MessageKind::ALL.map(|kind| outbox.tally(kind)).into_iter().fold(Tally::default(), Tally::plus)
        };
        self.outboxes.iter().map(|outbox| (outbox.bus(), all(outbox), outbox.metrics().last_round_trip())).collect()
    }

    /// Resolves once no bus has anything waiting.
    pub async fn drained(&self) {
        for outbox in &self.outboxes {
            outbox.drained().await;
        }
    }
}

impl Publisher for Fanout {
    fn offer(&self, message: Message) {
        // Only MQTT retains, and only MQTT has addresses of others: elsewhere there is nothing to clear, and nobody to read.
        if matches!(message.topic, Topic::Absolute(_)) || message.is_tombstone() {
            self.outboxes.iter().filter(|outbox| outbox.bus() != MQTT).for_each(|outbox| outbox.forget(&message.topic));
            self.offer_to(MQTT, message);
            return;
        }
        let Some((last, rest)) = self.outboxes.split_last() else { return };
        for outbox in rest {
            outbox.offer(message.clone());
        }
        last.offer(message);
    }
}
