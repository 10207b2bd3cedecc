//! A seeded scene of moving, labelled shapes whose true boxes are known: demo, tests and training need no camera.

mod clock;
mod motion;
mod paint;
mod rng;
mod shape;
mod source;

pub use clock::read_clock;
use motion::{Body, Stage};
use paint::{Canvas, Noise};
pub use shape::LABELS;
pub use source::SyntheticSource;

use crate::domain::BBox;

/// An object of which less than this part can be seen is not in the truth.
const VISIBLE: f64 = 0.5;
/// Points a side of the grid that tells how much of an object can be seen.
const GRID: u8 = 14;

/// What is drawn; the same parameters give the same pictures on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneParams {
    pub width: u32,
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    pub seed: u64,
    /// The scene ends after so many frames; 0 = never.
    pub frames: u64,
    /// Shapes at the same time, at most.
    pub objects: u32,
    /// A camera writes the time of capture over the scene, for [`read_clock`].
    pub clock: bool,
}

impl Default for SceneParams {
    fn default() -> Self {
        Self { width: 640, height: 480, fps: 15.0, seed: 1, frames: 0, objects: 5, clock: false }
    }
}

/// One object that can be seen in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// One of [`LABELS`].
    pub label: &'static str,
    /// Its place in [`LABELS`].
    pub class_id: u32,
    /// Around the whole shape, also where another lies over it, clipped to the frame.
    pub bbox: BBox,
    /// Identity: the same object has the same number in every frame, and no other has it.
    pub object: u64,
}

/// The scene: every frame is a pure function of the parameters and the frame's index, counted from 0.
pub struct Scene {
    params: SceneParams,
    stage: Stage,
    backdrop: Vec<u8>,
    noise: Noise,
}

impl Scene {
    /// Paints the backdrop. A side of 0 is taken as 1, a rate that is no positive number as the default's.
    #[must_use]
    pub fn new(mut params: SceneParams) -> Self {
        params.width = params.width.max(1);
        params.height = params.height.max(1);
        if !(params.fps.is_finite() && params.fps > 0.0) {
            params.fps = SceneParams::default().fps;
        }
        let stage = Stage {
            width: f64::from(params.width),
            height: f64::from(params.height),
            seed: params.seed,
            objects: u64::from(params.objects),
            backdrop: paint::backdrop_colour(params.seed),
        };
        let backdrop = paint::backdrop(params.width as usize, params.height as usize, params.seed);
        Self { params, stage, backdrop, noise: Noise::new(params.seed) }
    }

    /// As they are used, after [`Scene::new`] put odd ones right.
    #[must_use]
    pub fn params(&self) -> &SceneParams {
        &self.params
    }

    /// Fills `bgr` with frame `index`: packed 8-bit BGR, `3 * width * height` bytes. Allocates only when it is too small.
    pub fn render(&self, index: u64, bgr: &mut Vec<u8>) {
        bgr.clear();
        bgr.extend_from_slice(&self.backdrop);
        let (width, height) = (self.params.width as usize, self.params.height as usize);
        let mut canvas = Canvas { width, height, bgr };
        for body in self.bodies(index) {
            draw(&mut canvas, &body);
        }
        self.noise.lay_over(bgr, self.params.seed, index);
    }

    /// The objects of frame `index` of which at least half can be seen, from the back to the front.
    #[must_use]
    pub fn truth(&self, index: u64) -> Vec<Truth> {
        let bodies = self.bodies(index);
        (0..bodies.len()).filter(|&i| self.visible(&bodies, i) >= VISIBLE).map(|i| self.describe(&bodies[i])).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "exact for 2^53 frames")]
    fn bodies(&self, index: u64) -> Vec<Body> {
        self.stage.bodies(index as f64 / self.params.fps)
    }

    #[expect(clippy::cast_possible_truncation, reason = "f32 is what a box is made of")]
    fn describe(&self, body: &Body) -> Truth {
        let [x0, y0, x1, y1] = body.outline.bounds();
        let (w, h) = (self.stage.width, self.stage.height);
        Truth {
            label: LABELS[body.class as usize],
            class_id: body.class,
            bbox: BBox::clamped((x0 / w) as f32, (y0 / h) as f32, (x1 / w) as f32, (y1 / h) as f32),
            object: body.object,
        }
    }

    /// The part of body `i`, 0…1, that lies in the frame and under no body before it, on a grid of points.
    fn visible(&self, bodies: &[Body], i: usize) -> f64 {
        let outline = &bodies[i].outline;
        let [x0, y0, x1, y1] = outline.bounds();
        let over: Vec<_> = bodies[i + 1..]
            .iter()
            .filter(|other| {
                let [ox0, oy0, ox1, oy1] = other.outline.bounds();
                ox0 < x1 && ox1 > x0 && oy0 < y1 && oy1 > y0
            })
            .collect();
        let (mut all, mut seen) = (0u16, 0u16);
        let step = |i: u8| (f64::from(i) + 0.5) / f64::from(GRID);
        for (x, y) in (0..GRID).flat_map(|j| (0..GRID).map(move |i| (i, j))) {
            let (x, y) = (x0 + (x1 - x0) * step(x), y0 + (y1 - y0) * step(y));
            if !outline.contains(x, y) {
                continue;
            }
            all += 1;
            let inside = x >= 0.0 && y >= 0.0 && x < self.stage.width && y < self.stage.height;
            if inside && !over.iter().any(|other| other.outline.contains(x, y)) {
                seen += 1;
            }
        }
        f64::from(seen) / f64::from(all.max(1))
    }
}

fn draw(canvas: &mut Canvas<'_>, body: &Body) {
    match &body.inner {
        Some(inner) => {
            paint::fill(canvas, &body.outline, body.border, 0.0);
            paint::fill(canvas, inner, body.colour, body.shade);
        }
        None => paint::fill(canvas, &body.outline, body.colour, body.shade),
    }
}

#[cfg(test)]
mod tests;
