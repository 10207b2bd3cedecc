//! The last value of every retained state, so that a broker that forgot (or another one) learns all of it on connecting.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bus::{Message, MessageKind, Topic};

/// In the order of their first offer. As large as the configuration: cameras, their labels, the node.
#[derive(Debug, Default)]
pub(super) struct Retained {
    order: Vec<Arc<Message>>,
    index: HashMap<Topic, usize>,
}

impl Retained {
    pub(super) fn remember(&mut self, message: &Arc<Message>) {
        // A keyframe's metadata without its keyframe would speak of a picture that nobody sent again.
        if message.kind != MessageKind::State || !message.retain || matches!(message.topic, Topic::KeyframeMeta(_)) {
            return;
        }
        if let Some(&at) = self.index.get(&message.topic) {
            self.order[at] = Arc::clone(message);
        } else {
            self.index.insert(message.topic.clone(), self.order.len());
            self.order.push(Arc::clone(message));
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Message>> {
        self.order.clone()
    }
}
