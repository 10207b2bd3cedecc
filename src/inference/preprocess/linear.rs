//! The quick way of scaling: between the four nearest pixels, in whole numbers, bit for bit as OpenCV's `INTER_LINEAR` of
//! bytes. A detector near its threshold tells a difference of one.

use bytemuck::cast;
use wide::{i16x8, i32x8, u8x16, u16x8};

use super::fit::Area;
use crate::domain::Frame;
use crate::inference::config::Interpolation;

/// Weights have 11 bits.
const ONE: f32 = 2048.0;
/// Columns that are scaled at a time.
const BLOCK: usize = 16;
/// Bytes that are read from a column's first on: its pixel, the one to its right, and what registers take besides.
const REACH: usize = 11;

/// Reused tables and rows.
#[derive(Debug, Default)]
pub struct Linear {
    width: usize,
    /// A whole number of blocks; the columns after `width` are there for that alone.
    columns: Vec<Column>,
    rows: Vec<Tap>,
    /// Two scaled source rows as planes (values in 128ths), and which source row each holds.
    cache: [(Option<usize>, Vec<u16>); 2],
    /// The picture's last rows, with room to read beyond their end, and which is the first of them.
    last: (usize, Vec<u8>),
}

/// One output position between two input positions.
#[derive(Debug, Clone, Copy)]
pub struct Tap {
    pub first: usize,
    pub second: usize,
    /// In 2048ths.
    pub weights: [u16; 2],
}

/// The same for a column, made to be quick: the place of the left one's bytes (the right one's follow), and what both count
/// of `ONE`, as often as there are channels.
#[derive(Debug, Clone, Copy)]
struct Column {
    at: usize,
    weights: i16x8,
}

/// A row of the picture in the input: two scaled source rows and what each counts.
pub struct Row<'a> {
    width: usize,
    upper: &'a [u16],
    lower: &'a [u16],
    weights: [u16; 2],
}

impl Row<'_> {
    /// Its whole numbers of a channel, in the picture's order of channels.
    pub fn plane(&self, channel: usize) -> impl Iterator<Item = f32> {
        let start = channel * self.upper.len() / 3;
        let part = start..start + self.width;
        let [above, below] = self.weights;
        self.upper[part.clone()].iter().zip(&self.lower[part]).map(move |(&a, &b)| {
            // Unsigned half words all the way: processors multiply eight of them at a time, and compilers see it.
            let part = |value: u16, weight: u16| ((u32::from(value) * u32::from(weight)) >> 16) as u16;
            f32::from((part(a, above) + part(b, below) + 2) >> 2)
        })
    }
}

impl Linear {
    /// For pictures of this frame's size. `Area` lays pixels out as OpenCV does where a picture grows.
    pub fn set(&mut self, frame: &Frame, area: &Area, how: Interpolation) {
        let place = if how == Interpolation::Area { flat } else { centred };
        let (width, height) = (frame.width as usize, frame.height as usize);
        self.columns(area.width, |at| column(width, place(at, width, area.width)));
        self.rows = (0..area.height).map(|at| tap(height, place(at, height, area.height))).collect();
    }

    fn columns(&mut self, width: usize, column: impl Fn(usize) -> Column) {
        self.width = width;
        self.columns = (0..width.next_multiple_of(BLOCK)).map(|at| column(at.min(width - 1))).collect();
    }

    /// Another picture: nothing kept of the last one is true.
    pub fn begin(&mut self, bgr: &[u8], stride: usize) {
        self.cache.iter_mut().for_each(|(row, _)| *row = None);
        let rows = bgr.len() / stride;
        let (first, last) = &mut self.last;
        // One, unless the picture is a few pixels wide.
        *first = rows.saturating_sub(REACH.div_ceil(stride));
        last.clear();
        last.extend_from_slice(&bgr[*first * stride..]);
        last.extend_from_slice(&[0; REACH]);
    }

