//! Numbers as they are written: rounded to what they mean, so that messages are small and read well.

use serde::Serializer;

/// `value` to the nearest of `1/scale`, as the f64 that prints with no more decimals than that: an f32 of 0.94 is 0.94, not
/// 0.9399999976158142. What is no number (never made by this program) becomes 0, which JSON can carry.
#[must_use]
pub fn rounded(value: f32, scale: f64) -> f64 {
    if value.is_finite() { (f64::from(value) * scale).round() / scale } else { 0.0 }
}

/// For `#[serde(serialize_with)]`: four decimals, for scores.
///
/// # Errors
/// The serializer's own.
pub fn four_decimals<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value, 1e4))
}

/// For `#[serde(serialize_with)]`: three decimals, for milliseconds.
///
/// # Errors
/// The serializer's own.
pub fn three_decimals<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value, 1e3))
}
