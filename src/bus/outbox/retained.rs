//! The last value of every retained state, so that a broker that forgot (or another one) learns all of it on connecting.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::bus::{Message, MessageKind, Topic};
use crate::domain::Name;

/// In the order of their first offer. As large as the configuration: cameras, their labels, the node. A tombstone is one
/// of them until it is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Retained {
    order: BTreeMap<u64, Arc<Message>>,
    index: HashMap<Topic, u64>,
    next: u64,
}

impl Retained {
    pub(super) fn remember(&mut self, message: &Arc<Message>) {
        if message.kind != MessageKind::State || !message.retain {
            return;
        }
        // A keyframe's metadata without its keyframe would speak of a picture that nobody sent again.
        if matches!(message.topic, Topic::KeyframeMeta(_)) && !message.is_tombstone() {
            self.forget(&message.topic);
            return;
        }
        let at = *self.index.entry(message.topic.clone()).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.order.insert(at, Arc::clone(message));
    }

    /// A tombstone that arrived has done its work.
    pub(super) fn arrived(&mut self, message: &Message) {
        if message.is_tombstone() && self.get(&message.topic).is_some_and(Message::is_tombstone) {
            self.forget(&message.topic);
        }
    }

    pub(super) fn forget(&mut self, topic: &Topic) {
        if let Some(at) = self.index.remove(topic) {
            self.order.remove(&at);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Message>> {
        self.order.values().cloned().collect()
    }

    /// Topics of this camera at which something is retained.
    pub(super) fn topics_of(&self, camera: &Name) -> Vec<Topic> {
        let of_camera = self.order.values().filter(|message| message.camera.as_ref() == Some(camera));
        of_camera.filter(|message| !message.is_tombstone()).map(|message| message.topic.clone()).collect()
    }

    pub(super) fn get(&self, topic: &Topic) -> Option<&Message> {
        Some(self.order.get(self.index.get(topic)?)?.as_ref())
    }
}
