use super::*;

fn lane(turns: &Turns, depth: usize, when_full: WhenFull) -> (LaneId, Epoch, Arc<CameraMetrics>) {
    let metrics = Arc::new(CameraMetrics::new("test"));
    let id = turns.add(QueueConfig { depth, when_full }, metrics.clone());
    (id, turns.open(id), metrics)
}

fn frame(id: u64) -> Frame {
    Frame { id, ..Frame::empty() }
}

#[test]
fn the_newest_frames_win_and_the_stale_are_counted() {
    let turns = Turns::default();
    let (id, epoch, metrics) = lane(&turns, 2, WhenFull::DropOldest);
    (1..=5).for_each(|n| drop(turns.offer(id, epoch, frame(n))));
    assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedStale), 3);
    assert_eq!(turns.take().unwrap().frame.id, 4);
}

#[test]
fn turns_go_round_and_a_camera_is_in_one_hand_at_a_time() {
    let turns = Turns::default();
    let (fast, fast_epoch, _) = lane(&turns, 10, WhenFull::DropOldest);
    let (slow, slow_epoch, _) = lane(&turns, 10, WhenFull::DropOldest);
    (1..=5).for_each(|n| drop(turns.offer(fast, fast_epoch, frame(n))));
    turns.offer(slow, slow_epoch, frame(100));
    let first = turns.take().unwrap();
    let second = turns.take().unwrap();
    assert_eq!((first.frame.id, second.frame.id), (1, 100));
    turns.done(first.lane, None, None);
    assert_eq!(turns.take().unwrap().frame.id, 2);
}

#[test]
fn several_are_taken_where_they_are_there_one_a_camera_in_their_turns() {
    let turns = Turns::default();
    let lanes: Vec<_> = (0..3).map(|_| lane(&turns, 4, WhenFull::DropOldest)).collect();
    let offer = |at: usize, id| drop(turns.offer(lanes[at].0, lanes[at].1, frame(id)));
    (0..3).for_each(|n| offer(0, n));
    offer(2, 20);
    let mut hand = Vec::new();
    assert!(turns.take_some(8, &mut hand));
    assert_eq!(hand.iter().map(|turn| turn.frame.id).collect::<Vec<_>>(), [0, 20], "one of each that waits");
    hand.drain(..).for_each(|turn| turns.done(turn.lane, None, None));
    offer(1, 10);
    offer(2, 21);
    assert!(turns.take_some(2, &mut hand));
    assert_eq!(hand.iter().map(|turn| turn.frame.id).collect::<Vec<_>>(), [1, 10], "whoever had none comes next");
    hand.drain(..).for_each(|turn| turns.done(turn.lane, None, None));
    assert!(turns.take_some(2, &mut hand));
    assert_eq!(hand.iter().map(|turn| turn.frame.id).collect::<Vec<_>>(), [21, 2]);
    turns.shut();
    hand.clear();
    assert!(!turns.take_some(2, &mut hand));
}

#[test]
fn a_blocking_queue_makes_the_source_wait_and_loses_nothing() {
    let turns = Arc::new(Turns::default());
    let (id, epoch, metrics) = lane(&turns, 1, WhenFull::Block);
    let source = std::thread::spawn({
        let turns = turns.clone();
        move || (1..=50).for_each(|n| drop(turns.offer(id, epoch, frame(n)).unwrap()))
    });
    for n in 1..=50 {
        let turn = turns.take().unwrap();
        assert_eq!(turn.frame.id, n);
        turns.done(turn.lane, Some(turn.frame), None);
    }
    source.join().unwrap();
    assert_eq!(metrics.totals.dropped(), 0);
}

#[test]
fn closing_frees_a_source_that_waits_and_refuses_its_frames() {
    let turns = Arc::new(Turns::default());
    let (id, epoch, metrics) = lane(&turns, 1, WhenFull::Block);
    turns.offer(id, epoch, frame(1)).unwrap();
    let source = std::thread::spawn({
        let turns = turns.clone();
        move || turns.offer(id, epoch, frame(2)).is_none()
    });
    turns.close(id);
    assert!(source.join().unwrap());
    assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 1, "the refused one is its source's to count");
    let again = turns.open(id);
    assert!(turns.offer(id, epoch, frame(3)).is_none(), "a session that was given up is refused");
    assert!(turns.offer(id, again, frame(4)).is_some());
}

