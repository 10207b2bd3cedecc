//! Whether a video file is whole: its own structure says how long it should be. FFmpeg does not tell; at a cut it just ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// What is missing of a file that was cut short; none when it is whole, of a kind that does not say (MPEG-TS, raw
/// streams), or unreadable.
pub(super) fn missing(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut head = [0; 12];
    file.read_exact(&mut head).ok()?;
    file.rewind().ok()?;
    let found = match (&head[..4], &head[4..8]) {
        ([0x1a, 0x45, 0xdf, 0xa3], _) => matroska(&mut file, length),
        (b"RIFF", size) => riff(&mut file, length, size),
        (_, b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip") => mp4(&mut file, length),
        _ => Ok(None),
    };
    found.ok().flatten()
}

fn short(length: u64, wanted: u64) -> Option<String> {
    (wanted > length).then(|| format!("the file is cut short: {length} bytes of at least {wanted} are there"))
}

/// ISO/IEC 14496-12, section 4.2: a chain of boxes, each with its size; the index is in `moov`.
fn mp4(file: &mut File, length: u64) -> io::Result<Option<String>> {
    let (mut at, mut index) = (0, false);
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - at,
            1 => {
                let mut large = [0; 8];
                if file.read_exact(&mut large).is_err() {
                    break;
                }
                u64::from_be_bytes(large)
            }
            size => u64::from(size),
        };
        // Anything else that does not fit is garbage behind the last box, which players pass over.
        let known = matches!(&kind, b"moov" | b"mdat" | b"moof" | b"ftyp");
        if size < 8 || !(known || kind.iter().all(u8::is_ascii_graphic)) {
            break;
        }
        let end = at.saturating_add(size);
        if known && end > length {
            return Ok(short(length, end));
        }
        index |= &kind == b"moov";
        at = end;
    }
    Ok((!index).then(|| "the file is cut short: its index ('moov', at the end) is missing".to_owned()))
}

/// RFC 8794 and 9559: the header element, then one segment of known size (a live recording's is unknown: all ones).
fn matroska(file: &mut File, length: u64) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(4))?;
    let Some(header) = variable_size(file)? else { return Ok(None) };
    file.seek(SeekFrom::Current(i64::try_from(header).unwrap_or(i64::MAX)))?;
    let mut id = [0; 4];
    file.read_exact(&mut id)?;
    if id != [0x18, 0x53, 0x80, 0x67] {
        return Ok(None);
    }
    let Some(size) = variable_size(file)? else { return Ok(None) };
    Ok(short(length, file.stream_position()?.saturating_add(size)))
}

/// RFC 8794, section 4: leading zero bits tell the length. None for the reserved "unknown".
fn variable_size(file: &mut File) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes[..1])?;
    let width = bytes[0].leading_zeros() as usize + 1;
    if width > 8 {
        return Ok(None);
    }
    file.read_exact(&mut bytes[1..width])?;
    let mask = (1_u64 << (7 * width)) - 1;
    let value = bytes[..width].iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)) & mask;
    Ok((value != mask).then_some(value))
}

/// AVI: chains of `RIFF` chunks (the first holds at most a gigabyte or so); size 0 or all ones is a live recording's.
fn riff(file: &mut File, length: u64, first: &[u8]) -> io::Result<Option<String>> {
    let mut size: [u8; 4] = first.try_into().unwrap_or_default();
    let mut at = 0;
    loop {
        let chunk = u32::from_le_bytes(size);
        if chunk == 0 || chunk == u32::MAX {
            return Ok(None);
        }
        at += 8 + u64::from(chunk) + u64::from(chunk & 1);
        // The padding byte of an odd last chunk is often left out.
        if at > length + 1 {
            return Ok(short(length, at));
        }
        if at + 8 > length {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        if &head[..4] != b"RIFF" {
            return Ok(None);
        }
        size.copy_from_slice(&head[4..]);
    }
}
