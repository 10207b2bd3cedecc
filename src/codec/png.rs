//! Frames as PNG: for pictures that were without loss and are to stay so.

use opencv::core::{Mat, MatTraitConst, Vector};
use opencv::imgcodecs::imencode_def;

use super::CodecError;
use crate::domain::Frame;

/// Writes the frame as PNG into `out` (what was there is replaced).
///
/// # Errors
/// When the frame holds no picture.
pub fn encode_png(frame: &Frame, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let failed = |why: String| CodecError::Png(why);
    if !frame.is_whole() {
        let (width, height, bytes) = (frame.width, frame.height, frame.bgr.len());
        return Err(failed(format!("{bytes} bytes are no BGR picture of {width}x{height}")));
    }
    let (mut encoded, mut spare) = (Vector::<u8>::new(), Vec::new());
    let bgr = frame.as_bgr(&mut spare);
    let encode = |encoded: &mut Vector<u8>| {
        let flat = Mat::from_slice(bgr)?;
        let rows = i32::try_from(frame.height).unwrap_or(i32::MAX);
        imencode_def(".png", &flat.reshape(3, rows)?, encoded)
    };
    match encode(&mut encoded) {
        Ok(true) => {}
        Ok(false) => return Err(failed("the encoder gave up".into())),
        Err(error) => return Err(failed(error.message)),
    }
    out.clear();
    out.extend_from_slice(encoded.as_slice());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencv::core::MatTraitConstManual;
    use opencv::imgcodecs::{IMREAD_COLOR, imdecode};

    #[test]
    fn a_png_holds_the_very_pixels() {
        let bgr: Vec<u8> = (0..60).collect();
        let frame = Frame { width: 5, height: 4, bgr, ..Frame::empty() };
        let mut out = vec![1, 2, 3];
        encode_png(&frame, &mut out).unwrap();
        let back = imdecode(&Mat::from_slice(&out).unwrap(), IMREAD_COLOR).unwrap();
        assert_eq!(back.data_bytes().unwrap(), frame.bgr);
        assert!(encode_png(&Frame::empty(), &mut out).is_err());
    }
}
