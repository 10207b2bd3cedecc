//! Where the outbox and the spool's clerk meet. The outbox leaves drafts, what was settled, and what it wants to be read; the
//! clerk takes them when it has time, and tells what became of them. Neither waits for the other: the disk is the clerk's.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::{Fate, Lot};
use super::strand::{Strands, Want};
use super::trail::Trail;
use super::{Inner, Item, Outbox};
use crate::bus::spool::{Bell, Found, Victim};
use crate::bus::{Message, MessageKind};
use crate::domain::Name;
use crate::telemetry::{BusMetrics, DropReason, Outcome};

/// For so long what an earlier run left is waited for, so that it goes before what is fresh. A disk that hangs longer does
/// not hold up the messages.
const GATE: Duration = Duration::from_secs(5);

/// A message to be written.
#[derive(Debug, Clone)]
pub(in crate::bus) struct Draft {
    pub(in crate::bus) message: Arc<Message>,
    pub(in crate::bus) offered_at: Instant,
}

/// Messages to be written, in their order, and positions to be erased.
#[derive(Debug, Default)]
pub(in crate::bus) struct Drafts {
    pub(in crate::bus) write: Vec<(i64, Draft)>,
    pub(in crate::bus) erase: Vec<i64>,
}

/// A message as it was read: `None` when it is damaged.
#[derive(Debug)]
pub(in crate::bus) struct Reading {
    pub(in crate::bus) pos: i64,
    /// Of its payload.
    pub(in crate::bus) bytes: u64,
    pub(in crate::bus) message: Option<(Message, Instant)>,
}

pub(super) struct Desk {
    pub(super) bell: Arc<Bell>,
    pub(super) wants: Vec<Want>,
    /// Not on disk and not on the way there.
    drafts: BTreeMap<i64, Draft>,
    /// Being written.
    writing: BTreeMap<i64, Draft>,
    /// Settled while being written.
    gone: HashSet<i64>,
    /// Settled, and still on disk.
    erase: BTreeSet<i64>,
    open: bool,
    /// Until then nothing that the spool may hold earlier messages of goes out.
    gate: Option<Instant>,
}

impl Desk {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self {
            bell,
            wants: Vec::new(),
            drafts: BTreeMap::new(),
            writing: BTreeMap::new(),
            gone: HashSet::new(),
            erase: BTreeSet::new(),
            open: false,
            gate: Some(Instant::now() + GATE),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn gate_open(&mut self) -> bool {
        if self.gate.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        self.gate = None;
        true
    }

    pub(super) fn draft(&mut self, item: &Item) {
        if self.drafts.is_empty() && self.writing.is_empty() {
            self.bell.ring();
        }
        self.drafts.insert(item.number, Draft { message: Arc::clone(&item.message), offered_at: item.offered_at });
    }

    pub(super) fn settled(&mut self, number: i64) {
        if self.drafts.remove(&number).is_some() {
            return;
        }
        if self.writing.contains_key(&number) {
            self.gone.insert(number);
            return;
        }
        if self.erase.is_empty() {
            self.bell.ring();
        }
        self.erase.insert(number);
    }

    /// It is on disk.
    pub(super) fn holds(&self, item: &Item) -> bool {
        let number = &item.number;
        item.spooled && !self.drafts.contains_key(number) && !self.writing.contains_key(number)
    }
}

/// Messages of a gap.
pub(super) struct GapLot {
    kind: MessageKind,
    camera: Option<Name>,
    messages: u64,
    bytes: u64,
}

impl GapLot {
    pub(super) fn lot(&self) -> Lot<'_> {
        Lot { kind: self.kind, camera: self.camera.as_ref(), messages: self.messages, bytes: self.bytes }
    }
}

impl Inner {
    /// Lets go of what lies on disk only.
    pub(super) fn leave_gaps(&mut self, metrics: &BusMetrics, fate: Fate) -> Vec<GapLot> {
        let mut lots = Vec::new();
        for kind in [MessageKind::Event, MessageKind::Keyframe, MessageKind::Detections] {
            for (camera, gap) in self.lanes.strands_of(kind).close_gaps() {
                lots.push(GapLot { kind, camera, messages: gap.messages, bytes: gap.bytes });
            }
        }
        for lot in &lots {
            self.ledger.settle(metrics, lot.lot(), fate);
        }
        lots
    }

