//! The values of a model's input, in the type the model takes, and how a scaled row gets among them.

use half::f16;

use crate::inference::facts::Element;

/// The input's values. Kept from frame to frame: padding is written once for a frame size.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    F32(Vec<f32>),
    F16(Vec<f16>),
    U8(Vec<u8>),
}

impl Pixels {
    #[must_use]
    pub fn new(element: Element) -> Self {
        match element {
            Element::F16 => Self::F16(Vec::new()),
            Element::U8 => Self::U8(Vec::new()),
            _ => Self::F32(Vec::new()),
        }
    }

    /// Plain middle grey, whatever the family makes of a picture.
    #[must_use]
    pub fn grey(element: Element, length: usize) -> Self {
        match element {
            Element::F16 => Self::F16(vec![f16::from_f32(0.5); length]),
            Element::U8 => Self::U8(vec![128; length]),
            _ => Self::F32(vec![0.5; length]),
        }
    }
}

impl Pixels {
    /// None of them yet, of the same type.
    #[must_use]
    pub fn empty(&self) -> Self {
        match self {
            Self::F32(_) => Self::F32(Vec::new()),
            Self::F16(_) => Self::F16(Vec::new()),
            Self::U8(_) => Self::U8(Vec::new()),
        }
    }

    /// Empty, its room kept.
    pub fn clear(&mut self) {
        match self {
            Self::F32(values) => values.clear(),
            Self::F16(values) => values.clear(),
            Self::U8(values) => values.clear(),
        }
    }

    /// Adds another picture's values, which are of the same type.
    pub fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::F32(values), Self::F32(more)) => values.extend_from_slice(more),
            (Self::F16(values), Self::F16(more)) => values.extend_from_slice(more),
            (Self::U8(values), Self::U8(more)) => values.extend_from_slice(more),
            // Both are made for one input.
            _ => {}
        }
    }
}

/// A type that pixels are given to a model in.
pub trait Sample: Copy + Send + 'static {
    fn from_value(value: f32) -> Self;
}

impl Sample for f32 {
    fn from_value(value: f32) -> Self {
        value
    }
}

impl Sample for f16 {
    fn from_value(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Sample for u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    fn from_value(value: f32) -> Self {
        (value + 0.5).clamp(0.0, 255.0) as i32 as u8
    }
}
