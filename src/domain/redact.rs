//! Credentials ride in URLs; what is shown to anyone goes through here first.

/// A URL with user and password taken out (`rtsp://***@camera/stream1`), and with `key=value` pairs that look secret masked.
/// Text that is no URL comes back as it is.
#[must_use]
pub fn redact(url: &str) -> String {
    let Some(scheme_end) = url.find("://") else { return url.to_owned() };
    let (scheme, rest) = url.split_at(scheme_end + 3);
    // The authority ends at the first '/', '?' or '#'; but passwords pasted unescaped may hold those, so the last '@'
    // before a space decides: hiding too much is the safe side.
    let rest = rest.rfind('@').map_or_else(|| rest.to_owned(), |at| format!("***{}", &rest[at..]));
    // Some cameras take `user=…&password=…` in the path. The whole value goes, up to the next '&', slashes and all.
    let masked: Vec<String> = rest
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((head, _)) if is_secret(head.rsplit(['/', '?', ';']).next().unwrap_or(head)) => format!("{head}=***"),
            _ => part.to_owned(),
        })
        .collect();
    format!("{scheme}{}", masked.join("&"))
}

/// Redacts every URL inside a longer text (a library's error message, say).
#[must_use]
pub fn redact_text(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| if word.contains("://") { redact(word) } else { word.into() })
        .collect()
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "pwd", "token", "secret", "key", "auth", "user"].iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_survives_redaction() {
        assert_eq!(redact("rtsp://user:pa@ss/w@cam:554/s?x=1"), "rtsp://***@cam:554/s?x=1");
        assert_eq!(redact("http://cam/snap?user=u&password=p&ch=1"), "http://cam/snap?user=***&password=***&ch=1");
        assert_eq!(redact("rtsp://cam/user=u&password=p&ch=1"), "rtsp://cam/user=***&password=***&ch=1");
        assert_eq!(redact("clips/street.mp4"), "clips/street.mp4");
        assert_eq!(redact_text("cannot open rtsp://u:p@h/x : refused"), "cannot open rtsp://***@h/x : refused");
    }
}
