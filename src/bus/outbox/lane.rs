//! The lanes: which message goes first, and how many may wait.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Item;
use crate::bus::{Message, MessageKind, Qos, Topic};

/// How much one lane holds. A lane that is full loses its oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimit {
    pub messages: usize,
    /// Payload bytes.
    pub bytes: usize,
}

/// The room of each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    pub state: LaneLimit,
    pub reply: LaneLimit,
    pub event: LaneLimit,
    pub keyframe: LaneLimit,
    /// Detections that want an acknowledgement (`publish.qos: 1`).
    pub acked_detections: LaneLimit,
    /// Detections at most once: the newest matter, so few wait.
    pub detections: LaneLimit,
}

const MIB: usize = 1 << 20;

impl Default for OutboxLimits {
    fn default() -> Self {
        let limit = |messages, mib: usize| LaneLimit { messages, bytes: mib * MIB };
        Self {
            state: limit(20_000, 16),
            reply: limit(1_000, 16),
            event: limit(100_000, 64),
            keyframe: limit(256, 64),
            acked_detections: limit(20_000, 64),
            detections: limit(1_024, 16),
        }
    }
}

/// In the order of their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    State,
    Reply,
    Event,
    Keyframe,
    AckedDetections,
    Detections,
}

impl Lane {
    pub(super) fn of(message: &Message) -> Self {
        match (message.kind, message.qos) {
            (MessageKind::State, _) => Self::State,
            (MessageKind::Reply, _) => Self::Reply,
            (MessageKind::Event, _) => Self::Event,
            (MessageKind::Keyframe, _) => Self::Keyframe,
            (MessageKind::Detections, Qos::AtLeastOnce) => Self::AckedDetections,
            (MessageKind::Detections, Qos::AtMostOnce) => Self::Detections,
        }
    }
}

#[derive(Debug)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    limit: LaneLimit,
}

#[derive(Debug)]
pub(super) struct Lanes([Queue; 6]);

impl Lanes {
    pub(super) fn new(l: OutboxLimits) -> Self {
        Self([l.state, l.reply, l.event, l.keyframe, l.acked_detections, l.detections].map(|limit| Queue {
            items: VecDeque::new(),
            bytes: 0,
            limit,
        }))
    }

    pub(super) fn push(&mut self, item: Item) {
        let queue = self.queue(Lane::of(&item.message));
        queue.bytes += item.message.payload.len();
        queue.items.push_back(item);
    }

    pub(super) fn push_front(&mut self, item: Item) {
        let queue = self.queue(Lane::of(&item.message));
        queue.bytes += item.message.payload.len();
        queue.items.push_front(item);
    }

    /// The first of the first lane that holds any.
    pub(super) fn pop(&mut self) -> Option<Item> {
        self.0.iter_mut().find_map(Queue::pop)
    }

    /// The oldest of a lane that holds too much.
    pub(super) fn overflow(&mut self, lane: Lane) -> Option<Item> {
        let queue = self.queue(lane);
        let full = queue.items.len() > queue.limit.messages || queue.bytes > queue.limit.bytes;
        if full { queue.pop() } else { None }
    }

    /// Puts `message` in the place of the newest state that waits for its topic, and returns that one.
    pub(super) fn replace_state(&mut self, message: &Arc<Message>) -> Option<Arc<Message>> {
        let queue = self.queue(Lane::State);
        let item = queue.items.iter_mut().rev().find(|item| item.message.topic == message.topic)?;
        let old = std::mem::replace(&mut item.message, Arc::clone(message));
        queue.bytes = queue.bytes - old.payload.len() + message.payload.len();
        Some(old)
    }

    pub(super) fn state_waits(&self, topic: &Topic) -> bool {
        self.0[Lane::State as usize].items.iter().any(|item| item.message.topic == *topic)
    }

    /// The node's own status (the birth) before every other state; else the order stays.
    pub(super) fn status_first(&mut self) {
        let queue = self.queue(Lane::State);
        queue.items.make_contiguous().sort_by_key(|item| u8::from(!matches!(item.message.topic, Topic::NodeStatus(_))));
    }

    #[cfg(test)]
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.0.iter().flat_map(|queue| &queue.items)
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue {
        &mut self.0[lane as usize]
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.message.payload.len();
        Some(item)
    }
}
