//! Why a stream could not be opened: OpenCV only says that. Asked after a failure, so that healthy cameras cost nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use url::Url;

use super::cancel::Cancel;
use super::{OpenOptions, SourceError};
use crate::domain::redact_text;

/// The question is small; a server that takes longer will not be understood better.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a wait looks whether it is cancelled.
const GLANCE: Duration = Duration::from_millis(200);
/// A reply's head is a few hundred bytes.
const HEAD: usize = 4096;

/// Before OpenCV is asked: it opens one stream at a time in the whole process, so one camera that accepts and says
/// nothing would hold every other's opening up for its time-out, again and again. Who does not answer here never gets there.
///
/// # Errors
/// When nothing listens, or nothing is said within the time-out for opening.
pub(super) fn knock(url: &str, shown: &str, options: &OpenOptions) -> Result<(), SourceError> {
    let Ok(url) = Url::parse(url) else { return Ok(()) };
    // What any server answers at once, without credentials and without starting a stream.
    let (method, rtsp) = match url.scheme() {
        "rtsp" | "rtsps" => ("OPTIONS", true),
        "http" | "https" => ("HEAD", false),
        _ => return Ok(()),
    };
    match ask(&url, options.open_timeout, &request(&url, method, rtsp), &options.cancel) {
        Answer::Failed(why) => Err(SourceError::Open { source_name: shown.to_owned(), why: redact_text(&why) }),
        Answer::Silent if options.cancel.is_cancelled() => Err(SourceError::Cancelled),
        Answer::Silent => {
            Err(SourceError::OpenTimeout { source_name: shown.to_owned(), timeout: options.open_timeout })
        }
        Answer::Connected | Answer::Strange | Answer::Status(..) => Ok(()),
    }
}

/// Connects and asks for the stream once, without credentials.
pub(super) fn diagnose(url: &str, shown: String, options: &OpenOptions) -> SourceError {
    let patience = options.open_timeout.min(PATIENCE).max(Duration::from_millis(100));
    let open = |why: String| SourceError::Open { source_name: shown.clone(), why: redact_text(&why) };
    let Ok(url) = Url::parse(url) else { return open("not a valid address".into()) };
    let rtsp = url.scheme() == "rtsp";
    let request = request(&url, if rtsp { "DESCRIBE" } else { "GET" }, rtsp);
    match ask(&url, patience, &request, &options.cancel) {
        Answer::Failed(why) => open(why),
        Answer::Silent => SourceError::OpenTimeout { source_name: shown, timeout: options.open_timeout },
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

fn ask(url: &Url, patience: Duration, request: &str, cancel: &Cancel) -> Answer {
    let port = || match url.scheme() {
        "rtsp" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    };
    let addresses = match url.socket_addrs(port) {
        Ok(addresses) => addresses,
        Err(e) => return Answer::Failed(format!("its host name cannot be resolved: {e}")),
    };
    let mut failure = "its host name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) if matches!(url.scheme(), "rtsp" | "http") => {
                return question(stream, request, patience, cancel);
            }
            Ok(_) => return Answer::Connected,
            Err(e) if e.kind() == ErrorKind::TimedOut => failure = format!("{address} does not answer"),
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
                failure = format!("connection refused: nothing listens at {address}");
            }
            Err(e) => failure = format!("{address}: {e}"),
        }
    }
    Answer::Failed(failure)
}

fn request(url: &Url, method: &str, rtsp: bool) -> String {
    let mut bare = url.clone();
    // Both only fail for addresses without a host, which cannot be connected to.
    let _no_host = (bare.set_username(""), bare.set_password(None));
    if rtsp {
        format!("{method} {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: sightwire\r\n\r\n")
    } else {
        let host = &bare[url::Position::BeforeHost..url::Position::AfterPort];
        let path = &bare[url::Position::BeforePath..url::Position::AfterQuery];
        format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: sightwire\r\n\r\n")
    }
}

fn question(mut stream: TcpStream, request: &str, patience: Duration, cancel: &Cancel) -> Answer {
    let deadline = Instant::now() + patience;
    if stream.set_write_timeout(Some(patience)).is_err() || stream.write_all(request.as_bytes()).is_err() {
        return Answer::Strange;
    }
    let mut head = Vec::new();
    let mut part = [0; 512];
    // The first line is enough; a byte a minute must not hold us.
    while !head.contains(&b'\n') && head.len() < HEAD {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || cancel.is_cancelled() || stream.set_read_timeout(Some(left.min(GLANCE))).is_err() {
            break;
        }
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => head.extend_from_slice(&part[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Answer::Strange,
        }
    }
    if head.is_empty() {
        let silent = Instant::now() >= deadline || cancel.is_cancelled();
        return if silent { Answer::Silent } else { Answer::Strange };
    }
    status(&head).unwrap_or(Answer::Strange)
}

/// `RTSP/1.0 404 Not Found`, `HTTP/1.1 200 OK`
fn status(head: &[u8]) -> Option<Answer> {
    let line = String::from_utf8_lossy(head.split(|&byte| byte == b'\n').next()?).into_owned();
    let mut words = line.trim_end().splitn(3, ' ');
    words.next().filter(|version| version.starts_with("RTSP/") || version.starts_with("HTTP/"))?;
    let code = words.next()?.parse().ok()?;
    let reason = words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
    Some(Answer::Status(code, reason))
}
