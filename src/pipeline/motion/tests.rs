//! What the gate sees, and what it lets pass, on drawn pictures.

use super::*;
use crate::domain::{BBox, Span};

const SECOND: Duration = Duration::from_secs(1);

/// A street of drawn greys, its noise, and a clock that only the test moves.
struct Scene {
    gate: MotionGate,
    random: fastrand::Rng,
    frame: Frame,
    begun: Instant,
    /// Grey levels: what a sensor adds, and what the light adds.
    noise: f32,
    light: f32,
}

impl Scene {
    fn new(skip: SkipStatic) -> Self {
        let frame = Frame { width: 640, height: 360, bgr: vec![0; 3 * 640 * 360], ..Frame::empty() };
        let random = fastrand::Rng::with_seed(7);
        Self { gate: MotionGate::new(&skip), random, begun: frame.captured_instant, frame, noise: 0.0, light: 0.0 }
    }

    fn on() -> Self {
        Self::new(SkipStatic(Some(StillRules::default())))
    }

    /// The picture `after` the beginning, with a box of another grey in it; whether it is inferred.
    fn shows(&mut self, after: Duration, thing: Option<(BBox, f32)>) -> bool {
        self.frame.captured_at = Timestamp::from_micros(1_000_000_000).plus(after);
        self.frame.captured_instant = self.begun + after;
        let (noise, light, random) = (self.noise, self.light, &mut self.random);
        for (at, pixel) in self.frame.bgr.chunks_exact_mut(3).enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "pixels")]
            let (x, y) = ((at % 640) as f32, (at / 640) as f32);
            let inside = |b: &BBox| {
                (b.x_min * 640.0..b.x_max * 640.0).contains(&x) && (b.y_min * 360.0..b.y_max * 360.0).contains(&y)
            };
            let drawn = thing.filter(|(bbox, _)| inside(bbox)).map(|(_, grey)| grey);
            // Walls, a road, windows: outlines that noise must not move.
            let wall = if (at % 640 / 40 + at / 640 / 30) % 2 == 0 { 90.0 } else { 140.0 };
            // The sum of three is near enough to what a sensor adds.
            let grain = (random.f32() + random.f32() + random.f32() - 1.5) * 2.0 * noise;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
            pixel.fill((drawn.unwrap_or(wall) + light + grain) as u8);
        }
        let inferred = !self.gate.is_still(&self.frame);
        if inferred {
            self.gate.inferred(&self.frame);
        }
        inferred
    }

    /// How many of a second's frames are inferred, ten a second.
    fn second(&mut self, second: u32, thing: Option<(BBox, f32)>) -> usize {
        (0..10).filter(|n| self.shows(SECOND * second + SECOND * *n / 10, thing)).count()
    }
}

fn small(x: f32) -> Option<(BBox, f32)> {
    // A person far off: 12 by 24 pixels of 640 by 360, 40 levels darker than the wall behind.
    Some((BBox::from([x, 0.5, x + 12.0 / 640.0, 0.5 + 24.0 / 360.0]), 75.0))
}

#[test]
fn a_still_scene_costs_an_inference_and_one_more_whenever_its_age_runs_out() {
    for noise in [0.0, 3.0, 8.0] {
        let mut scene = Scene { noise, ..Scene::on() };
        assert_eq!((0..10).map(|s| scene.second(s, None)).sum::<usize>(), 1, "noise of {noise} levels");
        assert_eq!((10..31).map(|s| scene.second(s, None)).sum::<usize>(), 3, "at 10, 20 and 30 s");
    }
}

#[test]
fn a_gate_that_is_off_lets_everything_be_inferred() {
    let mut scene = Scene::new(SkipStatic::default());
    assert_eq!(scene.second(0, None), 10);
    assert!(scene.gate.is_due(&scene.frame));
}

#[test]
fn a_small_thing_that_comes_moves_or_goes_is_seen_at_once() {
    for noise in [0.0, 3.0, 8.0] {
        let mut scene = Scene { noise, ..Scene::on() };
        scene.second(0, None);
        assert_eq!(scene.second(1, small(0.2)), 1, "it came: noise of {noise} levels");
        assert_eq!(scene.second(2, small(0.25)), 1, "it moved");
        assert_eq!(scene.second(3, None), 1, "it went");
        let walking = (0_u8..10)
            .filter(|n| scene.shows(SECOND * 4 + SECOND * u32::from(*n) / 10, small(0.3 + f32::from(*n) * 0.02)));
        assert_eq!(walking.count(), 10);
    }
}

