//! Commands as anybody may send them: whatever the bytes are, they are read or refused with a reason, and a retained or
//! expired command is never taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sightwire::codec;
use sightwire::control::{MAX_PAYLOAD, parse};
use sightwire::domain::{RawCommand, Target, Timestamp};

const NOW: i64 = 1_763_683_200_000_000;

// The first byte says whether it is retained.
fuzz_target!(|data: &[u8]| {
    let Some((choice, payload)) = data.split_first() else { return };
    let (retained, now) = (choice & 1 != 0, Timestamp::from_micros(NOW));
    let raw = |payload: bytes::Bytes, retained| RawCommand {
        bus: "mqtt",
        target: Target::All,
        payload,
        retained,
        reply_to: None,
    };
    match parse(&raw(payload.to_vec().into(), retained), now) {
        Ok(command) => {
            assert!(!retained, "a retained command was taken");
            assert!(payload.len() <= MAX_PAYLOAD);
            assert!(command.expires_at.is_none_or(|at| at >= now), "an expired command was taken");
            let (written, _) = codec::encode_json(&command);
            if written.len() <= MAX_PAYLOAD {
                let again = parse(&raw(written, false), now).expect("what was taken once is taken again");
                assert_eq!((again.command, again.id), (command.command, command.id));
            }
        }
        Err(refusal) => {
            let known = ["too_large", "malformed", "retained", "expired", "unknown_command"];
            assert!(known.contains(&refusal.code), "{}", refusal.code);
            assert!(!refusal.message.is_empty());
            // The answer must not be a way to make the node shout.
            assert!(refusal.message.len() < 2 * payload.len() + 512, "{} bytes of answer", refusal.message.len());
            assert!(refusal.word.is_none_or(|word| word.chars().count() <= 64));
        }
    }
});
