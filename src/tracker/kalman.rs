//! Where a box is going: the Kalman filter of SORT and `ByteTrack`, on the state (centre x, centre y, aspect, height) and
//! its velocities.
//!
//! The papers write one filter of eight states. Its transition couples each coordinate with its own velocity alone, its
//! noise matrices are diagonal and each coordinate is measured by itself; so the coordinates never meet, and four
//! filters of two states give the same numbers without a matrix.

use crate::domain::BBox;

/// Noise of a position and of a velocity for each nominal frame, in heights of the box (from the paper's code).
const POSITION: f64 = 1.0 / 20.0;
const VELOCITY: f64 = 1.0 / 160.0;
/// The same of the aspect, absolute: shapes hardly change.
const ASPECT: f64 = 1e-2;
const ASPECT_VELOCITY: f64 = 1e-5;
const ASPECT_MEASURED: f64 = 1e-1;
/// Noise is measured in heights, so no box may be without one.
const LEAST_HEIGHT: f64 = 1e-4;

/// One coordinate: its value and velocity (by nominal frame), and their covariance.
#[derive(Debug, Clone, Copy)]
struct Axis {
    x: f64,
    v: f64,
    xx: f64,
    xv: f64,
    vv: f64,
}

impl Axis {
    fn new(x: f64, deviation: f64, velocity_deviation: f64) -> Self {
        Self { x, v: 0.0, xx: deviation * deviation, xv: 0.0, vv: velocity_deviation * velocity_deviation }
    }

    /// `n` nominal frames on. For whole `n` this is exactly `n` steps of the paper's: the velocity's noise of every step
    /// moves the position in the steps after it.
    fn predict(&mut self, n: f64, deviation: f64, velocity_deviation: f64) {
        let (q, qv) = (deviation * deviation, velocity_deviation * velocity_deviation);
        self.x += n * self.v;
        self.xx += 2.0 * n * self.xv + n * n * self.vv + n * q + (n * (n - 1.0) * (2.0 * n - 1.0) / 6.0).max(0.0) * qv;
        self.xv += n * self.vv + (n * (n - 1.0) / 2.0).max(0.0) * qv;
        self.vv += n * qv;
    }

    fn update(&mut self, measured: f64, deviation: f64) {
        let total = self.xx + deviation * deviation;
        let (gain, velocity_gain) = (self.xx / total, self.xv / total);
        let surprise = measured - self.x;
        self.x += gain * surprise;
        self.v += velocity_gain * surprise;
        self.vv -= velocity_gain * self.xv;
        self.xv *= 1.0 - gain;
        self.xx *= 1.0 - gain;
    }
}

/// A box's motion. Lengths are fractions of the frame, velocities by nominal frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Motion {
    cx: Axis,
    cy: Axis,
    aspect: Axis,
    height: Axis,
}

impl Motion {
    pub(super) fn new(bbox: &BBox) -> Self {
        let [cx, cy, aspect, h] = measure(bbox);
        let axis = |x| Axis::new(x, 2.0 * POSITION * h, 10.0 * VELOCITY * h);
        Self { cx: axis(cx), cy: axis(cy), aspect: Axis::new(aspect, ASPECT, ASPECT_VELOCITY), height: axis(h) }
    }

    /// `n` nominal frames on. What is out of sight keeps its size: nothing would stop it growing.
    pub(super) fn predict(&mut self, n: f64, out_of_sight: bool) {
        if out_of_sight {
            self.height.v = 0.0;
        }
        let h = self.height.x;
        for axis in [&mut self.cx, &mut self.cy, &mut self.height] {
            axis.predict(n, POSITION * h, VELOCITY * h);
        }
        self.aspect.predict(n, ASPECT, ASPECT_VELOCITY);
        self.height.x = self.height.x.max(LEAST_HEIGHT);
        self.aspect.x = self.aspect.x.max(LEAST_HEIGHT);
    }

    pub(super) fn update(&mut self, bbox: &BBox) {
        let [cx, cy, aspect, height] = measure(bbox);
        let deviation = POSITION * self.height.x;
        self.cx.update(cx, deviation);
        self.cy.update(cy, deviation);
        self.aspect.update(aspect, ASPECT_MEASURED);
        self.height.update(height, deviation);
        self.height.x = self.height.x.max(LEAST_HEIGHT);
    }

    /// The box as it is believed to be; it may reach out of the frame.
    #[expect(clippy::cast_possible_truncation, reason = "a box is made of f32")]
    pub(super) fn bbox(&self) -> BBox {
        let (h, w) = (self.height.x, self.height.x * self.aspect.x);
        let (cx, cy) = (self.cx.x, self.cy.x);
        let corners = [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0];
        BBox::from(corners.map(|c| c as f32))
    }
}

/// Centre, width by height, and height.
fn measure(bbox: &BBox) -> [f64; 4] {
    let [x0, y0, x1, y1] = <[f32; 4]>::from(*bbox).map(f64::from);
    let h = (y1 - y0).max(LEAST_HEIGHT);
    [f64::midpoint(x0, x1), f64::midpoint(y0, y1), (x1 - x0) / h, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_step_equals_several_short_ones() {
        let mut one = Axis::new(0.5, 0.1, 0.02);
        one.predict(1.0, 0.05, 0.01);
        one.update(0.6, 0.05);
        let mut several = one;
        one.predict(5.0, 0.05, 0.01);
        for _ in 0..5 {
            several.predict(1.0, 0.05, 0.01);
        }
        for (a, b) in [(one.x, several.x), (one.xx, several.xx), (one.xv, several.xv), (one.vv, several.vv)] {
            assert!((a - b).abs() < 1e-12, "{one:?} {several:?}");
        }
    }

    #[test]
    fn a_steady_motion_is_foreseen() {
        let at = |i: f32| BBox::from([0.1 + 0.01 * i, 0.2, 0.2 + 0.01 * i, 0.4]);
        let mut motion = Motion::new(&at(0.0));
        for i in 1..20u8 {
            motion.predict(1.0, false);
            motion.update(&at(f32::from(i)));
        }
        motion.predict(10.0, true);
        assert!(motion.bbox().iou(&at(29.0)) > 0.9, "{:?}", motion.bbox());
    }

    #[test]
    fn a_box_without_height_does_no_harm() {
        let mut motion = Motion::new(&BBox::default());
        for _ in 0..100 {
            motion.predict(30.0, true);
            motion.update(&BBox::default());
        }
        assert!(<[f32; 4]>::from(motion.bbox()).iter().all(|c| c.is_finite()));
    }
}
