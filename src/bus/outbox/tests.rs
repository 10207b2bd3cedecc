use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::bus::{Qos, Topic};

pub(super) fn camera(index: u8) -> Name {
    format!("cam-{index}").parse().unwrap()
}

pub(super) fn message(kind: MessageKind, index: u8, bytes: usize) -> Message {
    let camera = camera(index);
    let (topic, qos, retain) = match kind {
        MessageKind::State => (Topic::CameraStatus(camera.clone()), Qos::AtLeastOnce, true),
        MessageKind::Event => (Topic::Events(camera.clone()), Qos::AtLeastOnce, false),
        MessageKind::Keyframe => (Topic::Keyframe(camera.clone()), Qos::AtLeastOnce, true),
        MessageKind::Detections => (Topic::Detections(camera.clone()), Qos::AtMostOnce, false),
        MessageKind::Reply => (Topic::Replies(camera.clone()), Qos::AtLeastOnce, false),
    };
    Message {
        kind,
        topic,
        payload: Bytes::from(vec![index; bytes]),
        content_type: "application/json",
        qos,
        retain,
        properties: Vec::new(),
        correlation: None,
        id: None,
        camera: Some(camera),
        captured_at: Some(Instant::now()),
        late: None,
        shrink: None,
        trace: None,
    }
}

fn outbox(messages: usize, bytes: usize) -> Arc<Outbox> {
    let limit = LaneLimit { messages, bytes };
    let limits = OutboxLimits {
        state: limit,
        reply: limit,
        event: limit,
        keyframe: limit,
        acked_detections: limit,
        detections: limit,
    };
    Outbox::new("test", BusMetrics::new("test"), limits, HashMap::new())
}

pub(super) fn payload(parcel: &Parcel) -> u8 {
    parcel.message.payload[0]
}

#[test]
fn what_a_lost_session_held_says_that_it_comes_late() {
    let outbox = outbox(10, 1000);
    outbox.offer(Message { late: Some(|_| Bytes::from_static(&[99])), ..message(MessageKind::Event, 1, 1) });
    outbox.link_up();
    assert_eq!(payload(&outbox.try_next().unwrap()), 1, "a link that is just up makes nothing late");
    outbox.requeue_in_flight();
    let again = outbox.try_next().unwrap();
    assert_eq!(payload(&again), 99);
    outbox.acked(again.ticket);
    check_law(&outbox);
}

#[test]
fn state_goes_first_and_detections_last() {
    let outbox = outbox(10, 1000);
    for kind in [MessageKind::Detections, MessageKind::Keyframe, MessageKind::Event, MessageKind::Reply] {
        outbox.offer(message(kind, 1, 1));
    }
    outbox.offer(message(MessageKind::State, 1, 1));
    let order: Vec<_> = std::iter::from_fn(|| outbox.try_next()).map(|p| p.message.kind).collect();
    assert_eq!(
        order,
        [MessageKind::State, MessageKind::Reply, MessageKind::Event, MessageKind::Keyframe, MessageKind::Detections]
    );
}

#[test]
fn a_full_lane_loses_its_oldest_and_counts_it() {
    let outbox = outbox(3, 1000);
    (1..=5).for_each(|i| outbox.offer(message(MessageKind::Detections, i, 1)));
    assert_eq!(outbox.tally(MessageKind::Detections).dropped, 2);
    assert_eq!(outbox.camera_tally(&camera(1)).lost(), 1);
    assert_eq!(payload(&outbox.try_next().unwrap()), 3);
}

#[test]
fn a_message_larger_than_its_lane_is_dropped_and_counted() {
    let outbox = outbox(3, 10);
    outbox.offer(message(MessageKind::Keyframe, 1, 11));
    assert!(outbox.try_next().is_none());
    assert_eq!(outbox.tally(MessageKind::Keyframe), Tally { offered: 1, dropped: 1, ..Tally::default() });
}

