//! A video's planes to the model's colours: luma and chroma are scaled each by itself, between the four nearest values, and only
//! what the input takes becomes colours.

use std::array::from_fn;

use bytemuck::cast;
use wide::{i16x8, i32x8, u16x8};

use super::Line;
use super::fit::Area;
use super::linear::{Tap, centred, tap};
use super::pixels::Sample;
use crate::domain::{Frame, Yuv};

/// Columns that are scaled at a time, eight half words in a register.
pub const BLOCK: usize = 8;
/// As many columns as two bytes can name, so that none has to be looked for before it is read.
const COLUMNS: usize = 1 << 16;

/// Reused tables and rows.
#[derive(Debug)]
pub struct Planar {
    /// Y, U and V.
    planes: [Plane; 3],
    colours: Mix,
}

/// One plane, scaled across two rows at a time: both are read in one go, and the second is nearly always wanted next.
#[derive(Debug)]
struct Plane {
    columns: Vec<Columns>,
    rows: Vec<Tap>,
    /// Rows that were scaled last (values in 128ths), one after the other, and which the first of them is.
    scaled: [(Option<usize>, Vec<u16>); 2],
    /// A value of each of two rows of the picture, the last ones twice. Only what is written to is memory.
    pairs: Box<[[u8; 2]; COLUMNS + 1]>,
}

/// A block of columns: the place of each one's left value (the right one follows), and what both count in 2048ths, in turns.
#[derive(Debug, Clone, Copy)]
struct Columns {
    at: [u16; BLOCK],
    weights: [[i16; 2]; BLOCK],
}

/// What the colours are made of, for values in 32nds: parts in 8192nds, and a constant in 16ths.
#[derive(Debug, Default, Clone, Copy)]
struct Mix {
    luma: i16x8,
    blue_of_u: i16x8,
    green_of_u: i16x8,
    green_of_v: i16x8,
    red_of_v: i16x8,
    more: i16x8,
}

impl Planar {
    /// Whether each column of it has a name.
    pub fn takes(yuv: &Yuv) -> bool {
        yuv.size().0 as usize <= COLUMNS
    }

    pub fn new() -> Self {
        Self { planes: from_fn(|_| Plane::new()), colours: Mix::default() }
    }

    /// For pictures of this frame's size.
    pub fn set(&mut self, frame: &Frame, area: &Area) {
        let (width, height) = (frame.width as usize, frame.height as usize);
        let across = |at| centred(at, width, area.width);
        let down = |at| centred(at, height, area.height);
        // Chroma lies in the middle of the four pixels that share it.
        let half = |place: f32| place / 2.0 - 0.25;
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let [luma, chroma @ ..] = &mut self.planes;
        luma.set(area, |at| tap(width, across(at)), |at| tap(height, down(at)));
        for plane in chroma {
            plane.set(area, |at| tap(half_width, half(across(at))), |at| tap(half_height, half(down(at))));
        }
    }

    /// Another picture: nothing kept of the last one is true.
    pub fn begin(&mut self, yuv: &Yuv) {
        self.planes.iter_mut().flat_map(|plane| &mut plane.scaled).for_each(|(first, _)| *first = None);
        self.colours = Mix::new(yuv);
    }

    /// Fills row `y` of the picture in the input.
    pub fn row<T: Sample>(&mut self, yuv: &Yuv, y: usize, line: &mut Line<'_, T>) {
        let [luma, u, v] = &mut self.planes;
        let between = luma.row(yuv, 0, y).zip(u.row(yuv, 1, y)).zip(v.row(yuv, 2, y));
        let colours = self.colours;
        line.fill(between.map(move |((luma, u), v)| colours.bgr(luma, u, v)));
    }
}

impl Plane {
    fn new() -> Self {
        let pairs = vec![[0; 2]; COLUMNS + 1].into_boxed_slice();
        let pairs = pairs.try_into().unwrap_or_else(|_| unreachable!("it is as long"));
        Self { columns: Vec::new(), rows: Vec::new(), scaled: Default::default(), pairs }
    }

