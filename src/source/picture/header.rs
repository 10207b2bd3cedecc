//! A picture's size by its header, before anything is decoded.

/// Width and height by the header. None when it is of no known kind.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
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

/// Width and height of the frame header, SOF0…SOF15 but DHT, JPG and DAC (ITU T.81, B.1.1.3).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let (_, at) =
        segments(bytes).find(|(marker, _)| matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc))?;
    Some((be16(bytes, at + 5)?, be16(bytes, at + 3)?))
}

/// Where the picture's data begins: what an application stored before it, a thumbnail say, is passed over.
pub(super) fn jpeg_data(bytes: &[u8]) -> Option<usize> {
    segments(bytes).find(|(marker, _)| *marker == START_OF_SCAN).map(|(_, at)| at)
}

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// The markers of a JPEG, each with the place of what follows it, up to the first scan.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let mut next = Some(2);
    std::iter::from_fn(move || {
        let start = next.take()?;
        let mark = start + bytes.get(start..)?.iter().position(|&byte| byte == 0xff)?;
        let at = mark + bytes.get(mark..)?.iter().position(|&byte| byte != 0xff)?;
        let marker = *bytes.get(at)?;
        next = match marker {
            0x01 | 0xd0..=0xd8 => Some(at + 1),
            START_OF_SCAN | END_OF_IMAGE => None,
            _ => be16(bytes, at + 1).map(|length| at + 1 + length as usize),
        };
        Some((marker, at + 1))
    })
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

/// Width (tag 256) and length (257) of the first directory (TIFF 6.0, section 2), each SHORT (3) or LONG (4).
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

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