#[test]
fn a_state_that_waits_gives_way_to_the_newer_one_and_is_no_new_offer() {
    let outbox = outbox(10, 1000);
    outbox.offer(message(MessageKind::State, 1, 5));
    let mut newer = message(MessageKind::State, 1, 7);
    newer.payload = Bytes::from_static(b"newer!!");
    outbox.offer(newer);
    assert_eq!(outbox.tally(MessageKind::State), Tally { offered: 1, waiting: 1, ..Tally::default() });
    assert_eq!(outbox.waiting().bytes(MessageKind::State), 7);
    assert_eq!(&outbox.try_next().unwrap().message.payload[..], b"newer!!");
}

#[test]
fn a_reconnect_resends_unacknowledged_events_in_order_before_newer_ones() {
    let outbox = outbox(10, 1000);
    (1..=4).for_each(|i| outbox.offer(message(MessageKind::Event, i, 1)));
    let first = outbox.try_next().unwrap();
    (0..2).for_each(|_| drop(outbox.try_next()));
    outbox.acked(first.ticket);
    assert_eq!(outbox.requeue_in_flight(), 2);
    let order: Vec<_> = std::iter::from_fn(|| outbox.try_next()).map(|p| (payload(&p), p.attempts)).collect();
    assert_eq!(order, [(2, 1), (3, 1), (4, 0)]);
}

/// Takes the next message and acknowledges it.
fn next_kind(outbox: &Outbox) -> MessageKind {
    let parcel = outbox.try_next().unwrap();
    outbox.acked(parcel.ticket);
    parcel.message.kind
}

#[test]
fn a_flood_of_detections_holds_an_event_back_by_no_more_than_one_of_them() {
    let outbox = outbox(100_000, 1 << 20);
    for flood in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        (0..1_000).for_each(|_| outbox.offer(Message { qos: flood, ..message(MessageKind::Detections, 1, 1) }));
    }
    for _ in 0..100 {
        outbox.offer(message(MessageKind::Event, 2, 1));
        let first_two = [next_kind(&outbox), next_kind(&outbox)];
        assert!(first_two.contains(&MessageKind::Event), "{first_two:?}");
    }
}

#[test]
fn detections_stay_fresh_while_a_long_backlog_of_events_goes_out() {
    let outbox = outbox(100_000, 1 << 20);
    (0..5_000_u32).for_each(|i| outbox.offer(message(MessageKind::Event, i.to_le_bytes()[0] % 4, 1)));
    for _ in 0..1_000 {
        outbox.offer(message(MessageKind::Detections, 1, 1));
        let first = [next_kind(&outbox), next_kind(&outbox), next_kind(&outbox)];
        assert!(first.contains(&MessageKind::Detections), "{first:?}");
    }
    check_law(&outbox);
}

#[test]
fn no_flood_starves_a_lane_below_for_ever() {
    let outbox = outbox(100_000, 1 << 20);
    let acked = Message { qos: Qos::AtLeastOnce, ..message(MessageKind::Detections, 1, 1) };
    let lowly = [(message(MessageKind::Event, 1, 1), 33), (message(MessageKind::Keyframe, 1, 1), 129), (acked, 49)];
    for (lowly, most) in lowly {
        let kind = lowly.kind;
        outbox.offer(lowly);
        let mut waited = 0;
        // Always another state that is new, as from hundreds of counts.
        let gone = (0..200_u32).any(|i| {
            let mut state = message(MessageKind::State, 1, 1);
            state.topic = Topic::Count(camera(1), i.to_string());
            outbox.offer(state);
            waited += 1;
            next_kind(&outbox) == kind
        });
        assert!(gone && waited <= most, "{kind:?} waited for {waited}");
        while outbox.try_next().map(|parcel| outbox.acked(parcel.ticket)).is_some() {}
    }
}

#[test]
fn cameras_take_turns_so_that_a_backlog_of_one_holds_back_no_other() {
    let outbox = outbox(100_000, 1 << 20);
    (0..1_000).for_each(|_| outbox.offer(message(MessageKind::Event, 1, 1)));
    outbox.offer(message(MessageKind::Event, 2, 1));
    let first_two = [payload(&outbox.try_next().unwrap()), payload(&outbox.try_next().unwrap())];
    assert_eq!(first_two, [1, 2]);
}

