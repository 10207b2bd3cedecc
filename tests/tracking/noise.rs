//! What an imperfect detector would say of the synthetic scene: boxes that shake, misses, unsure scores where objects
//! overlap, and things that are not there. Seeded, and of plain arithmetic: the same everywhere.

use std::time::Duration;

use sightwire::domain::{BBox, Detection, Timestamp};
use sightwire::source::synthetic::{LABELS, Scene, SceneParams, Truth};

/// Frames a second of the scene itself, and seconds of it.
const FPS: f64 = 15.0;
const SECONDS: u64 = 40;

#[derive(Debug, Clone, Copy)]
pub struct Noise {
    pub name: &'static str,
    pub objects: u32,
    /// Every so many frames are seen.
    pub step: usize,
    /// Of a box's sides, the most that its corners shake.
    pub shake: f64,
    /// The part of objects not found in a frame.
    pub missed: f64,
    /// False finds a frame, on average.
    pub ghosts: f64,
}

pub const NOISES: [Noise; 5] = [
    Noise { name: "calm", objects: 5, step: 1, shake: 0.03, missed: 0.03, ghosts: 0.05 },
    Noise { name: "noisy", objects: 5, step: 1, shake: 0.08, missed: 0.15, ghosts: 0.3 },
    Noise { name: "crowd", objects: 16, step: 1, shake: 0.06, missed: 0.1, ghosts: 0.3 },
    Noise { name: "5 frames a second", objects: 5, step: 3, shake: 0.06, missed: 0.1, ghosts: 0.3 },
    Noise { name: "3 frames a second", objects: 5, step: 5, shake: 0.03, missed: 0.05, ghosts: 0.1 },
];
pub const SEEDS: [u64; 3] = [11, 12, 13];

/// A frame: when, what is there, and what is found.
pub struct Seen {
    pub at: Timestamp,
    pub truth: Vec<Truth>,
    pub found: Vec<Detection>,
}

impl Noise {
    #[allow(dead_code, reason = "only the example says it")]
    pub fn fps(&self) -> f64 {
        FPS / self.step as f64
    }

    pub fn frames(&self, seed: u64) -> Vec<Seen> {
        let objects = self.objects;
        // The pictures are not looked at: small ones are made fast.
        let scene =
            Scene::new(SceneParams { width: 64, height: 48, fps: FPS, seed, objects, ..SceneParams::default() });
        let mut chance = Chance(seed);
        let indices = (0..SECONDS * FPS as u64).step_by(self.step);
        indices.map(|index| self.frame(&scene, index, &mut chance)).collect()
    }

    fn frame(&self, scene: &Scene, index: u64, chance: &mut Chance) -> Seen {
        let truth = scene.truth(index);
        let mut found = Vec::new();
        for object in &truth {
            let hidden = truth.iter().any(|other| other.object != object.object && other.bbox.iou(&object.bbox) > 0.2);
            // What another hides is scored low, as detectors do; else each object has a score of its own, which shakes.
            let usual = if hidden { 0.35 } else { 0.5 + 0.07 * (object.object % 6) as f64 };
            let score = usual + 0.15 * chance.around();
            if chance.unit() < self.missed || score < 0.1 {
                continue;
            }
            found.push(detection(object.label, object.class_id, score, self.shaken(&object.bbox, chance)));
        }
        if chance.unit() < self.ghosts {
            let class = (chance.unit() * LABELS.len() as f64) as u32;
            let (x, y, side) = (chance.unit(), chance.unit(), 0.05 + 0.1 * chance.unit());
            let bbox = BBox::clamped(x as f32, y as f32, (x + side) as f32, (y + side) as f32);
            let score = 0.1 + 0.5 * chance.unit();
            found.push(detection(LABELS[class as usize], class, score, bbox));
        }
        Seen { at: Timestamp::UNIX_EPOCH.plus(Duration::from_secs_f64(index as f64 / FPS)), truth, found }
    }

    fn shaken(&self, b: &BBox, chance: &mut Chance) -> BBox {
        let mut wobble = |side: f32| side * (self.shake * chance.around()) as f32;
        let (w, h) = (b.width(), b.height());
        BBox::clamped(b.x_min + wobble(w), b.y_min + wobble(h), b.x_max + wobble(w), b.y_max + wobble(h))
    }
}

fn detection(label: &str, class_id: u32, score: f64, bbox: BBox) -> Detection {
    Detection { label: label.into(), score: score.min(0.99) as f32, bbox, class_id, track_id: None }
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    /// 0…1
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// -1…1, mostly near 0: three dice.
    fn around(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit()) * 2.0 / 3.0 - 1.0
    }
}
