//! The detector that comes with the program (`models/`): demo and tests need no download.

const PREFIX: &str = "bundled:";
/// Every name there is.
pub const KNOWN: &str = "bundled:shapes";
const SHAPES: &[u8] = include_bytes!("../../models/shapes.onnx");

/// The model named by a path such as `bundled:shapes`; `None` when there is no such one, or the path is a file's.
#[must_use]
pub fn find(path: &str) -> Option<&'static [u8]> {
    match path.strip_prefix(PREFIX)? {
        "shapes" => Some(SHAPES),
        _ => None,
    }
}

/// Whether the path speaks of a bundled detector, known or not.
#[must_use]
pub fn is_bundled(path: &str) -> bool {
    path.starts_with(PREFIX)
}
