//! Reads MQTT off the wire, in the proxy, with no code of ours or of any client: which messages the broker acknowledged. A
//! broker that is killed forgets what it took; what it said before is what its acknowledgement was worth.

use std::collections::HashMap;

use super::ledger::{Ledger, Said};

const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

pub struct Tap {
    /// MQTT 5 has properties between the packet's id and its payload.
    properties: bool,
    conversations: HashMap<u64, Conversation>,
    /// Events and detections in the order of their acknowledgement.
    pub acked: Ledger,
}

#[derive(Default)]
struct Conversation {
    up: Vec<u8>,
    down: Vec<u8>,
    flying: HashMap<u16, Option<Said>>,
}

impl Tap {
    pub fn new(version_5: bool) -> Self {
        Self { properties: version_5, conversations: HashMap::new(), acked: Ledger::default() }
    }

    /// Bytes that a client sent.
    pub fn up(&mut self, connection: u64, bytes: &[u8]) {
        let conversation = self.conversations.entry(connection).or_default();
        conversation.up.extend_from_slice(bytes);
        while let Some((head, body)) = packet(&mut conversation.up) {
            if head >> 4 == PUBLISH && head & 0b110 != 0 {
                let (id, payload) = publish(&body, self.properties);
                conversation.flying.insert(id, Said::read(payload));
            }
        }
    }

    /// Bytes that the broker sent.
    pub fn down(&mut self, connection: u64, bytes: &[u8]) {
        let conversation = self.conversations.entry(connection).or_default();
        conversation.down.extend_from_slice(bytes);
        while let Some((head, body)) = packet(&mut conversation.down) {
            let refused = body.get(2).is_some_and(|reason| *reason >= 0x80);
            if head >> 4 == PUBACK && !refused {
                let said = conversation.flying.remove(&u16::from_be_bytes([body[0], body[1]]));
                if let Some(said) = said.expect("an acknowledgement of something") {
                    self.acked.saw(&said);
                }
            }
        }
    }

    pub fn closed(&mut self, connection: u64) {
        self.conversations.remove(&connection);
    }
}

/// Takes the first packet off the buffer once it is complete: its first byte and what follows the length.
fn packet(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (length, header) = varint(buffer.get(1..)?)?;
    let end = 1 + header + length;
    if buffer.len() < end {
        return None;
    }
    let rest = buffer.split_off(end);
    let packet = std::mem::replace(buffer, rest);
    Some((packet[0], packet[1 + header..].to_vec()))
}

/// MQTT's variable byte integer, and how many bytes it took.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Packet id and payload of a PUBLISH that wants an acknowledgement.
fn publish(body: &[u8], properties: bool) -> (u16, &[u8]) {
    let id = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let rest = &body[id + 2..];
    let skip = if properties { varint(rest).map_or(0, |(length, header)| header + length) } else { 0 };
    (u16::from_be_bytes([body[id], body[id + 1]]), &rest[skip..])
}

#[test]
fn the_tap_understands_packets_however_they_are_cut() {
    let payload = br#"{"camera":"a","boot_id":"b","seq":1,"event":"started"}"#;
    for version_5 in [false, true] {
        let mut body = vec![0, 3, b'a', b'/', b'b', 0, 7];
        if version_5 {
            body.extend([3, 1, 2, 3]);
        }
        body.extend(payload);
        let length = u8::try_from(body.len()).unwrap();
        let sent = [&[0x32, length][..], &body].concat();
        let mut tap = Tap::new(version_5);
        for byte in sent {
            tap.up(1, &[byte]);
        }
        assert_eq!(tap.acked.messages, 0);
        for byte in [0x40, 2, 0, 7] {
            tap.down(1, &[byte]);
        }
        assert_eq!((tap.acked.messages, tap.acked.wrong.len()), (1, 0));
        tap.closed(1);
    }
}
