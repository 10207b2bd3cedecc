//! Where a picture goes in the model's input.

use crate::domain::Frame;
use crate::inference::config::{Interpolation, Padding, Resize};
use crate::inference::spec::{InputSpec, Preparation};

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

/// The part of the input that the picture fills, in whole pixels, and the placement that boxes go back by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    pub placement: Placement,
}

impl Area {
    /// Whether the picture grows along a side.
    pub fn grows(&self, frame: &Frame) -> bool {
        self.width > frame.width as usize || self.height > frame.height as usize
    }
}

/// At least a pixel, whatever the picture's shape.
#[expect(clippy::cast_precision_loss, reason = "picture sizes are small numbers")]
pub fn fit(width: u32, height: u32, spec: &InputSpec) -> Area {
    let how = &spec.preparation;
    let (frame_width, frame_height) = (width as f32, height as f32);
    // As exact as the reference code: 720 * (416 / 720) is a hair under 416 there, and is cut to 415.
    let full = (f64::from(spec.width) / f64::from(width), f64::from(spec.height) / f64::from(height));
    let letterbox = how.resize == Resize::Letterbox;
    let scale = full.0.min(full.1);
    let x = Side::new(width, spec.width, if letterbox { scale } else { full.0 }, how);
    let y = Side::new(height, spec.height, if letterbox { scale } else { full.1 }, how);
    let (width, height) = (x.length, y.length);
    let placed =
        |left: f32, top: f32| Placement { scale_x: x.scale, scale_y: y.scale, left, top, frame_width, frame_height };
    if how.interpolation == Interpolation::Warp {
        // A warp lays the picture between pixels too, and works out itself which it touches.
        let centred = letterbox && how.padding == Padding::Centre;
        let shift = |side: u32, used: f32| if centred { (side as f32 - used) / 2.0 } else { 0.0 };
        let (left, top) = (shift(spec.width, frame_width * x.scale), shift(spec.height, frame_height * y.scale));
        let (width, height) = (spec.width as usize, spec.height as usize);
        return Area { left: 0, top: 0, width, height, placement: placed(left, top) };
    }
    Area { left: x.start, top: y.start, width, height, placement: placed(x.start as f32, y.start as f32) }
}

struct Side {
    start: usize,
    length: usize,
    scale: f32,
}

impl Side {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "picture sizes are small positive numbers"
    )]
    fn new(from: u32, limit: u32, scale: f64, how: &Preparation) -> Self {
        let ideal = f64::from(from) * scale;
        let ideal = if how.cut { ideal.floor() } else { ideal.round() };
        let length = ideal.clamp(1.0, f64::from(limit));
        // The nominal scale, as the reference code has it, unless a sliver had to be made a pixel wide.
        let scale = if ideal < 1.0 { length / f64::from(from) } else { scale };
        let length = length as usize;
        let start = if how.padding == Padding::Centre { (limit as usize - length) / 2 } else { 0 };
        Self { start, length, scale: scale as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::spec::Layout;

    fn spec(width: u32, height: u32, preparation: Preparation) -> InputSpec {
        InputSpec { width, height, layout: Layout::Nchw, preparation }
    }

    #[test]
    fn a_stretched_picture_has_a_scale_a_side() {
        let area = fit(200, 50, &spec(100, 100, Preparation::STRETCHED));
        assert_eq!((area.left, area.top, area.width, area.height), (0, 0, 100, 100));
        assert_eq!((area.placement.scale_x, area.placement.scale_y), (0.5, 2.0));
    }

    #[test]
    fn a_sliver_is_a_pixel_wide_and_its_scale_says_so() {
        let area = fit(8000, 1, &spec(32, 32, Preparation::YOLO));
        assert_eq!((area.width, area.height, area.top), (32, 1, 15));
        assert_eq!((area.placement.scale_x, area.placement.scale_y), (0.004, 1.0));
    }

    #[test]
    fn a_side_is_cut_as_the_reference_code_cuts_it() {
        let cut = Preparation { cut: true, ..Preparation::YOLO };
        let area = fit(720, 478, &spec(416, 416, cut));
        assert_eq!((area.width, area.height), (415, 276));
        assert_eq!(fit(720, 478, &spec(416, 416, Preparation::YOLO)).width, 416);
    }

    #[test]
    fn a_warp_is_centred_between_pixels() {
        let warp = Preparation { interpolation: Interpolation::Warp, ..Preparation::YOLO };
        let area = fit(10, 5, &spec(10, 10, warp));
        assert_eq!((area.placement.left, area.placement.top), (0.0, 2.5));
    }
}
