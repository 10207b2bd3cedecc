//! From packed BGR to the model's planes in one pass: scale, pad, reorder, normalise.
//!
//! The scaling is bilinear with half-pixel centres and no antialiasing, as OpenCV's `INTER_LINEAR`, which the reference
//! code of the model families uses.

mod pixels;

use super::config::{Channels, Padding, Resize};
use super::spec::{InputSpec, Layout};
use crate::domain::Frame;

pub use pixels::Pixels;
use pixels::Sample;

/// How a picture was laid into the model's input: `input = picture * scale + offset`, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    pub scale_x: f32,
    pub scale_y: f32,
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

/// Where the picture lies in the input, in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    scale_x: f32,
    scale_y: f32,
}

impl Preprocessor {
    /// Fills `pixels` with the picture (`length` values, of which the spec's come first; the rest stays padding). The frame
    /// has at least one pixel.
    pub fn run(&mut self, frame: &Frame, spec: &InputSpec, length: usize, pixels: &mut Pixels) -> Placement {
        let area = fit(frame.width, frame.height, spec);
        match pixels {
            Pixels::F32(values) => self.fill(frame, spec, &area, length, values),
            Pixels::F16(values) => self.fill(frame, spec, &area, length, values),
            Pixels::U8(values) => self.fill(frame, spec, &area, length, values),
        }
        #[expect(clippy::cast_precision_loss, reason = "picture sizes are small numbers")]
        Placement {
            scale_x: area.scale_x,
            scale_y: area.scale_y,
            left: area.left as f32,
            top: area.top as f32,
            frame_width: frame.width as f32,
            frame_height: frame.height as f32,
        }
    }

