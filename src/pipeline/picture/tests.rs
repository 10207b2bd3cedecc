//! The verdict over time: scenes made of numbers, hysteresis for every sequence, and real clips.

use std::time::Duration;

use proptest::prelude::*;

use super::{Condition, Hold, Judge, Limits, Sample, Watch};
use crate::domain::{Frame, Timestamp};
use crate::pipeline::PictureCheck;
use crate::source::SourceSpec;

const STEP: Duration = Duration::from_millis(250);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn limits() -> Limits {
    Limits { frozen: Some(SECONDS(30)), black: Some(SECONDS(10)), covered: Some(SECONDS(10)) }
}

/// A scene of light and dark spots, with a sensor's noise unless it is frozen; `light` and `detail` are 0…1.
fn picture(noise: Option<u64>, light: f32, detail: f32) -> Frame {
    let (width, height) = (640_u32, 360_u32);
    let mut rng = fastrand::Rng::with_seed(noise.unwrap_or(0));
    let mut bgr = Vec::with_capacity(3 * 640 * 360);
    for y in 0..height {
        for x in 0..width {
            let spot = if ((x / 2) * 7919 + (y / 2) * 104_729) % 65_537 * 2_654 % 1009 < 505 { 60.0 } else { -60.0 };
            let grain = if noise.is_some() { f32::from(rng.u8(0..6)) - 3.0 } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a grey value")]
            let grey = ((110.0 + spot * detail + grain) * light).clamp(0.0, 255.0) as u8;
            bgr.extend([grey; 3]);
        }
    }
    Frame { width, height, bgr, ..Frame::empty() }
}

/// Shows the judge these pictures for so long; every verdict on the way, once.
fn show(judge: &mut Judge, span: Duration, picture: impl Fn(u64) -> Frame) -> Vec<Option<Condition>> {
    let mut verdicts = vec![judge.verdict()];
    // A dozen different pictures are enough for noise, and made once.
    let pictures: Vec<Frame> = (0..12).map(picture).collect();
    let mut sample = Sample::default();
    for step in 0..u32::try_from(span.as_millis() / STEP.as_millis()).unwrap() {
        let facts = sample.take(&pictures[step as usize % pictures.len()]).unwrap();
        judge.see(STEP, &facts, &sample);
        if *verdicts.last().unwrap() != judge.verdict() {
            verdicts.push(judge.verdict());
        }
    }
    verdicts
}

fn alive(n: u64) -> Frame {
    picture(Some(n), 1.0, 1.0)
}

fn still(_: u64) -> Frame {
    picture(None, 1.0, 1.0)
}

#[test]
fn a_living_scene_is_healthy_for_ever_and_a_frozen_one_is_told_and_taken_back() {
    let mut judge = Judge::new(limits());
    assert_eq!(show(&mut judge, SECONDS(120), alive), [None]);
    assert_eq!(show(&mut judge, SECONDS(29), still), [None]);
    assert_eq!(show(&mut judge, SECONDS(60), still), [None, Some(Condition::Frozen)]);
    assert_eq!(show(&mut judge, SECONDS(3), alive), [Some(Condition::Frozen), None]);
}

#[test]
fn one_new_picture_neither_ends_a_frozen_one_nor_is_two_of_them_far_apart_life() {
    let mut judge = Judge::new(limits());
    show(&mut judge, SECONDS(32), still);
    assert_eq!(judge.verdict(), Some(Condition::Frozen));
    for n in 0..3 {
        assert_eq!(show(&mut judge, STEP, |_| alive(n)), [Some(Condition::Frozen)]);
        assert_eq!(show(&mut judge, SECONDS(31), still), [Some(Condition::Frozen)]);
    }
}

#[test]
fn a_black_picture_is_told_and_a_night_with_a_lamp_is_not() {
    let black = |n| picture(Some(n), 0.05, 0.0);
    let night = |n| {
        let mut frame = black(n);
        for y in 100..107 {
            frame.bgr[3 * (640 * y + 333)..][..21].fill(240);
        }
        frame
    };
    let mut judge = Judge::new(Limits { frozen: None, ..limits() });
    show(&mut judge, SECONDS(60), alive);
    assert_eq!(show(&mut judge, SECONDS(60), night), [None]);
    assert_eq!(show(&mut judge, SECONDS(60), black), [None, Some(Condition::Black)]);
    assert_eq!(show(&mut judge, SECONDS(5), night), [Some(Condition::Black), None]);
}

