//! What the gate sees, and what it lets pass, on drawn pictures.

use super::*;
use crate::domain::{BBox, Span};

const SECOND: Duration = Duration::from_secs(1);

/// A street of drawn greys, its noise, and a clock that only the test moves.
struct Scene {
    gate: MotionGate,
    frame: Frame,
    begun: Instant,
    /// What the sensor adds: a few pictures of noise, in turns.
    noise: Vec<Vec<i16>>,
    /// What the light adds, grey levels.
    light: i16,
    shown: usize,
}

const WIDTH: u16 = 256;
const HEIGHT: u16 = 144;

impl Scene {
    #[expect(clippy::needless_pass_by_value, reason = "made where it is passed")]
    fn new(skip: SkipStatic) -> Self {
        let bgr = vec![0; 3 * usize::from(WIDTH) * usize::from(HEIGHT)];
        let frame = Frame { width: WIDTH.into(), height: HEIGHT.into(), bgr, ..Frame::empty() };
        let gate = MotionGate::new(&skip);
        Self { gate, begun: frame.captured_instant, frame, noise: Vec::new(), light: 0, shown: 0 }
    }

    fn on() -> Self {
        Self::new(SkipStatic(Some(StillRules::default())))
    }

    /// With noise of so many levels, standard deviation.
    fn noisy(mut self, levels: i16) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let pixels = self.frame.bgr.len() / 3;
        // The sum of twelve is near enough to what a sensor adds.
        let mut grain = |_| {
            let sum: i32 = (0..12).map(|_| random.i32(-100..=100)).sum();
            i16::try_from(sum * i32::from(levels) / 200).unwrap()
        };
        self.noise = (0..7).map(|_| (0..pixels).map(&mut grain).collect()).collect();
        self
    }

    /// The picture `after` the beginning, with a thing of another grey in it; whether it is inferred.
    fn shows(&mut self, after: Duration, thing: Option<(BBox, i16)>) -> bool {
        self.frame.captured_at = Timestamp::from_micros(1_000_000_000).plus(after);
        self.frame.captured_instant = self.begun + after;
        self.shown += 1;
        let noise = self.noise.get(self.shown % self.noise.len().max(1));
        let (wide, high) = (f32::from(WIDTH), f32::from(HEIGHT));
        let thing = thing.map(|(b, grey)| ([b.x_min * wide, b.y_min * high, b.x_max * wide, b.y_max * high], grey));
        let rows = self.frame.bgr.chunks_exact_mut(3 * usize::from(WIDTH));
        for (y, row) in (0_u16..).zip(rows) {
            for (x, pixel) in (0_u16..).zip(row.chunks_exact_mut(3)) {
                // Walls, a road, windows: outlines that noise must not move.
                let wall = if (x / 16 + y / 12) % 2 == 0 { 110 } else { 140 };
                let inside =
                    |b: &[f32; 4]| (b[0]..b[2]).contains(&f32::from(x)) && (b[1]..b[3]).contains(&f32::from(y));
                let grey = thing.filter(|(b, _)| inside(b)).map_or(wall, |(_, grey)| grey);
                let grain = noise.map_or(0, |noise| noise[usize::from(y) * usize::from(WIDTH) + usize::from(x)]);
                pixel.fill(u8::try_from((grey + self.light + grain).clamp(0, 255)).unwrap());
            }
        }
        let inferred = !self.gate.is_still(&self.frame);
        if inferred {
            self.gate.inferred(&self.frame);
        }
        inferred
    }

    /// How many of a second's frames are inferred, five a second.
    fn second(&mut self, second: u32, thing: Option<(BBox, i16)>) -> usize {
        (0..5).filter(|n| self.shows(SECOND * second + SECOND * *n / 5, thing)).count()
    }
}

/// A person far off: a fiftieth of the picture wide, 40 levels or more darker than the wall behind.
#[expect(clippy::unnecessary_wraps, reason = "a scene shows something or nothing")]
fn small(x: f32) -> Option<(BBox, i16)> {
    Some((BBox::from([x, 0.5, x + 0.02, 0.5 + 0.07]), 70))
}

#[test]
fn a_still_scene_costs_an_inference_and_one_more_whenever_its_age_runs_out() {
    for noise in [0, 8] {
        let mut scene = Scene::on().noisy(noise);
        assert_eq!((0..10).map(|s| scene.second(s, None)).sum::<usize>(), 1, "noise of {noise} levels");
        assert_eq!((10..21).map(|s| scene.second(s, None)).sum::<usize>(), 2, "at 10 and 20 s");
    }
}

#[test]
fn a_gate_that_is_off_lets_everything_be_inferred() {
    let mut scene = Scene::new(SkipStatic::default());
    assert_eq!(scene.second(0, None), 5);
    assert!(scene.gate.is_due(&scene.frame));
}

#[test]
fn a_small_thing_that_comes_moves_or_goes_is_seen_at_once() {
    for noise in [0, 8] {
        let mut scene = Scene::on().noisy(noise);
        scene.second(0, None);
        assert_eq!(scene.second(1, small(0.2)), 1, "it came: noise of {noise} levels");
        assert_eq!(scene.second(2, small(0.25)), 1, "it moved");
        assert_eq!(scene.second(3, None), 1, "it went");
        let mut walks =
            |n: &u8| scene.shows(SECOND * 4 + SECOND * u32::from(*n) / 10, small(0.3 + f32::from(*n) * 0.02));
        assert_eq!((0..10).filter(|n| walks(n)).count(), 10, "it walks: noise of {noise} levels");
    }
}

#[test]
fn a_change_too_slow_to_be_seen_from_frame_to_frame_adds_up() {
    let patient = StillRules { max_age: Span::secs(3600), ..StillRules::default() };
    let mut scene = Scene::new(SkipStatic(Some(patient))).noisy(3);
    scene.second(0, None);
    let mut inferred = 0;
    // It gets dark by a level every two seconds.
    for second in 1..=40 {
        scene.light = -i16::try_from(second / 2).unwrap();
        inferred += scene.second(second, None);
    }
    assert!((3..=6).contains(&inferred), "{inferred} for 20 levels");
    // Something that creeps: four hundredths of the picture, which is twice its own width, in twenty seconds.
    let mut inferred = 0;
    for second in 41..=60_u8 {
        inferred += scene.second(second.into(), small(0.2 + f32::from(second - 40) * 0.002));
    }
    assert!((3..=20).contains(&inferred), "{inferred} for twice its width");
}

#[test]
fn a_light_that_goes_on_is_seen_whether_it_is_everywhere_or_in_one_place() {
    let mut scene = Scene::on().noisy(3);
    scene.second(0, None);
    scene.light = 12;
    assert_eq!(scene.second(1, None), 1);
    assert_eq!(scene.second(2, Some((BBox::from([0.7, 0.1, 0.72, 0.14]), 200))), 1);
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
    let clock = |x: f32| Some((BBox::from([x, 0.02, x + 0.05, 0.08]), 255));
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
