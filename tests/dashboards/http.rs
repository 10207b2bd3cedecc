//! One GET.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::PATIENCE;

/// Status and body; `None` while nobody answers.
pub fn get(address: &str, path: &str, accept: &str) -> Option<(u16, Vec<u8>)> {
    let (status, _, body) = get_with_head(address, path, accept)?;
    Some((status, body))
}

pub fn get_with_head(address: &str, path: &str, accept: &str) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // 1.0: nothing comes in chunks.
    let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{accept}\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head, bytes[end + 4..].to_vec()))
}