#[test]
fn a_cover_is_told_against_what_the_camera_normally_shows_and_does_not_become_the_normal() {
    let covered = |n| picture(Some(n), 1.0, 0.05);
    let mut judge = Judge::new(limits());
    // A camera that has always been so is healthy: it may look at a wall.
    assert_eq!(show(&mut judge, SECONDS(60), covered), [None]);
    let mut judge = Judge::new(limits());
    show(&mut judge, SECONDS(30), alive);
    assert_eq!(show(&mut judge, SECONDS(3600), covered), [None, Some(Condition::Covered)]);
    assert_eq!(show(&mut judge, SECONDS(5), alive), [Some(Condition::Covered), None]);
    // A new connection does not forget it.
    judge.begin();
    assert_eq!(show(&mut judge, SECONDS(20), covered), [None, Some(Condition::Covered)]);
}

#[test]
fn dusk_is_no_cover() {
    let mut judge = Judge::new(limits());
    show(&mut judge, SECONDS(60), alive);
    for dimmed in 0_u8..=60 {
        let light = 1.0 - f32::from(dimmed) / 100.0;
        assert_eq!(show(&mut judge, SECONDS(30), |n| picture(Some(n), light, light)), [None], "{light}");
    }
}

#[test]
fn a_stream_that_pauses_has_not_stood_still() {
    let mut judge = Judge::new(limits());
    let mut sample = Sample::default();
    let facts = sample.take(&still(0)).unwrap();
    for _ in 0..14 {
        judge.see(SECONDS(3600), &facts, &sample);
    }
    assert_eq!(judge.verdict(), None, "14 pictures in 14 hours are two seconds each at most");
}

#[test]
fn what_is_drawn_or_a_slideshow_is_not_watched_and_a_film_may_stand_still() {
    let watch = |source: &str| {
        let source: SourceSpec = source.parse().unwrap();
        Watch::new(&PictureCheck::default(), source.kind())
    };
    assert!(watch("synthetic:shapes").is_none() && watch("images:stills").is_none());
    let mut film = watch("film.mp4").unwrap();
    let mut camera = watch("rtsp://camera/1").unwrap();
    let mut off = Watch::new(&PictureCheck::OFF, "rtsp://camera/1".parse::<SourceSpec>().unwrap().kind());
    assert!(off.take().is_none());
    let mut frame = still(0);
    let mut said = Vec::new();
    // 25 frames a second; a clock that is set back does not disturb it.
    for n in 0..25 * 60_i64 {
        frame.captured_at = Timestamp::from_micros(n * 40_000 - if n > 500 { 3_600_000_000 } else { 0 });
        assert_eq!(film.look(&frame), None);
        said.extend(camera.look(&frame));
    }
    assert_eq!(said, [Some(Condition::Frozen)]);
}

proptest! {
    /// However the picture flickers: said only after it has lasted, taken back only after it has been gone.
    #[test]
    fn nothing_is_said_sooner_than_it_has_lasted(
        seen in prop::collection::vec((prop::option::of(any::<bool>()), 1_u64..2000), 1..400),
        after in 1_u64..20_000,
    ) {
        let after = Duration::from_millis(after);
        let mut hold = Hold::default();
        // How long the run of the same has lasted.
        let mut run = (None, Duration::ZERO);
        for (seen, passed) in seen {
            let passed = Duration::from_millis(passed);
            let before = hold.is_said();
            hold.see(passed, seen, after);
            run = if seen == run.0 { (seen, run.1 + passed) } else { (seen, passed) };
            if hold.is_said() != before {
                prop_assert_eq!(seen, Some(hold.is_said()));
                let needed = if before { SECONDS(2).min(after) } else { after };
                prop_assert!(run.1 >= needed, "{:?} of {:?}", run.1, needed);
            }
        }
    }

    /// What lasts is said in the end, whatever was before, and what is gone is taken back.
    #[test]
    fn what_lasts_is_said(
        seen in prop::collection::vec((prop::option::of(any::<bool>()), 1_u64..2000), 0..100),
        lasting in any::<bool>(),
    ) {
        let after = SECONDS(10);
        let mut hold = Hold::default();
        for (seen, passed) in seen {
            hold.see(Duration::from_millis(passed), seen, after);
        }
        for _ in 0..41 {
            hold.see(STEP, Some(lasting), after);
        }
        prop_assert_eq!(hold.is_said(), lasting);
    }
}
