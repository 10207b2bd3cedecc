//! Who is in the picture at a moment, and where: a pure function of the parameters and the time.
//!
//! A scene has as many slots as objects. In each slot one life follows another, all of one length: an object comes in
//! over an edge, bounces between the walls, goes out over an edge, and after a short gap the next one comes. A life's
//! properties are drawn from the seed, the slot and the life's number, so any moment can be told without the moments
//! before it.

use super::rng::Rng;
use super::shape::{LABELS, Outline};

/// The frame the scene is drawn for, in pixels, and what else decides the objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    pub width: f64,
    pub height: f64,
    pub seed: u64,
    pub objects: u64,
    /// Blue, green and red of the background on average; objects stand out from it.
    pub backdrop: [f64; 3],
}

/// One object at one moment.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Identity: no two lives of a scene share it.
    pub object: u64,
    pub class: u32,
    pub outline: Outline,
    /// The part within the border, when it has one.
    pub inner: Option<Outline>,
    /// Blue, green, red.
    pub colour: [f64; 3],
    pub border: [f64; 3],
    /// How much the fill brightens from the top to the bottom.
    pub shade: f64,
}

impl Stage {
    /// The objects at `seconds`, from the back to the front.
    pub(super) fn bodies(&self, seconds: f64) -> Vec<Body> {
        (0..self.objects).filter_map(|slot| self.body(slot, seconds)).collect()
    }

    fn body(&self, slot: u64, seconds: f64) -> Option<Body> {
        let mut slots = Rng::keyed(self.seed, [1, slot]);
        let period = slots.range(8.0, 16.0);
        let since_first = seconds + slots.range(0.0, period);
        let life = (since_first / period).floor();
        let age = since_first - life * period;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        let life = life as u64;
        let object = life.wrapping_mul(self.objects).wrapping_add(slot);

        let mut rng = Rng::keyed(self.seed, [2, object]);
        let span = period - rng.range(0.3, 1.2);
        if age >= span {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "five classes")]
        let class = rng.below(LABELS.len() as u64) as u32;
        // A crowd is drawn smaller, so that hiding stays the exception.
        #[expect(clippy::cast_precision_loss, reason = "few objects")]
        let crowd = (8.0 / self.objects as f64).sqrt().clamp(0.5, 1.0);
        let radius = rng.range(0.06, 0.14) * self.width.min(self.height) * crowd;
        let (cx, cy) = self.place(&mut rng, radius, age, span);
        let angle = rng.range(0.0, 6.3) + rng.range(-1.2, 1.2) * age;
        let colour = self.colour(&mut rng);
        let bordered = rng.chance(0.5);
        let tone = if rng.chance(0.7) { 0.45 } else { 1.45 };
        Some(Body {
            object,
            class,
            outline: Outline::new(class, cx, cy, radius, angle),
            inner: bordered.then(|| Outline::new(class, cx, cy, radius * 0.84, angle)),
            colour,
            border: colour.map(|c| (c * tone).clamp(20.0, 235.0)),
            shade: rng.range(-25.0, 25.0),
        })
    }

    /// Along one axis from beyond an edge to beyond an edge, across it to and fro between the walls.
    fn place(&self, rng: &mut Rng, radius: f64, age: f64, span: f64) -> (f64, f64) {
        let sideways = rng.chance(0.65);
        let (along, across) = if sideways { (self.width, self.height) } else { (self.height, self.width) };
        // At most a quarter of the frame a second.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3")]
        let bounces = rng.below((span * 0.25) as u64);
        let forward = {
            let at = passage(along, radius, bounces, age / span);
            if rng.chance(0.5) { along - at } else { at }
        };
        let across_speed = rng.range(-0.2, 0.2) * across;
        let sway = rng.range(0.0, 2.0) * across + across_speed * age;
        let crosswise = radius + fold(sway, across - 2.0 * radius);
        if sideways { (forward, crosswise) } else { (crosswise, forward) }
    }

    /// A colour that differs from the backdrop by at least 70 of 255 in some channel, of eight tries.
    fn colour(&self, rng: &mut Rng) -> [f64; 3] {
        let mut best = [0.0; 3];
        let mut distance = -1.0;
        for _ in 0..8 {
            let colour = [(); 3].map(|()| rng.range(25.0, 230.0));
            let apart = colour.iter().zip(self.backdrop).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // Every try is drawn, whether it is needed or not: what follows in the stream stays in its place.
            if distance < 70.0 && apart > distance {
                (best, distance) = (colour, apart);
            }
        }
        best
    }
}

/// A way in over the edge at 0, `bounces` times off the walls, and out over an edge; `part` 0…1 of it is done.
fn passage(length: f64, radius: f64, bounces: u64, part: f64) -> f64 {
    let inner = length - 2.0 * radius;
    if bounces == 0 || inner <= 0.0 {
        return part * (length + 2.0 * radius) - radius;
    }
    #[expect(clippy::cast_precision_loss, reason = "few bounces")]
    let n = bounces as f64;
    // Unfolded: in (2 radii and the inner length), n - 1 times across, out again. At `turn` it bounces for the last time.
    let done = part * (4.0 * radius + (n + 1.0) * inner) - radius;
    let turn = radius + n * inner;
    if done <= radius {
        return done;
    }
    if done <= turn {
        return radius + fold(done - radius, inner);
    }
    let beyond = done - turn;
    if bounces.is_multiple_of(2) { radius + beyond } else { length - radius - beyond }
}

/// To and fro between 0 and `length`; the middle when there is no room.
fn fold(x: f64, length: f64) -> f64 {
    if length <= 0.0 {
        return length / 2.0;
    }
    let x = x - 2.0 * length * (x / (2.0 * length)).floor();
    if x <= length { x } else { 2.0 * length - x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_begins_and_ends_outside_and_never_jumps() {
        for bounces in 0..4 {
            let at = |part| passage(100.0, 10.0, bounces, part);
            assert!((at(0.0) + 10.0).abs() < 1e-9);
            let end = if bounces % 2 == 0 { 110.0 } else { -10.0 };
            assert!((at(1.0) - end).abs() < 1e-9, "{bounces}: {}", at(1.0));
            let steps: Vec<f64> = (0..=1000).map(|i| at(f64::from(i) / 1000.0)).collect();
            assert!(steps.windows(2).all(|w| (w[1] - w[0]).abs() < 0.5), "{bounces}");
        }
    }
}