    fn set(&mut self, area: &Area, column: impl Fn(usize) -> Tap, row: impl Fn(usize) -> Tap) {
        self.rows = (0..area.height).map(row).collect();
        // The columns after the last are there to fill the block.
        let taps = |block: usize| from_fn(|at| column((block * BLOCK + at).min(area.width - 1)));
        self.columns = (0..area.width.div_ceil(BLOCK)).map(|block| Columns::new(taps(block))).collect();
    }

    /// Row `y` of the input in 64ths, a block at a time.
    fn row<'a>(&'a mut self, yuv: &Yuv, plane: usize, y: usize) -> impl Iterator<Item = u16x8> + Clone + use<'a> {
        let Tap { first, second, weights } = self.rows[y];
        let length = self.columns.len() * BLOCK;
        let place = |scaled: &[(Option<usize>, Vec<u16>); 2], row: usize| {
            let is_there =
                |(first, _): &(Option<usize>, _)| first.is_some_and(|first| (first..=first + 1).contains(&row));
            scaled.iter().position(is_there)
        };
        for (wanted, other) in [(first, second), (second, first)] {
            if place(&self.scaled, wanted).is_none() {
                let slot = usize::from(place(&self.scaled, other) == Some(0));
                let (kept, values) = &mut self.scaled[slot];
                *kept = Some(wanted);
                values.resize(2 * length, 0);
                scale(yuv, plane, wanted, (&self.columns, &mut self.pairs), values);
            }
        }
        let scaled = &self.scaled;
        let blocks = |row: usize| {
            let (kept, values) = &scaled[place(scaled, row).unwrap_or(0)];
            let start = if *kept == Some(row) { 0 } else { length };
            values[start..start + length].as_chunks::<BLOCK>().0.iter().map(|&block| u16x8::new(block))
        };
        let [above, below] = weights.map(|weight| u16x8::splat(weight << 4));
        blocks(first).zip(blocks(second)).map(move |(a, b)| a.mul_keep_high(above) + b.mul_keep_high(below))
    }
}

/// Scales row `wanted` of a plane, and the next one if there is one.
fn scale(
    yuv: &Yuv,
    plane: usize,
    wanted: usize,
    (columns, pairs): (&[Columns], &mut [[u8; 2]; COLUMNS + 1]),
    values: &mut [u16],
) {
    let (_, _, (width, height)) = yuv.plane(plane);
    let (upper, lower) = (yuv.row(plane, wanted), yuv.row(plane, (wanted + 1).min(height - 1)));
    fetch(upper);
    fetch(lower);
    for ((pair, &upper), &lower) in pairs.iter_mut().zip(upper).zip(lower) {
        *pair = [upper, lower];
    }
    pairs[width] = pairs[width - 1];
    let (upper, lower) = values.split_at_mut(values.len() / 2);
    let blocks = upper.as_chunks_mut::<BLOCK>().0.iter_mut().zip(lower.as_chunks_mut::<BLOCK>().0);
    for (columns, (upper, lower)) in columns.iter().zip(blocks) {
        [*upper, *lower] = columns.scale(pairs);
    }
}

/// Touches each line of the cache that a row lies in: asked for many at once, memory is quicker than for one after the other.
fn fetch(row: &[u8]) {
    std::hint::black_box(row.chunks(64).fold(0, |all, line| all ^ line[0]));
}

impl Columns {
    fn new(taps: [Tap; BLOCK]) -> Self {
        Self {
            at: taps.map(|tap| u16::try_from(tap.first).unwrap_or(u16::MAX)),
            weights: taps.map(|Tap { first, second, weights: [left, right] }| {
                // Beyond the picture's sides lies nothing but its last value.
                let counted = if first == second { [left + right, 0] } else { [left, right] };
                counted.map(u16::cast_signed)
            }),
        }
    }

