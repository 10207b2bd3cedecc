//! Whose session a STUN request is for: the first half of its USERNAME (RFC 8445, 7.2.2).

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const USERNAME: u16 = 0x0006;

/// The receiver's user fragment. Nothing is proven by it: the session checks the request's signature.
pub(super) fn receiver(datagram: &[u8]) -> Option<&str> {
    let (header, mut rest) = datagram.split_at_checked(HEADER)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE {
        return None;
    }
    while let Some((&[kind0, kind1, length0, length1], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([length0, length1]));
        let value = after.get(..length)?;
        if u16::from_be_bytes([kind0, kind1]) == USERNAME {
            return std::str::from_utf8(value).ok()?.split_once(':').map(|(receiver, _)| receiver);
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.extend([7; 12]);
        for (kind, value) in attributes {
            message.extend(kind.to_be_bytes());
            message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            message.extend(*value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        message
    }

    #[test]
    fn a_request_names_the_session_it_is_for() {
        let message =
            request(&[(0x8022, b"soft"), (0x0024, &[1, 2, 3]), (USERNAME, b"ours:theirs"), (0x0008, &[0; 20])]);
        assert_eq!(receiver(&message), Some("ours"));
    }

    #[test]
    fn what_is_no_whole_binding_request_names_nobody() {
        let whole = request(&[(USERNAME, b"ours:theirs")]);
        for end in 0..whole.len() - 1 {
            assert_eq!(receiver(&whole[..end]), None, "cut at {end}");
        }
        let mut response = whole.clone();
        response[0] = 1;
        assert_eq!(receiver(&response), None);
        assert_eq!(receiver(&request(&[(USERNAME, b"no colon")])), None);
        assert_eq!(receiver(&request(&[(USERNAME, &[0xff, b':'])])), None);
    }
}
