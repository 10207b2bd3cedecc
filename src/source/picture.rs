//! One still picture from a file: JPEG, PNG, WebP or BMP, none of an absurd size.

use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

use opencv::core::{Mat, MatTraitConst};
use opencv::imgcodecs::{IMREAD_COLOR, imdecode};

use super::SourceError;
use super::video::{fill, quiet};
use crate::domain::{Frame, Timestamp, TimestampSource};

/// 100 megapixels are 300 MB of BGR; a 40-kilobyte PNG can ask for far more.
const MAX_PIXELS: u64 = 100_000_000;
const MAX_BYTES: u64 = 256 << 20;

/// Reads a picture into `frame` (all but its `id`); captured now, by this machine's clock. EXIF orientation is heeded.
///
/// # Errors
/// `NotFound`, `Open` (not readable), `Undecodable` (no picture, damaged, above 100 megapixels or 256 MiB).
pub fn read_picture(path: &Path, frame: &mut Frame) -> Result<(), SourceError> {
    let began = Instant::now();
    let source_name = || path.display().to_string();
    let undecodable = |why: String| SourceError::Undecodable { source_name: source_name(), why };
    let bytes = load(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => SourceError::NotFound { source_name: source_name() },
        std::io::ErrorKind::FileTooLarge => undecodable("more than 256 MiB".into()),
        _ => SourceError::Open { source_name: source_name(), why: e.to_string() },
    })?;
    if bytes.is_empty() {
        return Err(undecodable("the file is empty (0 bytes)".into()));
    }
    let Some((width, height)) = dimensions(&bytes) else {
        return Err(undecodable("not a JPEG, PNG, WebP or BMP picture, or cut short".into()));
    };
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(undecodable(format!("{width}x{height} pixels are more than 100 megapixels")));
    }
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

fn load(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Width and height by the header. None when it is of no known kind.
fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => jpeg(bytes),
        // RFC 2083, section 11.2.1: IHDR comes first.
        [0x89, b'P', b'N', b'G', ..] => Some((be32(bytes, 16)?, be32(bytes, 20)?)),
        [b'B', b'M', ..] if le32(bytes, 14)? == 12 => Some((le16(bytes, 18)?, le16(bytes, 20)?)),
        // The height is negative when rows go from the top.
        [b'B', b'M', ..] => Some((le32(bytes, 18)?, le32(bytes, 22)?.cast_signed().unsigned_abs())),
        [b'R', b'I', b'F', b'F', ..] if bytes.get(8..12)? == b"WEBP" => webp(bytes),
        _ => None,
    }
}

/// Walks the segments to the frame header, SOF0…SOF15 but DHT, JPG and DAC (ITU T.81, B.1.1.3).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xff {
            at += 1;
        }
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let marker = *bytes.get(at)?;
        at += 1;
        match marker {
            0x01 | 0xd0..=0xd8 => {}
            0xc4 | 0xc8 | 0xcc => at += be16(bytes, at)? as usize,
            0xc0..=0xcf => return Some((be16(bytes, at + 5)?, be16(bytes, at + 3)?)),
            0xd9 | 0xda => return None,
            _ => at += be16(bytes, at)? as usize,
        }
    }
}

/// RFC 9649: lossy `VP8 `, lossless `VP8L`, extended `VP8X`.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = le32(bytes, 21)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let three = |at: usize| Some(le16(bytes, at)? | u32::from(*bytes.get(at + 2)?) << 16);
            Some((three(24)? + 1, three(27)? + 1))
        }
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencv::core::{CV_8UC3, Scalar, Vector};

    #[test]
    fn every_format_tells_its_size_before_it_is_decoded() {
        let picture = Mat::new_rows_cols_with_default(37, 53, CV_8UC3, Scalar::new(10.0, 90.0, 200.0, 0.0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut frame = Frame::empty();
        for extension in [".jpg", ".png", ".bmp", ".webp"] {
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
    fn no_header_cut_anywhere_panics() {
        let picture = Mat::new_rows_cols_with_default(8, 8, CV_8UC3, Scalar::all(1.0)).unwrap();
        for extension in [".jpg", ".png", ".bmp", ".webp"] {
            let mut bytes = Vector::<u8>::new();
            opencv::imgcodecs::imencode_def(extension, &picture, &mut bytes).unwrap();
            for end in 0..bytes.len() {
                let _either = dimensions(&bytes.as_slice()[..end]);
            }
        }
    }
}