    /// `left * weight + right * weight` in 2048ths, cut to 128ths, of both rows.
    fn scale(&self, pairs: &[[u8; 2]; COLUMNS + 1]) -> [[u16; BLOCK]; 2] {
        let found =
            |at: usize| [pairs[usize::from(self.at[at])], pairs[usize::from(self.at[at]) + 1]].map(u16::from_le_bytes);
        let both = [found(0), found(1), found(2), found(3), found(4), found(5), found(6), found(7)];
        let [left, right]: [u16x8; 2] = cast(both);
        let [of_left, of_right]: [i16x8; 2] = cast(self.weights);
        let sums = |left: u16x8, right: u16x8| {
            let sums = [cast::<_, i16x8>(left).dot(of_left) >> 4, cast::<_, i16x8>(right).dot(of_right) >> 4];
            // 255 * 2048 / 16 at most: nothing is cut.
            cast(i16x8::from_i32x8_saturate(cast::<_, i32x8>(sums)))
        };
        let upper = u16x8::splat(0xff);
        [sums(left & upper, right & upper), sums(left >> 8, right >> 8)]
    }
}

impl Mix {
    #[expect(clippy::cast_possible_truncation, reason = "weights are less than 3, and a constant is less than 300")]
    fn new(yuv: &Yuv) -> Self {
        let [[luma, blue_of_u, _, more], [_, green_of_u, green_of_v, _], [_, _, red_of_v, _]] = yuv.colours().weights();
        let part = |weight: f32| i16x8::splat((weight * 8192.0).round() as i16);
        // Chroma comes without its middle, so that has no part in the constant. Where rows are blended and where weights are
        // multiplied something is cut off: about a 16th of a level.
        let more = i16x8::splat((16.0 * (more + 128.0 * blue_of_u)).round() as i16 + 1);
        Self {
            luma: part(luma),
            blue_of_u: part(blue_of_u),
            green_of_u: part(green_of_u),
            green_of_v: part(green_of_v),
            red_of_v: part(red_of_v),
            more,
        }
    }

    /// Of values in 64ths blue, green and red of 0…255 in 16ths.
    fn bgr(&self, luma: u16x8, u: u16x8, v: u16x8) -> [i16x8; 3] {
        // 255 * 128 at most; chroma lies on both sides of nothing.
        let twice = |values: u16x8| cast::<_, i16x8>(values << 1);
        let none = i16x8::splat(128 * 128);
        let (u, v) = (twice(u) - none, twice(v) - none);
        let grey = twice(luma).mul_keep_high(self.luma) + self.more;
        let blue = grey + u.mul_keep_high(self.blue_of_u);
        let green = grey + u.mul_keep_high(self.green_of_u) + v.mul_keep_high(self.green_of_v);
        let red = grey + v.mul_keep_high(self.red_of_v);
        [blue, green, red].map(|levels| levels.max(i16x8::ZERO).min(i16x8::splat(255 * 16)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Colours, Matrix};
    use crate::inference::preprocess::fit::fit;
    use crate::inference::spec::{InputSpec, Layout, Preparation};

    fn random(width: u32, height: u32, colours: Colours, random: &mut fastrand::Rng) -> Yuv {
        let mut plane = |width: u32, height: u32| {
            std::iter::repeat_with(|| random.u8(..)).take((width * height) as usize).collect::<Vec<u8>>()
        };
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let planes = [plane(width, height), plane(half_width, half_height), plane(half_width, half_height)];
        Yuv::packed(planes, (width, height), colours).unwrap()
    }

    /// A plane's value between its four nearest, as it would be written down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "picture sizes are small numbers"
    )]
    fn between(yuv: &Yuv, plane: usize, x: f32, y: f32) -> f32 {
        let (_, _, (width, height)) = yuv.plane(plane);
        let at = |x: f32, y: f32| {
            let side = |place: f32, length: usize| place.clamp(0.0, length as f32 - 1.0) as usize;
            f32::from(yuv.row(plane, side(y, height))[side(x, width)])
        };
        let (left, top) = (x.floor(), y.floor());
        let across = |y| at(left, y) * (left + 1.0 - x) + at(left + 1.0, y) * (x - left);
        across(top) * (top + 1.0 - y) + across(top + 1.0) * (y - top)
    }

