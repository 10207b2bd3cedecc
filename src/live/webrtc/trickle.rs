//! Candidates that come after the offer (RFC 8840), as WHIP and WHEP carry them by PATCH.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrickleError {
    #[error("If-Match is missing: send the session's ETag")]
    NoMatch,
    #[error("If-Match is not this session's ETag")]
    Mismatch,
    #[error("an ICE restart is not supported: end the session and open another")]
    Restart,
    #[error("the body is no trickle-ice-sdpfrag that can be read: {0}")]
    Unreadable(&'static str),
}

/// Whether a fragment belongs to the session of `etag` and says something.
pub(super) fn judge(etag: &str, sent: Option<&str>, fragment: &str) -> Result<(), TrickleError> {
    match sent {
        None => return Err(TrickleError::NoMatch),
        Some("*") => return Err(TrickleError::Restart),
        Some(sent) if sent != etag => return Err(TrickleError::Mismatch),
        Some(_) => {}
    }
    let mut lines = fragment.lines().map(str::trim_end).filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_none() {
        return Err(TrickleError::Unreadable("it is empty"));
    }
    if lines.any(|line| line.as_bytes().get(1) != Some(&b'=')) {
        return Err(TrickleError::Unreadable("a line is not of the form x=value"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_to_name_its_session() {
        let fragment = "a=ice-ufrag:x\r\na=ice-pwd:y\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 a.local 9 typ host\r\na=end-of-candidates\r\n";
        let judge = |sent, fragment| judge("\"abc\"", sent, fragment);
        assert_eq!(judge(Some("\"abc\""), fragment), Ok(()));
        assert_eq!(judge(None, fragment), Err(TrickleError::NoMatch));
        assert_eq!(judge(Some("\"abd\""), fragment), Err(TrickleError::Mismatch));
        assert_eq!(judge(Some("*"), fragment), Err(TrickleError::Restart));
        assert!(matches!(judge(Some("\"abc\""), "\r\n"), Err(TrickleError::Unreadable(_))));
        assert!(matches!(judge(Some("\"abc\""), "hello"), Err(TrickleError::Unreadable(_))));
    }
}
