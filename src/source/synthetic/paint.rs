//! Pixels: the backdrop, anti-aliased fills, the camera's noise. Packed 8-bit BGR throughout.

use super::rng::Rng;
use super::shape::Outline;

/// Sub-lines a pixel row: coverage is exact along a line and sampled between lines.
const SUB_LINES: u8 = 4;
/// The noise repeats, but each stretch of a row begins at a place of its own.
const STRETCH: usize = 2048;

/// A picture being painted.
pub(super) struct Canvas<'a> {
    pub width: usize,
    pub height: usize,
    pub bgr: &'a mut [u8],
}

/// The average colour of the backdrop (blue, green, red), which objects keep away from.
pub(super) fn backdrop_colour(seed: u64) -> [f64; 3] {
    let mut rng = Rng::keyed(seed, [3, 0]);
    let grey = rng.range(60.0, 190.0);
    [(); 3].map(|()| (grey + rng.range(-45.0, 45.0)).clamp(45.0, 205.0))
}

/// A gradient with soft blotches at two sizes, faint stripes or checks, and a grain that stays.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn backdrop(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let base = backdrop_colour(seed).map(|c| c as f32);
    let mut rng = Rng::keyed(seed, [4, 0]);
    let mut draw = |low: f64, high: f64| rng.range(low, high) as f32;
    let tilt = [(); 3].map(|()| [draw(-28.0, 28.0), draw(-28.0, 28.0)]);
    let side = width.min(height).max(1) as f32;
    let coarse = Blotches { seed, octave: 0, cell: side * draw(0.15, 0.35), depth: draw(4.0, 14.0) };
    let fine = Blotches { seed, octave: 1, cell: side * draw(0.03, 0.07), depth: draw(2.0, 8.0) };
    let (pattern, step, depth) = (draw(0.0, 4.0) as u8, (side * draw(0.04, 0.2)).max(2.0), draw(2.0, 8.0));
    let mut grain = Rng::keyed(seed, [5, 0]);

    let mut picture = Vec::with_capacity(width * height * 3);
    let (mut coarse_row, mut fine_row) = (coarse.row(), fine.row());
    for y in 0..height {
        let v = y as f32 / height as f32 - 0.5;
        coarse_row.move_to(y as f32);
        fine_row.move_to(y as f32);
        let band_y = (y as f32 / step) as u32;
        for x in 0..width {
            let u = x as f32 / width as f32 - 0.5;
            let band_x = (x as f32 / step) as u32;
            let on = match pattern {
                0 => band_x.is_multiple_of(2),
                1 => band_y.is_multiple_of(2),
                2 => (band_x + band_y).is_multiple_of(2),
                _ => false,
            };
            let light = coarse_row.at(x as f32)
                + fine_row.at(x as f32)
                + if on { depth } else { 0.0 }
                + (grain.next() >> 61) as f32
                - 3.5;
            for (base, tilt) in base.iter().zip(tilt) {
                picture.push((base + light + tilt[0] * u + tilt[1] * v).clamp(10.0, 245.0) as u8);
            }
        }
    }
    picture
}

/// Value noise: random values on a lattice, blended between.
struct Blotches {
    seed: u64,
    octave: u64,
    cell: f32,
    depth: f32,
}

/// One row of it, which keeps the lattice line above and below.
struct BlotchRow<'a> {
    of: &'a Blotches,
    line: Option<u64>,
    values: Vec<f32>,
    next: Vec<f32>,
    down: f32,
}

impl Blotches {
    fn row(&self) -> BlotchRow<'_> {
        BlotchRow { of: self, line: None, values: Vec::new(), next: Vec::new(), down: 0.0 }
    }

    #[expect(clippy::cast_possible_truncation)]
    fn value(&self, i: u64, line: u64) -> f32 {
        let mut rng = Rng::keyed(self.seed, [6 + self.octave, (line << 32) | i]);
        rng.range(-1.0, 1.0) as f32 * self.depth
    }
}

