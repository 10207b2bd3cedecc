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
    columns: Vec<Column>,
    rows: Vec<Tap>,
    /// Two scaled source rows as planes (values in 128ths), and which source row each holds.
    cache: [(Option<usize>, Vec<u16>); 2],
}

/// One output position between two input positions.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weights: [u16; 2],
}

/// The same for a column, made to be quick: the place of the left one's bytes (the right one's follow), and what the right
/// one counts of `ONE`.
#[derive(Debug, Clone, Copy)]
struct Column {
    at: usize,
    right: u16,
}

impl Linear {
    /// For pictures of this frame's size. `Area` lays pixels out as OpenCV does where a picture grows.
    pub fn set(&mut self, frame: &Frame, area: &Area, how: Interpolation) {
        let place = if how == Interpolation::Area { flat } else { centred };
        let (width, height) = (frame.width as usize, frame.height as usize);
        self.columns = (0..area.width).map(|at| column(width, place(at, width, area.width))).collect();
        self.rows = (0..area.height).map(|at| tap(height, place(at, height, area.height))).collect();
    }

    /// Another picture: nothing kept of the last one is true.
    pub fn begin(&mut self) {
        self.cache.iter_mut().for_each(|(row, _)| *row = None);
    }

    /// Row `y` of the picture in the input, as three planes of whole numbers in the picture's order of channels.
    pub fn row(&mut self, bgr: &[u8], stride: usize, y: usize, out: &mut [f32]) {
        let tap = self.rows[y];
        // Neighbours share source rows, so each is scaled once.
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
        let (upper, lower) = (&self.cache[find(tap.first)].1, &self.cache[find(tap.second)].1);
        let [above, below] = tap.weights;
        for ((out, &a), &b) in out.iter_mut().zip(upper).zip(lower) {
            // Unsigned half words all the way: processors multiply eight of them at a time, and compilers see it.
            let part = |value: u16, weight: u16| ((u32::from(value) * u32::from(weight)) >> 16) as u16;
            *out = f32::from((part(a, above) + part(b, below) + 2) >> 2);
        }
    }
}

fn scale_row(row: &[u8], columns: &[Column], out: &mut [u16]) {
    let width = columns.len();
    let (blue, rest) = out.split_at_mut(width);
    let (green, red) = rest.split_at_mut(width);
    // A picture a pixel wide has no right one.
    let twice: [u8; 6];
    let row = if let &[b, g, r] = row {
        twice = [b, g, r, b, g, r];
        twice.as_slice()
    } else {
        row
    };
    for (((column, b), g), r) in columns.iter().zip(blue).zip(green).zip(red) {
        let Some(&[p0, p1, p2, q0, q1, q2]) = row.get(column.at..column.at + 6).and_then(|pair| pair.first_chunk())
        else {
            continue;
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255 * 2048 / 16")]
        let mix = |p: u8, q: u8| {
            let (p, q) = (i32::from(p), i32::from(q));
            (((p << 11) + (q - p) * i32::from(column.right)) >> 4) as u16
        };
        (*b, *g, *r) = (mix(p0, q0), mix(p1, q1), mix(p2, q2));
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "picture sizes are small numbers"
)]
fn tap(from: usize, place: f32) -> Tap {
    let (low, part) = (place.floor(), place - place.floor());
    let pixel = |at: f32| at.clamp(0.0, from as f32 - 1.0) as usize;
    let weights = [1.0 - part, part].map(|weight| (weight * ONE).round_ties_even() as u16);
    Tap { first: pixel(low), second: pixel(low + 1.0), weights }
}

/// Both weights sum to `ONE`, so the right one's says all. The last pixel is the right one of the last pair.
fn column(from: usize, place: f32) -> Column {
    let Tap { first, second, weights: [left, right] } = tap(from, place);
    if first == second && first > 0 {
        return Column { at: 3 * (first - 1), right: left + right };
    }
    Column { at: 3 * first, right: if first == second { 0 } else { right } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(from: usize, to: usize, place: fn(usize, usize, usize) -> f32, row: &[u8]) -> Vec<f32> {
        let bgr: Vec<u8> = row.iter().flat_map(|&value| [value; 3]).collect();
        let columns = (0..to).map(|at| column(from, place(at, from, to))).collect();
        let mut linear = Linear { columns, rows: vec![tap(1, 0.0)], ..Linear::default() };
        let mut out = vec![0.0; 3 * to];
        linear.begin();
        linear.row(&bgr, bgr.len(), 0, &mut out);
        out.truncate(to);
        out
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
