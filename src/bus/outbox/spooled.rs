//! The outbox with a real spool on disk, its clerk worked by hand: the law over restarts, the order, what is never lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::watch;

use super::tests::{check_law, message};
use super::*;
use crate::bus::spool::{Clerk, Pace};
use crate::bus::{Qos, SpoolPlace, SpoolState};

const MIB: u64 = 1 << 20;

fn mark(_content_type: &str) -> crate::bus::spool::Mark {
    |payload| Bytes::from([b"late ", &payload[..]].concat())
}

fn limits(messages: usize) -> OutboxLimits {
    let limit = LaneLimit { messages, bytes: 8 << 20 };
    OutboxLimits {
        state: limit,
        reply: limit,
        event: limit,
        keyframe: limit,
        acked_detections: limit,
        detections: limit,
    }
}

/// One boot of a node with one bus.
struct Boot {
    outbox: Arc<Outbox>,
    clerk: Clerk,
    state: watch::Receiver<SpoolState>,
    number: usize,
    seqs: BTreeMap<(usize, u8), usize>,
}

impl Boot {
    fn new(folder: &Path, number: usize, room: usize, max_bytes: u64) -> Self {
        let place = SpoolPlace {
            folder: folder.to_owned(),
            max_bytes,
            write_after: Duration::from_millis(50),
            mark,
            shrink: |_, _| None,
        };
        let (bell, cameras) = (Arc::new(Bell::default()), HashMap::new());
        let outbox = Outbox::with_spool("test", BusMetrics::new("test"), limits(room), cameras, bell);
        let (tell, state) = watch::channel(SpoolState::default());
        let clerk = Clerk::new("test", place, tell);
        Self { outbox, clerk, state, number, seqs: BTreeMap::new() }
    }

    fn open(folder: &Path, number: usize, room: usize, max_bytes: u64) -> Self {
        let mut boot = Self::new(folder, number, room, max_bytes);
        boot.round();
        boot.outbox.link_up();
        boot
    }

    fn round(&mut self) {
        self.clerk.round(&self.outbox, Pace::Everything);
        check_law(&self.outbox);
    }

    /// Offers the camera's next message of the kind: `boot seq`, and padding.
    fn offer(&mut self, kind: MessageKind, index: u8, padding: usize) -> Said {
        let seq = self.seqs.entry((kind as usize, index)).or_default();
        *seq += 1;
        let said = ((kind as usize, index), self.number, *seq);
        let payload = format!("{} {} {}", self.number, *seq, "x".repeat(padding));
        let late = (kind != MessageKind::Keyframe).then_some(mark(""));
        let id = Some(format!("{index}-{}-{}-{}", self.number, kind.as_str(), *seq));
        self.outbox.offer(Message {
            payload: payload.into(),
            qos: Qos::AtLeastOnce,
            late,
            id,
            ..message(kind, index, 0)
        });
        said
    }

    /// The next message, the disk read for it when need be.
    fn take(&mut self) -> Option<Parcel> {
        if let Some(parcel) = self.outbox.try_next() {
            return Some(parcel);
        }
        self.clerk.round(&self.outbox, Pace::Measured);
        self.outbox.try_next()
    }

    fn kept(&self) -> u64 {
        MessageKind::ALL.iter().map(|kind| self.outbox.tally(*kind).kept).sum()
    }

    fn restored(&self) -> u64 {
        MessageKind::ALL.iter().map(|kind| self.outbox.tally(*kind).restored).sum()
    }

    /// As at an orderly shut-down.
    fn end(mut self) -> u64 {
        self.round();
        self.outbox.close();
        check_law(&self.outbox);
        let kept = self.kept();
        self.round();
        kept
    }
}

/// Kind and camera, boot, number.
type Said = ((usize, u8), usize, usize);

fn said(message: &Message) -> (Said, bool) {
    let text = std::str::from_utf8(&message.payload).unwrap();
    let (late, text) = text.strip_prefix("late ").map_or((false, text), |text| (true, text));
    let mut words = text.split(' ').map(str::parse::<usize>);
    let (boot, seq) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
    let camera = message.camera.as_ref().unwrap().as_str().trim_start_matches("cam-").parse().unwrap();
    (((message.kind as usize, camera), boot, seq), late)
}