    /// These are no longer on disk.
    fn give_way(&mut self, outbox: &Outbox, victims: Vec<Victim>) {
        for Victim { pos, kind, camera, bytes } in victims {
            if self.desk.as_mut().is_some_and(|desk| desk.erase.remove(&pos)) {
                continue;
            }
            if let Some(item) = self.in_flight.values_mut().find(|item| item.spooled && item.number == pos) {
                // It is on its way: all it lost is its copy.
                item.spooled = false;
                continue;
            }
            let bytes = bytes as u64;
            let (item, in_gap) = self.lanes.strands_of(kind).take_out(&camera, pos, bytes);
            if item.is_some() || in_gap {
                let lot = Lot { kind, camera: Some(&camera), messages: 1, bytes };
                self.ledger.settle(&outbox.metrics, lot, Fate::Dropped(DropReason::SpoolFull));
                self.ledger.say_dropped(outbox.bus, kind, DropReason::SpoolFull, 1);
            }
        }
    }

    /// What the outbox holds of this kind that is not in a strand.
    fn elsewhere(&self, kind: MessageKind) -> HashSet<i64> {
        let mut elsewhere: HashSet<i64> = self.desk.iter().flat_map(|desk| desk.erase.iter().copied()).collect();
        let flying = self.in_flight.values().filter(|item| item.spooled && item.message.kind == kind);
        elsewhere.extend(flying.map(|item| item.number));
        elsewhere
    }
}

/// The clerk's side.
impl Outbox {
    /// The spool was opened, and holds this. `again`: it was open before in this run, and its messages are known.
    pub(in crate::bus) fn spool_opened(&self, found: &[Found], again: bool) {
        let mut inner = self.lock();
        let Some(desk) = &mut inner.desk else { return };
        (desk.open, desk.gate) = (true, None);
        for Found { kind, camera, messages, bytes } in found.iter().filter(|_| !again) {
            inner.lanes.strands_of(*kind).restore(camera, *messages, *bytes);
            let lot = Lot { kind: *kind, camera: Some(camera), messages: *messages, bytes: *bytes };
            inner.ledger.accept(&self.metrics, lot, Outcome::Restored);
        }
        drop(inner);
        self.ready.notify_one();
    }

    /// The spool cannot be used for now; it keeps what it holds.
    pub(in crate::bus) fn spool_shut(&self) {
        if let Some(desk) = &mut self.lock().desk {
            (desk.open, desk.gate) = (false, None);
        }
        self.ready.notify_one();
    }

