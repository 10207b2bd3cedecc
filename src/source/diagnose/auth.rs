//! The answer to a 401: Basic (RFC 7617) and Digest with MD5 (RFC 7616), as RTSP and HTTP share them.

use base64::Engine as _;
use md5::{Digest as _, Md5};
use url::Url;

/// The `Authorization` value for a reply's challenges; none without credentials or for a scheme not known here.
pub(super) fn answer(head: &str, url: &Url, method: &str, uri: &str) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let (user, password) = (decode(url.username()), decode(url.password().unwrap_or_default()));
    let challenges = || {
        head.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("WWW-Authenticate").then(|| value.trim().split_once(' '))?
        })
    };
    let of = |wanted: &str| challenges().find(|(scheme, _)| scheme.eq_ignore_ascii_case(wanted));
    if let Some((_, challenge)) = of("Digest") {
        return digest(challenge, &user, &password, method, uri);
    }
    of("Basic").map(|_| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("Basic {pair}")
    })
}

fn digest(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> Option<String> {
    let (realm, nonce) = (parameter(challenge, "realm")?, parameter(challenge, "nonce")?);
    if parameter(challenge, "algorithm").is_some_and(|name| !name.eq_ignore_ascii_case("MD5")) {
        return None;
    }
    let (one, two) = (md5(&format!("{user}:{realm}:{password}")), md5(&format!("{method}:{uri}")));
    let (mut quality, mut extra) = (String::new(), String::new());
    let response = if parameter(challenge, "qop").is_some_and(|qop| qop.split(',').any(|q| q.trim() == "auth")) {
        let own = format!("{:016x}", fastrand::u64(..));
        quality = format!(", qop=auth, nc=00000001, cnonce=\"{own}\"");
        md5(&format!("{one}:{nonce}:00000001:{own}:auth:{two}"))
    } else {
        md5(&format!("{one}:{nonce}:{two}"))
    };
    if let Some(opaque) = parameter(challenge, "opaque") {
        extra = format!(", opaque=\"{opaque}\"");
    }
    Some(format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\"{quality}{extra}"
    ))
}

/// `realm="a, b", qop=auth`: the value of one name, without its quotes.
fn parameter<'a>(challenge: &'a str, wanted: &str) -> Option<&'a str> {
    let mut rest = challenge;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if name.trim_matches([' ', ',']).eq_ignore_ascii_case(wanted) {
            return Some(value.trim());
        }
        rest = next;
    }
    None
}

fn md5(text: &str) -> String {
    format!("{:032x}", u128::from_be_bytes(Md5::digest(text).into()))
}

/// `%40` is '@': addresses carry special characters so.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let coded = (*first == b'%').then(|| tail.get(..2)).flatten();
        if let Some(byte) = coded.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2069's corrected example.
    #[test]
    fn the_digest_is_that_of_the_standard() {
        let head = "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"testrealm@host.com\", \
                    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n\r\n";
        let url = Url::parse("http://Mufasa:CircleOfLife@host/").unwrap();
        let value = answer(head, &url, "GET", "/dir/index.html").unwrap();
        assert!(value.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{value}");
    }

    #[test]
    fn basic_is_answered_and_the_unknown_is_not() {
        let url = Url::parse("rtsp://Aladdin:open%20sesame@host/").unwrap();
        let basic = "RTSP/1.0 401 x\r\nwww-authenticate: Basic realm=\"x\"\r\n";
        assert_eq!(answer(basic, &url, "DESCRIBE", "/").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(answer("RTSP/1.0 401 x\r\nWWW-Authenticate: Bearer x\r\n", &url, "DESCRIBE", "/"), None);
        assert_eq!(answer(basic, &Url::parse("rtsp://host/").unwrap(), "DESCRIBE", "/"), None);
        assert_eq!(answer("WWW-Authenticate: Digest realm=\"", &url, "DESCRIBE", "/"), None);
    }
}
