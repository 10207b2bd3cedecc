//! The clerk: the one thread that waits for the disk, so that no camera, worker or bus ever does. It writes what was not
//! acknowledged within a moment, erases what was settled since, and reads back what the memory has no room for.

use std::fs::File;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::bell::{Bell, End};
use super::convert::{Now, message_of, record_of};
use super::place::put_aside;
use super::store::{Read, Row, Store, Victim};
use super::{SpoolError, SpoolPlace, SpoolState, record};
use crate::bus::outbox::{Drafts, Reading, Want};
use crate::bus::{MessageKind, Outbox};
use crate::telemetry::SpoolMetrics;

/// Payload bytes of one transaction.
const BATCH: usize = 4 << 20;
/// Erasing alone is in no hurry: what is erased late may be delivered twice, after a crash only.
const ERASE_EVERY: Duration = Duration::from_millis(250);
const ERASE_AT_ONCE: usize = 512;
/// The log is put on the disk so often while something is written: what a power cut can take.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How often a spool that does not work is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// What cannot be read for so long is left to the next run.
const UNREADABLE: Duration = Duration::from_secs(10);

/// How much of what waits to be written is written in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bus) enum Pace {
    /// What is older than the window.
    Measured,
    /// All of it.
    Everything,
}

pub(in crate::bus) struct Clerk {
    bus: &'static str,
    place: SpoolPlace,
    report: Report,
    lock: Option<File>,
    store: Option<Store>,
    /// Of the first opening in this run.
    base: Option<i64>,
    /// When a spool that does not open is tried again.
    retry_at: Instant,
    /// The disk is full: nothing is written until then.
    full_until: Option<Instant>,
    wants: Vec<Want>,
    unread_since: Option<Instant>,
    committed_at: Instant,
    unsynced_since: Option<Instant>,
}

impl Clerk {
    pub(in crate::bus) fn new(bus: &'static str, place: SpoolPlace, state: watch::Sender<SpoolState>) -> Self {
        let metrics = SpoolMetrics::new(bus, place.max_bytes);
        let now = Instant::now();
        Self {
            bus,
            place,
            report: Report { bus, state, metrics },
            lock: None,
            store: None,
            base: None,
            retry_at: now,
            full_until: None,
            wants: Vec::new(),
            unread_since: None,
            committed_at: now,
            unsynced_since: None,
        }
    }

    /// Works until it is told to end, or nobody is left to work for.
    pub(super) fn run(mut self, outbox: &Weak<Outbox>, bell: &Arc<Bell>) {
        let mut call = super::bell::Call::default();
        loop {
            let Some(outbox) = outbox.upgrade() else { return };
            if call.end == Some(End::AtOnce) {
                return;
            }
            let everything = call.end.is_some() || !call.flushes.is_empty();
            let again = self.round(&outbox, if everything { Pace::Everything } else { Pace::Measured });
            for tell in call.flushes {
                let _nobody_waits = tell.send(());
            }
            if call.end.is_some() {
                self.put_in_order();
                return;
            }
            drop(outbox);
            call = bell.wait(again);
        }
    }

    /// Everything that is due now; in how long there will be more, if nobody calls.
    pub(in crate::bus) fn round(&mut self, outbox: &Outbox, pace: Pace) -> Option<Duration> {
        if self.store.is_none() && (self.retry_at <= Instant::now() || pace == Pace::Everything) {
            self.open(outbox);
        }
        if pace == Pace::Everything || self.full_until.is_some_and(|until| until <= Instant::now()) {
            self.full_until = None;
        }
        // Twice: the first may end with a damaged file put aside and a new one begun.
        for _ in 0..2 {
            while self.store.is_some() && self.full_until.is_none() && self.write(outbox, pace) {}
        }
        self.wants.extend(outbox.spool_wants());
        self.read(outbox);
        self.sync();
        self.next(outbox)
    }

    fn next(&self, outbox: &Outbox) -> Option<Duration> {
        if self.store.is_none() {
            return Some(self.retry_at.saturating_duration_since(Instant::now()));
        }
        let in_between = |span: Duration, since: Instant| span.saturating_sub(since.elapsed());
        let draft = outbox.spool_oldest().map(|oldest| in_between(self.place.write_after, oldest));
        let erase = (outbox.spool_to_erase() > 0).then(|| in_between(ERASE_EVERY, self.committed_at));
        let full = self.full_until.map(|until| until.saturating_duration_since(Instant::now()));
        let write = full.or_else(|| [draft, erase].into_iter().flatten().min());
        let sync = self.unsynced_since.map(|since| in_between(SYNC_EVERY, since));
        // Never quite at once: a clock that has not moved would spin.
        [write, sync].into_iter().flatten().min().map(|span| span.max(Duration::from_millis(1)))
    }