    /// Row `y` of the picture in the input.
    pub fn row(&mut self, bgr: &[u8], stride: usize, y: usize) -> Row<'_> {
        let Tap { first, second, weights } = self.rows[y];
        // Neighbours share source rows, so each is scaled once.
        for wanted in [first, second] {
            if self.cache.iter().all(|(row, _)| *row != Some(wanted)) {
                let keep = if wanted == first { second } else { first };
                let slot = usize::from(self.cache[0].0 == Some(keep));
                let (row, planes) = &mut self.cache[slot];
                *row = Some(wanted);
                planes.resize(3 * self.columns.len(), 0);
                let (first, last) = &self.last;
                let bytes = match wanted.checked_sub(*first) {
                    Some(behind) => &last[behind * stride..],
                    None => &bgr[wanted * stride..],
                };
                scale_row(bytes, &self.columns, planes);
            }
        }
        let find = |row| usize::from(self.cache[0].0 != Some(row));
        let (upper, lower) = (&self.cache[find(first)].1, &self.cache[find(second)].1);
        Row { width: self.width, upper, lower, weights }
    }
}

/// Scales the row at the beginning of `bytes`, a block of columns at a time: sixteen columns fill eight registers, two in each,
/// and eight registers turned on their side are planes.
fn scale_row(bytes: &[u8], columns: &[Column], planes: &mut [u16]) {
    let length = columns.len();
    let (blue, rest) = planes.split_at_mut(length);
    let (green, red) = rest.split_at_mut(length);
    let (blue, green, red) = (blue.chunks_exact_mut(BLOCK), green.chunks_exact_mut(BLOCK), red.chunks_exact_mut(BLOCK));
    for (((columns, blue), green), red) in columns.chunks_exact(BLOCK).zip(blue).zip(green).zip(red) {
        let pairs = std::array::from_fn(|at| mix(bytes, &columns[at], &columns[at + BLOCK / 2]));
        let [b, g, r, _, b2, g2, r2, _] = u16x8::transpose(pairs);
        for (plane, halves) in [(blue, [b, b2]), (green, [g, g2]), (red, [r, r2])] {
            for (part, half) in plane.chunks_exact_mut(BLOCK / 2).zip(halves) {
                part.copy_from_slice(half.as_array());
            }
        }
    }
}

/// Two columns, a lane a channel and one unused: `left * weight + right * weight` in 2048ths, cut to 128ths.
fn mix(bytes: &[u8], one: &Column, other: &Column) -> u16x8 {
    let ([left, right], [left2, right2]) = (reach(bytes, one.at), reach(bytes, other.at));
    let (left, right): (u8x16, u8x16) = (cast([left, left2]), cast([right, right2]));
    let sum = |pairs: u8x16, column: &Column| i16x8::from_u8x16_low(pairs).dot(column.weights) >> 4;
    let both = [sum(u8x16::unpack_low(left, right), one), sum(u8x16::unpack_high(left, right), other)];
    // 255 * 2048 / 16 at most: nothing is cut.
    cast(i16x8::from_i32x8_saturate(cast::<_, i32x8>(both)))
}

/// Eight bytes from the left pixel on, and from the right.
fn reach(bytes: &[u8], at: usize) -> [[u8; 8]; 2] {
    let Some(&[a, b, c, d, e, f, g, h, i, j, k]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<REACH>()) else {
        return [[0; 8]; 2];
    };
    [[a, b, c, d, e, f, g, h], [d, e, f, g, h, i, j, k]]
}

