//! From a picture to the model's input in one pass: scale, pad, reorder, normalise.
//!
//! The scaling of BGR is OpenCV's `INTER_LINEAR` (`linear.rs`), which the reference code of most model families uses;
//! `filter.rs` has the others. A video's planes are scaled linearly too (`planar.rs`), each by itself, and become colours at the
//! input's size: half as many values as BGR has, and no BGR is ever made.

mod filter;
mod fit;
mod linear;
mod pixels;
mod planar;

use wide::{i16x8, i32x8};

use super::config::{Channels, Interpolation};
use super::spec::{InputSpec, Layout};
use crate::domain::{Frame, Yuv};

use filter::Filter;
use fit::{Area, fit};
use linear::Linear;

pub use fit::Placement;
pub use pixels::Pixels;
use pixels::Sample;
use planar::{BLOCK, Planar};

/// Reused tables and rows; allocates only when a frame's size changes.
#[derive(Debug, Default)]
pub struct Preprocessor {
    size: (u32, u32),
    /// Whether the picture is in planes that are scaled as they are.
    planes: bool,
    linear: Linear,
    /// In the place of `linear`.
    planar: Option<Planar>,
    /// In the place of `linear`.
    filter: Option<Filter>,
    /// One row that the filter made, as planes.
    row: Vec<f32>,
    /// A picture in planes as BGR, for what is not scaled linearly.
    bgr: Vec<u8>,
}

impl Preprocessor {
    /// Fills `pixels` with the picture (`length` values, of which the spec's come first; the rest stays empty). The frame
    /// has at least one pixel.
    pub fn run(&mut self, frame: &Frame, spec: &InputSpec, length: usize, pixels: &mut Pixels) -> Placement {
        let area = fit(frame.width, frame.height, spec);
        let how = spec.preparation.interpolation;
        let planes = frame.yuv.as_ref().filter(|yuv| how == Interpolation::Linear && Planar::takes(yuv));
        let new = self.size != (frame.width, frame.height) || self.planes != planes.is_some();
        if new {
            (self.size, self.planes) = ((frame.width, frame.height), planes.is_some());
            self.filter = None;
            match how {
                Interpolation::Linear if self.planes => self.planar.get_or_insert_with(Planar::new).set(frame, &area),
                // Averaging needs something to average: OpenCV is linear where a side grows.
                Interpolation::Area if area.grows(frame) => self.linear.set(frame, &area, Interpolation::Area),
                Interpolation::Linear => self.linear.set(frame, &area, Interpolation::Linear),
                other => self.filter = Some(Filter::new(frame, &area, other)),
            }
        }
        let picture = (frame, planes);
        match pixels {
            Pixels::F32(values) => self.fill(picture, spec, &area, (new, length), values),
            Pixels::F16(values) => self.fill(picture, spec, &area, (new, length), values),
            Pixels::U8(values) => self.fill(picture, spec, &area, (new, length), values),
        }
        area.placement
    }

    fn fill<T: Sample>(
        &mut self,
        (frame, planes): (&Frame, Option<&Yuv>),
        spec: &InputSpec,
        area: &Area,
        (new, length): (bool, usize),
        values: &mut Vec<T>,
    ) {
        let scales = Scales::new(spec);
        if new || values.len() != length {
            // The padding is written once for a frame size; only the picture changes afterwards.
            scales.blank(spec, length, values);
        }
        let mut target = Target { spec, area, scales: &scales, values };
        if let Some((yuv, planar)) = planes.zip(self.planar.as_mut()) {
            planar.begin(yuv);
            for y in 0..area.height {
                planar.row(yuv, y, &mut target.line(y));
            }
            return;
        }
        let stride = frame.width as usize * 3;
        let bgr = frame.as_bgr(&mut self.bgr);
        if let Some(filter) = &mut self.filter {
            let width = area.width;
            self.row.resize(3 * width, 0.0);
            for y in 0..area.height {
                filter.row(bgr, stride, y, scales.pad, &mut self.row);
                target.write(y, |channel| self.row[channel * width..(channel + 1) * width].iter().copied());
            }
        } else {
            self.linear.begin(bgr, stride);
            for y in 0..area.height {
                let row = self.linear.row(bgr, stride, y);
                target.write(y, |channel| row.plane(channel));
            }
        }
    }
}

/// What is done to values, by the model's channels.
struct Scales {
    /// The BGR channel that goes into the model's.
    order: [usize; 3],
    gain: [f32; 3],
    bias: [f32; 3],
    /// The padding's colour, by BGR channels.
    pad: [f32; 3],
}

impl Scales {
    fn new(spec: &InputSpec) -> Self {
        let how = &spec.preparation;
        let order = if how.channels == Channels::Rgb { [2, 1, 0] } else { [0, 1, 2] };
        let gain = how.std.map(|std| 1.0 / std);
        let bias = [0, 1, 2].map(|channel| -how.mean[channel] / how.std[channel]);
        // Both orders are their own inverse.
        let pad = order.map(|channel| how.pad[channel]);
        Self { order, gain, bias, pad }
    }

