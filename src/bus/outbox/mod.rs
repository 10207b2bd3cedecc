//! The outbox owns a message from the moment it is offered until it is sent, acknowledged, refused or dropped.
//!
//! One per bus. The law, held at every step: offered + restored = sent + acked + dropped + refused + kept + waiting, by kind
//! and by camera. Every step that changes a figure goes through [`Ledger::settle`] or [`Ledger::accept`], under one lock.
//!
//! What must not be lost is also written to disk (`bus/spool`): the [`desk`] is where the outbox and the spool's clerk meet.

mod desk;
mod lane;
mod ledger;
mod retained;
#[cfg(test)]
mod spooled;
mod strand;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::desk::Desk;
pub(super) use self::desk::{Drafts, Reading};
use self::lane::{Lane, Lanes};
pub use self::lane::{LaneLimit, OutboxLimits};
use self::ledger::{Fate, Ledger, Lot};
pub use self::ledger::{Tally, Waiting};
use self::retained::Retained;
pub(super) use self::strand::Want;
use self::trail::Trail;
use super::spool::Bell;
use super::{Message, MessageKind, Publisher, Topic};
use crate::domain::Name;
use crate::telemetry::{BusMetrics, CameraMetrics, DropReason, Outcome};

/// Names one handing-out of one message. Tickets grow: their order is the order of handing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A message that was handed out and has to be settled by its ticket.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub ticket: Ticket,
    pub message: Arc<Message>,
    /// How often it was handed out before and the link was lost.
    pub attempts: u32,
}

/// For how many messages a session has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vacancy {
    /// So many, however large.
    pub of_any: usize,
    /// So many in all, as long as they are within `bytes`.
    pub messages: usize,
    /// Payloads.
    pub bytes: usize,
}

