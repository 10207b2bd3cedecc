use super::*;

const FRAME: i64 = 1_000_000 / 30;

struct Film {
    tracker: Tracker,
    events: Vec<TrackEvent>,
}

impl Film {
    fn new() -> Self {
        Self { tracker: Tracker::new(TrackerConfig::for_confidence(0.4)), events: Vec::new() }
    }

    /// Shows detections at a time in nominal frames; tells their track ids.
    fn show(&mut self, frame: i64, mut detections: Vec<Detection>) -> Vec<Option<u64>> {
        self.tracker.update(&mut detections, Timestamp::from_micros(frame * FRAME), &mut self.events);
        detections.iter().map(|d| d.track_id).collect()
    }

    fn count(&self, kind: TrackEventKind) -> usize {
        self.events.iter().filter(|e| e.kind == kind).count()
    }
}

/// A square of a tenth of the frame around a point.
fn at(x: f32, y: f32, score: f32) -> Detection {
    of_class(0, x, y, score)
}

fn of_class(class_id: u32, x: f32, y: f32, score: f32) -> Detection {
    let bbox = BBox::from([x - 0.05, y - 0.05, x + 0.05, y + 0.05]);
    Detection { label: format!("class {class_id}").into(), score, bbox, class_id, track_id: None }
}

#[test]
fn a_track_is_confirmed_when_it_is_found_again_and_ends_after_its_patience() {
    let mut film = Film::new();
    assert_eq!(film.show(0, vec![at(0.5, 0.5, 0.7)]), [None]);
    assert_eq!(film.show(1, vec![at(0.5, 0.5, 0.9)]), [Some(1)]);
    assert_eq!(film.show(2, vec![at(0.5, 0.51, 0.8)]), [Some(1)]);
    let started = film.events[0].clone();
    assert_eq!((started.kind, started.track_id, started.score), (TrackEventKind::Started, 1, 0.9));
    assert_eq!((started.first_seen.as_micros(), started.last_seen.as_micros()), (0, FRAME));
    for frame in 3..=32 {
        film.show(frame, vec![]);
    }
    assert_eq!(film.count(TrackEventKind::Ended), 0);
    film.show(33, vec![]);
    let ended = &film.events[1];
    assert_eq!((ended.kind, ended.track_id, ended.score), (TrackEventKind::Ended, 1, 0.9));
    assert_eq!((&*ended.label, ended.last_seen.as_micros()), ("class 0", 2 * FRAME));
    assert_eq!(ended.bbox, at(0.5, 0.51, 0.8).bbox);
    assert_eq!((started.first_bbox, ended.first_bbox), (at(0.5, 0.5, 0.7).bbox, at(0.5, 0.5, 0.7).bbox));
    let micros = |event: &TrackEvent| event.duration.as_micros();
    assert_eq!((micros(&started), micros(ended)), (33_333, 66_666));
}

#[test]
fn a_chance_find_starts_nothing() {
    let mut film = Film::new();
    for frame in 0..20 {
        let ids = film.show(frame, if frame % 2 == 0 { vec![at(0.5, 0.5, 0.9)] } else { vec![] });
        assert!(ids.iter().all(Option::is_none));
    }
    assert!(film.events.is_empty());
}

#[test]
fn two_that_cross_keep_their_ids() {
    let mut film = Film::new();
    let mut first = Vec::new();
    for frame in 0..60u8 {
        let x = 0.2 + 0.01 * f32::from(frame);
        // They meet in the middle, one a little lower, and the detector's order changes every frame.
        let mut pair = vec![at(x, 0.5, 0.8), at(1.0 - x, 0.53, 0.8)];
        let turn = frame % 2 == 1;
        if turn {
            pair.reverse();
        }
        let mut ids = film.show(i64::from(frame), pair);
        if turn {
            ids.reverse();
        }
        if frame == 1 {
            first = ids;
        } else if frame > 1 {
            assert_eq!(ids, first, "frame {frame}");
        }
    }
    assert_eq!(film.count(TrackEventKind::Started), 2);
}

#[test]
fn an_object_that_is_hidden_for_half_a_second_is_the_same_after() {
    let mut film = Film::new();
    let shown = |frame: u8| at(0.1 + 0.01 * f32::from(frame), 0.5, 0.8);
    for frame in 0..60 {
        let hidden = (25..40).contains(&frame);
        let ids = film.show(i64::from(frame), if hidden { vec![] } else { vec![shown(frame)] });
        assert!(frame == 0 || ids.iter().all(|id| *id == Some(1)), "frame {frame}: {ids:?}");
    }
    assert_eq!(film.events.len(), 1);
}

#[test]
fn unsure_detections_keep_a_track_but_begin_none() {
    let mut film = Film::new();
    for frame in 0..3 {
        film.show(frame, vec![at(0.5, 0.5, 0.8)]);
    }
    for frame in 3..100 {
        assert_eq!(film.show(frame, vec![at(0.5, 0.5, 0.2), at(0.2, 0.2, 0.39)]), [Some(1), None]);
    }
    assert_eq!(film.show(100, vec![at(0.5, 0.5, 0.05)]), [None], "below `low` it is nothing");
}

