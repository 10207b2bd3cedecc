//! An axis-aligned box in fractions of the frame.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::number::rounded;

/// `[x_min, y_min, x_max, y_max]`, fractions of the frame, origin top left, each 0…1. Written as a JSON array of five
/// decimals: a twentieth of a pixel in a picture 4000 pixels wide.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(from = "[f32; 4]")]
pub struct BBox {
    pub x_min: f32,
    pub y_min: f32,
    pub x_max: f32,
    pub y_max: f32,
}

impl BBox {
    /// Orders the corners and clamps them to the frame. A coordinate that is not a number becomes 0.
    #[must_use]
    pub fn clamped(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        let fix = |v: f32| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) };
        let (x0, y0, x1, y1) = (fix(x0), fix(y0), fix(x1), fix(y1));
        Self { x_min: x0.min(x1), y_min: y0.min(y1), x_max: x0.max(x1), y_max: y0.max(y1) }
    }

    #[must_use]
    pub fn width(&self) -> f32 {
        self.x_max - self.x_min
    }

    #[must_use]
    pub fn height(&self) -> f32 {
        self.y_max - self.y_min
    }

    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// Intersection over union, 0 when either box is empty.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let w = self.x_max.min(other.x_max) - self.x_min.max(other.x_min);
        let h = self.y_max.min(other.y_max) - self.y_min.max(other.y_min);
        if w <= 0.0 || h <= 0.0 {
            return 0.0;
        }
        let inter = w * h;
        inter / (self.area() + other.area() - inter)
    }
}

impl From<[f32; 4]> for BBox {
    fn from([x_min, y_min, x_max, y_max]: [f32; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<BBox> for [f32; 4] {
    fn from(b: BBox) -> Self {
        [b.x_min, b.y_min, b.x_max, b.y_max]
    }
}

impl Serialize for BBox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        <[f32; 4]>::from(*self).map(|v| rounded(v, 1e5)).serialize(serializer)
    }
}

impl JsonSchema for BBox {
    fn schema_name() -> Cow<'static, str> {
        "BBox".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "type": "number", "minimum": 0, "maximum": 1 },
            "minItems": 4,
            "maxItems": 4,
            "description": "x_min, y_min, x_max, y_max: fractions of the frame, origin top left",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_equal_boxes_is_one_and_of_apart_boxes_zero() {
        let a = BBox::from([0.1, 0.1, 0.3, 0.3]);
        assert!((a.iou(&a) - 1.0).abs() < 1e-6);
        assert_eq!(a.iou(&BBox::from([0.5, 0.5, 0.6, 0.6])), 0.0);
        assert_eq!(BBox::default().iou(&BBox::default()), 0.0);
    }

    #[test]
    fn a_box_is_written_with_clean_decimals() {
        let text = serde_json::to_value(BBox::from([0.11, 0.33, 1.0 / 3.0, 0.77])).unwrap().to_string();
        assert_eq!(text, "[0.11,0.33,0.33333,0.77]");
    }

    #[test]
    fn clamping_orders_corners_and_survives_nan() {
        assert_eq!(BBox::clamped(1.5, f32::NAN, -0.5, 0.4), BBox::from([0.0, 0.0, 1.0, 0.4]));
    }
}
