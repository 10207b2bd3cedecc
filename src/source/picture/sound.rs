//! What speaks against decoding a picture, found out before. Decoders fill what is missing with grey, or complain to the
//! terminal in words of their own.

use super::header::{be32, dimensions, jpeg_data, le16, le32};

/// 100 megapixels are 300 MB of BGR; a 40-kilobyte PNG can ask for far more.
const MAX_PIXELS: u64 = 100_000_000;

/// The bytes to be decoded, or what is wrong with them.
pub(super) fn checked(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.is_empty() {
        return Err("empty (0 bytes)".into());
    }
    let Some((width, height)) = dimensions(&bytes) else {
        return Err(match foreign(&bytes) {
            Some(kind) => format!("it is {kind}, which cannot be read here; convert it to JPEG or PNG"),
            None => "not a JPEG, PNG, WebP, TIFF or BMP picture, or cut short".into(),
        });
    };
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("{width}x{height} pixels are more than 100 megapixels"));
    }
    let whole = match &bytes[..] {
        [0x89, b'P', b'N', b'G', ..] => return plain_png(&bytes).ok_or_else(|| "cut short".into()),
        [0xff, 0xd8, ..] => jpeg_ends(&bytes),
        [b'B', b'M', ..] => bmp_ends(&bytes).unwrap_or(true),
        [b'R', b'I', b'F', b'F', ..] => {
            le32(&bytes, 4).is_some_and(|length| bytes.len() as u64 >= u64::from(length) + 8)
        }
        _ => true,
    };
    if whole { Ok(bytes) } else { Err("cut short".into()) }
}

/// Within the compressed data every 0xff is followed by something else than in a marker (ITU T.81, B.1.1.5).
fn jpeg_ends(bytes: &[u8]) -> bool {
    jpeg_data(bytes)
        .and_then(|data| bytes.get(data..))
        .is_some_and(|data| data.windows(2).any(|two| two == [0xff, 0xd9]))
}

/// Uncompressed rows are of whole 32-bit words. None for other kinds.
fn bmp_ends(bytes: &[u8]) -> Option<bool> {
    if le32(bytes, 14)? < 40 || le32(bytes, 30)? != 0 {
        return None;
    }
    let (width, height) = dimensions(bytes)?;
    let row = (u64::from(width) * u64::from(le16(bytes, 28)?)).div_ceil(32) * 4;
    Some(bytes.len() as u64 >= u64::from(le32(bytes, 10)?) + row * u64::from(height))
}

/// The chunks that say how the pixels look and which way is up, up to the last. The others, colour profiles above all, are
/// not heeded anyway, and wrong ones are complained about. None when the last is missing.
fn plain_png(bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: usize = 8;
    let mut plain = bytes.get(..SIGNATURE)?.to_vec();
    let mut at = SIGNATURE;
    loop {
        let end = at.checked_add(12)?.checked_add(be32(bytes, at)? as usize)?;
        let chunk = bytes.get(at..end)?;
        let kind = &chunk[4..8];
        // A capital at the beginning: no decoder may pass over it (RFC 2083, section 3.3).
        if kind[0].is_ascii_uppercase() || kind == b"tRNS" || kind == b"eXIf" {
            plain.extend_from_slice(chunk);
        }
        if kind == b"IEND" {
            return Some(plain);
        }
        at = end;
    }
}

/// Pictures that people have and that cannot be read.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'G', b'I', b'F', b'8', ..] => Some("a GIF"),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4)? {
            b"avif" | b"avis" => Some("an AVIF picture"),
            b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1" => Some("a HEIC picture"),
            _ => Some("a video or something like it"),
        },
        [0xff, 0x0a, ..] => Some("a JPEG XL picture"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF document"),
        [b'<', ..] => Some("text such as SVG or HTML"),
        _ => None,
    }
}
