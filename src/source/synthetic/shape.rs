//! The outlines of the shapes, in pixels: what is inside, how far they reach, where a scan line cuts them.

use std::f64::consts::PI;

/// What the bundled model tells apart; the class id is the place in this list.
pub const LABELS: [&str; 5] = ["circle", "square", "triangle", "star", "cross"];

/// The most cuts a scan line can make: a cross has twelve edges.
pub(super) const MAX_CUTS: usize = 12;

/// One shape, placed. No point is farther from the centre than `radius`.
#[derive(Debug, Clone)]
pub(super) enum Outline {
    Circle { cx: f64, cy: f64, radius: f64 },
    Polygon { points: [(f64, f64); MAX_CUTS], len: usize },
}

impl Outline {
    /// `angle` in radians; a `class` that is no place in [`LABELS`] is drawn as the last.
    pub(super) fn new(class: u32, cx: f64, cy: f64, radius: f64, angle: f64) -> Self {
        let mut points = [(0.0, 0.0); MAX_CUTS];
        let len = match class {
            0 => return Self::Circle { cx, cy, radius },
            1 => ring(&mut points, 4, |_| 1.0),
            2 => ring(&mut points, 3, |_| 1.0),
            3 => ring(&mut points, 10, |i| if i % 2 == 0 { 1.0 } else { 0.42 }),
            _ => cross(&mut points),
        };
        let (sin, cos) = sin_cos(angle);
        for (x, y) in &mut points[..len] {
            (*x, *y) = (cx + radius * (*x * cos - *y * sin), cy + radius * (*x * sin + *y * cos));
        }
        Self::Polygon { points, len }
    }

    /// `[x_min, y_min, x_max, y_max]`
    pub(super) fn bounds(&self) -> [f64; 4] {
        match self {
            Self::Circle { cx, cy, radius } => [cx - radius, cy - radius, cx + radius, cy + radius],
            Self::Polygon { points, len } => points[..*len]
                .iter()
                .fold([f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY], |b, &(x, y)| {
                    [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)]
                }),
        }
    }

    /// Where the horizontal line at `y` enters and leaves, in ascending order; the number of cuts is even.
    pub(super) fn cuts(&self, y: f64) -> ([f64; MAX_CUTS], usize) {
        let mut cuts = [0.0; MAX_CUTS];
        let mut n = 0;
        match self {
            Self::Circle { cx, cy, radius } => {
                let left = radius * radius - (y - cy) * (y - cy);
                if left > 0.0 {
                    let half = left.sqrt();
                    cuts[..2].copy_from_slice(&[cx - half, cx + half]);
                    n = 2;
                }
            }
            Self::Polygon { points, len } => {
                let mut from = points[len - 1];
                for &to in &points[..*len] {
                    // Half-open, so that a corner on the line is counted once.
                    if (from.1 <= y) != (to.1 <= y) {
                        cuts[n] = from.0 + (y - from.1) / (to.1 - from.1) * (to.0 - from.0);
                        n += 1;
                    }
                    from = to;
                }
                cuts[..n].sort_by(f64::total_cmp);
            }
        }
        (cuts, n)
    }

    pub(super) fn contains(&self, x: f64, y: f64) -> bool {
        let (cuts, n) = self.cuts(y);
        cuts[..n].chunks_exact(2).any(|span| span[0] <= x && x < span[1])
    }
}

fn ring(points: &mut [(f64, f64); MAX_CUTS], len: u8, radius: impl Fn(u8) -> f64) -> usize {
    for (i, point) in (0..len).zip(points.iter_mut()) {
        let (sin, cos) = sin_cos(2.0 * PI * f64::from(i) / f64::from(len));
        *point = (radius(i) * sin, -radius(i) * cos);
    }
    usize::from(len)
}

fn cross(points: &mut [(f64, f64); MAX_CUTS]) -> usize {
    // Half the arm's breadth and the arm's reach: the corners lie on the unit circle.
    let (a, b) = (0.3, 0.953_939_201_416_945_6);
    *points =
        [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)];
    MAX_CUTS
}

/// Sine and cosine from additions and multiplications alone: the standard library's may differ in the last bit between
/// platforms, and the same seed must give the same pixels everywhere. Exact to 1e-6.
pub(super) fn sin_cos(angle: f64) -> (f64, f64) {
    let turn = 2.0 * PI;
    let sin = |x: f64| {
        let x = x - turn * ((x + PI) / turn).floor();
        let mut term = x;
        let mut sum = x;
        for k in 1..9u8 {
            let k = f64::from(2 * k);
            term *= -x * x / (k * (k + 1.0));
            sum += term;
        }
        sum
    };
    (sin(angle), sin(angle + PI / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_close_to_the_standard_librarys() {
        for i in -1000..1000 {
            let angle = f64::from(i) * 0.05;
            let (sin, cos) = sin_cos(angle);
            assert!((sin - angle.sin()).abs() < 1e-5 && (cos - angle.cos()).abs() < 1e-5, "{angle}");
        }
    }

    #[test]
    fn every_shape_holds_its_centre_and_stays_within_its_radius() {
        for class in 0..5 {
            for turn in 0..12 {
                let shape = Outline::new(class, 10.0, 20.0, 5.0, f64::from(turn) * 0.3);
                assert!(shape.contains(10.01, 20.01), "{}", LABELS[class as usize]);
                let [x0, y0, x1, y1] = shape.bounds();
                assert!(x0 >= 5.0 - 1e-3 && y0 >= 15.0 - 1e-3 && x1 <= 15.0 + 1e-3 && y1 <= 25.0 + 1e-3);
                assert!(!shape.contains(x0 - 0.01, 20.0) && !shape.contains(10.0, y1 + 0.01));
            }
        }
    }
}
