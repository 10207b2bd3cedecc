//! One message as the spool keeps it: a version, a checksum, then the fields in their order. Pure.
//!
//! ```text
//! u8 version | u32 CRC-32 of all that follows | u8 kind | u8 flags | u64 offered at | u32 captured before
//! | u8 length, camera | u8 length, content type | u16 length, id | u16 number of properties, each u8 length, key, u16 length, value
//! | u32 length, payload
//! ```
//! Numbers are little-endian; lengths are bytes. Nothing may follow the payload.

use bytes::Bytes;

use crate::domain::Name;
use crate::telemetry::MessageKind;

/// The version this program writes. It reads this one and all before it.
pub const VERSION: u8 = 1;

const RETAIN: u8 = 1;
const SAYS_LATE: u8 = 2;
const NOT_CAPTURED: u32 = u32::MAX;

/// A message without what only its own boot knows: moments of the monotonic clock, functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `Event`, `Keyframe` or `Detections`: no other kind is spooled.
    pub kind: MessageKind,
    pub camera: Name,
    pub retain: bool,
    /// Its payload can be made to say that it comes late.
    pub says_late: bool,
    /// Milliseconds since the Unix epoch.
    pub offered_at: u64,
    /// Its frame was captured so many milliseconds earlier.
    pub captured_before: Option<u32>,
    pub content_type: String,
    pub id: Option<String>,
    pub properties: Vec<(String, String)>,
    pub payload: Bytes,
}

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("written in format {0}, and this program knows formats up to {VERSION}")]
    Newer(u8),
    #[error("the checksum does not fit: the bytes were damaged")]
    Checksum,
    #[error("it ends within its {0}")]
    Short(&'static str),
    #[error("its {0} cannot be")]
    Odd(&'static str),
}

/// # Errors
/// A text that is longer than its length field can say; the field is named.
pub fn encode(record: &Record) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::with_capacity(record.payload.len() + 256);
    out.extend([VERSION, 0, 0, 0, 0]);
    out.push(kind_code(record.kind).ok_or(RecordError::Odd("kind"))?);
    out.push(u8::from(record.retain) * RETAIN + u8::from(record.says_late) * SAYS_LATE);
    out.extend(record.offered_at.to_le_bytes());
    out.extend(record.captured_before.unwrap_or(NOT_CAPTURED).to_le_bytes());
    short(&mut out, record.camera.as_str(), "camera")?;
    short(&mut out, &record.content_type, "content type")?;
    long(&mut out, record.id.as_deref().unwrap_or_default(), "id")?;
    let properties = u16::try_from(record.properties.len()).map_err(|_| RecordError::Odd("properties"))?;
    out.extend(properties.to_le_bytes());
    for (key, value) in &record.properties {
        short(&mut out, key, "property")?;
        long(&mut out, value, "property")?;
    }
    let payload = u32::try_from(record.payload.len()).map_err(|_| RecordError::Odd("payload"))?;
    out.extend(payload.to_le_bytes());
    out.extend_from_slice(&record.payload);
    let sum = crc32(&out[5..]);
    out[1..5].copy_from_slice(&sum.to_le_bytes());
    Ok(out)
}

/// Reads what [`encode`] wrote. Takes any bytes, and never more memory than they have.
///
/// # Errors
/// When they are something else, or damaged.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    let mut reader = Reader(bytes);
    match reader.u8("version")? {
        VERSION => {}
        0 => return Err(RecordError::Odd("version")),
        newer => return Err(RecordError::Newer(newer)),
    }
    if reader.u32("checksum")? != crc32(reader.0) {
        return Err(RecordError::Checksum);
    }
    let kind = kind_of(reader.u8("kind")?).ok_or(RecordError::Odd("kind"))?;
    let flags = reader.u8("flags")?;
    let offered_at = u64::from_le_bytes(reader.array("time")?);
    let captured = reader.u32("time")?;
    let camera = reader.short("camera")?.parse().map_err(|_| RecordError::Odd("camera"))?;
    let content_type = reader.short("content type")?.to_owned();
    let id = Some(reader.long("id")?.to_owned()).filter(|id| !id.is_empty());
    let count = reader.u16("properties")?;
    let properties = (0..count)
        .map(|_| Ok((reader.short("property")?.to_owned(), reader.long("property")?.to_owned())))
        .collect::<Result<_, RecordError>>()?;
    let length = reader.u32("payload")?;
    let payload = reader.take(usize::try_from(length).map_err(|_| RecordError::Odd("payload"))?, "payload")?;
    if !reader.0.is_empty() {
        return Err(RecordError::Odd("end"));
    }
    Ok(Record {
        kind,
        camera,
        retain: flags & RETAIN != 0,
        says_late: flags & SAYS_LATE != 0,
        offered_at,
        captured_before: (captured != NOT_CAPTURED).then_some(captured),
        content_type,
        id,
        properties,
        payload: Bytes::copy_from_slice(payload),
    })
}

