//! Stands between a camera and its client, and spoils what the camera says.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What is done to the camera's words; changed at any moment.
#[derive(Default)]
pub struct Spoil {
    /// Added to the timestamp of every RTP packet, in 90 kHz.
    pub jump: AtomicU32,
    /// The answer to DESCRIBE never comes.
    pub mute: AtomicBool,
    /// Nothing comes any more, on any connection; none is closed.
    pub silent: AtomicBool,
    /// Pictures whose last packet was handed on.
    pub pictures: AtomicU32,
    connections: Mutex<Vec<TcpStream>>,
}

pub struct Proxy {
    pub port: u16,
    pub spoil: Arc<Spoil>,
}

impl Proxy {
    /// In front of the camera at this port; RTSP over TCP only.
    pub fn before(camera: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let spoil = Arc::new(Spoil::default());
        let ours = spoil.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", camera)) else { continue };
                ours.connections.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let muted = Arc::new(AtomicBool::new(false));
                let (spoil, mutes) = (ours.clone(), muted.clone());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || ask(from, to, &spoil, &mutes));
                let spoil = ours.clone();
                std::thread::spawn(move || answer(server, client, &spoil, &muted));
            }
        });
        Self { port, spoil }
    }

    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for connection in self.spoil.connections.lock().unwrap().drain(..) {
            let _gone = connection.shutdown(Shutdown::Both);
        }
    }
}

fn ask(mut from: TcpStream, mut to: TcpStream, spoil: &Spoil, muted: &AtomicBool) {
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut part) {
        if spoil.mute.load(Ordering::Relaxed) && part[..count].starts_with(b"DESCRIBE") {
            muted.store(true, Ordering::Relaxed);
        }
        if to.write_all(&part[..count]).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(Shutdown::Both);
}

fn answer(from: TcpStream, mut to: TcpStream, spoil: &Spoil, muted: &AtomicBool) {
    let mut from = BufReader::new(from);
    while let Some(words) = message(&mut from, spoil.jump.load(Ordering::Relaxed)) {
        let kept = muted.load(Ordering::Relaxed) || spoil.silent.load(Ordering::Relaxed);
        if !kept && to.write_all(&words).is_err() {
            break;
        }
        // The marker bit is on a picture's last packet (RFC 6184, section 5.1).
        if !kept && is_rtp(&words) && words[5] & 0x80 != 0 {
            spoil.pictures.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _gone = to.shutdown(Shutdown::Both);
}

/// One answer with its body, or one interleaved packet (RFC 2326, section 10.12), with its timestamp put off.
fn message(from: &mut impl BufRead, jump: u32) -> Option<Vec<u8>> {
    let mut all = vec![0; 1];
    from.read_exact(&mut all).ok()?;
    let more = if all[0] == b'$' {
        all.resize(4, 0);
        from.read_exact(&mut all[1..]).ok()?;
        usize::from(u16::from_be_bytes([all[2], all[3]]))
    } else {
        while !all.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut all).ok()? == 0 {
                return None;
            }
        }
        let head = String::from_utf8_lossy(&all).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        length.map_or(0, |length| length.trim().parse().unwrap())
    };
    let begin = all.len();
    all.resize(begin + more, 0);
    from.read_exact(&mut all[begin..]).ok()?;
    // Bytes 4 to 8 of RTP are its timestamp (RFC 3550, section 5.1).
    if is_rtp(&all) {
        let at: [u8; 4] = all[8..12].try_into().unwrap();
        all[8..12].copy_from_slice(&u32::from_be_bytes(at).wrapping_add(jump).to_be_bytes());
    }
    Some(all)
}

/// Even channels carry RTP.
fn is_rtp(words: &[u8]) -> bool {
    words[0] == b'$' && words[1].is_multiple_of(2) && words.len() >= 12
}
