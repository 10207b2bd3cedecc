//! What `watch` and other nodes read off a bus: any bytes are read or refused, and what was read is written and read alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sightwire::codec;
use sightwire::envelope::{Detections, Encoding, Event, KeyframeMeta, PayloadChoice};

// The first byte chooses the kind; protobuf three times of four.
fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let encoding = if choice & 0b1100 == 0 { Encoding::Json } else { Encoding::Protobuf };
    match choice & 0b11 {
        0 => {
            let write = |full: &Detections, to| codec::encode_detections(full, PayloadChoice::Full, to).0;
            settles(bytes, encoding, codec::decode_detections, write, |full| full.replayed);
        }
        1 => {
            let write = |event: &Event, to| codec::encode_event(event, to).0;
            settles(bytes, encoding, codec::decode_event, write, |event| event.replayed);
        }
        2 => {
            let write = |meta: &KeyframeMeta, to| codec::encode_keyframe_meta(meta, to).0;
            settles(bytes, encoding, codec::decode_keyframe_meta, write, |_| true);
        }
        _ => drop(codec::decode_minimal(bytes, encoding)),
    }
});

/// Numbers are rounded when they are written: after the first writing nothing changes any more. A payload that is marked as
/// late, without being read for it, says so.
fn settles<T: std::fmt::Debug, E: std::fmt::Debug>(
    bytes: &[u8],
    encoding: Encoding,
    decode: impl Fn(&[u8], Encoding) -> Result<T, E>,
    encode: impl Fn(&T, Encoding) -> bytes::Bytes,
    late: impl Fn(&T) -> bool,
) {
    let Ok(read) = decode(bytes, encoding) else { return };
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let first = encode(&read, encoding);
        let second = encode(&decode(&first, encoding).expect("what was written is read"), encoding);
        let third = encode(&decode(&second, encoding).expect("and again"), encoding);
        assert_eq!(second, third, "{read:?}");
        if !late(&read) {
            assert!(late(&decode(&codec::late(encoding)(&second), encoding).expect("a late one is read")));
        }
    }
}
