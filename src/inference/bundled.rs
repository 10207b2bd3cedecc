//! The detector that comes with the program (`models/`): demo and tests need no download.

const PREFIX: &str = "bundled:";
const SHAPES: &[u8] = include_bytes!("../../models/shapes.onnx");

/// The model named by a path such as `bundled:shapes`; `None` when the path is a file's.
#[must_use]
pub fn find(path: &str) -> Option<&'static [u8]> {
    match path.strip_prefix(PREFIX)? {
        "shapes" => Some(SHAPES),
        // Loading it fails with a clear error: no ONNX file is empty.
        _ => Some(&[]),
    }
}
