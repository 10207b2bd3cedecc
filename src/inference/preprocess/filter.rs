//! Scaling by any filter: every position of the input is a weighted sum of a few neighbouring pixels, side by side and
//! row by row. Slower than the linear path, and as the reference code of a family has it.

use super::fit::Area;
use crate::domain::Frame;
use crate::inference::config::Interpolation;

/// What each position along one side of the input is made of.
#[derive(Debug, Default)]
struct Axis {
    positions: Vec<Position>,
    weights: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    /// The first pixel, and how many.
    first: usize,
    count: usize,
    /// Where its weights begin.
    weights: usize,
    /// Their sum: below 1 where the picture ends and the padding begins.
    sum: f32,
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "picture sizes are small numbers"
)]
impl Axis {
    fn push(&mut self, first: usize, weights: impl IntoIterator<Item = f64>) {
        let start = self.weights.len();
        self.weights.extend(weights.into_iter().map(|weight| weight as f32));
        let sum = self.weights[start..].iter().sum();
        self.positions.push(Position { first, count: self.weights.len() - start, weights: start, sum });
    }

    fn weights(&self, at: &Position) -> &[f32] {
        &self.weights[at.weights..at.weights + at.count]
    }

    /// `cv2.warpPerspective` with `INTER_LINEAR`: whole coordinates are pixels' centres on both sides; beyond the border
    /// lies the padding.
    fn warp(from: usize, to: usize, scale: f64, shift: f64) -> Self {
        let mut axis = Self::default();
        for at in 0..to {
            let place = (at as f64 - shift) / scale;
            let (low, part) = (place.floor(), place - place.floor());
            let inside = |pixel: f64| pixel >= 0.0 && pixel < from as f64;
            match (inside(low), inside(low + 1.0)) {
                (true, true) => axis.push(low as usize, [1.0 - part, part]),
                (true, false) => axis.push(low as usize, [1.0 - part]),
                (false, true) => axis.push(0, [part]),
                (false, false) => axis.push(0, []),
            }
        }
        axis
    }

    /// Pillow's and torchvision's bilinear: a triangle as wide as the picture shrinks.
    fn antialias(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let mut axis = Self::default();
        for at in 0..to {
            let centre = (at as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let weight = |pixel: usize| (1.0 - ((pixel as f64 + 0.5 - centre) / support).abs()).max(0.0);
            let sum: f64 = (first..end).map(weight).sum();
            axis.push(first, (first..end).map(|pixel| weight(pixel) / sum));
        }
        axis
    }

    /// `INTER_AREA`, shrinking: every pixel counts by the part of it that lies in the position.
    fn average(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let mut axis = Self::default();
        for at in 0..to {
            let (begin, end) = (at as f64 * scale, ((at + 1) as f64 * scale).min(from as f64));
            let (first, last) = (begin as usize, (end.ceil() as usize).min(from));
            let part = |pixel: usize| (end.min((pixel + 1) as f64) - begin.max(pixel as f64)).max(0.0);
            let sum: f64 = (first..last).map(part).sum();
            axis.push(first, (first..last).map(|pixel| part(pixel) / sum));
        }
        axis
    }
}

/// Makes one row of the input after the other.
#[derive(Debug)]
pub struct Filter {
    columns: Axis,
    rows: Axis,
    /// The picture's rows, summed up and still of the picture's width, its channels side by side.
    sum: Vec<f32>,
}

impl Filter {
    /// For pictures of this frame's size.
    pub fn new(frame: &Frame, area: &Area, how: Interpolation) -> Self {
        let (width, height, at) = (frame.width as usize, frame.height as usize, &area.placement);
        let (columns, rows) = match how {
            Interpolation::Warp => (
                Axis::warp(width, area.width, at.scale_x.into(), at.left.into()),
                Axis::warp(height, area.height, at.scale_y.into(), at.top.into()),
            ),
            Interpolation::Antialias => (Axis::antialias(width, area.width), Axis::antialias(height, area.height)),
            Interpolation::Area | Interpolation::Linear => {
                (Axis::average(width, area.width), Axis::average(height, area.height))
            }
        };
        Self { columns, rows, sum: Vec::new() }
    }