#[test]
fn the_oldest_keyframe_of_all_cameras_gives_way() {
    let outbox = outbox(3, 1000);
    for index in [1, 2, 1, 3] {
        outbox.offer(message(MessageKind::Keyframe, index, 1));
    }
    let mut left: Vec<u8> = std::iter::from_fn(|| outbox.try_next()).map(|parcel| payload(&parcel)).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 2, 3]);
    assert_eq!(outbox.camera_tally(&camera(1)).dropped, 1);
}

#[test]
fn the_last_value_of_a_state_always_arrives_however_often_it_changes_and_the_link_dies() {
    let outbox = outbox(10, 1000);
    for i in 1..=200_u8 {
        let mut state = message(MessageKind::State, 1, 1);
        state.payload = Bytes::from(vec![i]);
        outbox.offer(state);
        if i % 3 == 0 {
            let parcel = outbox.try_next().unwrap();
            if i % 2 == 0 {
                outbox.acked(parcel.ticket);
            } else {
                outbox.requeue_in_flight();
            }
        }
    }
    let last = std::iter::from_fn(|| outbox.try_next()).inspect(|p| outbox.acked(p.ticket)).last().unwrap();
    assert_eq!(payload(&last), 200);
    assert_eq!(outbox.tally(MessageKind::State).dropped, 0);
}

#[test]
fn every_connect_publishes_all_state_again_with_the_birth_first() {
    let outbox = outbox(10, 1000);
    outbox.offer(message(MessageKind::State, 1, 1));
    let mut birth = message(MessageKind::State, 9, 1);
    birth.topic = Topic::NodeStatus(camera(9));
    outbox.offer(birth);
    let mut meta = message(MessageKind::State, 2, 1);
    meta.topic = Topic::KeyframeMeta(camera(2));
    outbox.offer(meta);
    while let Some(parcel) = outbox.try_next() {
        outbox.acked(parcel.ticket);
    }
    outbox.offer(message(MessageKind::State, 1, 1));
    outbox.link_up();
    let order: Vec<_> = std::iter::from_fn(|| outbox.try_next()).map(|p| payload(&p)).collect();
    assert_eq!(order, [9, 1]);
    assert_eq!(outbox.tally(MessageKind::State).offered, 5);
}

#[test]
fn closing_drops_the_rest_counted_and_a_late_acknowledgement_changes_nothing() {
    let outbox = outbox(10, 1000);
    (1..=3).for_each(|i| outbox.offer(message(MessageKind::Event, i, 1)));
    let parcel = outbox.try_next().unwrap();
    assert_eq!(outbox.close().1.total_messages(), 3);
    outbox.acked(parcel.ticket);
    outbox.offer(message(MessageKind::Event, 4, 1));
    let want = Tally { offered: 4, dropped: 4, ..Tally::default() };
    assert_eq!(outbox.tally(MessageKind::Event), want);
}

#[tokio::test]
async fn draining_ends_when_the_last_message_is_settled() {
    let outbox = outbox(10, 1000);
    outbox.drained().await;
    outbox.offer(message(MessageKind::Event, 1, 1));
    let parcel = outbox.next().await;
    assert!(tokio::time::timeout(Duration::from_millis(20), outbox.drained()).await.is_err());
    let waiter = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.drained().await }
    });
    outbox.refused(parcel.ticket, "test");
    tokio::time::timeout(Duration::from_secs(20), waiter).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_summarys_latency_is_filled_once_a_detections_message() {
    let metrics = Arc::new(CameraMetrics::new("cam-1"));
    let cameras = HashMap::from([(camera(1), Arc::clone(&metrics))]);
    let outbox = Outbox::new("test", BusMetrics::new("test"), OutboxLimits::default(), cameras);
    outbox.offer(message(MessageKind::Event, 1, 1));
    let parcel = outbox.next().await;
    outbox.acked(parcel.ticket);
    assert!(metrics.totals.latency.quantile(0.5).is_none());
    outbox.offer(message(MessageKind::Detections, 1, 1));
    let parcel = outbox.next().await;
    outbox.settle_batch(&mut vec![parcel.ticket], &mut Vec::new(), &mut Vec::new());
    outbox.acked(parcel.ticket);
    assert!(metrics.totals.latency.quantile(0.5).is_some());
}