    /// Nothing but padding.
    fn blank<T: Sample>(&self, spec: &InputSpec, length: usize, values: &mut Vec<T>) {
        let area = spec.width as usize * spec.height as usize;
        let pad = [0, 1, 2]
            .map(|channel| T::from_value(spec.preparation.pad[channel] * self.gain[channel] + self.bias[channel]));
        values.clear();
        match spec.layout {
            Layout::Nchw => pad.iter().for_each(|&pad| values.resize(values.len() + area, pad)),
            Layout::Nhwc => values.extend(pad.iter().cycle().take(3 * area)),
        }
        values.resize(length, T::from_value(0.0));
    }
}

/// The model's input, being filled.
struct Target<'a, T> {
    spec: &'a InputSpec,
    area: &'a Area,
    scales: &'a Scales,
    values: &'a mut [T],
}

impl<T: Sample> Target<'_, T> {
    /// Row `y` of the picture, whose values 0…255 `plane` gives by BGR channel.
    fn write<V: Iterator<Item = f32>>(&mut self, y: usize, plane: impl Fn(usize) -> V) {
        let Line { values: all, starts, step, width, gain, bias } = self.line(y);
        for channel in 0..3 {
            let values = plane(channel).map(|value| T::from_value(value * gain[channel] + bias[channel]));
            let row = &mut all[starts[channel]..];
            if step == 1 {
                row[..width].iter_mut().zip(values).for_each(|(out, value)| *out = value);
            } else {
                row.iter_mut().step_by(step).zip(values.take(width)).for_each(|(out, value)| *out = value);
            }
        }
    }

    /// Where row `y` of the picture goes.
    fn line(&mut self, y: usize) -> Line<'_, T> {
        let (in_w, in_h) = (self.spec.width as usize, self.spec.height as usize);
        let first = (self.area.top + y) * in_w + self.area.left;
        // Both orders are their own inverse.
        let order = self.scales.order;
        let (starts, step) = match self.spec.layout {
            Layout::Nchw => (order.map(|channel| channel * in_w * in_h + first), 1),
            Layout::Nhwc => (order.map(|channel| 3 * first + channel), 3),
        };
        let of = |values: [f32; 3]| order.map(|channel| values[channel]);
        let (gain, bias) = (of(self.scales.gain), of(self.scales.bias));
        Line { values: self.values, starts, step, width: self.area.width, gain, bias }
    }
}

/// A row of the picture in the input, and what is done to values on their way there, by BGR channel.
struct Line<'a, T> {
    values: &'a mut [T],
    starts: [usize; 3],
    /// How far apart a channel's values are.
    step: usize,
    width: usize,
    gain: [f32; 3],
    bias: [f32; 3],
}

impl<T: Sample> Line<'_, T> {
    /// With blocks of values of 0…255 in 16ths, by BGR channel; what is beyond the row is left out.
    fn fill(&mut self, blocks: impl Iterator<Item = [i16x8; 3]> + Clone) {
        let (gain, bias) = (self.gain.map(|gain| gain / 16.0), self.bias);
        let ready = |channel: usize, block: i16x8| -> [T; BLOCK] {
            let levels = i32x8::from_i16x8(block).round_float() * gain[channel] + bias[channel];
            levels.to_array().map(T::from_value)
        };
        let rows = self.starts.map(|start| start..start + self.width);
        let mut whole = 0;
        if self.step == 1
            && let Ok(rows) = self.values.get_disjoint_mut(rows)
        {
            let [blue, green, red] = rows.map(|row| row.as_chunks_mut::<BLOCK>().0);
            whole = blue.len();
            for (((blue, green), red), block) in blue.iter_mut().zip(green).zip(red).zip(blocks.clone()) {
                (*blue, *green, *red) = (ready(0, block[0]), ready(1, block[1]), ready(2, block[2]));
            }
        }
        if whole * BLOCK == self.width {
            return;
        }
        for (at, block) in blocks.enumerate().skip(whole) {
            let at = at * BLOCK;
            for (channel, start) in self.starts.into_iter().enumerate() {
                let row = self.values[start + at * self.step..].iter_mut().step_by(self.step).take(self.width - at);
                row.zip(ready(channel, block[channel])).for_each(|(out, value)| *out = value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::config::Padding;
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
        let placement = pre.run(frame, spec, 3 * (spec.width * spec.height) as usize, &mut pixels);
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
    fn bytes_side_by_side_are_the_pixels_themselves_and_the_rest_of_a_batch_is_empty() {
        let picture = frame(2, 1, |x, _| if x == 0 { [10, 20, 30] } else { [40, 50, 60] });
        let preparation = Preparation { mean: [0.0; 3], std: [1.0; 3], pad: [1.0, 2.0, 3.0], ..Preparation::YOLO };
        let spec = InputSpec { width: 2, height: 3, layout: Layout::Nhwc, preparation };
        let mut pixels = Pixels::new(Element::U8);
        Preprocessor::default().run(&picture, &spec, 2 * 18, &mut pixels);
        let Pixels::U8(values) = pixels else { panic!("uint8") };
        let padding = [1, 2, 3, 1, 2, 3];
        assert_eq!(values, [&padding[..], &[30, 20, 10, 60, 50, 40], &padding, &[0; 18]].concat());
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
            let placement = pre.run(&frame(w, h, |_, _| [9, 9, 9]), &spec, 3 * 32 * 32, &mut pixels);
            assert!(placement.scale_x > 0.0 && placement.scale_y > 0.0);
            let Pixels::F32(planes) = &pixels else { panic!("float32") };
            assert!(planes.iter().all(|v| v.is_finite()));
            assert_eq!(planes.len(), 3 * 32 * 32);
        }
    }
}
