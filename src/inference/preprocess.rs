//! From packed BGR to the model's planes in one pass: scale, pad, reorder, normalise.
//!
//! The scaling is bilinear with half-pixel centres and no antialiasing, as OpenCV's `INTER_LINEAR`, which the reference
//! code of the model families uses.

use super::family::{InputSpec, Padding};
use crate::domain::Frame;

/// How a picture was laid into the model's input: `input = picture * scale + offset`, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    pub scale: f32,
    pub left: f32,
    pub top: f32,
    pub frame_width: f32,
    pub frame_height: f32,
}

/// Reused tables and rows; allocates only when a frame's size changes.
#[derive(Debug, Default)]
pub struct Preprocessor {
    size: (u32, u32),
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Two scaled source rows as planes, and which source row each holds.
    cache: [(Option<usize>, Vec<f32>); 2],
}

/// One output position between two input positions.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Preprocessor {
    /// Fills `planes` (`3 * height * width` of the model's input).
    pub fn run(&mut self, frame: &Frame, spec: &InputSpec, planes: &mut Vec<f32>) -> Placement {
        let (in_w, in_h) = (spec.width as usize, spec.height as usize);
        let (scale, new_w, new_h) = fit(frame.width, frame.height, spec.width, spec.height);
        let (left, top) = match spec.padding {
            Padding::Centred => ((in_w - new_w) / 2, (in_h - new_h) / 2),
            Padding::TopLeft => (0, 0),
        };
        let area = in_w * in_h;
        if planes.len() != 3 * area || self.size != (frame.width, frame.height) {
            self.columns = taps(frame.width as usize, new_w);
            self.rows = taps(frame.height as usize, new_h);
            self.size = (frame.width, frame.height);
            planes.clear();
            // The padding is written once for a frame size; only the picture changes afterwards.
            planes.resize(3 * area, spec.normalise(spec.pad));
        }
        self.cache.iter_mut().for_each(|(row, _)| *row = None);
        // `order[plane]` is the BGR channel that goes into the plane.
        let order = if spec.rgb { [2, 1, 0] } else { [0, 1, 2] };
        let (gain, bias) = (1.0 / spec.divisor, -spec.subtract / spec.divisor);
        for y in 0..new_h {
            let tap = self.rows[y];
            let (upper, lower) = self.scaled_rows(frame, tap, new_w);
            for (plane, &channel) in order.iter().enumerate() {
                let start = plane * area + (top + y) * in_w + left;
                let target = &mut planes[start..start + new_w];
                let a = &upper[channel * new_w..(channel + 1) * new_w];
                let b = &lower[channel * new_w..(channel + 1) * new_w];
                for ((out, &a), &b) in target.iter_mut().zip(a).zip(b) {
                    *out = (a + (b - a) * tap.weight) * gain + bias;
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "picture sizes are small numbers")]
        Placement {
            scale,
            left: left as f32,
            top: top as f32,
            frame_width: frame.width as f32,
            frame_height: frame.height as f32,
        }
    }

    /// The two horizontally scaled source rows of a tap; neighbours share them, so each is scaled once.
    fn scaled_rows(&mut self, frame: &Frame, tap: Tap, width: usize) -> (&[f32], &[f32]) {
        for wanted in [tap.first, tap.second] {
            if self.cache.iter().all(|(row, _)| *row != Some(wanted)) {
                let keep = if wanted == tap.first { tap.second } else { tap.first };
                let slot = usize::from(self.cache[0].0 == Some(keep));
                let (row, buffer) = &mut self.cache[slot];
                *row = Some(wanted);
                buffer.resize(3 * width, 0.0);
                let stride = frame.width as usize * 3;
                scale_row(&frame.bgr[wanted * stride..(wanted + 1) * stride], &self.columns, buffer);
            }
        }
        let find = |row| usize::from(self.cache[0].0 != Some(row));
        (&self.cache[find(tap.first)].1, &self.cache[find(tap.second)].1)
    }
}

