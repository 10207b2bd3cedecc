//! One camera's messages, written one behind the other into memory that is used again.

use bytes::{Bytes, BytesMut};

use super::{content_type, json, protobuf};
use crate::envelope::{Detections, Encoding, Minimal, PayloadChoice};

/// Memory for a few dozen messages. A message that waits keeps its whole block, and its neighbours in there wait with it: so
/// they are not large.
const BLOCK: usize = 16 << 10;

/// Encodes without taking memory, as long as what it wrote a block ago is gone: sent, or dropped.
#[derive(Debug)]
pub struct Encoder {
    block: BytesMut,
    draft: protobuf::Draft,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::of_size(BLOCK)
    }
}

impl Encoder {
    pub(super) fn of_size(block: usize) -> Self {
        Self { block: BytesMut::with_capacity(block), draft: protobuf::Draft::default() }
    }

    /// A detections message and its content type.
    #[must_use]
    pub fn detections(
        &mut self,
        full: &Detections,
        payload: PayloadChoice,
        encoding: Encoding,
    ) -> (Bytes, &'static str) {
        match (payload, encoding) {
            (PayloadChoice::Full, Encoding::Json) => json::write(full, &mut self.block),
            (PayloadChoice::Minimal, Encoding::Json) => json::write(&Minimal::from(full), &mut self.block),
            (PayloadChoice::Full, Encoding::Protobuf) => self.draft.write_full(full, &mut self.block),
            (PayloadChoice::Minimal, Encoding::Protobuf) => self.draft.write_minimal(full, &mut self.block),
        }
        (self.block.split().freeze(), content_type(encoding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode_detections, decode_minimal};
    use crate::domain::{BBox, BootId, Detection, Frame};
    use crate::envelope::{EnvelopeBuilder, Origin, Timing};

    fn message(objects: u8) -> Detections {
        let name = |text: &str| text.parse().unwrap();
        let origin = Origin { camera: name("c"), node: name("n"), boot_id: BootId::new() };
        let detection = |at: u8| Detection {
            label: format!("label {at}").into(),
            score: 0.5,
            bbox: BBox::from([0.125, 0.25, 0.5, 0.75]),
            class_id: at.into(),
            track_id: at.is_multiple_of(2).then_some(7),
        };
        let found = (0..objects).map(detection).collect();
        EnvelopeBuilder::new(origin).detections(&Frame::empty(), found, Timing::default())
    }

    #[test]
    fn what_is_filled_in_again_keeps_nothing_of_the_message_before() {
        let mut encoder = Encoder::default();
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            let mut written = Vec::new();
            for objects in [3, 0, 9, 1, 200, 2] {
                let full = message(objects);
                written.push((encoder.detections(&full, PayloadChoice::Full, encoding).0, full.clone()));
                let (minimal, _) = encoder.detections(&full, PayloadChoice::Minimal, encoding);
                assert_eq!(decode_minimal(&minimal, encoding).unwrap(), Minimal::from(&full));
            }
            // Those that are held all the while are not written over.
            for (bytes, full) in written {
                assert_eq!(decode_detections(&bytes, encoding).unwrap(), full);
            }
        }
    }
}