#[derive(Debug, Clone)]
enum Step {
    Offer(usize, u8, usize),
    Take,
    Sent(usize),
    Acked(usize),
    Refused(usize),
    Lose,
    LinkUp,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..5usize, 0..4u8, 0..40usize).prop_map(|(kind, camera, bytes)| Step::Offer(kind, camera, bytes)),
        6 => Just(Step::Take),
        3 => (0..8usize).prop_map(Step::Sent),
        3 => (0..8usize).prop_map(Step::Acked),
        1 => (0..8usize).prop_map(Step::Refused),
        1 => Just(Step::Lose),
        1 => Just(Step::LinkUp),
        1 => prop_oneof![20 => Just(Step::Take), 1 => Just(Step::Close)],
    ]
}

/// Counts what really lies in the outbox, apart from its ledger.
pub(super) fn check_law(outbox: &Outbox) {
    let inner = outbox.lock();
    let items: Vec<&Item> = inner.lanes.items().chain(inner.in_flight.values()).collect();
    let gaps: Vec<(MessageKind, Option<Name>, u64, u64)> = inner.lanes.gaps().collect();
    for kind in MessageKind::ALL {
        let of_kind: Vec<_> = items.iter().filter(|i| i.message.kind == kind).collect();
        let tally = inner.ledger.kind(kind);
        assert!(tally.law_holds(), "{kind:?}: {tally:?}");
        let on_disk = gaps.iter().filter(|gap| gap.0 == kind).map(|gap| gap.2).sum::<u64>();
        assert_eq!(tally.waiting, of_kind.len() as u64 + on_disk, "{kind:?}");
        assert_eq!(inner.ledger.waiting().messages(kind) as u64, tally.waiting);
        let bytes: usize = of_kind.iter().map(|i| i.message.payload.len()).sum();
        let bytes = bytes as u64 + gaps.iter().filter(|gap| gap.0 == kind).map(|gap| gap.3).sum::<u64>();
        assert_eq!(inner.ledger.waiting().bytes(kind) as u64, bytes);
    }
    for index in 0..4 {
        let tally = inner.ledger.camera(&camera(index));
        assert!(tally.law_holds(), "{tally:?}");
        let own = items.iter().filter(|i| i.message.camera == Some(camera(index))).count();
        let on_disk = gaps.iter().filter(|gap| gap.1 == Some(camera(index))).map(|gap| gap.2).sum::<u64>();
        assert_eq!(tally.waiting, own as u64 + on_disk);
    }
}

proptest! {
    #[test]
    fn the_law_holds_after_every_step(steps in prop::collection::vec(step(), 1..200)) {
        let outbox = outbox(6, 100);
        let mut taken: Vec<Ticket> = Vec::new();
        for step in steps {
            // Settling a ticket twice, or one that a lost session took back, must change nothing: both happen here.
            let pick = |i: usize| taken.get(i % taken.len().max(1)).copied();
            match step {
                Step::Offer(kind, camera, bytes) => outbox.offer(message(MessageKind::ALL[kind], camera, bytes)),
                Step::Take => taken.extend(outbox.try_next().map(|p| p.ticket)),
                Step::Sent(i) => { if let Some(t) = pick(i) { outbox.sent(t); } }
                Step::Acked(i) => { if let Some(t) = pick(i) { outbox.acked(t); } }
                Step::Refused(i) => { if let Some(t) = pick(i) { outbox.refused(t, "test"); } }
                Step::Lose => { outbox.requeue_in_flight(); }
                Step::LinkUp => outbox.link_up(),
                Step::Close => { outbox.close(); }
            }
            check_law(&outbox);
        }
    }
}
