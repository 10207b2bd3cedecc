//! The lanes: which message goes first, and how many may wait.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Item;
use super::strand::{Strands, Want};
use crate::bus::{Message, MessageKind, Qos, Topic};
#[cfg(test)]
use crate::domain::Name;

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

const ALL: [Lane; 6] = [Lane::State, Lane::Reply, Lane::Event, Lane::Keyframe, Lane::AckedDetections, Lane::Detections];

impl Lane {
    /// What the spool keeps on disk.
    pub(super) fn is_spooled(self) -> bool {
        matches!(self, Self::Event | Self::Keyframe | Self::AckedDetections)
    }

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

/// A lane that was passed over so much while it had something gets one turn, so that no flood above starves it for ever. By
/// lane, in [`weight`]s: an event waits for 32 states or replies at most, which only a storm of them reaches. Detections at
/// most once are small and worth something only while they are fresh: they get every third turn even while a long backlog
/// of events goes out. Never two such turns in a row, so an event that is fresh waits for one of them at most.
const PATIENCE: [u32; 6] = [0, 32, 32, 8 * 16, 3 * 16, 2 * 16];

/// What a message of this lane weighs for those it goes before: states and replies are small, few and soon over.
fn weight(lane: Lane) -> u32 {
    if matches!(lane, Lane::State | Lane::Reply) { 1 } else { 16 }
}

#[derive(Debug)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    limit: LaneLimit,
}

#[derive(Debug)]
pub(super) struct Lanes {
    state: Queue,
    reply: Queue,
    event: Strands,
    keyframe: Strands,
    acked_detections: Strands,
    detections: Queue,
    /// What went while the lane had something.
    passed_over: [u32; 6],
    /// The last one went before its turn.
    out_of_turn: bool,
}

impl Lanes {
    pub(super) fn new(l: OutboxLimits) -> Self {
        Self {
            state: Queue::new(l.state),
            reply: Queue::new(l.reply),
            event: Strands::new(MessageKind::Event, l.event),
            keyframe: Strands::new(MessageKind::Keyframe, l.keyframe),
            acked_detections: Strands::new(MessageKind::Detections, l.acked_detections),
            detections: Queue::new(l.detections),
            passed_over: [0; 6],
            out_of_turn: false,
        }
    }

    /// `spill`: what does not fit into the window may leave the memory once it is on disk.
    pub(super) fn push(&mut self, item: Item, spill: bool) {
        match self.lane(Lane::of(&item.message)) {
            Line::Queue(queue) => queue.push_back(item),
            Line::Strands(strands) => strands.push(item, spill),
        }
    }

    pub(super) fn push_front(&mut self, item: Item) {
        match self.lane(Lane::of(&item.message)) {
            Line::Queue(queue) => queue.push_front(item),
            Line::Strands(strands) => strands.push_front(item),
        }
    }

    /// The first of the first lane that holds any, but for those whose patience has ended. `gate` shut: nothing of the
    /// lanes whose earlier messages may still come from the disk. What is missing in memory is asked for in `wants`.
    pub(super) fn pop(&mut self, gate: bool, wants: &mut Vec<Want>) -> Option<Item> {
        let impatient = |lane: &Lane| self.passed_over[*lane as usize] >= PATIENCE[*lane as usize];
        let lowest = ALL[1..].iter().rev().copied().find(impatient).filter(|_| !self.out_of_turn);
        for (lane, out_of_turn) in lowest.map(|lane| (lane, true)).into_iter().chain(ALL.map(|lane| (lane, false))) {
            let item = match self.lane(lane) {
                Line::Queue(queue) => queue.pop(),
                Line::Strands(strands) if gate => strands.pop(wants),
                Line::Strands(_) => None,
            };
            let Some(item) = item else { continue };
            self.out_of_turn = out_of_turn;
            self.passed_over[lane as usize] = 0;
            for below in &ALL[lane as usize + 1..] {
                let waits = self.has_any(*below);
                let passed_over = &mut self.passed_over[*below as usize];
                *passed_over = if waits { passed_over.saturating_add(weight(lane)) } else { 0 };
            }
            return Some(item);
        }
        None
    }