#[test]
fn a_change_too_slow_to_be_seen_from_frame_to_frame_adds_up() {
    let mut scene = Scene {
        noise: 3.0,
        ..Scene::new(SkipStatic(Some(StillRules { max_age: Span::secs(3600), ..StillRules::default() })))
    };
    scene.second(0, None);
    let mut inferred = 0;
    // It gets dark by half a level a second.
    for second in 1..=60 {
        scene.light = -0.5 * f32::from(u8::try_from(second).unwrap());
        inferred += scene.second(second, None);
    }
    assert!((4..=10).contains(&inferred), "{inferred} for 30 levels");
    // Something that creeps: a hundredth of the picture a second.
    let mut inferred = 0;
    for second in 61..=90 {
        let x = 0.2 + f32::from(u8::try_from(second - 60).unwrap()) * 0.01;
        inferred += scene.second(second, small(x));
    }
    assert!(inferred >= 10, "{inferred} for 19 pixels each 3 s");
}

#[test]
fn a_light_that_goes_on_is_seen_whether_it_is_everywhere_or_in_one_place() {
    let mut scene = Scene { noise: 3.0, ..Scene::on() };
    scene.second(0, None);
    scene.light = 12.0;
    assert_eq!(scene.second(1, None), 1);
    assert_eq!(scene.second(2, Some((BBox::from([0.7, 0.1, 0.72, 0.14]), 200.0))), 1);
}

#[test]
fn no_picture_is_trusted_for_longer_than_it_may_be_whatever_its_clock_says() {
    let mut scene = Scene::on();
    assert!(scene.shows(Duration::ZERO, None));
    assert!(!scene.shows(Duration::from_millis(9_999), None));
    assert!(scene.shows(SECOND * 10, None));
    // A clock that was set back, and one that stands still.
    scene.frame.captured_at = Timestamp::UNIX_EPOCH;
    assert!(!scene.gate.is_still(&scene.frame));
    scene.gate.inferred(&scene.frame);
    assert!(scene.gate.is_still(&scene.frame));
    scene.frame.captured_instant += SECOND * 10;
    assert!(!scene.gate.is_still(&scene.frame));
}

#[test]
fn what_was_found_is_due_again_at_the_heartbeat() {
    let mut scene = Scene::on();
    scene.shows(Duration::ZERO, None);
    assert!(scene.gate.is_due(&scene.frame));
    scene.gate.said(&scene.frame);
    scene.shows(Duration::from_millis(900), None);
    assert!(!scene.gate.is_due(&scene.frame));
    scene.shows(SECOND, None);
    assert!(scene.gate.is_due(&scene.frame));
}

#[test]
fn where_change_does_not_count_it_is_not_seen() {
    let ignore = vec![BBox::from([0.0, 0.0, 0.3, 0.1])];
    let mut scene = Scene::new(SkipStatic(Some(StillRules { ignore, ..StillRules::default() })));
    scene.second(0, None);
    let clock = |x: f32| Some((BBox::from([x, 0.02, x + 0.05, 0.08]), 255.0));
    assert_eq!(scene.second(1, clock(0.05)) + scene.second(2, clock(0.2)), 0);
    assert_eq!(scene.second(3, clock(0.4)), 1);
    let all = vec![BBox::from([0.0, 0.0, 1.0, 1.0])];
    scene.gate.configure(&SkipStatic(Some(StillRules { ignore: all, ..StillRules::default() })));
    assert_eq!(scene.second(4, None), 1, "other rules, and nothing is known");
    assert_eq!(scene.second(5, clock(0.4)), 0, "nothing counts anywhere");
}

#[test]
fn another_size_or_no_picture_is_inferred() {
    let mut scene = Scene::on();
    scene.second(0, None);
    let smaller = Frame { width: 320, height: 180, bgr: vec![90; 3 * 320 * 180], ..scene.frame.clone() };
    assert!(!scene.gate.is_still(&smaller));
    scene.gate.inferred(&smaller);
    assert!(scene.gate.is_still(&smaller));
    for bad in
        [Frame { bgr: vec![0; 7], ..smaller.clone() }, Frame { width: 4, height: 4, bgr: vec![0; 48], ..smaller }]
    {
        assert!(!scene.gate.is_still(&bad));
        scene.gate.inferred(&bad);
        assert!(!scene.gate.is_still(&bad), "nothing to hold it against");
    }
}
