//! Lanes of messages that must not be lost: one strand a camera, each strictly in its order, the cameras in turn. So the
//! backlog of one camera holds back neither another's fresh events nor anything of another lane.
//!
//! A strand is three parts in a row: the head in memory, a gap whose messages lie on disk only, and the tail in memory, of
//! those that are too new to be on disk. A head that runs low is filled from the gap.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Item, LaneLimit};
use crate::bus::MessageKind;
use crate::domain::Name;

/// A head with fewer is filled again.
const LOW: usize = 64;
/// At a time, and at most.
const REFILL_MESSAGES: usize = 256;
const REFILL_BYTES: usize = 4 << 20;
/// Of a lane's room in memory, for what the spool holds as well: an eighth.
const WINDOW: usize = 8;

/// Messages to be read from the disk.
#[derive(Debug, Clone)]
pub(in crate::bus) struct Want {
    pub(in crate::bus) kind: MessageKind,
    pub(in crate::bus) camera: Name,
    /// After the first position, up to the second.
    pub(in crate::bus) range: (i64, i64),
    pub(in crate::bus) messages: usize,
    pub(in crate::bus) bytes: usize,
}

/// Messages that lie on disk only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gap {
    pub(super) messages: u64,
    /// Payloads.
    pub(super) bytes: u64,
    /// Their positions: after the first, up to the second.
    range: (i64, i64),
}

#[derive(Debug, Default)]
struct Strand {
    camera: Option<Name>,
    head: VecDeque<Item>,
    gap: Gap,
    tail: VecDeque<Item>,
    /// The gap is being read.
    asked: bool,
}

#[derive(Debug)]
pub(super) struct Strands {
    kind: MessageKind,
    limit: LaneLimit,
    all: Vec<Strand>,
    index: HashMap<Option<Name>, usize>,
    /// Whose turn it is.
    turn: usize,
    /// In memory.
    messages: usize,
    bytes: usize,
    /// In gaps.
    on_disk: u64,
}

