//! Records as a damaged disk may give them back: each is read or refused with a reason, and what was read is written and read alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sightwire::bus::spool::{VERSION, decode, encode};

// The first byte chooses: bytes as they are, or with the checksum made right, for what lies behind it.
fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if choice & 1 != 0 && bytes.len() >= 5 {
        bytes[0] = VERSION;
        let sum = crc32(&bytes[5..]).to_le_bytes();
        bytes[1..5].copy_from_slice(&sum);
    }
    match decode(&bytes) {
        Ok(record) => {
            let written = encode(&record).expect("what was read can be written");
            assert_eq!(decode(&written).expect("and read again"), record);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// CRC-32 (ISO-HDLC), bit by bit: not the program's own.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