impl BlotchRow<'_> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn move_to(&mut self, y: f32) {
        let at = y / self.of.cell.max(1.0);
        let line = at as u64;
        self.down = ease(at - line as f32);
        if self.line != Some(line) {
            self.line = Some(line);
            self.values.clear();
            self.next.clear();
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn at(&mut self, x: f32) -> f32 {
        let at = x / self.of.cell.max(1.0);
        let i = at as usize;
        let line = self.line.unwrap_or(0);
        while self.values.len() < i + 2 {
            let k = self.values.len() as u64;
            self.values.push(self.of.value(k, line));
            self.next.push(self.of.value(k, line + 1));
        }
        let right = ease(at - i as f32);
        let upper = self.values[i] + (self.values[i + 1] - self.values[i]) * right;
        let lower = self.next[i] + (self.next[i + 1] - self.next[i]) * right;
        upper + (lower - upper) * self.down
    }
}

fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// Lays `colour` over the canvas where `outline` covers it, `shade` brighter at the bottom than at the top.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn fill(canvas: &mut Canvas<'_>, outline: &Outline, colour: [f64; 3], shade: f64) {
    let [x0, y0, x1, y1] = outline.bounds();
    // A negative number becomes 0.
    let (left, top) = (x0.floor() as usize, y0.floor() as usize);
    let (right, bottom) =
        ((x1.ceil().max(0.0) as usize).min(canvas.width), (y1.ceil().max(0.0) as usize).min(canvas.height));
    if left >= right || top >= bottom {
        return;
    }
    let mut cover = vec![0u32; right - left];
    for row in top..bottom {
        cover.fill(0);
        for sub in 0..SUB_LINES {
            let y = row as f64 + (f64::from(sub) + 0.5) / f64::from(SUB_LINES);
            let (cuts, n) = outline.cuts(y);
            for span in cuts[..n].chunks_exact(2) {
                add_span(&mut cover, span[0] - left as f64, span[1] - left as f64);
            }
        }
        let tone = shade * ((row as f64 + 0.5 - y0) / (y1 - y0) - 0.5);
        let ink = colour.map(|c| (c + tone).clamp(10.0, 245.0) as u32);
        let begin = (row * canvas.width + left) * 3;
        let pixels = canvas.bgr[begin..begin + cover.len() * 3].chunks_exact_mut(3);
        for (pixel, &cover) in pixels.zip(&cover) {
            for (channel, ink) in pixel.iter_mut().zip(ink) {
                *channel = ((u32::from(*channel) * (256 - cover) + ink * cover) >> 8) as u8;
            }
        }
    }
}

/// Adds one sub-line from `from` to `to`, in pixels, to the coverage (256 = all of a pixel).
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn add_span(cover: &mut [u32], from: f64, to: f64) {
    const FULL: u32 = 256 / SUB_LINES as u32;
    let from = from.max(0.0);
    let to = to.min(cover.len() as f64);
    if from >= to {
        return;
    }
    let (first, last) = (from as usize, to as usize);
    let part = |length: f64| (length * f64::from(FULL)) as u32;
    if first == last {
        cover[first] += part(to - from);
        return;
    }
    cover[first] += part((first + 1) as f64 - from);
    for whole in &mut cover[first + 1..last] {
        *whole += FULL;
    }
    if let Some(end) = cover.get_mut(last) {
        *end += part(to - last as f64);
    }
}

/// The camera's noise: -3 to 3 on every channel, other in every frame.
pub(super) struct Noise(Vec<u8>);

impl Noise {
    #[expect(clippy::cast_possible_truncation, reason = "0 to 6")]
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::keyed(seed, [9, 0]);
        Self((0..2 * STRETCH).map(|_| (rng.below(7) as u8).wrapping_sub(3)).collect())
    }

    /// Values are kept within 10…245 before, so nothing wraps.
    #[expect(clippy::cast_possible_truncation, reason = "below STRETCH")]
    pub(super) fn lay_over(&self, bgr: &mut [u8], seed: u64, index: u64) {
        let mut rng = Rng::keyed(seed, [10, index]);
        for stretch in bgr.chunks_mut(STRETCH) {
            let start = rng.below(STRETCH as u64) as usize;
            for (channel, noise) in stretch.iter_mut().zip(&self.0[start..]) {
                *channel = channel.wrapping_add(*noise);
            }
        }
    }
}
