//! Questions of our own to a camera's server: whether it speaks at all, before FFmpeg is asked ([`knock`]); and why a stream
//! could not be opened, of which FFmpeg says little ([`diagnose`]).

mod auth;
mod haste;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use url::Url;

use self::haste::Haste;
use super::{OpenOptions, SourceError};
use crate::domain::redact_text;

/// The question is small; a server that takes longer will not be understood better.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a wait looks whether it is cancelled.
const GLANCE: Duration = Duration::from_millis(200);
/// A reply's head is a few hundred bytes, a stream's description a few thousand.
const REPLY: usize = 32 * 1024;

/// Before FFmpeg is asked: a host name is looked up and a dead server found out within the time-out, and while it is looked
/// whether anybody still waits.
///
/// # Errors
/// When nothing listens, or nothing is said within the time-out for opening (all addresses together).
pub(super) fn knock(url: &str, shown: &str, options: &OpenOptions) -> Result<(), SourceError> {
    let Ok(url) = Url::parse(url) else { return Ok(()) };
    // What any server answers at once, without credentials and without starting a stream.
    let request = match url.scheme() {
        "rtsp" | "rtsps" => rtsp("OPTIONS", &bare(&url), ""),
        "http" | "https" => http("HEAD", &bare(&url), ""),
        _ => return Ok(()),
    };
    let haste = Haste::new(options.open_timeout, &options.cancel);
    let answer = ask(&url, haste, |stream, _| {
        question(stream, &request, haste).map_or_else(|answer| answer, |_| Answer::Connected)
    });
    match answer {
        _ if options.cancel.is_cancelled() => Err(SourceError::Cancelled),
        Answer::Failed(why) => Err(SourceError::Open { source_name: shown.to_owned(), why: redact_text(&why) }),
        Answer::Silent => {
            Err(SourceError::OpenTimeout { source_name: shown.to_owned(), timeout: options.open_timeout })
        }
        Answer::Connected | Answer::Strange | Answer::Status(..) => Ok(()),
    }
}

/// Connects and asks for the stream, with the credentials when the server wants some.
pub(super) fn diagnose(url: &str, shown: String, options: &OpenOptions) -> SourceError {
    let patience = options.open_timeout.min(PATIENCE).max(Duration::from_millis(100));
    let open = |why: String| SourceError::Open { source_name: shown.clone(), why: redact_text(&why) };
    let Ok(url) = Url::parse(url) else { return open("not a valid address".into()) };
    let haste = Haste::new(patience, &options.cancel);
    match ask(&url, haste, |stream, address| converse(stream, address, &url, haste)) {
        _ if options.cancel.is_cancelled() => SourceError::Cancelled,
        Answer::Failed(why) => open(why),
        Answer::Silent => SourceError::OpenTimeout { source_name: shown, timeout: patience },
        Answer::Connected => open("the server can be reached, but gives no stream that can be played".into()),
        Answer::Status(401, _) => {
            let given = !url.username().is_empty() || url.password().is_some();
            let why = if given {
                "401 Unauthorized, with the ones given"
            } else {
                "401 Unauthorized, and the address holds no user and password"
            };
            SourceError::Unauthorized { source_name: shown, why: why.into() }
        }
        Answer::Status(403, _) => SourceError::Unauthorized { source_name: shown, why: "403 Forbidden".into() },
        Answer::Status(404, _) => open("404 Not Found: check the path".into()),
        Answer::Status(200, _) => {
            open("the server answers, but sends no video that can be played (codec, or no RTSP over TCP)".into())
        }
        Answer::Status(code, reason) => open(format!("the server answers {code} {reason}").trim_end().to_owned()),
        Answer::Strange => open("what listens there does not speak this protocol; check scheme and port".into()),
    }
}

enum Answer {
    Failed(String),
    /// Encrypted: no further questions.
    Connected,
    Silent,
    Strange,
    Status(u16, String),
}

/// Connects, and where the connection is not encrypted, lets `talk` do so.
fn ask(url: &Url, haste: Haste<'_>, talk: impl FnOnce(TcpStream, SocketAddr) -> Answer) -> Answer {
    let port = || match url.scheme() {
        "rtsp" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    };
    let addresses = match url.socket_addrs(port) {
        Ok(addresses) => addresses,
        Err(e) => return Answer::Failed(format!("its host name cannot be resolved: {e}")),
    };
    match connect(&addresses, haste) {
        Ok((stream, address)) if matches!(url.scheme(), "rtsp" | "http") => talk(stream, address),
        Ok(_) => Answer::Connected,
        Err(answer) => answer,
    }
}

