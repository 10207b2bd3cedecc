//! One still picture from a file: JPEG, PNG, WebP, TIFF or BMP, none of an absurd size.

use std::io::Read;
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

/// Reads a picture into `frame` (all but its `id`); captured now, by this machine's clock. It is turned as its EXIF
/// orientation says; 16 bits become 8, grey becomes three channels, transparency is dropped.
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

fn decode(input: impl Read, source_name: String, frame: &mut Frame) -> Result<(), SourceError> {
    let began = Instant::now();
    let bytes = match load(input) {
        Ok(bytes) => bytes,
        Err(e) => return Err(SourceError::Open { source_name, why: e.to_string() }),
    };
    let undecodable = |why: String| SourceError::Undecodable { source_name, why };
    if let Err(why) = sound(&bytes) {
        return Err(undecodable(why));
    }
    quiet();
    let decoded = Mat::from_slice(&bytes).and_then(|bytes| imdecode(&bytes, IMREAD_COLOR));
    match decoded {
        Ok(picture) if !picture.empty() => fill(&picture, &mut Mat::default(), frame),
        _ => None,
    }
    .ok_or_else(|| undecodable("damaged or cut short".into()))?;
    frame.captured_at = Timestamp::now();
    frame.captured_instant = Instant::now();
    frame.timestamp_source = TimestampSource::Host;
    frame.ready_at = frame.captured_instant;
    frame.decode = frame.ready_at - began;
    Ok(())
}

/// What speaks against decoding these bytes, found before anything is made of them.
fn sound(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err("more than 256 MiB".into());
    }
    if bytes.is_empty() {
        return Err("the file is empty (0 bytes)".into());
    }
    let Some((width, height)) = dimensions(bytes) else {
        return Err(match foreign(bytes) {
            Some(kind) => format!("it is {kind}, which cannot be read here; convert it to JPEG or PNG"),
            None => "not a JPEG, PNG, WebP, TIFF or BMP picture, or cut short".into(),
        });
    };
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("{width}x{height} pixels are more than 100 megapixels"));
    }
    // Its decoder would fill what is missing with grey and say nothing.
    if bytes.starts_with(&[0xff, 0xd8]) && !bytes.array_windows().any(|marker| *marker == END_OF_IMAGE) {
        return Err("cut short: the end of the JPEG is missing".into());
    }
    Ok(())
}

/// EOI; within the compressed data every 0xff is followed by something else (ITU T.81, B.1.1.5).
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// Pictures that people have and that cannot be read.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'G', b'I', b'F', b'8', ..] => Some("a GIF"),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4)? {
            b"avif" | b"avis" => Some("an AVIF picture"),
            b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1" => Some("an HEIC picture"),
            _ => Some("a video or something like it"),
        },
        [0xff, 0x0a, ..] => Some("a JPEG XL picture"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF document"),
        [b'<', ..] => Some("text such as SVG or HTML"),
        _ => None,
    }
}

/// One byte more than is allowed tells that there is more.
fn load(input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
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
        [b'I', b'I', 42, 0, ..] => tiff(bytes, le16, le32),
        [b'M', b'M', 0, 42, ..] => tiff(bytes, be16, be32),
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

type Number = fn(&[u8], usize) -> Option<u32>;

/// ImageWidth (256) and ImageLength (257) of the first directory (TIFF 6.0, section 2), each SHORT (3) or LONG (4).
fn tiff(bytes: &[u8], short: Number, long: Number) -> Option<(u32, u32)> {
    let directory = long(bytes, 4)? as usize;
    let (mut width, mut height) = (None, None);
    for entry in 0..short(bytes, directory)? as usize {
        let at = directory.checked_add(2 + 12 * entry)?;
        let value = if short(bytes, at + 2)? == 3 { short(bytes, at + 8)? } else { long(bytes, at + 8)? };
        match short(bytes, at)? {
            256 => width = Some(value),
            257 => height = Some(value),
            _ => {}
        }
    }
    Some((width?, height?))
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