/// Pixels' centres lie half a pixel in.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "picture sizes are small numbers")]
pub fn centred(at: usize, from: usize, to: usize) -> f32 {
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
pub fn tap(from: usize, place: f32) -> Tap {
    let (low, part) = (place.floor(), place - place.floor());
    let pixel = |at: f32| at.clamp(0.0, from as f32 - 1.0) as usize;
    let weights = [1.0 - part, part].map(|weight| (weight * ONE).round_ties_even() as u16);
    Tap { first: pixel(low), second: pixel(low + 1.0), weights }
}

/// The last pixel is the right one of the last pair, and a picture a pixel wide has no right one.
fn column(from: usize, place: f32) -> Column {
    let Tap { first, second, weights: [left, right] } = tap(from, place);
    let (at, left, right) = match first {
        _ if first != second => (first, left, right),
        0 => (0, left + right, 0),
        last => (last - 1, 0, left + right),
    };
    let [left, right] = [left, right].map(u16::cast_signed);
    Column { at: 3 * at, weights: i16x8::new([left, right, left, right, left, right, 0, 0]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::preprocess::fit::fit;
    use crate::inference::spec::{InputSpec, Layout, Preparation};

    fn scaled(from: usize, to: usize, place: fn(usize, usize, usize) -> f32, row: &[u8]) -> Vec<f32> {
        let bgr: Vec<u8> = row.iter().flat_map(|&value| [value; 3]).collect();
        let mut linear = Linear { rows: vec![tap(1, 0.0)], ..Linear::default() };
        linear.columns(to, |at| column(from, place(at, from, to)));
        linear.begin(&bgr, bgr.len());
        let row = linear.row(&bgr, bgr.len(), 0);
        let planes = [0, 1, 2].map(|channel| row.plane(channel).collect::<Vec<_>>());
        assert!(planes[0] == planes[1] && planes[1] == planes[2], "{planes:?}");
        planes[0].clone()
    }

    // The wanted values are those of cv2 5.0 on the same row.
    #[test]
    fn rows_are_scaled_as_opencv_scales_them() {
        assert_eq!(scaled(5, 3, centred, &[0, 51, 104, 155, 250]), [17.0, 104.0, 218.0]);
        assert_eq!(scaled(2, 5, centred, &[10, 200]), [10.0, 29.0, 105.0, 181.0, 200.0]);
        assert_eq!(scaled(2, 4, flat, &[0, 100]), [0.0, 0.0, 100.0, 100.0]);
        assert_eq!(scaled(2, 3, flat, &[0, 90]), [0.0, 45.0, 90.0]);
    }

    /// A value as OpenCV's source has it, one by one.
    fn one_by_one(frame: &Frame, area: &Area, x: usize, y: usize, channel: usize) -> f32 {
        let (width, height) = (frame.width as usize, frame.height as usize);
        let (tx, ty) = (tap(width, centred(x, width, area.width)), tap(height, centred(y, height, area.height)));
        let at = |row: usize, column: usize| u32::from(frame.bgr[3 * (row * width + column) + channel]);
        let across = |row| {
            let [left, right] = tx.weights.map(u32::from);
            (at(row, tx.first) * left + at(row, tx.second) * right) >> 4
        };
        let [above, below] = ty.weights.map(u32::from);
        let sum = ((across(ty.first) * above) >> 16) + ((across(ty.second) * below) >> 16);
        f32::from(u16::try_from((sum + 2) >> 2).unwrap())
    }

    #[test]
    fn blocks_are_scaled_as_values_one_by_one_whatever_the_sides() {
        let mut random = fastrand::Rng::with_seed(5);
        for (width, height, to) in
            [(1, 1, (1, 1)), (1, 5, (33, 2)), (3, 2, (40, 40)), (50, 1, (7, 3)), (97, 31, (64, 20)), (33, 40, (32, 41))]
        {
            let bgr = std::iter::repeat_with(|| random.u8(..)).take(3 * width * height).collect();
            let size = |side| u32::try_from(side).unwrap();
            let frame = Frame { width: size(width), height: size(height), bgr, ..Frame::empty() };
            let spec =
                InputSpec { width: to.0, height: to.1, layout: Layout::Nchw, preparation: Preparation::STRETCHED };
            let area = fit(frame.width, frame.height, &spec);
            let mut linear = Linear::default();
            linear.set(&frame, &area, Interpolation::Linear);
            linear.begin(&frame.bgr, 3 * width);
            for y in 0..area.height {
                let row = linear.row(&frame.bgr, 3 * width, y);
                for channel in 0..3 {
                    let wanted: Vec<f32> = (0..area.width).map(|x| one_by_one(&frame, &area, x, y, channel)).collect();
                    assert_eq!(row.plane(channel).collect::<Vec<_>>(), wanted, "{width}x{height} to {to:?}, row {y}");
                }
            }
        }
    }
}