#[test]
fn a_paused_lane_keeps_nothing() {
    let turns = Turns::default();
    let (id, epoch, metrics) = lane(&turns, 2, WhenFull::DropOldest);
    turns.offer(id, epoch, frame(1));
    turns.pause(id, true);
    assert!(turns.offer(id, epoch, frame(2)).is_some());
    assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 2);
    turns.pause(id, false);
    turns.offer(id, epoch, frame(3));
    assert_eq!(turns.take().unwrap().frame.id, 3);
}

#[test]
fn a_lane_that_is_removed_frees_who_waits_for_it_and_leaves_the_others_their_turns() {
    let turns = Arc::new(Turns::default());
    let (gone, epoch, metrics) = lane(&turns, 1, WhenFull::Block);
    let (stays, other, _) = lane(&turns, 1, WhenFull::Block);
    turns.offer(gone, epoch, frame(1)).unwrap();
    turns.offer(stays, other, frame(2)).unwrap();
    let in_hand = turns.take().unwrap();
    turns.offer(gone, epoch, frame(3)).unwrap();
    let waits = |wait: fn(&Turns, LaneId, Epoch)| {
        let turns = turns.clone();
        std::thread::spawn(move || wait(&turns, gone, epoch))
    };
    let source = waits(|turns, gone, epoch| assert!(turns.offer(gone, epoch, frame(4)).is_none()));
    let camera = waits(Turns::drain);
    turns.remove(gone);
    source.join().unwrap();
    camera.join().unwrap();
    assert_eq!(metrics.totals.outcome(FrameOutcome::DroppedPaused), 1, "what waited in it");
    assert!(!turns.is_current(gone, in_hand.epoch));
    turns.done(in_hand.lane, Some(in_hand.frame), None);
    let (new, new_epoch, _) = lane(&turns, 1, WhenFull::Block);
    assert_ne!(new, gone);
    turns.offer(new, new_epoch, frame(5)).unwrap();
    assert_eq!([turns.take().unwrap().frame.id, turns.take().unwrap().frame.id], [2, 5]);
}

/// A worker that has taken what waits, and is busy with the first.
fn busy(turns: &Turns) -> (DeskId, Turn) {
    let (desk, turn) = (turns.take_a_desk(), turns.take().unwrap());
    turns.engage(desk);
    (desk, turn)
}

/// Whether a frame is taken ahead, which is said at once where there is none: the worker leaves.
fn ahead(turns: &Arc<Turns>, desk: DeskId) -> Option<u64> {
    let helper = std::thread::spawn({
        let turns = turns.clone();
        move || turns.take_ahead(desk).map(|turn| turn.frame.id)
    });
    let patience = std::time::Instant::now();
    while !helper.is_finished() && patience.elapsed() < std::time::Duration::from_millis(100) {
        std::thread::yield_now();
    }
    if !helper.is_finished() {
        turns.leave(desk);
    }
    helper.join().unwrap()
}

#[test]
fn ahead_goes_another_cameras_and_the_worker_gets_it_in_order() {
    let turns = Arc::new(Turns::default());
    let lanes = [(); 3].map(|()| lane(&turns, 4, WhenFull::Block));
    (1..).zip(&lanes).for_each(|(n, (id, epoch, _))| drop(turns.offer(*id, *epoch, frame(n))));
    let (desk, first) = busy(&turns);
    assert_eq!((first.frame.id, turns.take_ahead(desk).unwrap().frame.id), (1, 2));
    turns.disengage(desk);
    turns.done(first.lane, None, None);
    assert!(turns.has_ahead(desk), "it has one");
    assert!(!turns.has_ahead(desk), "and is told once");
    turns.engage(desk);
    assert_eq!(turns.take_ahead(desk).unwrap().frame.id, 3, "with the second in hand");
    assert_eq!(ahead(&turns, desk), None, "one at a time");
}