    fn open(&mut self, outbox: &Outbox) {
        self.retry_at = Instant::now() + RETRY;
        match self.try_open(outbox) {
            Ok((store, found)) => {
                let (messages, path) = (found.iter().map(|f| f.messages).sum::<u64>(), self.place.file(self.bus));
                if messages > 0 && self.base.is_none() {
                    tracing::info!(bus = self.bus, messages, path = %path.display(), "undelivered messages of an earlier run");
                }
                outbox.spool_opened(&found, self.base.is_some());
                self.base = Some(store.base());
                self.report.works(&store, &path);
                self.store = Some(store);
            }
            Err(error) => {
                outbox.spool_shut();
                self.report.fails(&error);
            }
        }
    }

    fn try_open(&mut self, outbox: &Outbox) -> Result<(Store, Vec<super::store::Found>), SpoolError> {
        if self.lock.is_none() {
            self.lock = Some(self.place.enter(self.bus)?);
        }
        let path = self.place.file(self.bus);
        let what = match Store::open(&path, self.place.max_bytes, self.base) {
            Err(error @ SpoolError::Corrupt { .. }) => ("corrupt", error),
            Err(error @ SpoolError::Newer { .. }) => ("newer", error),
            opened => return opened,
        };
        let aside = put_aside(&path, what.0)?;
        tracing::error!(bus = self.bus, aside = %aside.display(), "{}: put aside, a new spool is begun", what.1);
        if self.base.is_some() {
            outbox.spool_lost();
        }
        Store::open(&path, self.place.max_bytes, self.base)
    }

    /// One transaction; whether there may be more to write.
    fn write(&mut self, outbox: &Outbox, pace: Pace) -> bool {
        let now = Instant::now();
        let everything = pace == Pace::Everything;
        let after = if everything { Duration::ZERO } else { self.place.write_after };
        let draft = outbox.spool_oldest().is_some_and(|oldest| oldest.elapsed() >= after);
        let to_erase = outbox.spool_to_erase();
        let erase = to_erase >= ERASE_AT_ONCE
            || (to_erase > 0 && (draft || everything || self.committed_at.elapsed() >= ERASE_EVERY));
        if !draft && !erase {
            return false;
        }
        // Those that are due soon go along: fewer and larger transactions.
        let drafts = outbox.spool_take(now.checked_sub(after / 2).unwrap_or(now), BATCH);
        match self.commit(outbox, &drafts) {
            Ok(()) => {
                self.committed_at = now;
                self.unsynced_since.get_or_insert(now);
                true
            }
            Err(error) => {
                outbox.spool_not_written(drafts.erase);
                self.failed(outbox, &error);
                false
            }
        }
    }

