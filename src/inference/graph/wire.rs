//! As much of protobuf's wire format as is needed to walk through a model file: tags, lengths, and where they stand.
//!
//! A model may have gigabytes of weights, so nothing is read that is only passed by, and nothing is decoded: the reader knows
//! no message. The file may be anything: every way out of what is written there is an error.

use std::io::{self, BufRead, ErrorKind, Seek};

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub number: u64,
    /// Where its tag stands.
    pub tag: u64,
    pub value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    /// Four or eight bytes, passed over.
    Fixed,
    /// Bytes, text or another message, up to this place: not yet read.
    Until(u64),
}

/// Goes through the bytes of `source` once, forwards.
pub struct Wire<R> {
    source: R,
    at: u64,
}

impl<R: BufRead + Seek> Wire<R> {
    /// `source` stands at its beginning.
    pub fn new(source: R) -> Self {
        Self { source, at: 0 }
    }

    /// The next field of the message that ends at `end`; none when it ends here.
    ///
    /// # Errors
    /// When it cannot be read, or is no protobuf.
    pub fn field(&mut self, end: u64) -> io::Result<Option<Field>> {
        if self.at >= end {
            return Ok(None);
        }
        let tag = self.at;
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.fixed(8)?,
            2 => {
                let length = self.varint()?;
                Value::Until(self.at.checked_add(length).ok_or_else(broken)?)
            }
            5 => self.fixed(4)?,
            // Groups went out of use before ONNX was made.
            _ => return Err(broken()),
        };
        let reached = if let Value::Until(until) = value { until } else { self.at };
        if reached > end || key >> 3 == 0 {
            return Err(broken());
        }
        Ok(Some(Field { number: key >> 3, tag, value }))
    }

    /// Passes over everything up to `place`, which a field gave.
    ///
    /// # Errors
    /// When the source cannot be moved.
    pub fn skip_to(&mut self, place: u64) -> io::Result<()> {
        let by = place.checked_sub(self.at).and_then(|by| i64::try_from(by).ok()).ok_or_else(broken)?;
        self.source.seek_relative(by)?;
        self.at = place;
        Ok(())
    }

    /// The bytes up to `place`, which a field gave; an error when they are more than `most`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn bytes_to(&mut self, place: u64, most: usize) -> io::Result<Vec<u8>> {
        let length = place.checked_sub(self.at).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|&length| length <= most).ok_or_else(broken)?;
        let mut bytes = vec![0; length];
        self.source.read_exact(&mut bytes)?;
        self.at = place;
        Ok(bytes)
    }

    fn fixed(&mut self, length: u64) -> io::Result<Value> {
        self.skip_to(self.at.checked_add(length).ok_or_else(broken)?)?;
        Ok(Value::Fixed)
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.source.read_exact(&mut byte)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(broken())
    }
}

fn broken() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "is no protobuf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn fields(bytes: &[u8]) -> io::Result<Vec<Field>> {
        let mut wire = Wire::new(Cursor::new(bytes));
        let mut fields = Vec::new();
        while let Some(field) = wire.field(bytes.len() as u64)? {
            if let Value::Until(until) = field.value {
                wire.skip_to(until)?;
            }
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn every_kind_of_field_is_passed() {
        let bytes = [0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, 9, 9, 0x25, 1, 2, 3, 4];
        let field = |number, tag, value| Field { number, tag, value };
        let wanted = [
            field(1, 0, Value::Number(150)),
            field(2, 3, Value::Fixed),
            field(3, 12, Value::Until(16)),
            field(4, 16, Value::Fixed),
        ];
        assert_eq!(fields(&bytes).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_protobuf_is_an_error() {
        for bytes in [
            &[0x0b][..],                                                      // a group
            &[0x0a, 5, 1],                                                    // longer than the file
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // longer than anything
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // a number without an end
            &[0x00, 1],                                                       // no field has the number 0
            &[0x11, 1],                                                       // cut short
            &[0x80],
        ] {
            assert!(fields(bytes).is_err(), "{bytes:?}");
        }
    }
}