fn scale_row(row: &[u8], columns: &[Tap], out: &mut [f32]) {
    let width = columns.len();
    let (blue, rest) = out.split_at_mut(width);
    let (green, red) = rest.split_at_mut(width);
    for (((tap, b), g), r) in columns.iter().zip(blue).zip(green).zip(red) {
        let (Some(p), Some(q)) =
            (row.get(tap.first * 3..tap.first * 3 + 3), row.get(tap.second * 3..tap.second * 3 + 3))
        else {
            continue;
        };
        let mix = |p: u8, q: u8| f32::from(p) + (f32::from(q) - f32::from(p)) * tap.weight;
        (*b, *g, *r) = (mix(p[0], q[0]), mix(p[1], q[1]), mix(p[2], q[2]));
    }
}

/// The scale that fits the picture into the input, and the picture's size there (at least a pixel).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "picture sizes are small positive numbers"
)]
fn fit(width: u32, height: u32, in_w: u32, in_h: u32) -> (f32, usize, usize) {
    let scale = (in_w as f32 / width as f32).min(in_h as f32 / height as f32);
    let size = |length: u32, limit: u32| ((length as f32 * scale).round() as usize).clamp(1, limit as usize);
    (scale, size(width, in_w), size(height, in_h))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "picture sizes are small positive numbers"
)]
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let ratio = from as f32 / to as f32;
    let last = from - 1;
    (0..to)
        .map(|at| {
            let centre = ((at as f32 + 0.5) * ratio - 0.5).clamp(0.0, last as f32);
            let first = centre as usize;
            Tap { first, second: (first + 1).min(last), weight: centre - first as f32 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Frame {
        let mut frame = Frame::empty();
        (frame.width, frame.height) = (width, height);
        frame.bgr = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        frame
    }

    fn spec(width: u32, height: u32, padding: Padding, rgb: bool) -> InputSpec {
        InputSpec { width, height, padding, rgb, pad: 114.0, subtract: 0.0, divisor: 255.0 }
    }

    #[test]
    fn a_picture_of_the_inputs_size_is_only_reordered() {
        let picture = frame(2, 1, |x, _| if x == 0 { [10, 20, 30] } else { [40, 50, 60] });
        let mut planes = Vec::new();
        Preprocessor::default().run(&picture, &spec(2, 1, Padding::Centred, true), &mut planes);
        let want: Vec<f32> = [30, 60, 20, 50, 10, 40].iter().map(|&v: &u8| f32::from(v) / 255.0).collect();
        for (got, want) in planes.iter().zip(&want) {
            assert!((got - want).abs() < 1e-6, "{planes:?}");
        }
    }

    #[test]
    fn the_padding_is_grey_and_where_the_family_wants_it() {
        let picture = frame(4, 2, |_, _| [255, 255, 255]);
        for (padding, top) in [(Padding::Centred, 1.0), (Padding::TopLeft, 0.0)] {
            let mut planes = Vec::new();
            let placement = Preprocessor::default().run(&picture, &spec(4, 4, padding, false), &mut planes);
            assert_eq!((placement.scale, placement.left, placement.top), (1.0, 0.0, top));
            let rows: Vec<bool> =
                planes[..16].chunks(4).map(|row| row.iter().all(|v| (v - 1.0).abs() < 1e-6)).collect();
            assert_eq!(
                rows,
                if padding == Padding::Centred { [false, true, true, false] } else { [true, true, false, false] }
            );
        }
    }

    #[test]
    fn half_size_averages_neighbours_as_inter_linear_does() {
        let picture = frame(4, 4, |x, y| [u8::try_from(x * 10 + y * 40).unwrap(); 3]);
        let mut planes = Vec::new();
        Preprocessor::default().run(&picture, &spec(2, 2, Padding::Centred, false), &mut planes);
        let got: Vec<f32> = planes[..4].iter().map(|v| v * 255.0).collect();
        for (got, want) in got.iter().zip([25.0, 45.0, 105.0, 125.0]) {
            assert!((got - want).abs() < 1e-3, "{got} {want}");
        }
    }

    #[test]
    fn sizes_may_change_in_mid_stream_and_be_odd() {
        let mut pre = Preprocessor::default();
        let mut planes = Vec::new();
        for (w, h) in [(1, 1), (7681, 3), (3, 555), (640, 480), (1, 1)] {
            let placement = pre.run(&frame(w, h, |_, _| [9, 9, 9]), &spec(32, 32, Padding::Centred, true), &mut planes);
            assert!(placement.scale > 0.0);
            assert!(planes.iter().all(|v| v.is_finite()));
            assert_eq!(planes.len(), 3 * 32 * 32);
        }
    }
}