/// The folder as a process that was killed leaves it: file and log, whatever they hold at this moment.
fn crash_image(folder: &TempDir) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
        if entry.file_name().to_str().unwrap().contains(".db") {
            std::fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
        }
    }
    image
}

#[test]
fn what_was_not_acknowledged_comes_back_after_a_crash_in_order_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 1000, 64 * MIB);
    for _ in 0..5 {
        boot.offer(MessageKind::Event, 1, 10);
    }
    let first = boot.take().unwrap();
    boot.round();
    boot.outbox.acked(first.ticket);
    boot.round();
    boot.offer(MessageKind::Event, 1, 10);
    let image = crash_image(&folder);
    drop(boot);

    let mut next = Boot::open(image.path(), 1, 1000, 64 * MIB);
    assert_eq!(next.restored(), 4, "the sixth was never written");
    next.offer(MessageKind::Event, 1, 10);
    next.offer(MessageKind::Event, 2, 10);
    let mut came = Vec::new();
    while let Some(parcel) = next.take() {
        came.push(said(&parcel.message));
        assert!(parcel.message.id.is_some());
        next.outbox.acked(parcel.ticket);
    }
    let of = |wanted| {
        came.iter()
            .filter(|((key, ..), _)| key.1 == wanted)
            .map(|((_, boot, seq), late)| (*boot, *seq, *late))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(1), [(0, 2, true), (0, 3, true), (0, 4, true), (0, 5, true), (1, 1, false)]);
    assert_eq!(of(2), [(1, 1, false)]);
    assert_ne!(came.last().unwrap().0.0.1, 2, "another camera's fresh event does not wait for the backlog");
    next.round();
    assert_eq!(next.end(), 0);
    assert_eq!(Boot::open(image.path(), 2, 1000, 64 * MIB).restored(), 0);
}

#[test]
fn a_long_outage_fills_the_disk_and_not_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 80, 64 * MIB);
    for round in 0..40 {
        for _ in 0..50 {
            boot.offer(MessageKind::Event, round % 4, 100);
        }
        boot.round();
        let in_memory = boot.outbox.lock().lanes.items().count();
        assert!(in_memory <= 80, "{in_memory}");
    }
    assert_eq!(boot.outbox.tally(MessageKind::Event).waiting, 2000);
    let mut last = BTreeMap::new();
    while let Some(parcel) = boot.take() {
        let ((key, _, seq), _) = said(&parcel.message);
        assert_eq!(seq, last.insert(key, seq).unwrap_or(0) + 1);
        boot.outbox.acked(parcel.ticket);
        check_law(&boot.outbox);
    }
    assert_eq!(boot.outbox.tally(MessageKind::Event).acked, 2000);
}

#[test]
fn an_event_that_is_acknowledged_at_once_never_touches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 80, 64 * MIB);
    for _ in 0..20 {
        boot.offer(MessageKind::Event, 1, 100);
        boot.clerk.round(&boot.outbox, Pace::Measured);
        let parcel = boot.take().unwrap();
        boot.outbox.acked(parcel.ticket);
    }
    boot.round();
    let drafts = boot.outbox.spool_take(Instant::now(), 1);
    assert!(drafts.write.is_empty() && drafts.erase.is_empty());
    drop(boot);
    assert_eq!(Boot::open(folder.path(), 1, 80, 64 * MIB).restored(), 0);
}

#[test]
fn a_full_spool_gives_up_keyframes_first_then_detections_and_events_last() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 16, MIB);
    for _ in 0..30 {
        boot.offer(MessageKind::Event, 1, 2_000);
        boot.offer(MessageKind::Keyframe, 1, 30_000);
        boot.offer(MessageKind::Detections, 1, 4_000);
        boot.round();
    }
    let tally = |boot: &Boot, kind| boot.outbox.tally(kind);
    assert!(tally(&boot, MessageKind::Keyframe).dropped > 0);
    assert_eq!(tally(&boot, MessageKind::Detections).dropped, 0);
    for _ in 0..300 {
        boot.offer(MessageKind::Detections, 1, 4_000);
        boot.round();
    }
    assert_eq!(tally(&boot, MessageKind::Keyframe).waiting, 0);
    assert!(tally(&boot, MessageKind::Detections).dropped > 0);
    assert_eq!(tally(&boot, MessageKind::Event).dropped, 0);
    let metadata = std::fs::metadata(folder.path().join("test.db")).unwrap();
    assert!(metadata.len() < 3 * MIB, "{}", metadata.len());
    // Oldest first: what is left of the detections is their end, without a gap.
    let mut seqs = Vec::new();
    while let Some(parcel) = boot.take() {
        let ((key, _, seq), _) = said(&parcel.message);
        seqs.extend((key.0 == MessageKind::Detections as usize).then_some(seq));
        boot.outbox.acked(parcel.ticket);
    }
    assert_eq!(*seqs.last().unwrap(), 330);
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
}

