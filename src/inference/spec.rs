//! How a picture becomes a model's input.

use super::config::{Channels, InputConfig, Interpolation, Padding, PerChannel, Resize};
use super::facts::Element;

/// What a family does to a picture; every part can be set in the configuration under `input:`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preparation {
    pub resize: Resize,
    /// Whether a letterboxed side of so many pixels and a half has so many; else the nearest number.
    pub cut: bool,
    /// Where the picture lies in the input, letterboxed.
    pub padding: Padding,
    /// The padding's colour, 0…255, in the order of `channels`.
    pub pad: [f32; 3],
    pub interpolation: Interpolation,
    pub channels: Channels,
    /// `(value - mean) / std` of values 0…255, in the order of `channels`.
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl Preparation {
    /// RGB, 0…1, centred on grey 114: the YOLO families.
    pub const YOLO: Self = Self {
        resize: Resize::Letterbox,
        cut: false,
        padding: Padding::Centre,
        pad: [114.0; 3],
        interpolation: Interpolation::Linear,
        channels: Channels::Rgb,
        mean: [0.0; 3],
        std: [255.0; 3],
    };

    /// RGB, 0…1, stretched to the input.
    pub const STRETCHED: Self = Self { resize: Resize::Stretch, ..Self::YOLO };

    /// RGB, stretched, by the mean and the deviation of ImageNet's colours.
    pub const IMAGENET: Self =
        Self { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], ..Self::STRETCHED };

    /// As it is, or as the configuration wants it. An integer input takes the bytes as they are, unless told otherwise.
    #[must_use]
    pub fn settled(self, config: &InputConfig, element: Element) -> Self {
        let own = if element == Element::U8 { Self { mean: [0.0; 3], std: [1.0; 3], ..self } } else { self };
        Self {
            resize: config.resize.unwrap_or(own.resize),
            cut: own.cut,
            padding: config.padding.unwrap_or(own.padding),
            pad: config.pad.map_or(own.pad, PerChannel::each),
            interpolation: config.interpolation.unwrap_or(own.interpolation),
            channels: config.channels.unwrap_or(own.channels),
            mean: config.mean.map_or(own.mean, PerChannel::each),
            std: config.std.map_or(own.std, PerChannel::each),
        }
    }
}

/// The order of a picture's values in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Planes: a channel after the other.
    Nchw,
    /// Pixels: the channels side by side.
    Nhwc,
}

/// The picture input: what the model declares, and what the family does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputSpec {
    pub width: u32,
    pub height: u32,
    pub layout: Layout,
    pub preparation: Preparation,
}