    /// The spool's file was damaged and is put aside: what lay on disk only is lost, the rest is to be written again.
    pub(in crate::bus) fn spool_lost(&self) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let lots = inner.leave_gaps(&self.metrics, Fate::Dropped(DropReason::Damaged));
        for lot in lots {
            inner.ledger.say_dropped(self.bus, lot.kind, DropReason::Damaged, lot.messages);
        }
        let Some(desk) = &mut inner.desk else { return };
        (desk.open, desk.gate) = (false, None);
        desk.erase.clear();
        let mut again = Vec::new();
        for strands in inner.lanes.strands() {
            again.extend(strands.items().filter(|item| item.spooled).cloned());
        }
        again.extend(inner.in_flight.values().filter(|item| item.spooled).cloned());
        for item in again {
            desk.draft(&item);
        }
        self.tell_if_idle(&guard);
        drop(guard);
        self.ready.notify_one();
    }

    /// What cannot be read for now is left to the next run, so that what is fresh need not wait behind it.
    pub(in crate::bus) fn spool_leave(&self) -> u64 {
        let mut inner = self.lock();
        let left = inner.leave_gaps(&self.metrics, Fate::Kept).iter().map(|lot| lot.messages).sum();
        self.tell_if_idle(&inner);
        drop(inner);
        self.ready.notify_one();
        left
    }

    /// When the oldest draft was offered; `None` when there is none.
    pub(in crate::bus) fn spool_oldest(&self) -> Option<Instant> {
        let inner = self.lock();
        inner.desk.as_ref()?.drafts.first_key_value().map(|(_, draft)| draft.offered_at)
    }

    /// Settled messages that are still on disk.
    pub(in crate::bus) fn spool_to_erase(&self) -> usize {
        self.lock().desk.as_ref().map_or(0, |desk| desk.erase.len())
    }

    /// Drafts offered before `before`, oldest first and without a gap, up to `bytes`; and what is to be erased.
    pub(in crate::bus) fn spool_take(&self, before: Instant, bytes: usize) -> Drafts {
        let mut inner = self.lock();
        let Some(desk) = &mut inner.desk else { return Drafts::default() };
        let mut size = 0;
        let mut write = Vec::new();
        while let Some(entry) = desk.drafts.first_entry() {
            let draft = entry.get();
            size += draft.message.payload.len();
            if draft.offered_at > before || (size > bytes && !write.is_empty()) {
                break;
            }
            write.push(entry.remove_entry());
        }
        desk.writing = write.iter().cloned().collect();
        Drafts { write, erase: std::mem::take(&mut desk.erase).into_iter().collect() }
    }

    /// What was taken is on disk, but for `unwritten`, which no record can hold; `victims` had to go for it.
    pub(in crate::bus) fn spool_written(&self, victims: Vec<Victim>, unwritten: &HashSet<i64>) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let Some(desk) = &mut inner.desk else { return };
        desk.open = true;
        desk.writing.clear();
        let gone = std::mem::take(&mut desk.gone);
        desk.erase.extend(gone);
        if !unwritten.is_empty() {
            let flying = inner.in_flight.values_mut();
            let items = flying.chain(inner.lanes.strands().into_iter().flat_map(Strands::items_mut));
            items.filter(|item| unwritten.contains(&item.number)).for_each(|item| item.spooled = false);
        }
        inner.give_way(self, victims);
        if let Some(desk) = &inner.desk {
            for strands in inner.lanes.strands() {
                strands.spill(|item| desk.holds(item));
            }
        }
        self.tell_if_idle(&guard);
    }

    /// What was taken is not on disk, and what was to be erased still is.
    pub(in crate::bus) fn spool_not_written(&self, erase: Vec<i64>) {
        let mut inner = self.lock();
        let Some(desk) = &mut inner.desk else { return };
        let gone = std::mem::take(&mut desk.gone);
        let mut again = std::mem::take(&mut desk.writing);
        again.retain(|number, _| !gone.contains(number));
        desk.drafts.append(&mut again);
        desk.erase.extend(erase);
    }

    pub(in crate::bus) fn spool_wants(&self) -> Vec<Want> {
        self.lock().desk.as_mut().map(|desk| std::mem::take(&mut desk.wants)).unwrap_or_default()
    }

    pub(in crate::bus) fn spool_read(&self, want: &Want, readings: Vec<Reading>) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let elsewhere = inner.elsewhere(want.kind);
        let rows = readings.into_iter().map(|Reading { pos, bytes, message }| {
            let item = message.map(|(message, offered_at)| Item {
                message: Arc::new(message),
                offered_at,
                attempts: 0,
                timed: false,
                number: pos,
                spooled: true,
                trail: Trail::new(offered_at),
            });
            if item.is_none()
                && !elsewhere.contains(&pos)
                && let Some(desk) = &mut inner.desk
            {
                desk.erase.insert(pos);
            }
            (pos, bytes, item)
        });
        let rows = rows.collect();
        let missing = inner.lanes.strands_of(want.kind).refill(want, rows, &elsewhere);
        if missing.messages > 0 {
            let lot =
                Lot { kind: want.kind, camera: Some(&want.camera), messages: missing.messages, bytes: missing.bytes };
            inner.ledger.settle(&self.metrics, lot, Fate::Dropped(DropReason::Damaged));
            inner.ledger.say_dropped(self.bus, want.kind, DropReason::Damaged, missing.messages);
        }
        self.tell_if_idle(&guard);
        drop(guard);
        self.ready.notify_one();
    }
}