#[test]
fn what_a_model_steadily_scores_just_above_its_threshold_gets_a_track() {
    let mut film = Film::new();
    film.show(0, vec![at(0.5, 0.5, 0.41)]);
    assert_eq!(film.show(1, vec![at(0.51, 0.5, 0.42)]), [Some(1)]);
}

#[test]
fn skipped_frames_are_time_gone_by() {
    // Three tenths of the frame a second, seen six times a second: it moves by half its width from one frame to the next.
    let mut film = Film::new();
    for frame in (0..60i16).step_by(5) {
        let ids = film.show(i64::from(frame), vec![at(0.1 + f32::from(frame) / 100.0, 0.5, 0.8)]);
        assert!(frame == 0 || ids == [Some(1)], "frame {frame}: {ids:?}");
    }
    // Then ten frames at once are lost.
    assert_eq!(film.show(70, vec![at(0.1 + 70.0 / 100.0, 0.5, 0.8)]), [Some(1)]);
}

#[test]
fn a_slideshow_of_a_standing_object_is_one_track() {
    let mut film = Film::new();
    for slide in 0..40 {
        let shake = if slide % 2 == 0 { 0.0 } else { 0.005 };
        let ids = film.show(slide * 300, vec![at(0.5 + shake, 0.5, 0.8)]);
        assert!(slide == 0 || ids == [Some(1)], "slide {slide}: {ids:?}");
    }
    film.show(40 * 300, vec![]);
    film.show(41 * 300, vec![]);
    assert_eq!(film.count(TrackEventKind::Ended), 1);
}

#[test]
fn another_class_in_the_same_place_is_another_object() {
    let mut film = Film::new();
    for frame in 0..3 {
        film.show(frame, vec![of_class(0, 0.5, 0.5, 0.8)]);
    }
    film.show(3, vec![of_class(1, 0.5, 0.5, 0.8)]);
    assert_eq!(film.show(4, vec![of_class(1, 0.5, 0.5, 0.8)]), [Some(2)]);
}

#[test]
fn ids_go_on_after_the_camera_was_stopped() {
    let mut film = Film::new();
    for frame in 0..2 {
        film.show(frame, vec![at(0.5, 0.5, 0.8), at(0.2, 0.2, 0.8)]);
    }
    film.show(2, vec![at(0.5, 0.5, 0.8), at(0.2, 0.2, 0.8), at(0.8, 0.8, 0.9)]);
    film.tracker.finish(Timestamp::from_micros(3 * FRAME), &mut film.events);
    assert_eq!(film.count(TrackEventKind::Ended), 2, "the third was never confirmed");
    film.show(4, vec![at(0.5, 0.5, 0.8)]);
    assert_eq!(film.show(5, vec![at(0.5, 0.5, 0.8)]), [Some(3)]);
}

#[test]
fn a_clock_set_back_neither_breaks_a_track_nor_keeps_it_for_ever() {
    let mut film = Film::new();
    for frame in 100_000..100_003 {
        film.show(frame, vec![at(0.5, 0.5, 0.8)]);
    }
    assert_eq!(film.show(0, vec![at(0.5, 0.5, 0.8)]), [Some(1)]);
    for frame in 1..40 {
        film.show(frame, vec![]);
    }
    assert_eq!(film.count(TrackEventKind::Ended), 1);
    assert_eq!(
        film.events[1].duration.as_micros(),
        66_666,
        "three frames were seen, whatever the clock says of the last"
    );
}

#[test]
fn nonsense_from_a_model_does_no_harm() {
    let mut film = Film::new();
    for frame in 0..5 {
        let mut odd = vec![at(0.5, 0.5, f32::NAN), at(f32::NAN, 0.5, 0.9), at(0.5, 0.5, f32::INFINITY)];
        odd.push(Detection { bbox: BBox::default(), ..at(0.5, 0.5, 0.9) });
        film.show(frame, odd);
    }
    assert!(film.events.is_empty());
}

#[test]
fn a_lost_track_that_meets_its_successor_takes_over() {
    let mut film = Film::new();
    // It stands, jumps away for a while, and comes back slowly: the second track meets the first's place.
    for frame in 0..5 {
        film.show(frame, vec![at(0.5, 0.5, 0.9)]);
    }
    for frame in 5..20i8 {
        film.show(i64::from(frame), vec![at(0.65 - 0.01 * f32::from(frame - 5), 0.5, 0.9)]);
    }
    let ids = film.show(20, vec![at(0.5, 0.5, 0.9)]);
    assert_eq!(ids, [Some(1)]);
    let ended: Vec<u64> = film.events.iter().filter(|e| e.kind == TrackEventKind::Ended).map(|e| e.track_id).collect();
    assert_eq!(ended, [2]);
}