impl Vacancy {
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.of_any > 0 || (self.messages > 0 && self.bytes > 0)
    }

    fn take(&mut self, bytes: usize) {
        self.of_any = self.of_any.saturating_sub(1);
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[derive(Debug, Clone)]
struct Item {
    message: Arc<Message>,
    offered_at: Instant,
    attempts: u32,
    /// Its way to the socket is already in the histograms.
    timed: bool,
    /// In the order of their offers; what an earlier run left is below zero. Its position in the spool.
    number: i64,
    /// It is on disk or on its way there.
    spooled: bool,
    /// For its frame's trace.
    trail: Trail,
}

impl Item {
    /// An earlier run left it, or it waited for a link that was away, or it is sent again because one was lost.
    fn is_late(&self, up_since: Option<Instant>) -> bool {
        self.number < 0
            || self.attempts > 0
            || up_since.is_some_and(|up| up.saturating_duration_since(self.offered_at) > LATE)
    }
}

/// So much earlier than its link a message may be without being late: every start takes a moment.
const LATE: Duration = Duration::from_secs(1);

/// See the module's words. Cheap to call from any thread; nothing here waits but [`Outbox::next`] and [`Outbox::drained`].
pub struct Outbox {
    bus: &'static str,
    metrics: BusMetrics,
    /// Cameras whose capture-to-publish totals this outbox fills (the first bus does).
    cameras: RwLock<HashMap<Name, Arc<CameraMetrics>>>,
    inner: Mutex<Inner>,
    ready: Notify,
    idle: Notify,
}

struct Inner {
    bus: &'static str,
    lanes: Lanes,
    in_flight: BTreeMap<Ticket, Item>,
    retained: Retained,
    ledger: Ledger,
    /// None: everything waits in memory only.
    desk: Option<Desk>,
    next_ticket: u64,
    next_number: i64,
    /// When the link came up last.
    up_since: Option<Instant>,
    closed: bool,
    closed_empty: bool,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("bus", &self.bus).field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Publisher for Outbox {
    fn offer(&self, message: Message) {
        let mut inner = self.lock();
        let message = Arc::new(message);
        inner.retained.remember(&message);
        inner.offer(self, message);
        drop(inner);
        self.ready.notify_one();
    }
}

impl Outbox {
    /// `cameras`: whose [`crate::telemetry::CameraTotals::latency`] is filled here; empty for a second bus.
    #[must_use]
    pub fn new(
        bus: &'static str,
        metrics: BusMetrics,
        limits: OutboxLimits,
        cameras: HashMap<Name, Arc<CameraMetrics>>,
    ) -> Arc<Self> {
        Self::build(bus, metrics, limits, cameras, None)
    }

    /// The same with a spool, whose clerk is called by `bell`.
    pub(super) fn with_spool(
        bus: &'static str,
        metrics: BusMetrics,
        limits: OutboxLimits,
        cameras: HashMap<Name, Arc<CameraMetrics>>,
        bell: Arc<Bell>,
    ) -> Arc<Self> {
        Self::build(bus, metrics, limits, cameras, Some(Desk::new(bell)))
    }

    fn build(
        bus: &'static str,
        metrics: BusMetrics,
        limits: OutboxLimits,
        cameras: HashMap<Name, Arc<CameraMetrics>>,
        desk: Option<Desk>,
    ) -> Arc<Self> {
        let inner = Inner {
            bus,
            lanes: Lanes::new(limits),
            in_flight: BTreeMap::new(),
            retained: Retained::default(),
            ledger: Ledger::default(),
            desk,
            next_ticket: 0,
            next_number: 0,
            up_since: None,
            closed: false,
            closed_empty: false,
        };
        let (ready, idle, cameras) = (Notify::new(), Notify::new(), RwLock::new(cameras));
        Arc::new(Self { bus, metrics, cameras, inner: Mutex::new(inner), ready, idle })
    }

    /// Fills this camera's totals as well.
    pub fn fill(&self, camera: Name, metrics: Arc<CameraMetrics>) {
        self.cameras.write().unwrap_or_else(PoisonError::into_inner).insert(camera, metrics);
    }

    #[must_use]
    pub fn bus(&self) -> &'static str {
        self.bus
    }

    #[must_use]
    pub fn metrics(&self) -> &BusMetrics {
        &self.metrics
    }

    /// Waits for the next message: state first, then replies, events, keyframes, detections. For one consumer; cancel-safe.
    pub async fn next(&self) -> Parcel {
        loop {
            if let Some(parcel) = self.try_next() {
                return parcel;
            }
            self.ready.notified().await;
        }
    }

    pub fn try_next(&self) -> Option<Parcel> {
        self.lock().hand_out(self.bus)
    }

    /// Waits for the next, and takes with it what else is there and has room: many for one look at the outbox. Into
    /// `batch`, in the order of [`Outbox::next`]; for one consumer; cancel-safe.
    pub async fn next_batch(&self, vacancy: Vacancy, batch: &mut Vec<Parcel>) {
        loop {
            if self.try_next_batch(vacancy, batch) > 0 {
                return;
            }
            self.ready.notified().await;
        }
    }

    /// How many were taken.
    pub fn try_next_batch(&self, mut vacancy: Vacancy, batch: &mut Vec<Parcel>) -> usize {
        let before = batch.len();
        let mut inner = self.lock();
        while vacancy.is_any()
            && let Some(parcel) = inner.hand_out(self.bus)
        {
            vacancy.take(parcel.message.payload.len());
            batch.push(parcel);
        }
        batch.len() - before
    }

    /// Handed to the socket; this kind of delivery knows no acknowledgement.
    pub fn sent(&self, ticket: Ticket) {
        self.settle(ticket, Fate::Sent);
    }

    pub fn acked(&self, ticket: Ticket) {
        self.settle(ticket, Fate::Acked);
    }

    /// [`Outbox::sent`] and [`Outbox::acked`] of many at once, and of `handed`, that the socket has them and their
    /// acknowledgements are still out; the lists are emptied.
    pub fn settle_batch(&self, handed: &mut Vec<Ticket>, sent: &mut Vec<Ticket>, acked: &mut Vec<Ticket>) {
        if handed.is_empty() && sent.is_empty() && acked.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for ticket in handed.drain(..) {
            if let Some(item) = inner.in_flight.get_mut(&ticket) {
                self.time_publish(item);
                item.trail.written(&item.message);
            }
        }
        sent.drain(..).for_each(|ticket| self.settle_one(&mut inner, ticket, Fate::Sent));
        acked.drain(..).for_each(|ticket| self.settle_one(&mut inner, ticket, Fate::Acked));
        self.tell_if_idle(&inner);
    }

    /// The broker will not have it, or it is too large for it; `why` says so in the log.
    pub fn refused(&self, ticket: Ticket, why: &str) {
        let mut inner = self.lock();
        let Some(item) = inner.in_flight.remove(&ticket) else { return };
        inner.leave(&self.metrics, &item, Fate::Refused);
        inner.ledger.say_refused(self.bus, &item.message, why);
        self.tell_if_idle(&inner);
    }

    /// The session is lost: what was in flight goes back to the front of its lane, in its old order.
    pub fn requeue_in_flight(&self) -> usize {
        let mut inner = self.lock();
        let lost = std::mem::take(&mut inner.in_flight);
        let count = lost.len();
        for (_, mut item) in lost.into_iter().rev() {
            item.trail.back(self.bus, &item.message);
            item.attempts += 1;
            inner.lanes.push_front(item);
        }
        drop(inner);
        if count > 0 {
            self.ready.notify_one();
        }
        count
    }

    /// A session began: every retained state is offered again unless it waits anyway; the node's status goes first.
    pub fn link_up(&self) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.up_since = Some(Instant::now());
        for message in inner.retained.all() {
            if !inner.lanes.state_waits(&message.topic) {
                inner.offer(self, message);
            }
        }
        inner.lanes.status_first();
        drop(inner);
        self.ready.notify_one();
    }

    /// Every retained state is offered again unless it waits anyway: somebody came who may have missed it.
    pub fn say_again(&self) {
        let mut inner = self.lock();
        for message in inner.retained.all() {
            if !inner.closed && !inner.lanes.state_waits(&message.topic) {
                inner.offer(self, message);
            }
        }
        drop(inner);
        self.ready.notify_one();
    }

    /// Whether a state is retained at this topic, or is about to be cleared there.
    #[must_use]
    pub fn is_retained(&self, topic: &Topic) -> bool {
        self.lock().retained.get(topic).is_some()
    }

    /// Topics of this camera at which something is retained, keyframes apart.
    #[must_use]
    pub fn retained_of(&self, camera: &Name) -> Vec<Topic> {
        self.lock().retained.topics_of(camera)
    }

    /// This state is not said again when a session begins.
    pub fn forget(&self, topic: &Topic) {
        self.lock().retained.forget(topic);
    }

    /// What waits, in flight included.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.lock().ledger.waiting()
    }

    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight.len()
    }

    /// The law's figures of one kind, with what waits of it, read at one moment.
    #[must_use]
    pub fn tally(&self, kind: MessageKind) -> Tally {
        self.lock().ledger.kind(kind)
    }

    /// The law's figures of all messages that speak of this camera.
    #[must_use]
    pub fn camera_tally(&self, camera: &Name) -> Tally {
        self.lock().ledger.camera(camera)
    }

    /// Resolves once nothing waits (at once when nothing does).
    pub async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the look, so that a settlement in between is not missed.
            idle.as_mut().enable();
            if self.waiting().total_messages() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// The shut-down's deadline: what the spool holds is kept for the next run; the rest of what still waits, and everything
    /// offered from now on, is dropped and counted. What was kept, and what was dropped.
    pub fn close(&self) -> (Waiting, Waiting) {
        let mut inner = self.lock();
        let (mut kept, mut dropped) = (Waiting::default(), Waiting::default());
        let mut rest: Vec<Item> = std::mem::take(&mut inner.in_flight).into_values().collect();
        rest.extend(inner.lanes.drain());
        for item in rest {
            let safe = inner.desk.as_ref().is_some_and(|desk| desk.holds(&item));
            let (fate, into) =
                if safe { (Fate::Kept, &mut kept) } else { (Fate::Dropped(DropReason::Closed), &mut dropped) };
            into.add(&Lot::one(&item.message));
            if safe {
                item.trail.gone(self.bus, &item.message, item.attempts, fate);
                inner.ledger.settle(&self.metrics, Lot::one(&item.message), fate);
            } else {
                inner.leave(&self.metrics, &item, fate);
            }
        }
        for lot in inner.leave_gaps(&self.metrics, Fate::Kept) {
            kept.add(&lot.lot());
        }
        inner.closed_empty = !inner.closed && dropped.total_messages() == 0;
        inner.closed = true;
        self.tell_if_idle(&inner);
        (kept, dropped)
    }

    /// Closed, with nothing lost by it: everything that the node had to say was said.
    #[must_use]
    pub fn closed_empty(&self) -> bool {
        self.lock().closed_empty
    }

    fn settle(&self, ticket: Ticket, fate: Fate) {
        let mut inner = self.lock();
        self.settle_one(&mut inner, ticket, fate);
        self.tell_if_idle(&inner);
    }

    fn settle_one(&self, inner: &mut Inner, ticket: Ticket, fate: Fate) {
        let Some(mut item) = inner.in_flight.remove(&ticket) else { return };
        self.time_publish(&mut item);
        let message = &item.message;
        if fate == Fate::Acked
            && matches!(message.kind, MessageKind::Detections | MessageKind::Event)
            && let (Some(camera), Some(captured)) = (&message.camera, message.captured_at)
        {
            self.metrics.acked(camera.as_str(), captured.elapsed());
        }
        inner.retained.arrived(message);
        inner.leave(&self.metrics, &item, fate);
    }

    /// Detections only: their way is what `capture_to_publish` promises to measure.
    fn time_publish(&self, item: &mut Item) {
        if std::mem::replace(&mut item.timed, true) || item.message.kind != MessageKind::Detections {
            return;
        }
        let (Some(camera), Some(captured)) = (&item.message.camera, item.message.captured_at) else { return };
        let capture = captured.elapsed();
        let deliver = item.offered_at.elapsed();
        self.metrics.published(camera.as_str(), capture, deliver);
        if let Some(metrics) = self.cameras.read().unwrap_or_else(PoisonError::into_inner).get(camera) {
            metrics.published(capture, deliver);
        }
    }

    fn tell_if_idle(&self, inner: &Inner) {
        if inner.ledger.waiting().total_messages() == 0 {
            self.idle.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn offer(&mut self, outbox: &Outbox, message: Arc<Message>) {
        let metrics = &outbox.metrics;
        if self.closed {
            self.ledger.accept(metrics, Lot::one(&message), Outcome::Offered);
            self.ledger.settle(metrics, Lot::one(&message), Fate::Dropped(DropReason::Closed));
            return;
        }
        // The latest value wins: it takes the place of the one that still waits and is no new offer.
        if message.kind == MessageKind::State
            && let Some(old) = self.lanes.replace_state(&message)
        {
            self.ledger.replace(metrics, &old, &message);
            return;
        }
        self.ledger.accept(metrics, Lot::one(&message), Outcome::Offered);
        let lane = Lane::of(&message);
        let number = self.next_number;
        self.next_number += 1;
        let spooled = self.desk.is_some() && lane.is_spooled() && message.camera.is_some();
        let offered_at = Instant::now();
        let trail = Trail::new(offered_at);
        let item = Item { message, offered_at, attempts: 0, timed: false, number, spooled, trail };
        let mut spill = false;
        if let Some(desk) = self.desk.as_mut().filter(|_| spooled) {
            desk.draft(&item);
            spill = desk.is_open();
        }
        self.lanes.push(item, spill);
        while let Some(item) = self.lanes.overflow(lane) {
            self.leave(metrics, &item, Fate::Dropped(DropReason::Full));
            self.ledger.say_dropped(outbox.bus, item.message.kind, DropReason::Full, 1);
        }
    }

    fn hand_out(&mut self, bus: &'static str) -> Option<Parcel> {
        let mut item = self.pop()?;
        item.trail.out(bus, &item.message);
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let message = item.message.late.filter(|_| item.is_late(self.up_since)).map_or_else(
            || Arc::clone(&item.message),
            |mark| Arc::new(Message { payload: mark(&item.message.payload), ..Message::clone(&item.message) }),
        );
        let parcel = Parcel { ticket, message, attempts: item.attempts };
        self.in_flight.insert(ticket, item);
        Some(parcel)
    }

    fn pop(&mut self) -> Option<Item> {
        let Some(desk) = &mut self.desk else { return self.lanes.pop(true, &mut Vec::new()) };
        let before = desk.wants.len();
        let item = self.lanes.pop(desk.gate_open(), &mut desk.wants);
        if desk.wants.len() > before {
            desk.bell.ring();
        }
        item
    }

    /// The message leaves the outbox, and the spool.
    fn leave(&mut self, metrics: &BusMetrics, item: &Item, fate: Fate) {
        item.trail.gone(self.bus, &item.message, item.attempts, fate);
        self.ledger.settle(metrics, Lot::one(&item.message), fate);
        if let Some(desk) = self.desk.as_mut().filter(|_| item.spooled) {
            desk.settled(item.number);
        }
    }
}