    fn has_any(&self, lane: Lane) -> bool {
        match lane {
            Lane::State => !self.state.items.is_empty(),
            Lane::Reply => !self.reply.items.is_empty(),
            Lane::Event => self.event.has_any(),
            Lane::Keyframe => self.keyframe.has_any(),
            Lane::AckedDetections => self.acked_detections.has_any(),
            Lane::Detections => !self.detections.items.is_empty(),
        }
    }

    /// The one to go of a lane that holds too much: the oldest.
    pub(super) fn overflow(&mut self, lane: Lane) -> Option<Item> {
        match self.lane(lane) {
            Line::Queue(queue) => {
                let full = queue.items.len() > queue.limit.messages || queue.bytes > queue.limit.bytes;
                if full { queue.pop() } else { None }
            }
            Line::Strands(strands) => strands.overflow(),
        }
    }

    /// Puts `message` in the place of the newest state that waits for its topic, and returns that one.
    pub(super) fn replace_state(&mut self, message: &Arc<Message>) -> Option<Arc<Message>> {
        let queue = &mut self.state;
        let item = queue.items.iter_mut().rev().find(|item| item.message.topic == message.topic)?;
        let old = std::mem::replace(&mut item.message, Arc::clone(message));
        queue.bytes = queue.bytes - old.payload.len() + message.payload.len();
        Some(old)
    }

    pub(super) fn state_waits(&self, topic: &Topic) -> bool {
        self.state.items.iter().any(|item| item.message.topic == *topic)
    }

    /// The node's own status (the birth) before every other state; else the order stays.
    pub(super) fn status_first(&mut self) {
        let states = self.state.items.make_contiguous();
        states.sort_by_key(|item| u8::from(!matches!(item.message.topic, Topic::NodeStatus(_))));
    }

    /// Everything that is in memory.
    pub(super) fn drain(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        for queue in [&mut self.state, &mut self.reply, &mut self.detections] {
            queue.bytes = 0;
            items.extend(queue.items.drain(..));
        }
        for strands in self.strands() {
            items.extend(strands.drain());
        }
        items
    }

    /// The lanes that the spool knows.
    pub(super) fn strands(&mut self) -> [&mut Strands; 3] {
        [&mut self.event, &mut self.keyframe, &mut self.acked_detections]
    }

    pub(super) fn strands_of(&mut self, kind: MessageKind) -> &mut Strands {
        match kind {
            MessageKind::Keyframe => &mut self.keyframe,
            MessageKind::Detections => &mut self.acked_detections,
            _ => &mut self.event,
        }
    }

    #[cfg(test)]
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        let queues = [&self.state, &self.reply, &self.detections].into_iter().flat_map(|queue| &queue.items);
        queues.chain([&self.event, &self.keyframe, &self.acked_detections].into_iter().flat_map(Strands::items))
    }

    /// Kind, camera, messages and bytes that lie on disk only.
    #[cfg(test)]
    pub(super) fn gaps(&self) -> impl Iterator<Item = (MessageKind, Option<Name>, u64, u64)> {
        let of = |kind, strands: &Strands| -> Vec<_> {
            strands.gaps().map(|(camera, gap)| (kind, camera.cloned(), gap.messages, gap.bytes)).collect()
        };
        [
            of(MessageKind::Event, &self.event),
            of(MessageKind::Keyframe, &self.keyframe),
            of(MessageKind::Detections, &self.acked_detections),
        ]
        .into_iter()
        .flatten()
    }

    fn lane(&mut self, lane: Lane) -> Line<'_> {
        match lane {
            Lane::State => Line::Queue(&mut self.state),
            Lane::Reply => Line::Queue(&mut self.reply),
            Lane::Event => Line::Strands(&mut self.event),
            Lane::Keyframe => Line::Strands(&mut self.keyframe),
            Lane::AckedDetections => Line::Strands(&mut self.acked_detections),
            Lane::Detections => Line::Queue(&mut self.detections),
        }
    }
}

enum Line<'a> {
    Queue(&'a mut Queue),
    Strands(&'a mut Strands),
}

impl Queue {
    fn new(limit: LaneLimit) -> Self {
        Self { items: VecDeque::new(), bytes: 0, limit }
    }

    fn push_back(&mut self, item: Item) {
        self.bytes += item.message.payload.len();
        self.items.push_back(item);
    }

    fn push_front(&mut self, item: Item) {
        self.bytes += item.message.payload.len();
        self.items.push_front(item);
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.message.payload.len();
        Some(item)
    }
}