/// The kind's number on disk; the order in which kinds are given up begins with the highest but for events.
pub(super) fn kind_code(kind: MessageKind) -> Option<u8> {
    match kind {
        MessageKind::Event => Some(1),
        MessageKind::Keyframe => Some(2),
        MessageKind::Detections => Some(3),
        MessageKind::State | MessageKind::Reply => None,
    }
}

pub(super) fn kind_of(code: u8) -> Option<MessageKind> {
    [MessageKind::Event, MessageKind::Keyframe, MessageKind::Detections]
        .into_iter()
        .find(|kind| kind_code(*kind) == Some(code))
}

fn short(out: &mut Vec<u8>, text: &str, field: &'static str) -> Result<(), RecordError> {
    out.push(u8::try_from(text.len()).map_err(|_| RecordError::Odd(field))?);
    out.extend(text.as_bytes());
    Ok(())
}

fn long(out: &mut Vec<u8>, text: &str, field: &'static str) -> Result<(), RecordError> {
    out.extend(u16::try_from(text.len()).map_err(|_| RecordError::Odd(field))?.to_le_bytes());
    out.extend(text.as_bytes());
    Ok(())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(RecordError::Short(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        self.take(N, field)?.try_into().map_err(|_| RecordError::Short(field))
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, RecordError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, RecordError> {
        self.array(field).map(u16::from_le_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, RecordError> {
        self.array(field).map(u32::from_le_bytes)
    }

    fn text(&mut self, length: usize, field: &'static str) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.take(length, field)?).map_err(|_| RecordError::Odd(field))
    }

    fn short(&mut self, field: &'static str) -> Result<&'a str, RecordError> {
        let length = self.u8(field)?;
        self.text(length.into(), field)
    }

    fn long(&mut self, field: &'static str) -> Result<&'a str, RecordError> {
        let length = self.u16(field)?;
        self.text(length.into(), field)
    }
}

/// CRC-32 of ISO/IEC 8802-3 (the one of zip and Ethernet): `SQLite` notices a torn transaction, not a flipped bit.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "below 256")]
            let mut value = at as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum: u32, byte| TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ (sum >> 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Record {
        Record {
            kind: MessageKind::Keyframe,
            camera: "front-door".parse().unwrap(),
            retain: true,
            says_late: false,
            offered_at: 1_795_234_010_989,
            captured_before: Some(17),
            content_type: "image/jpeg".into(),
            id: Some("front-door-01a1-keyframe-7".into()),
            properties: vec![("camera".into(), "front-door".into()), ("reason".into(), String::new())],
            payload: Bytes::from_static(b"\xff\xd8\xff"),
        }
    }

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encode(&sample()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), sample());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(decode(&bad).is_err(), "byte {at}, bit {bit}");
            }
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = encode(&sample()).unwrap();
        bytes[0] = VERSION + 1;
        assert_eq!(decode(&bytes), Err(RecordError::Newer(VERSION + 1)));
        assert!(decode(&bytes).unwrap_err().to_string().contains('2'));
    }

    /// Garbage with a checksum that fits, so that the fields themselves are looked at.
    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(crc32(&body).to_le_bytes());
        out.append(&mut body);
        out
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _whatever = decode(&bytes);
            if let Ok(record) = decode(&sealed(bytes)) {
                prop_assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
            }
        }

        #[test]
        fn what_is_written_is_read(
            kind in 1..=3_u8, retain: bool, says_late: bool, offered_at: u64, captured in prop::option::of(0..u32::MAX),
            id in prop::option::of(".{1,40}"), properties in prop::collection::vec((".{0,20}", ".{0,60}"), 0..5),
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let record = Record {
                kind: kind_of(kind).unwrap(), retain, says_late, offered_at, captured_before: captured, id, properties,
                payload: payload.into(), ..sample()
            };
            prop_assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
        }
    }
}
