//! One still picture from a file: JPEG, PNG, WebP, TIFF or BMP, none of an absurd size.

mod header;
mod sound;

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use opencv::core::{Mat, MatTraitConst};
use opencv::imgcodecs::{IMREAD_COLOR, imdecode};

use super::SourceError;
use super::mat::{fill, quiet};
use crate::domain::{Frame, Timestamp, TimestampSource};

const MAX_BYTES: u64 = 256 << 20;

/// Reads a picture into `frame` (all but its `id`); captured now, by this machine's clock. A JPEG, PNG or TIFF is
/// turned as its EXIF orientation says; 16 bits become 8, grey becomes three channels, transparency is dropped.
///
/// # Errors
/// `NotFound`, `Open` (not readable), `Undecodable` (no picture, damaged, above 100 megapixels or 256 MiB).
pub fn read_picture(path: &Path, frame: &mut Frame) -> Result<(), SourceError> {
    let source_name = path.display().to_string();
    match std::fs::File::open(path) {
        Ok(file) => decode(file, source_name, frame),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(SourceError::NotFound { source_name }),
        Err(e) => Err(SourceError::Open { source_name, why: e.to_string() }),
    }
}

/// Like [`read_picture`], of what the program is given on standard input.
///
/// # Errors
/// `Open` (not readable), `Undecodable`.
pub fn read_picture_from(input: impl Read, frame: &mut Frame) -> Result<(), SourceError> {
    decode(input, "standard input".into(), frame)
}

/// Like [`read_picture`], of bytes in memory.
pub(super) fn decode_picture(bytes: &[u8], source_name: String, frame: &mut Frame) -> Result<(), SourceError> {
    decode(bytes, source_name, frame)
}

fn decode(input: impl Read, source_name: String, frame: &mut Frame) -> Result<(), SourceError> {
    let began = Instant::now();
    let bytes = match load(input) {
        Ok(bytes) => bytes,
        Err(e) => return Err(SourceError::Open { source_name, why: e.to_string() }),
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SourceError::Undecodable { source_name, why: "more than 256 MiB".into() });
    }
    let undecodable = |why: String| SourceError::Undecodable { source_name, why };
    let bytes = match sound::checked(bytes) {
        Ok(bytes) => bytes,
        Err(why) => return Err(undecodable(why)),
    };
    quiet();
    let decoded = Mat::from_slice(&bytes).and_then(|bytes| imdecode(&bytes, IMREAD_COLOR));
    match decoded {
        Ok(picture) if !picture.empty() => fill(&picture, &mut Mat::default(), frame),
        _ => None,
    }
    .ok_or_else(|| undecodable("damaged".into()))?;
    frame.captured_at = Timestamp::now();
    frame.captured_instant = Instant::now();
    frame.timestamp_source = TimestampSource::Host;
    frame.ready_at = frame.captured_instant;
    frame.decode = frame.ready_at - began;
    Ok(())
}

/// One byte more than is allowed tells that there is more.
fn load(input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::header::dimensions;
    use super::*;
    use opencv::core::{CV_8UC3, Scalar, Vector};

    #[test]
    fn every_format_tells_its_size_before_it_is_decoded() {
        let picture = Mat::new_rows_cols_with_default(37, 53, CV_8UC3, Scalar::new(10.0, 90.0, 200.0, 0.0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut frame = Frame::empty();
        for extension in [".jpg", ".png", ".bmp", ".webp", ".tif"] {
            let mut bytes = Vector::<u8>::new();
            opencv::imgcodecs::imencode_def(extension, &picture, &mut bytes).unwrap();
            assert_eq!(dimensions(bytes.as_slice()), Some((53, 37)), "{extension}");
            let path = folder.path().join(format!("a{extension}"));
            std::fs::write(&path, bytes.as_slice()).unwrap();
            read_picture(&path, &mut frame).unwrap();
            assert_eq!((frame.width, frame.height, frame.bgr.len()), (53, 37, 53 * 37 * 3), "{extension}");
        }
    }

    #[test]
    fn a_picture_of_absurd_size_is_refused_by_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.png");
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]);
        std::fs::write(&path, bytes).unwrap();
        let said = read_picture(&path, &mut Frame::empty()).unwrap_err().to_string();
        assert!(said.contains("65535x65535"), "{said}");
    }

    #[test]
    fn what_cannot_be_read_is_called_by_its_name() {
        for (bytes, says) in [
            (&b""[..], "0 bytes"),
            (b"GIF89a....", "a GIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
            (b"hello", "not a JPEG"),
            (b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10\x03rest", "cut short"),
        ] {
            let said = read_picture_from(bytes, &mut Frame::empty()).unwrap_err().to_string();
            assert!(said.contains(says) && said.contains("standard input"), "{said}");
        }
    }

    #[test]
    fn a_jpeg_cut_anywhere_in_its_data_is_refused() {
        let picture = Mat::new_rows_cols_with_default(64, 64, CV_8UC3, Scalar::new(10.0, 90.0, 200.0, 0.0)).unwrap();
        let mut bytes = Vector::<u8>::new();
        opencv::imgcodecs::imencode_def(".jpg", &picture, &mut bytes).unwrap();
        let (bytes, mut frame) = (bytes.as_slice(), Frame::empty());
        read_picture_from(bytes, &mut frame).unwrap();
        for end in [bytes.len() - 1, bytes.len() - 10, bytes.len() / 2] {
            assert!(read_picture_from(&bytes[..end], &mut frame).is_err(), "{end} of {}", bytes.len());
        }
    }

    #[test]
    fn no_header_cut_anywhere_panics() {
        let picture = Mat::new_rows_cols_with_default(8, 8, CV_8UC3, Scalar::all(1.0)).unwrap();
        for extension in [".jpg", ".png", ".bmp", ".webp", ".tif"] {
            let mut bytes = Vector::<u8>::new();
            opencv::imgcodecs::imencode_def(extension, &picture, &mut bytes).unwrap();
            for end in 0..bytes.len() {
                let _either = dimensions(&bytes.as_slice()[..end]);
            }
        }
    }
}