    /// Row `y` of the picture in the input, as three planes in the picture's order of channels; `pad` shows through where
    /// the picture ends.
    pub fn row(&mut self, bgr: &[u8], stride: usize, y: usize, pad: [f32; 3], out: &mut [f32]) {
        let position = self.rows.positions[y];
        self.sum.clear();
        self.sum.resize(stride, 0.0);
        for (row, &weight) in (position.first..).zip(self.rows.weights(&position)) {
            for (sum, &value) in self.sum.iter_mut().zip(&bgr[row * stride..(row + 1) * stride]) {
                *sum += f32::from(value) * weight;
            }
        }
        let width = self.columns.positions.len();
        let (blue, rest) = out.split_at_mut(width);
        let (green, red) = rest.split_at_mut(width);
        for (((at, b), g), r) in self.columns.positions.iter().zip(blue).zip(green).zip(red) {
            let share = 1.0 - at.sum * position.sum;
            let mut pixel = pad.map(|pad| pad * share);
            let values = self.sum[3 * at.first..3 * (at.first + at.count)].chunks_exact(3);
            for (value, &weight) in values.zip(self.columns.weights(at)) {
                for (pixel, &value) in pixel.iter_mut().zip(value) {
                    *pixel += value * weight;
                }
            }
            [*b, *g, *r] = pixel.map(whole);
        }
    }
}

/// A value 0…255 rounded: the reference code of every family scales bytes to bytes. Adding 1.5 * 2^23 leaves no bits for
/// fractions, which is quicker than `round`.
fn whole(value: f32) -> f32 {
    const BIG: f32 = 12_582_912.0;
    (value + BIG) - BIG
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(axis: Axis, row: &[u8]) -> Vec<f32> {
        let bgr: Vec<u8> = row.iter().flat_map(|&v| [v; 3]).collect();
        let width = axis.positions.len();
        let mut filter = Filter { columns: axis, rows: Axis::average(1, 1), sum: Vec::new() };
        let mut out = vec![0.0; 3 * width];
        filter.row(&bgr, bgr.len(), 0, [0.0; 3], &mut out);
        out.truncate(width);
        out
    }

    fn close(got: &[f32], want: &[f32]) {
        assert!(got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 0.01), "{got:?} {want:?}");
    }

    // The wanted values are those of cv2 5.0 on the same row; for antialiasing, Pillow's formula by hand.
    #[test]
    fn averaging_counts_parts_of_pixels() {
        close(&scaled(Axis::average(5, 2), &[0, 50, 100, 150, 200]), &[40.0, 160.0]);
    }

    #[test]
    fn a_warp_fades_into_the_padding() {
        close(&scaled(Axis::warp(2, 6, 2.0, 1.0), &[100, 200]), &[50.0, 100.0, 150.0, 200.0, 100.0, 0.0]);
    }

    #[test]
    fn antialiasing_looks_at_every_pixel() {
        close(&scaled(Axis::antialias(4, 2), &[0, 0, 200, 200]), &[29.0, 171.0]);
        close(&scaled(Axis::antialias(2, 2), &[7, 9]), &[7.0, 9.0]);
    }

    #[test]
    fn weights_sum_to_one_whatever_the_sides() {
        for from in [1, 2, 3, 7, 352, 1001] {
            for to in [1, 2, 5, 352, 640] {
                for axis in [Axis::antialias(from, to), Axis::average(from, to)] {
                    assert_eq!(axis.positions.len(), to);
                    for at in &axis.positions {
                        assert!((at.sum - 1.0).abs() < 1e-4 && at.first + at.count <= from, "{from} to {to}: {at:?}");
                    }
                }
            }
        }
    }
}