#[test]
fn a_damaged_record_is_passed_over_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 100, 64 * MIB);
    for _ in 0..3 {
        boot.offer(MessageKind::Event, 1, 10);
    }
    boot.end();
    let db = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    db.execute("UPDATE messages SET record = zeroblob(40) WHERE pos = 2", []).unwrap();
    drop(db);
    let mut next = Boot::open(folder.path(), 1, 100, 64 * MIB);
    let came: Vec<usize> = std::iter::from_fn(|| next.take()).map(|p| said(&p.message).0.2).collect();
    assert_eq!(came, [1, 3]);
    assert_eq!(next.outbox.tally(MessageKind::Event).dropped, 1);
    check_law(&next.outbox);
}

/// Writes over the file, however it was; the spool must come up, the old file must still be there, and new events be safe.
fn comes_up_after(damage: impl FnOnce(&Path), aside: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 100, 64 * MIB);
    for _ in 0..200 {
        boot.offer(MessageKind::Event, 1, 500);
    }
    boot.end();
    damage(&folder.path().join("test.db"));
    let mut next = Boot::open(folder.path(), 1, 100, 64 * MIB);
    assert!(next.state.borrow().ok, "{:?}", next.state.borrow());
    let put_aside = || {
        let names = std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&format!("test.db.{aside}-"))).count()
    };
    // A damage deep inside shows when it is read.
    while let Some(parcel) = next.take() {
        next.outbox.acked(parcel.ticket);
        check_law(&next.outbox);
    }
    assert_eq!(put_aside(), 1, "{aside}");
    next.offer(MessageKind::Event, 1, 10);
    next.round();
    check_law(&next.outbox);
    drop(next);
    assert_eq!(Boot::open(folder.path(), 2, 100, 64 * MIB).restored(), 1);
}

#[test]
fn a_file_of_random_bytes_is_put_aside() {
    comes_up_after(|path| std::fs::write(path, [0x5a; 9_000]).unwrap(), "corrupt");
}

#[test]
fn a_file_that_was_cut_is_put_aside() {
    let cut = |path: &Path| std::fs::File::options().write(true).open(path).unwrap().set_len(20_000).unwrap();
    comes_up_after(cut, "corrupt");
}

#[test]
fn a_file_with_damaged_pages_is_put_aside() {
    let scratch = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[8_192..].chunks_mut(64).for_each(|chunk| chunk[..48].fill(0xee));
        std::fs::write(path, bytes).unwrap();
    };
    comes_up_after(scratch, "corrupt");
}

#[test]
fn a_spool_of_a_newer_version_is_put_aside() {
    let newer = |path: &Path| {
        rusqlite::Connection::open(path).unwrap().execute_batch("PRAGMA user_version=99").unwrap();
    };
    comes_up_after(newer, "newer");
}

#[test]
fn somebody_elses_database_is_put_aside() {
    let other = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        rusqlite::Connection::open(path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    };
    comes_up_after(other, "corrupt");
}

#[test]
fn a_file_that_is_damaged_under_a_running_node_costs_only_what_was_there_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 80, 64 * MIB);
    // More than the database keeps in its cache.
    for _ in 0..100 {
        boot.offer(MessageKind::Event, 1, 60_000);
        boot.round();
    }
    let in_memory = boot.outbox.lock().lanes.items().count() as u64;
    assert!(in_memory < 40, "{in_memory}");
    // Under its feet: file and log.
    for name in ["test.db", "test.db-wal"] {
        let path = folder.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.iter_mut().skip(200).step_by(7).for_each(|byte| *byte ^= 0x55);
        std::fs::write(&path, bytes).unwrap();
    }
    let mut came = 0;
    while let Some(parcel) = boot.take() {
        boot.outbox.acked(parcel.ticket);
        check_law(&boot.outbox);
        came += 1;
    }
    let tally = boot.outbox.tally(MessageKind::Event);
    assert!(came >= in_memory && came < 100 && came + tally.dropped == 100, "{came} came; {tally:?}");
    boot.offer(MessageKind::Event, 1, 10);
    boot.round();
    let parcel = boot.take().unwrap();
    boot.outbox.acked(parcel.ticket);
    boot.end();
}

