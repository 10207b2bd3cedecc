//! `sightwire watch`

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{say, signals, tell};
use crate::bus::{BusConfig, Tailed, tail};
use crate::codec;
use crate::domain::{Detection, Name, Timestamp, redact};
use crate::envelope::{Detections, Encoding, Event, EventKind, Minimal};

#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// The bus: `mqtt://host:1883`, `mqtts://`, `ws://`, `nats://host:4222`, `tls://`; user and password in the URL.
    #[arg(
        long,
        value_name = "URL",
        default_value = "mqtt://localhost:1883",
        env = "SIGHTWIRE_BUS",
        hide_env_values = true
    )]
    bus: String,
    /// Only this camera.
    #[arg(long, value_name = "NAME")]
    camera: Option<Name>,
    /// The prefix of topics and subjects.
    #[arg(long, default_value = "sightwire")]
    prefix: String,
    /// One JSON object a message, with `latency_ms` and `missed` beside the payload.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_token()?;
    let (sender, mut received) = mpsc::channel(1024);
    let config =
        BusConfig::from_url(&args.bus, &args.prefix).map_err(|error| super::BadUsage(format!("--bus: {error}")))?;
    let camera = args.camera.clone();
    let tailing = tail(&config, camera.as_ref(), sender);
    tokio::pin!(tailing);
    tell(&format!("watching {} (Ctrl-C ends)", redact(&args.bus)));
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
            Some(message) = received.recv() => say(&seen.line(&message, args.json)),
            ended = &mut tailing => return Ok(ended.map(|()| ExitCode::SUCCESS)?),
        }
    }
}

/// For the demo: a message a camera and `interval`, so that people can read along.
pub async fn print_sparsely(mut received: mpsc::Receiver<Tailed>, interval: Duration) {
    let mut seen = Seen::default();
    let mut last: HashMap<String, Instant> = HashMap::new();
    while let Some(message) = received.recv().await {
        let line = seen.line(&message, false);
        if last.get(&message.address).is_none_or(|at| at.elapsed() >= interval) {
            last.insert(message.address.clone(), Instant::now());
            say(&line);
        }
    }
}

/// The last number of each kind of each camera, so that gaps show.
#[derive(Default)]
struct Seen(HashMap<(String, String, &'static str), u64>);

/// A message read as whatever it is.
enum Read {
    Detections(Detections),
    Event(Event),
    Minimal(Minimal),
}

impl Seen {
    fn line(&mut self, message: &Tailed, json: bool) -> String {
        let now = Timestamp::now();
        let Some(read) = read(message) else {
            return format!("{}  {} bytes that are no payload of sightwire", message.address, message.payload.len());
        };
        let (timestamp, missed) = match &read {
            Read::Detections(d) => (d.timestamp, self.missed(&d.camera, d.boot_id.as_str(), "detections", d.seq)),
            Read::Event(e) => (e.timestamp, self.missed(&e.camera, e.boot_id.as_str(), "event", e.seq)),
            Read::Minimal(m) => (m.timestamp, 0),
        };
        let latency = now.since(timestamp).as_secs_f64() * 1e3;
        if json {
            return as_json(message, &read, latency, missed);
        }
        let gap = if missed > 0 { format!("  ({missed} missed)") } else { String::new() };
        let camera = message.address.split(['/', '.']).rev().nth(1).unwrap_or("?");
        let what = match &read {
            Read::Detections(d) => objects(d.detections.iter().map(as_word)),
            Read::Minimal(m) => objects(m.detections.iter().map(|d| format!("{} {:.2}", d.label, d.score))),
            Read::Event(e) => {
                let (word, after) = match (e.event, e.duration) {
                    (EventKind::Started, _) => ("started", String::new()),
                    (EventKind::Ended, Some(seconds)) => ("ended", format!(" after {seconds:.1} s")),
                    (EventKind::Ended, None) => ("ended", String::new()),
                };
                format!("{word} {} #{} {:.2}{after}", e.label, e.track_id, e.score)
            }
        };
        format!("{}  {camera:<16} {latency:>7.1} ms  {what}{gap}", clock(timestamp))
    }

    /// How many numbers lie between the last message and this one.
    fn missed(&mut self, camera: &Name, boot: &str, kind: &'static str, seq: u64) -> u64 {
        let before = self.0.insert((camera.to_string(), boot.to_owned(), kind), seq);
        before.map_or(0, |before| seq.saturating_sub(before + 1))
    }
}

fn read(message: &Tailed) -> Option<Read> {
    let payload = &message.payload[..];
    // MQTT 3.1.1 carries no content type: JSON begins with a brace, and no protobuf of ours does.
    let encoding = match message.content_type.as_deref() {
        None if payload.first() != Some(&b'{') => Encoding::Protobuf,
        content_type => codec::encoding_of(content_type),
    };
    if message.address.ends_with("events") {
        return codec::decode_event(payload, encoding).ok().map(Read::Event);
    }
    let full = codec::decode_detections(payload, encoding).ok().map(Read::Detections);
    full.or_else(|| codec::decode_minimal(payload, encoding).ok().map(Read::Minimal))
}

fn as_json(message: &Tailed, read: &Read, latency: f64, missed: u64) -> String {
    let payload = match read {
        Read::Detections(d) => serde_json::to_value(d),
        Read::Event(e) => serde_json::to_value(e),
        Read::Minimal(m) => serde_json::to_value(m),
    };
    let latency = (latency * 1e3).round() / 1e3;
    serde_json::json!({ "address": message.address, "latency_ms": latency, "missed": missed, "payload": payload.unwrap_or_default() })
        .to_string()
}

fn as_word(d: &Detection) -> String {
    d.track_id.map_or_else(|| format!("{} {:.2}", d.label, d.score), |id| format!("{} {:.2} #{id}", d.label, d.score))
}

fn objects(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// Time of day, UTC.
fn clock(at: Timestamp) -> String {
    let day = at.as_micros().rem_euclid(86_400_000_000);
    let (seconds, millis) = (day / 1_000_000, day / 1000 % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_numbers_is_seen_and_a_new_boot_is_none() {
        let mut seen = Seen::default();
        let camera: Name = "c".parse().unwrap();
        assert_eq!([1, 2, 5].map(|seq| seen.missed(&camera, "a", "detections", seq)), [0, 0, 2]);
        assert_eq!(seen.missed(&camera, "b", "detections", 1), 0);
        assert_eq!(seen.missed(&camera, "a", "event", 9), 0);
    }
}