#[test]
fn ahead_goes_no_frame_that_a_fresher_one_may_replace_nor_one_that_another_worker_has_or_waits_for() {
    let turns = Arc::new(Turns::default());
    let (fast, epoch, _) = lane(&turns, 2, WhenFull::DropOldest);
    (1..=2).for_each(|n| drop(turns.offer(fast, epoch, frame(n))));
    let (desk, _first) = busy(&turns);
    assert_eq!(ahead(&turns, desk), None, "the camera's in hand");
    let (other, other_epoch, _) = lane(&turns, 2, WhenFull::DropOldest);
    turns.offer(other, other_epoch, frame(10));
    let mine = turns.take_a_desk();
    turns.engage(mine);
    assert_eq!(ahead(&turns, mine), Some(10), "another camera's");
    turns.done(other, None, None);
    turns.offer(other, other_epoch, frame(11));
    let theirs = turns.take().unwrap();
    turns.offer(other, other_epoch, frame(12));
    assert!(!turns.lock().is_wanted_ahead(), "the camera is in another worker's hands");
    turns.done(theirs.lane, None, None);
    let idle = std::thread::spawn({
        let turns = turns.clone();
        move || [turns.take(), turns.take()].map(|turn| turn.map(|turn| turn.frame.id))
    });
    while turns.lock().idle == 0 {
        std::thread::yield_now();
    }
    let third = turns.take_a_desk();
    turns.engage(third);
    assert_eq!(ahead(&turns, third), None, "there is a worker that waits");
    turns.shut();
    assert_eq!(idle.join().unwrap(), [Some(12), None]);
    assert!(turns.take_ahead(third).is_none());
}

#[test]
fn a_helper_that_waits_is_woken_by_a_frame_and_by_the_end() {
    let turns = Arc::new(Turns::default());
    let (first, first_epoch, _) = lane(&turns, 4, WhenFull::Block);
    let (id, epoch, _) = lane(&turns, 4, WhenFull::Block);
    turns.offer(first, first_epoch, frame(1));
    let (desk, _turn) = busy(&turns);
    let helper = std::thread::spawn({
        let turns = turns.clone();
        move || [turns.take_ahead(desk), turns.take_ahead(desk)].map(|turn| turn.map(|turn| turn.frame.id))
    });
    std::thread::sleep(std::time::Duration::from_millis(20));
    turns.offer(id, epoch, frame(2));
    std::thread::sleep(std::time::Duration::from_millis(20));
    turns.shut();
    assert_eq!(helper.join().unwrap(), [Some(2), None]);
}

#[test]
fn buffers_are_shared_among_cameras_of_about_the_same_size_and_carry_nothing_else() {
    let turns = Turns::default();
    let (small, small_epoch, _) = lane(&turns, 2, WhenFull::Block);
    let (large, large_epoch, _) = lane(&turns, 2, WhenFull::Block);
    let filled = |bytes: usize| Frame { bgr: Vec::with_capacity(bytes), text: vec!["a line".into()], ..frame(7) };
    let of = |bytes: usize| Frame { bgr: vec![0; bytes], ..frame(1) };
    turns.done(small, Some(filled(100)), None);
    turns.done(large, Some(filled(1000)), None);
    let spare = turns.offer(large, large_epoch, of(1000)).unwrap();
    assert_eq!((spare.bgr.capacity(), spare.id, spare.text.len()), (1000, 0, 0));
    assert_eq!(turns.offer(large, large_epoch, of(1000)).unwrap().bgr.capacity(), 0, "too small a one is none");
    turns.done(large, Some(filled(1000)), None);
    assert_eq!(turns.offer(small, small_epoch, of(90)).unwrap().bgr.capacity(), 100);
    assert_eq!(turns.offer(small, small_epoch, of(90)).unwrap().bgr.capacity(), 0, "and so is one too large");
    (0..9).for_each(|_| turns.done(large, Some(filled(1000)), None));
    assert_eq!(turns.lock().spares.count(), 3, "one a camera, and one more");
    turns.remove(small);
    turns.remove(large);
    assert_eq!(turns.lock().spares.count(), 0);
}