#[test]
fn the_spool_is_for_its_owners_eyes() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("garage/spool");
    drop(Boot::open(&folder, 0, 80, 64 * MIB));
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn a_torn_tail_of_the_log_loses_only_what_was_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut boot = Boot::open(folder.path(), 0, 100, 64 * MIB);
    for _ in 0..10 {
        boot.offer(MessageKind::Event, 1, 100);
        boot.round();
    }
    let image = crash_image(&folder);
    drop(boot);
    let log = image.path().join("test.db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    std::fs::File::options().write(true).open(&log).unwrap().set_len(length - 1_000).unwrap();
    let mut next = Boot::open(image.path(), 1, 100, 64 * MIB);
    let came: Vec<usize> = std::iter::from_fn(|| next.take()).map(|p| said(&p.message).0.2).collect();
    assert_eq!(came, (1..=9).collect::<Vec<_>>());
}

#[test]
fn a_second_process_on_the_same_folder_says_so_and_runs_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Boot::open(folder.path(), 0, 100, 64 * MIB);
    let mut second = Boot::open(folder.path(), 1, 100, 64 * MIB);
    assert!(first.state.borrow().ok);
    let state = second.state.borrow().clone();
    assert!(!state.ok && state.detail.contains("twice"), "{state:?}");
    second.offer(MessageKind::Event, 1, 10);
    second.round();
    let parcel = second.take().unwrap();
    second.outbox.acked(parcel.ticket);
    first.offer(MessageKind::Event, 1, 10);
    assert_eq!(first.end(), 1);
    // The first is gone: its place is taken, and what it left goes out.
    second.round();
    assert!(second.state.borrow().ok);
    assert_eq!(second.restored(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_leaves_the_memory_until_it_can() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("spool");
    std::fs::write(&folder, "a file where a folder should be").unwrap();
    let mut boot = Boot::open(&folder, 0, 100, 64 * MIB);
    let state = boot.state.borrow().clone();
    assert!(!state.ok && state.detail.contains("spool"), "{state:?}");
    for _ in 0..150 {
        boot.offer(MessageKind::Event, 1, 10);
    }
    boot.round();
    assert_eq!(boot.outbox.tally(MessageKind::Event).dropped, 50, "in memory only the lane's room holds");
    std::fs::remove_file(&folder).unwrap();
    boot.round();
    assert!(boot.state.borrow().ok);
    assert_eq!(boot.end(), 100);
    assert_eq!(Boot::open(&folder, 1, 100, 64 * MIB).restored(), 100);
}

/// A real clerk on its thread, two who offer, a link that dies now and then.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_the_threads() {
    const EACH: usize = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let place = SpoolPlace {
        folder: folder.path().to_owned(),
        max_bytes: 64 * MIB,
        write_after: Duration::from_millis(2),
        mark,
        shrink: |_, _| None,
    };
    let bell = Arc::new(Bell::default());
    let outbox = Outbox::with_spool("test", BusMetrics::new("test"), limits(800), HashMap::new(), Arc::clone(&bell));
    let spool = crate::bus::spool::Spool::start(place, bell, &outbox);
    let offering: Vec<_> = (0..2_u8)
        .map(|index| {
            let outbox = Arc::clone(&outbox);
            std::thread::spawn(move || {
                for seq in 1..=EACH {
                    outbox.offer(Message {
                        payload: format!("0 {seq} ").into(),
                        ..message(MessageKind::Event, index, 0)
                    });
                    // In bursts larger than the window, and no faster than the disk: or the memory would overflow.
                    while seq % 100 == 0 && outbox.lock().lanes.items().count() > 300 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    let mut last = [0; 2];
    let mut random = fastrand::Rng::with_seed(7);
    let mut taken = Vec::new();
    while last != [EACH; 2] || outbox.waiting().total_messages() > 0 {
        if let Ok(parcel) = tokio::time::timeout(Duration::from_millis(20), outbox.next()).await {
            let ((key, _, seq), _) = said(&parcel.message);
            let newest = &mut last[usize::from(key.1)];
            assert!(seq <= *newest + 1, "{seq} overtakes {newest}");
            *newest = seq.max(*newest);
            taken.push(parcel.ticket);
        }
        if random.u32(..200) == 0 {
            taken.clear();
            outbox.requeue_in_flight();
        }
        if random.u32(..20) == 0 || taken.len() > 64 {
            taken.drain(..).for_each(|ticket| outbox.acked(ticket));
        }
        if random.u32(..500) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for thread in offering {
        thread.join().unwrap();
    }
    let tally = outbox.tally(MessageKind::Event);
    assert_eq!((tally.offered, tally.acked), (2 * EACH as u64, 2 * EACH as u64), "{tally:?}");
    check_law(&outbox);
    spool.flush(Duration::from_secs(20)).await;
    spool.stop(Duration::from_secs(20)).await;
    assert_eq!(Boot::open(folder.path(), 1, 80, 64 * MIB).restored(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Offer(usize, u8, usize),
    Take,
    Acked(usize),
    Refused(usize),
    Lose,
    LinkUp,
    Round,
    Crash,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..3_usize, 0..3_u8, 0..60_usize).prop_map(|(kind, camera, bytes)| Step::Offer(kind, camera, bytes)),
        12 => Just(Step::Take),
        10 => (0..8_usize).prop_map(Step::Acked),
        1 => (0..8_usize).prop_map(Step::Refused),
        2 => Just(Step::Lose),
        2 => Just(Step::LinkUp),
        8 => Just(Step::Round),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

const KINDS: [MessageKind; 3] = [MessageKind::Event, MessageKind::Keyframe, MessageKind::Detections];

/// What happened, as a subscriber and a book-keeper would tell it.
#[derive(Default)]
struct Story {
    offered: BTreeSet<Said>,
    /// On disk, or settled.
    safe: BTreeSet<Said>,
    handed: BTreeMap<(usize, u8), (usize, usize)>,
    settled: BTreeSet<Said>,
    in_hand: Vec<(Ticket, Said)>,
}

impl Story {
    /// In the order of its camera and kind, whenever it comes for the first time.
    fn hand(&mut self, parcel: &Parcel, boot: usize) {
        let (said, late) = said(&parcel.message);
        let newest = self.handed.entry(said.0).or_insert((0, 0));
        if (said.1, said.2) > *newest {
            *newest = (said.1, said.2);
        }
        assert!(said.1 == boot || late || said.0.0 == MessageKind::Keyframe as usize, "{said:?} is not marked");
        self.in_hand.push((parcel.ticket, said));
    }

    /// What was taken may be before, but never is a message skipped that comes for the first time later.
    fn comes_in_order(&self, said: &Said) -> bool {
        let earlier = self.safe.iter().filter(|other| other.0 == said.0 && (other.1, other.2) < (said.1, said.2));
        let seen = |other: &Said| self.settled.contains(other) || self.in_hand.iter().any(|(_, held)| held == other);
        earlier.into_iter().all(seen)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Little room in memory and on disk: messages are dropped for every reason there is, and each is counted once.
    #[test]
    fn the_law_holds_where_there_is_no_room(
        steps in prop::collection::vec((step(), 1..20_usize), 1..150), room in 1..12_usize, pages in 20..60_u64
    ) {
        let mut folder = tempfile::tempdir().unwrap();
        let mut boot = Boot::open(folder.path(), 1, room, pages * 4096);
        let mut tickets: Vec<Ticket> = Vec::new();
        for (step, times) in steps {
            let pick = |i: usize| tickets.get(i % tickets.len().max(1)).copied();
            match step {
                Step::Offer(kind, camera, bytes) => for _ in 0..times { boot.offer(KINDS[kind], camera, bytes * 100); },
                Step::Take => tickets.extend(boot.take().map(|parcel| parcel.ticket)),
                Step::Acked(i) => if let Some(ticket) = pick(i) { boot.outbox.acked(ticket); },
                Step::Refused(i) => if let Some(ticket) = pick(i) { boot.outbox.refused(ticket, "test"); },
                Step::Lose => { boot.outbox.requeue_in_flight(); }
                Step::LinkUp => boot.outbox.link_up(),
                Step::Round => boot.round(),
                Step::Crash => {
                    let number = boot.number + 1;
                    folder = crash_image(&folder);
                    drop(boot);
                    tickets.clear();
                    boot = Boot::open(folder.path(), number, room, pages * 4096);
                }
                Step::Restart => {
                    let number = boot.number + 1;
                    let kept = boot.end();
                    tickets.clear();
                    boot = Boot::open(folder.path(), number, room, pages * 4096);
                    prop_assert_eq!(boot.restored(), kept);
                }
            }
            check_law(&boot.outbox);
        }
        boot.outbox.requeue_in_flight();
        boot.round();
        while let Some(parcel) = boot.take() {
            boot.outbox.acked(parcel.ticket);
            check_law(&boot.outbox);
        }
        prop_assert_eq!(boot.outbox.waiting().total_messages(), 0);
        for kind in KINDS {
            let tally = boot.outbox.tally(kind);
            prop_assert_eq!(tally.offered + tally.restored, tally.acked + tally.dropped + tally.refused, "{:?}", tally);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_law_and_the_order_hold_over_crashes_and_restarts_and_nothing_safe_is_lost(
        steps in prop::collection::vec(step(), 1..250)
    ) {
        let mut folder = tempfile::tempdir().unwrap();
        let mut boot = Boot::open(folder.path(), 1, 64, 64 * MIB);
        let mut story = Story::default();
        for (at, step) in steps.into_iter().enumerate() {
            let pick = |story: &mut Story, i: usize| {
                let count = story.in_hand.len();
                (count > 0).then(|| story.in_hand.remove(i % count))
            };
            match step {
                Step::Offer(kind, camera, bytes) => { story.offered.insert(boot.offer(KINDS[kind], camera, bytes)); }
                Step::Take => if let Some(parcel) = boot.take() {
                    let (said, _) = said(&parcel.message);
                    prop_assert!(story.comes_in_order(&said), "{:?} overtakes", said);
                    story.hand(&parcel, boot.number);
                },
                Step::Acked(i) => if let Some((ticket, said)) = pick(&mut story, i) {
                    boot.outbox.acked(ticket);
                    story.settled.insert(said);
                },
                Step::Refused(i) => if let Some((ticket, said)) = pick(&mut story, i) {
                    boot.outbox.refused(ticket, "test");
                    story.settled.insert(said);
                },
                Step::Lose => { boot.outbox.requeue_in_flight(); story.in_hand.clear(); }
                Step::LinkUp => boot.outbox.link_up(),
                Step::Round => {}
                Step::Crash => {
                    let number = boot.number + 1;
                    folder = crash_image(&folder);
                    drop(boot);
                    story.offered = story.safe.clone();
                    story.in_hand.clear();
                    boot = Boot::open(folder.path(), number, 64, 64 * MIB);
                    // What was acknowledged and not yet erased comes again: that is what at least once means.
                    prop_assert!(boot.restored() >= story.safe.difference(&story.settled).count() as u64);
                }
                Step::Restart => {
                    let number = boot.number + 1;
                    let waiting = boot.outbox.waiting().total_messages() as u64;
                    // More than was never settled: what was, shortly before a crash, may be here again.
                    prop_assert!(waiting >= story.offered.difference(&story.settled).count() as u64);
                    let kept = boot.end();
                    prop_assert_eq!(kept, waiting);
                    story.in_hand.clear();
                    boot = Boot::open(folder.path(), number, 64, 64 * MIB);
                    prop_assert_eq!(boot.restored(), kept);
                }
            }
            // Often enough that the memory never overflows: what is lost for that reason is another test's concern.
            if at % 16 == 15 || matches!(step, Step::Round | Step::Restart) {
                boot.round();
                story.safe = story.offered.clone();
            }
            check_law(&boot.outbox);
        }
        boot.outbox.requeue_in_flight();
        boot.round();
        while let Some(parcel) = boot.take() {
            story.settled.insert(said(&parcel.message).0);
            boot.outbox.acked(parcel.ticket);
            check_law(&boot.outbox);
        }
        let lost: Vec<_> = story.safe.difference(&story.settled).collect();
        prop_assert!(lost.is_empty(), "lost: {:?}", lost);
        prop_assert_eq!(boot.outbox.waiting().total_messages(), 0);
    }
}