    #[test]
    fn planes_become_colours_as_values_one_by_one_whatever_the_sides() {
        let mut numbers = fastrand::Rng::with_seed(7);
        let matrices = [(Matrix::Bt601, false), (Matrix::Bt709, false), (Matrix::Bt2020, true)];
        for (at, (width, height, to)) in [
            (1, 1, (1, 1)),
            (1, 5, (33, 2)),
            (3, 2, (40, 40)),
            (50, 1, (7, 3)),
            (97, 31, (64, 20)),
            (333, 40, (32, 41)),
        ]
        .into_iter()
        .enumerate()
        {
            let (matrix, full_range) = matrices[at % 3];
            let yuv = random(width, height, Colours { matrix, full_range }, &mut numbers);
            let frame = Frame { width, height, yuv: Some(yuv.clone()), ..Frame::empty() };
            let spec =
                InputSpec { width: to.0, height: to.1, layout: Layout::Nchw, preparation: Preparation::STRETCHED };
            let area = fit(width, height, &spec);
            let mut planar = Planar::new();
            // A smaller picture before leaves nothing behind.
            planar.set(&Frame { width: 2, height: 2, ..Frame::empty() }, &area);
            planar.set(&frame, &area);
            planar.begin(&yuv);
            for y in 0..area.height {
                let mut values = vec![0.0_f32; 3 * area.width];
                let starts = [0, area.width, 2 * area.width];
                let (gain, bias) = ([1.0; 3], [0.0; 3]);
                let mut line = Line { values: &mut values, starts, step: 1, width: area.width, gain, bias };
                planar.row(&yuv, y, &mut line);
                let down = centred(y, height as usize, area.height);
                for channel in 0..3 {
                    for (x, &value) in values[starts[channel]..][..area.width].iter().enumerate() {
                        let across = centred(x, width as usize, area.width);
                        let [of_y, of_u, of_v, more] = yuv.colours().weights()[channel];
                        let chroma = |plane| between(&yuv, plane, across / 2.0 - 0.25, down / 2.0 - 0.25);
                        let sum = of_y * between(&yuv, 0, across, down) + of_u * chroma(1) + of_v * chroma(2) + more;
                        let wanted = sum.clamp(0.0, 255.0);
                        let at = format!("{width}x{height} to {to:?}: {x}, {y}, channel {channel}");
                        assert!((value - wanted).abs() < 0.5, "{at}: {value} instead of {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_plain_picture_stays_plain() {
        let colours = Colours { matrix: Matrix::Bt601, full_range: false };
        let yuv = Yuv::packed([vec![235; 60 * 40], vec![128; 30 * 20], vec![128; 30 * 20]], (60, 40), colours).unwrap();
        let frame = Frame { width: 60, height: 40, yuv: Some(yuv), ..Frame::empty() };
        let spec = InputSpec { width: 37, height: 23, layout: Layout::Nhwc, preparation: Preparation::STRETCHED };
        let mut pixels = super::super::Pixels::U8(Vec::new());
        let plain = Preparation { mean: [0.0; 3], std: [1.0; 3], ..spec.preparation };
        let spec = InputSpec { preparation: plain, ..spec };
        super::super::Preprocessor::default().run(&frame, &spec, 3 * 37 * 23, &mut pixels);
        assert_eq!(pixels, super::super::Pixels::U8(vec![255; 3 * 37 * 23]));
    }
}