/// What reading a gap brought to light.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Strands {
    pub(super) fn new(kind: MessageKind, limit: LaneLimit) -> Self {
        let (all, index) = (Vec::new(), HashMap::new());
        Self { kind, limit, all, index, turn: 0, messages: 0, bytes: 0, on_disk: 0 }
    }

    fn strand(&mut self, camera: Option<&Name>) -> usize {
        let camera = camera.cloned();
        if let Some(at) = self.index.get(&camera) {
            return *at;
        }
        self.all.push(Strand { camera: camera.clone(), ..Strand::default() });
        self.index.insert(camera, self.all.len() - 1);
        self.all.len() - 1
    }

    fn outside_window(&self) -> bool {
        self.messages >= (self.limit.messages / WINDOW).max(1) || self.bytes >= (self.limit.bytes / WINDOW).max(1)
    }

    pub(super) fn push(&mut self, item: Item, spill: bool) {
        let aside = spill && self.outside_window();
        let at = self.strand(item.message.camera.as_ref());
        self.messages += 1;
        self.bytes += item.message.payload.len();
        let strand = &mut self.all[at];
        if aside || strand.gap.messages > 0 || !strand.tail.is_empty() {
            strand.tail.push_back(item);
        } else {
            strand.head.push_back(item);
        }
    }

    /// It comes back, and its camera has the next turn.
    pub(super) fn push_front(&mut self, item: Item) {
        self.messages += 1;
        self.bytes += item.message.payload.len();
        self.turn = self.strand(item.message.camera.as_ref());
        self.all[self.turn].head.push_front(item);
    }

    pub(super) fn has_any(&self) -> bool {
        self.messages > 0 || self.on_disk > 0
    }

    pub(super) fn pop(&mut self, wants: &mut Vec<Want>) -> Option<Item> {
        if !self.has_any() {
            return None;
        }
        let count = self.all.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let popped = self.all[at].pop();
            wants.extend(self.want(at));
            if let Some(item) = popped {
                self.turn = (at + 1) % count;
                self.forget(&item);
                return Some(item);
            }
        }
        None
    }

    fn want(&mut self, at: usize) -> Option<Want> {
        // All heads together stay within the window: what is read again must not push out what is not on disk yet.
        let share = WINDOW * self.all.len();
        let messages = (self.limit.messages / share).clamp(1, REFILL_MESSAGES);
        let bytes = (self.limit.bytes / share).clamp(1, REFILL_BYTES);
        let strand = &mut self.all[at];
        if strand.asked || strand.gap.messages == 0 || strand.head.len() >= LOW {
            return None;
        }
        strand.asked = true;
        let camera = strand.camera.clone()?;
        Some(Want { kind: self.kind, camera, range: strand.gap.range, messages, bytes })
    }

    fn forget(&mut self, item: &Item) {
        self.messages -= 1;
        self.bytes -= item.message.payload.len();
    }

    /// The oldest when there is too much in memory. What the spool could not take yet goes before what is safe on disk.
    pub(super) fn overflow(&mut self) -> Option<Item> {
        if self.messages <= self.limit.messages && self.bytes <= self.limit.bytes {
            return None;
        }
        let oldest = |part: fn(&Strand) -> Option<&Item>| {
            let fronts = self.all.iter().enumerate().filter_map(|(at, strand)| Some((part(strand)?.number, at)));
            fronts.min().map(|(_, at)| at)
        };
        let (tail, head) = (oldest(|strand| strand.tail.front()), oldest(|strand| strand.head.front()));
        let item = match (tail, head) {
            (Some(at), _) => self.all[at].tail.pop_front(),
            (None, Some(at)) => self.all[at].head.pop_front(),
            (None, None) => None,
        }?;
        self.forget(&item);
        Some(item)
    }

    /// What lies on disk, and is older than all that is here.
    pub(super) fn restore(&mut self, camera: &Name, messages: u64, bytes: u64) {
        let at = self.strand(Some(camera));
        let strand = &mut self.all[at];
        let mut newer = std::mem::take(&mut strand.head);
        newer.append(&mut strand.tail);
        strand.tail = newer;
        strand.gap = Gap { messages, bytes, range: (i64::MIN, -1) };
        self.on_disk += messages;
    }

    /// Lets go of what is on disk and has no room in the window.
    pub(super) fn spill(&mut self, on_disk: impl Fn(&Item) -> bool) {
        for at in 0..self.all.len() {
            while self.all[at].gap.messages > 0 || self.outside_window() {
                let strand = &mut self.all[at];
                if !strand.tail.front().is_some_and(&on_disk) {
                    break;
                }
                let Some(item) = strand.tail.pop_front() else { break };
                if strand.gap.messages == 0 {
                    strand.gap.range.0 = item.number - 1;
                }
                strand.gap.range.1 = item.number;
                strand.gap.messages += 1;
                strand.gap.bytes += item.message.payload.len() as u64;
                self.on_disk += 1;
                self.forget(&item);
            }
        }
    }

    /// Takes what was read of the gap: position, payload bytes, and the message unless it is damaged. `elsewhere`: positions
    /// that are not of the gap although they lie within it. Nothing read although something should be there: it is missing.
    pub(super) fn refill(
        &mut self,
        want: &Want,
        rows: Vec<(i64, u64, Option<Item>)>,
        elsewhere: &HashSet<i64>,
    ) -> Missing {
        let at = self.strand(Some(&want.camera));
        let strand = &mut self.all[at];
        strand.asked = false;
        let mut missing = Missing::default();
        if rows.is_empty() && strand.gap.range.1 > want.range.1 {
            // What was asked for gave way to others since, and newer ones came: those will be asked for.
            strand.gap.range.0 = strand.gap.range.0.max(want.range.1);
        } else if rows.is_empty() {
            (missing.messages, missing.bytes) = (strand.gap.messages, strand.gap.bytes);
            self.on_disk -= missing.messages;
            strand.gap = Gap::default();
        }
        for (pos, bytes, item) in rows {
            let strand = &mut self.all[at];
            if pos <= strand.gap.range.0 || pos > strand.gap.range.1 || strand.gap.messages == 0 {
                continue;
            }
            strand.gap.range.0 = pos;
            if elsewhere.contains(&pos) {
                continue;
            }
            strand.gap.messages -= 1;
            strand.gap.bytes = strand.gap.bytes.saturating_sub(bytes);
            self.on_disk -= 1;
            if let Some(item) = item {
                self.messages += 1;
                self.bytes += item.message.payload.len();
                strand.head.push_back(item);
            } else {
                missing.messages += 1;
                missing.bytes += bytes;
            }
        }
        missing
    }

    /// Takes the message at this position out, wherever it is: from memory, or from the gap's account (`true`).
    pub(super) fn take_out(&mut self, camera: &Name, pos: i64, bytes: u64) -> (Option<Item>, bool) {
        let at = self.strand(Some(camera));
        let strand = &mut self.all[at];
        let take = |part: &mut VecDeque<Item>| {
            let place = part.iter().position(|item| item.spooled && item.number == pos)?;
            part.remove(place)
        };
        if let Some(item) = take(&mut strand.head).or_else(|| take(&mut strand.tail)) {
            self.forget(&item);
            return (Some(item), false);
        }
        let gap = &mut strand.gap;
        let within = gap.messages > 0 && pos > gap.range.0 && pos <= gap.range.1;
        if within {
            gap.messages -= 1;
            gap.bytes = gap.bytes.saturating_sub(bytes);
            self.on_disk -= 1;
        }
        (None, within)
    }

    /// Closes every gap; whose messages they were.
    pub(super) fn close_gaps(&mut self) -> Vec<(Option<Name>, Gap)> {
        self.on_disk = 0;
        let gaps = self.all.iter_mut().map(|strand| {
            strand.asked = false;
            (strand.camera.clone(), std::mem::take(&mut strand.gap))
        });
        gaps.filter(|(_, gap)| gap.messages > 0).collect()
    }

    pub(super) fn drain(&mut self) -> Vec<Item> {
        (self.messages, self.bytes) = (0, 0);
        self.all.iter_mut().flat_map(|strand| strand.head.drain(..).chain(strand.tail.drain(..))).collect()
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.all.iter().flat_map(|strand| strand.head.iter().chain(&strand.tail))
    }

    pub(super) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.all.iter_mut().flat_map(|strand| strand.head.iter_mut().chain(&mut strand.tail))
    }

    #[cfg(test)]
    pub(super) fn gaps(&self) -> impl Iterator<Item = (Option<&Name>, Gap)> {
        self.all.iter().map(|strand| (strand.camera.as_ref(), strand.gap))
    }
}

impl Strand {
    fn pop(&mut self) -> Option<Item> {
        let from_tail = self.gap.messages == 0;
        self.head.pop_front().or_else(|| if from_tail { self.tail.pop_front() } else { None })
    }
}
