//! Scaling by any filter: every position of the input is a weighted sum of a few neighbouring pixels, side by side and
//! row by row. Slower than the linear path, and as the reference code of a family has it.

use super::fit::Area;
use crate::inference::config::Interpolation;

/// What each position along one side of the input is made of.
#[derive(Debug, Default)]
pub struct Axis {
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

/// The two sides' axes.
#[expect(clippy::cast_precision_loss, reason = "picture sizes are small numbers")]
pub fn axes(width: u32, height: u32, area: &Area, how: Interpolation) -> (Axis, Axis) {
    let from = (width as usize, height as usize);
    let scale = (from.0 as f64 / area.width as f64, from.1 as f64 / area.height as f64);
    let at = &area.placement;
    match how {
        Interpolation::Warp => (
            Axis::warp(from.0, area.width, at.scale_x.into(), at.left.into()),
            Axis::warp(from.1, area.height, at.scale_y.into(), at.top.into()),
        ),
        Interpolation::Antialias => (Axis::antialias(from.0, area.width), Axis::antialias(from.1, area.height)),
        // True averaging where both sides shrink; OpenCV's own kind of linear otherwise.
        Interpolation::Area if scale.0 >= 1.0 && scale.1 >= 1.0 => {
            (Axis::average(from.0, area.width), Axis::average(from.1, area.height))
        }
        _ => (Axis::grow(from.0, area.width), Axis::grow(from.1, area.height)),
    }
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

    /// `cv2.warpAffine`, `warpPerspective` with `INTER_LINEAR`: whole coordinates are pixels' centres on both sides, in
    /// steps of 1/32; beyond the border lies the padding.
    fn warp(from: usize, to: usize, scale: f64, shift: f64) -> Self {
        let mut axis = Self::default();
        for at in 0..to {
            let place = (((at as f64 - shift) / scale) * 32.0).round() / 32.0;
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

    /// `INTER_AREA` where a side grows: pixels stay flat and are mixed at their borders only.
    fn grow(from: usize, to: usize) -> Self {
        let (scale, inverse) = (from as f64 / to as f64, to as f64 / from as f64);
        let mut axis = Self::default();
        for at in 0..to {
            let low = ((at as f64 * scale).floor() as usize).min(from - 1);
            let part = (at + 1) as f64 - (low + 1) as f64 * inverse;
            let part = if part <= 0.0 { 0.0 } else { part - part.floor() };
            if low + 1 < from {
                axis.push(low, [1.0 - part, part]);
            } else {
                axis.push(low, [1.0]);
            }
        }
        axis
    }
}

/// Makes one row of the input after the other.
#[derive(Debug, Default)]
pub struct Filter {
    columns: Axis,
    rows: Axis,
    /// The picture's rows, summed up and still of the picture's width, its channels side by side.
    sum: Vec<f32>,
}

impl Filter {
    pub fn set(&mut self, (columns, rows): (Axis, Axis)) {
        (self.columns, self.rows) = (columns, rows);
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
            [*b, *g, *r] = pixel;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(axis: Axis, row: &[u8]) -> Vec<f32> {
        let bgr: Vec<u8> = row.iter().flat_map(|&v| [v; 3]).collect();
        let mut filter = Filter::default();
        let width = axis.positions.len();
        filter.set((axis, Axis::average(1, 1)));
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
    fn growing_by_area_keeps_pixels_flat() {
        close(&scaled(Axis::grow(2, 4), &[0, 100]), &[0.0, 0.0, 100.0, 100.0]);
        close(&scaled(Axis::grow(2, 3), &[0, 90]), &[0.0, 45.0, 90.0]);
    }

    #[test]
    fn a_warp_fades_into_the_padding() {
        close(&scaled(Axis::warp(2, 6, 2.0, 1.0), &[100, 200]), &[50.0, 100.0, 150.0, 200.0, 100.0, 0.0]);
    }

    #[test]
    fn antialiasing_looks_at_every_pixel() {
        close(&scaled(Axis::antialias(4, 2), &[0, 0, 200, 200]), &[28.57, 171.43]);
        close(&scaled(Axis::antialias(2, 2), &[7, 9]), &[7.0, 9.0]);
    }

    #[test]
    fn weights_sum_to_one_whatever_the_sides() {
        for from in [1, 2, 3, 7, 352, 1001] {
            for to in [1, 2, 5, 352, 640] {
                let growing = (from < to).then(|| Axis::grow(from, to));
                let shrinking = (from >= to).then(|| Axis::average(from, to));
                for axis in [Some(Axis::antialias(from, to)), growing, shrinking].into_iter().flatten() {
                    assert_eq!(axis.positions.len(), to);
                    for at in &axis.positions {
                        assert!((at.sum - 1.0).abs() < 1e-4 && at.first + at.count <= from, "{from} to {to}: {at:?}");
                    }
                }
            }
        }
    }
}