/// The first address that takes us. Each gets its share of the time left, so that a dead one leaves some to the next.
fn connect(addresses: &[SocketAddr], haste: Haste<'_>) -> Result<(TcpStream, SocketAddr), Answer> {
    let mut failure = "its host name has no address".to_owned();
    for (&address, untried) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let Some(left) = haste.left() else { return Err(Answer::Silent) };
        let share = left / u32::try_from(untried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok((stream, address)),
            Err(e) if e.kind() == ErrorKind::TimedOut => failure = format!("{address} does not answer"),
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
                failure = format!("connection refused: nothing listens at {address}");
            }
            Err(e) => failure = format!("{address}: {e}"),
        }
    }
    Err(Answer::Failed(failure))
}

/// The address without its credentials.
fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Both only fail for addresses without a host, which cannot be connected to.
    let _no_host = (bare.set_username(""), bare.set_password(None));
    bare
}

fn rtsp(method: &str, url: &Url, authorization: &str) -> String {
    format!(
        "{method} {url} RTSP/1.0\r\nCSeq: 1\r\n{authorization}Accept: application/sdp\r\nUser-Agent: sightwire\r\n\r\n"
    )
}

fn http(method: &str, url: &Url, authorization: &str) -> String {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{authorization}User-Agent: sightwire\r\n\r\n")
}

/// Asks for the stream, and once more with credentials when the server wants some.
fn converse(stream: TcpStream, address: SocketAddr, url: &Url, haste: Haste<'_>) -> Answer {
    let bare = bare(url);
    let path = &bare[url::Position::BeforePath..url::Position::AfterQuery];
    let (method, uri) = if url.scheme() == "rtsp" { ("DESCRIBE", bare.as_str()) } else { ("GET", path) };
    let request = |authorization: &str| match method {
        "GET" => http(method, &bare, authorization),
        _ => rtsp(method, &bare, authorization),
    };
    let first = match question(stream, &request(""), haste) {
        Ok(first) => first,
        Err(answer) => return answer,
    };
    let answer = status(&first).unwrap_or(Answer::Strange);
    if !matches!(answer, Answer::Status(401, _)) {
        return answer;
    }
    let Some(authorization) = auth::answer(&first, url, method, uri) else { return answer };
    let Ok((stream, _)) = connect(&[address], haste) else { return answer };
    let second = question(stream, &request(&format!("Authorization: {authorization}\r\n")), haste);
    second.ok().and_then(|reply| status(&reply)).unwrap_or(answer)
}

/// Sends the request and returns the reply, with its body where it tells how long that is.
fn question(mut stream: TcpStream, request: &str, haste: Haste<'_>) -> Result<String, Answer> {
    let Some(left) = haste.left() else { return Err(Answer::Silent) };
    if stream.set_write_timeout(Some(left)).is_err() || stream.write_all(request.as_bytes()).is_err() {
        return Err(Answer::Strange);
    }
    let mut reply = Vec::new();
    let mut part = [0; 512];
    // A byte a minute must not hold us.
    while !is_whole(&reply) && reply.len() < REPLY {
        let Some(left) = haste.left() else { break };
        if stream.set_read_timeout(Some(left.min(GLANCE))).is_err() {
            break;
        }
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(&part[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // Reset after the reply: what has come counts.
            Err(_) => break,
        }
    }
    match reply.is_empty() {
        true if haste.left().is_none() => Err(Answer::Silent),
        true => Err(Answer::Strange),
        false => Ok(String::from_utf8_lossy(&reply).into_owned()),
    }
}

/// An RTSP reply is whole with its body; of any other the head is enough.
fn is_whole(reply: &[u8]) -> bool {
    let Some(end) = reply.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    !head.starts_with("rtsp/") || reply.len() >= end + 4 + length.unwrap_or(0).min(REPLY)
}

/// `RTSP/1.0 404 Not Found`, `HTTP/1.1 200 OK`
fn status(head: &str) -> Option<Answer> {
    let mut words = head.lines().next()?.trim_end().splitn(3, ' ');
    words.next().filter(|version| version.starts_with("RTSP/") || version.starts_with("HTTP/"))?;
    let code = words.next()?.parse().ok()?;
    let reason = words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
    Some(Answer::Status(code, reason))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::Cancel;
    use super::*;

    #[test]
    fn no_address_is_tried_when_the_time_is_spent_or_nobody_waits_any_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (waiting, gone) = (Cancel::default(), Cancel::default());
        gone.cancel();
        let minute = Duration::from_mins(1);
        let spent = Haste::new(Duration::ZERO, &waiting);
        for haste in [spent, Haste::new(minute, &gone)] {
            assert!(matches!(connect(&[address, address], haste), Err(Answer::Silent)));
        }
        let (stream, _) = connect(&[address], Haste::new(minute, &waiting)).ok().unwrap();
        assert!(matches!(question(stream, "OPTIONS", spent), Err(Answer::Silent)));
        // An address that takes nobody does not keep from the next.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (_, reached) = connect(&[closed, address], Haste::new(minute, &waiting)).ok().unwrap();
        assert_eq!(reached, address);
    }
}