    fn fill<T: Sample>(&mut self, frame: &Frame, spec: &InputSpec, area: &Area, length: usize, values: &mut Vec<T>) {
        let (in_w, in_h) = (spec.width as usize, spec.height as usize);
        let how = &spec.preparation;
        let gain = how.std.map(|std| 1.0 / std);
        let bias = [0, 1, 2].map(|channel| -how.mean[channel] / how.std[channel]);
        if values.len() != length || self.size != (frame.width, frame.height) {
            self.columns = taps(frame.width as usize, area.width);
            self.rows = taps(frame.height as usize, area.height);
            self.size = (frame.width, frame.height);
            // The padding is written once for a frame size; only the picture changes afterwards.
            values.clear();
            let pad = [0, 1, 2].map(|channel| T::from_value(how.pad[channel] * gain[channel] + bias[channel]));
            match spec.layout {
                Layout::Nchw => pad.iter().for_each(|&pad| values.resize(values.len() + in_w * in_h, pad)),
                Layout::Nhwc => values.extend(pad.iter().cycle().take(3 * in_w * in_h)),
            }
            values.resize(length, T::from_value(0.0));
        }
        self.cache.iter_mut().for_each(|(row, _)| *row = None);
        // `order[channel]` is the BGR channel that goes into the model's.
        let order = if how.channels == Channels::Rgb { [2, 1, 0] } else { [0, 1, 2] };
        for y in 0..area.height {
            let tap = self.rows[y];
            let (upper, lower) = self.scaled_rows(frame, tap, area.width);
            for (channel, &from) in order.iter().enumerate() {
                let a = &upper[from * area.width..(from + 1) * area.width];
                let b = &lower[from * area.width..(from + 1) * area.width];
                let (gain, bias) = (gain[channel], bias[channel]);
                let mixed = a.iter().zip(b).map(|(&a, &b)| T::from_value((a + (b - a) * tap.weight) * gain + bias));
                let first = (area.top + y) * in_w + area.left;
                match spec.layout {
                    Layout::Nchw => {
                        let start = channel * in_w * in_h + first;
                        values[start..start + area.width].iter_mut().zip(mixed).for_each(|(out, value)| *out = value);
                    }
                    Layout::Nhwc => {
                        let row = &mut values[3 * first..3 * (first + area.width)];
                        row.chunks_exact_mut(3).zip(mixed).for_each(|(out, value)| out[channel] = value);
                    }
                }
            }
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

/// Where the picture goes: at least a pixel, whatever its shape.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "picture sizes are small positive numbers"
)]
fn fit(width: u32, height: u32, spec: &InputSpec) -> Area {
    let (in_w, in_h) = (spec.width as f32, spec.height as f32);
    let (scale_x, scale_y) = (in_w / width as f32, in_h / height as f32);
    if spec.preparation.resize == Resize::Stretch {
        let (width, height) = (spec.width as usize, spec.height as usize);
        return Area { left: 0, top: 0, width, height, scale_x, scale_y };
    }
    let scale = scale_x.min(scale_y);
    let side = |length: u32, limit: u32| {
        let ideal = (length as f32 * scale).round();
        let side = ideal.clamp(1.0, limit as f32);
        // The nominal scale, as the reference code has it, unless a sliver had to be made a pixel wide.
        (side as usize, if ideal < 1.0 { side / length as f32 } else { scale })
    };
    let ((width, scale_x), (height, scale_y)) = (side(width, spec.width), side(height, spec.height));
    let (left, top) = match spec.preparation.padding {
        Padding::Centre => ((spec.width as usize - width) / 2, (spec.height as usize - height) / 2),
        Padding::TopLeft => (0, 0),
    };
    Area { left, top, width, height, scale_x, scale_y }
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
    use crate::inference::facts::Element;
    use crate::inference::spec::Preparation;

    fn frame(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Frame {
        let mut frame = Frame::empty();
        (frame.width, frame.height) = (width, height);
        frame.bgr = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        frame
    }

    fn spec(width: u32, height: u32, padding: Padding, rgb: bool) -> InputSpec {
        let channels = if rgb { Channels::Rgb } else { Channels::Bgr };
        let preparation = Preparation { padding, channels, ..Preparation::YOLO };
        InputSpec { width, height, layout: Layout::Nchw, preparation }
    }

    /// The values, of a model that takes float32.
    fn planes(pre: &mut Preprocessor, frame: &Frame, spec: &InputSpec) -> (Placement, Vec<f32>) {
        let mut pixels = Pixels::new(Element::F32);
        let placement = pre.run(frame, spec, spec.values(), &mut pixels);
        let Pixels::F32(values) = pixels else { panic!("float32") };
        (placement, values)
    }

    #[test]
    fn a_picture_of_the_inputs_size_is_only_reordered() {
        let picture = frame(2, 1, |x, _| if x == 0 { [10, 20, 30] } else { [40, 50, 60] });
        let (_, planes) = planes(&mut Preprocessor::default(), &picture, &spec(2, 1, Padding::Centre, true));
        let want: Vec<f32> = [30, 60, 20, 50, 10, 40].iter().map(|&v: &u8| f32::from(v) / 255.0).collect();
        for (got, want) in planes.iter().zip(&want) {
            assert!((got - want).abs() < 1e-6, "{planes:?}");
        }
    }

    #[test]
    fn the_padding_is_grey_and_where_the_family_wants_it() {
        let picture = frame(4, 2, |_, _| [255, 255, 255]);
        for (padding, top) in [(Padding::Centre, 1.0), (Padding::TopLeft, 0.0)] {
            let (placement, planes) = planes(&mut Preprocessor::default(), &picture, &spec(4, 4, padding, false));
            assert_eq!((placement.scale_x, placement.left, placement.top), (1.0, 0.0, top));
            let rows: Vec<bool> =
                planes[..16].chunks(4).map(|row| row.iter().all(|v| (v - 1.0).abs() < 1e-6)).collect();
            assert_eq!(
                rows,
                if padding == Padding::Centre { [false, true, true, false] } else { [true, true, false, false] }
            );
        }
    }

    #[test]
    fn half_size_averages_neighbours_as_inter_linear_does() {
        let picture = frame(4, 4, |x, y| [u8::try_from(x * 10 + y * 40).unwrap(); 3]);
        let (_, planes) = planes(&mut Preprocessor::default(), &picture, &spec(2, 2, Padding::Centre, false));
        let got: Vec<f32> = planes[..4].iter().map(|v| v * 255.0).collect();
        for (got, want) in got.iter().zip([25.0, 45.0, 105.0, 125.0]) {
            assert!((got - want).abs() < 1e-3, "{got} {want}");
        }
    }

    #[test]
    fn sizes_may_change_in_mid_stream_and_be_odd() {
        let mut pre = Preprocessor::default();
        let mut pixels = Pixels::new(Element::F32);
        let spec = spec(32, 32, Padding::Centre, true);
        for (w, h) in [(1, 1), (7681, 3), (3, 555), (640, 480), (1, 1)] {
            let placement = pre.run(&frame(w, h, |_, _| [9, 9, 9]), &spec, spec.values(), &mut pixels);
            assert!(placement.scale_x > 0.0 && placement.scale_y > 0.0);
            let Pixels::F32(planes) = &pixels else { panic!("float32") };
            assert!(planes.iter().all(|v| v.is_finite()));
            assert_eq!(planes.len(), 3 * 32 * 32);
        }
    }
}
