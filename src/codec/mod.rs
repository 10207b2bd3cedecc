//! How it is said: pictures as JPEG.

mod jpeg;

pub use jpeg::JpegEncoder;

/// What could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("the picture cannot be written as JPEG: {0}")]
    Jpeg(String),
}
