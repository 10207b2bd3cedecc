//! The quick way of scaling: between the four nearest pixels, in whole numbers, bit for bit as OpenCV's `INTER_LINEAR` of
//! bytes. A detector near its threshold tells a difference of one.

use super::fit::Area;
use crate::domain::Frame;
use crate::inference::config::Interpolation;

/// Weights have 11 bits.
const ONE: f32 = 2048.0;

/// Reused tables and rows.
#[derive(Debug, Default)]
pub struct Linear {
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Two scaled source rows as planes (values in 128ths), and which source row each holds.
    cache: [(Option<usize>, Vec<i16>); 2],
}

/// One output position between two input positions.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weights: [i16; 2],
}

/// The two source rows that an output row lies between.
pub struct Between<'a> {
    upper: &'a [i16],
    lower: &'a [i16],
    weights: [i16; 2],
}

impl Linear {
    /// For pictures of this frame's size. `Area` lays pixels out as OpenCV does where a picture grows.
    pub fn set(&mut self, frame: &Frame, area: &Area, how: Interpolation) {
        let place = if how == Interpolation::Area { flat } else { centred };
        let taps = |from: u32, to: usize| (0..to).map(|at| tap(from as usize, place(at, from as usize, to))).collect();
        self.columns = taps(frame.width, area.width);
        self.rows = taps(frame.height, area.height);
    }

    /// Another picture: nothing kept of the last one is true.
    pub fn begin(&mut self) {
        self.cache.iter_mut().for_each(|(row, _)| *row = None);
    }

    /// What row `y` is made of. Neighbours share source rows, so each is scaled once.
    pub fn rows(&mut self, bgr: &[u8], stride: usize, y: usize) -> Between<'_> {
        let tap = self.rows[y];
        for wanted in [tap.first, tap.second] {
            if self.cache.iter().all(|(row, _)| *row != Some(wanted)) {
                let keep = if wanted == tap.first { tap.second } else { tap.first };
                let slot = usize::from(self.cache[0].0 == Some(keep));
                let (row, buffer) = &mut self.cache[slot];
                *row = Some(wanted);
                buffer.resize(3 * self.columns.len(), 0);
                scale_row(&bgr[wanted * stride..(wanted + 1) * stride], &self.columns, buffer);
            }
        }
        let find = |row| usize::from(self.cache[0].0 != Some(row));
        Between { upper: &self.cache[find(tap.first)].1, lower: &self.cache[find(tap.second)].1, weights: tap.weights }
    }
}

impl Between<'_> {
    /// Whole numbers 0…255 of a channel.
    pub fn values(&self, channel: usize, width: usize) -> impl Iterator<Item = f32> + use<'_> {
        let range = channel * width..(channel + 1) * width;
        let [above, below] = self.weights;
        self.upper[range.clone()].iter().zip(&self.lower[range]).map(move |(&a, &b)| {
            let part = |value: i16, weight: i16| (i32::from(value) * i32::from(weight)) >> 16;
            #[expect(clippy::cast_precision_loss, reason = "0 to 255")]
            let value = ((part(a, above) + part(b, below) + 2) >> 2) as f32;
            value
        })
    }
}

fn scale_row(row: &[u8], columns: &[Tap], out: &mut [i16]) {
    let width = columns.len();
    let (blue, rest) = out.split_at_mut(width);
    let (green, red) = rest.split_at_mut(width);
    for (((tap, b), g), r) in columns.iter().zip(blue).zip(green).zip(red) {
        let (Some(p), Some(q)) =
            (row.get(tap.first * 3..tap.first * 3 + 3), row.get(tap.second * 3..tap.second * 3 + 3))
        else {
            continue;
        };
        let [left, right] = tap.weights.map(i32::from);
        #[expect(clippy::cast_possible_truncation, reason = "at most 255 * 2048 / 16")]
        let mix = |p: u8, q: u8| ((i32::from(p) * left + i32::from(q) * right) >> 4) as i16;
        (*b, *g, *r) = (mix(p[0], q[0]), mix(p[1], q[1]), mix(p[2], q[2]));
    }
}

/// Pixels' centres lie half a pixel in.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "picture sizes are small numbers")]
fn centred(at: usize, from: usize, to: usize) -> f32 {
    ((at as f64 + 0.5) * (from as f64 / to as f64) - 0.5) as f32
}

/// `INTER_AREA` where a side grows: pixels stay flat and are mixed at their borders only.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "picture sizes are small numbers")]
fn flat(at: usize, from: usize, to: usize) -> f32 {
    let low = (at as f64 * (from as f64 / to as f64)).floor();
    let part = ((at + 1) as f64 - (low + 1.0) * (to as f64 / from as f64)) as f32;
    low as f32 + if part <= 0.0 { 0.0 } else { part - part.floor() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "picture sizes are small numbers")]
fn tap(from: usize, place: f32) -> Tap {
    let part = place - place.floor();
    let low = place.floor() as isize;
    let pixel = |at: isize| at.clamp(0, from as isize - 1) as usize;
    let weights = [1.0 - part, part].map(|weight| (weight * ONE).round_ties_even() as i16);
    Tap { first: pixel(low), second: pixel(low + 1), weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(from: usize, to: usize, place: fn(usize, usize, usize) -> f32, row: &[u8]) -> Vec<f32> {
        let bgr: Vec<u8> = row.iter().flat_map(|&value| [value; 3]).collect();
        let columns = (0..to).map(|at| tap(from, place(at, from, to))).collect();
        let mut linear = Linear { columns, rows: vec![tap(1, 0.0)], ..Linear::default() };
        linear.begin();
        linear.rows(&bgr, bgr.len(), 0).values(0, to).collect()
    }

    // The wanted values are those of cv2 5.0 on the same row.
    #[test]
    fn rows_are_scaled_as_opencv_scales_them() {
        assert_eq!(scaled(5, 3, centred, &[0, 51, 104, 155, 250]), [17.0, 104.0, 218.0]);
        assert_eq!(scaled(2, 5, centred, &[10, 200]), [10.0, 29.0, 105.0, 181.0, 200.0]);
        assert_eq!(scaled(2, 4, flat, &[0, 100]), [0.0, 0.0, 100.0, 100.0]);
        assert_eq!(scaled(2, 3, flat, &[0, 90]), [0.0, 45.0, 90.0]);
    }
}
