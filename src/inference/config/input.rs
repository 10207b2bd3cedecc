//! The `input:` part of a model: what is done to a picture before the model sees it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How pictures are prepared; what is absent is as the model's family has it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// Width and height, of a model that leaves them open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 1, max = 8192)))]
    pub size: Option<[u32; 2]>,
    /// Keep the picture's shape and fill up with `pad`, or stretch it to the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Where a letterboxed picture lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
    /// The padding's colour, 0 to 255: one number, or three in the order of `channels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<PerChannel>,
    /// How pixels between pixels are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Interpolation>,
    /// The order of the colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    /// Subtracted from values of 0 to 255: one number, or three in the order of `channels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<PerChannel>,
    /// What values are divided by then: one number (255 makes them 0 to 1), or three in the order of `channels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<PerChannel>,
}

impl InputConfig {
    /// Whether everything is the family's own.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What the schema cannot say: the key, what is wrong with it, and what to do.
    pub(crate) fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        let mut refuse = |key: &'static str, given: Option<PerChannel>, good: fn(f32) -> bool, fix: &'static str| {
            let bad = given.and_then(|given| given.each().into_iter().find(|&value| !good(value)));
            if let Some(bad) = bad {
                faults.push((key, format!("{bad} cannot be used"), fix));
            }
        };
        refuse("pad", self.pad, |v| (0.0..=255.0).contains(&v), "give values from 0 (black) to 255");
        refuse("mean", self.mean, |v| v.abs() <= 1e6, "give values on the scale of 0 to 255, such as 127.5");
        refuse(
            "std",
            self.std,
            |v| (1e-6..=1e6).contains(&v),
            "give values above 0, such as 255 (makes pixels 0 to 1)",
        );
        faults
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The picture keeps its shape; the rest of the input is padding.
    Letterbox,
    /// The picture fills the input, whatever its shape.
    Stretch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    Centre,
    TopLeft,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Between the four nearest pixels, as OpenCV's `INTER_LINEAR`; the quickest.
    Linear,
    /// The average of what falls together, as OpenCV's `INTER_AREA`.
    Area,
    /// Bilinear over all that falls together, as Pillow and torchvision.
    Antialias,
    /// Linear between whole coordinates, as OpenCV's `warpAffine` and `warpPerspective`.
    Warp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    Rgb,
    Bgr,
}

/// One number for every channel, or one for each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(description = "one number, or a list of three")]
pub enum PerChannel {
    Same(f32),
    Each([f32; 3]),
}

impl PerChannel {
    #[must_use]
    pub fn each(self) -> [f32; 3] {
        match self {
            Self::Same(value) => [value; 3],
            Self::Each(values) => values,
        }
    }
}