    fn commit(&mut self, outbox: &Outbox, drafts: &Drafts) -> Result<(), SpoolError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let now = Now::read();
        let mut rows = Vec::with_capacity(drafts.write.len());
        for (pos, draft) in &drafts.write {
            let Some(record) = record_of(&draft.message, draft.offered_at, now) else { continue };
            match record::encode(&record) {
                Ok(encoded) => {
                    let Some(camera) = &draft.message.camera else { continue };
                    let bytes = draft.message.payload.len();
                    rows.push(Row { pos: *pos, kind: record.kind, camera, bytes, record: encoded });
                }
                // It stays in memory, and is delivered from there.
                Err(error) => tracing::warn!(bus = self.bus, camera = %record.camera, "not spooled: {error}"),
            }
        }
        let victims = match store.commit(&rows, &drafts.erase) {
            Err(SpoolError::Full { .. }) if !drafts.erase.is_empty() => self.make_room(&rows, &drafts.erase)?,
            committed => committed?,
        };
        let unwritten = drafts.write.iter().map(|(pos, _)| *pos);
        let unwritten = unwritten.filter(|pos| rows.binary_search_by_key(pos, |row| row.pos).is_err()).collect();
        outbox.spool_written(victims, &unwritten);
        if let Some(store) = &self.store {
            self.report.works(store, &self.place.file(self.bus));
        }
        Ok(())
    }

    /// The disk is full: what goes makes room for what comes, in the file that is there. Where not even that fits into the
    /// log, because the spool itself is what fills the disk, its file is begun anew once all that it holds was delivered.
    fn make_room(&mut self, rows: &[Row<'_>], erase: &[i64]) -> Result<Vec<Victim>, SpoolError> {
        let Some(mut store) = self.store.take() else { return Ok(Vec::new()) };
        let mut victims = match store.commit(&[], erase) {
            Err(SpoolError::Full { .. }) if store.holds_only(erase)? => {
                store = store.begin_anew()?;
                tracing::info!(
                    bus = self.bus,
                    "the spool filled its disk; all of it is delivered, and its file begun anew"
                );
                Vec::new()
            }
            Err(error) => {
                self.store = Some(store);
                return Err(error);
            }
            Ok(victims) => victims,
        };
        victims.extend(self.store.insert(store).commit(rows, &[])?);
        Ok(victims)
    }

    fn read(&mut self, outbox: &Outbox) {
        let (mut unread, mut failed) = (Vec::new(), None);
        for want in std::mem::take(&mut self.wants) {
            let Some(store) = self.store.as_ref().filter(|_| failed.is_none()) else {
                unread.push(want);
                continue;
            };
            match store.read(want.kind, &want.camera, want.range, (want.messages, want.bytes)) {
                Ok(rows) => outbox.spool_read(&want, rows.iter().map(|row| self.reading(row)).collect()),
                Err(error) => {
                    failed = Some(error);
                    unread.push(want);
                }
            }
        }
        self.wants = unread;
        if let Some(error) = failed {
            self.failed(outbox, &error);
        }
        if self.wants.is_empty() {
            self.unread_since = None;
        } else if self.unread_since.get_or_insert_with(Instant::now).elapsed() > UNREADABLE {
            let messages = outbox.spool_leave();
            tracing::warn!(
                bus = self.bus,
                messages,
                "the spool cannot be read: what is only there waits for the next start"
            );
            self.wants.clear();
        }
    }

    fn reading(&self, row: &Read) -> Reading {
        let bytes = row.bytes as u64;
        let message = match record::decode(&row.record) {
            Ok(record) if record.payload.len() == row.bytes => {
                let (mut message, offered_at) = message_of(record, row.pos >= 0, self.place.mark, Now::read());
                message.shrink = (message.kind == MessageKind::Keyframe).then_some(self.place.shrink);
                Some((message, offered_at))
            }
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(bus = self.bus, pos = row.pos, "a record in the spool: {error}");
                None
            }
        };
        Reading { pos: row.pos, bytes, message }
    }

    fn failed(&mut self, outbox: &Outbox, error: &SpoolError) {
        if let SpoolError::Corrupt { path, .. } = error {
            self.store = None;
            match put_aside(path, "corrupt") {
                Ok(aside) => {
                    tracing::error!(bus = self.bus, aside = %aside.display(), "{error}: put aside, a new spool is begun");
                    self.wants.clear();
                    outbox.spool_lost();
                    self.open(outbox);
                    return;
                }
                Err(error) => self.report.fails(&error),
            }
        }
        self.retry_at = Instant::now() + RETRY;
        if matches!(error, SpoolError::Full { .. }) {
            self.full_until = Some(self.retry_at);
        } else {
            self.store = None;
        }
        outbox.spool_shut();
        self.report.fails(error);
    }

    fn sync(&mut self) {
        if self.unsynced_since.is_none_or(|since| since.elapsed() < SYNC_EVERY) {
            return;
        }
        self.unsynced_since = None;
        if let Some(store) = &self.store
            && let Err(error) = store.sync()
        {
            tracing::debug!(bus = self.bus, %error, "the spool's log was not put on the disk");
        }
    }

    /// The last word of an orderly end.
    fn put_in_order(mut self) {
        self.unsynced_since = None;
        if let Some(store) = self.store.take()
            && let Err(error) = store.close()
        {
            tracing::warn!(bus = self.bus, "the spool was not closed in order: {error}");
        }
    }
}

/// Says how the spool is: to the watch, the gauges and the log. A reason is logged once, until it changes.
struct Report {
    bus: &'static str,
    state: watch::Sender<SpoolState>,
    metrics: SpoolMetrics,
}

impl Report {
    fn works(&self, store: &Store, path: &std::path::Path) {
        let usage = store.usage();
        self.metrics.holds(usage.messages, usage.bytes);
        self.metrics.ok(true);
        if self.state.borrow().ok {
            return;
        }
        tracing::info!(bus = self.bus, path = %path.display(), "the spool works");
        self.state.send_replace(SpoolState { ok: true, detail: path.display().to_string() });
    }

    fn fails(&self, error: &SpoolError) {
        self.metrics.ok(false);
        let detail = error.to_string();
        if self.state.borrow().detail != detail {
            tracing::error!(bus = self.bus, "{detail}; until the spool works, messages wait in memory only");
        }
        self.state.send_replace(SpoolState { ok: false, detail });
    }
}
