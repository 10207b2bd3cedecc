//! `sightwire watch`

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::bus_args::BusArgs;
use super::sequence::{Note, Sequences, Total};
use super::{say, signals, tell};
use crate::bus::{Tailed, tail};
use crate::codec;
use crate::domain::{Detection, Name, Timestamp, redact};
use crate::envelope::{Detections, Encoding, Event, EventKind, Minimal};

#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    #[command(flatten)]
    bus: BusArgs,
    /// Only this camera.
    #[arg(long, value_name = "NAME")]
    camera: Option<Name>,
    /// End after so many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// One JSON object a message, with `latency_ms`, `missed`, `duplicate`, `out_of_order` and `new_boot` beside the payload;
    /// at the end one with `summary`.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_token()?;
    let (sender, mut received) = mpsc::channel(1024);
    let config = args.bus.config()?;
    let camera = args.camera.clone();
    let tailing = tail(&config, camera.as_ref(), sender);
    let over = async {
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(tailing, over);
    tell(&format!("watching {} (Ctrl-C ends)", redact(&args.bus.url)));
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = &mut over => break,
            Some(message) = received.recv() => say(&seen.line(&message, args.json)),
            ended = &mut tailing => {
                // What it had received before it failed is told as well.
                while let Ok(message) = received.try_recv() {
                    say(&seen.line(&message, args.json));
                }
                seen.sum_up(args.json);
                return Ok(ended.map(|()| seen.code())?);
            }
        }
    }
    seen.sum_up(args.json);
    Ok(seen.code())
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

#[derive(Default)]
struct Seen {
    sequences: Sequences,
    foreign: u64,
}

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
            self.foreign += 1;
            return format!("{}  {} bytes that are no payload of sightwire", message.address, message.payload.len());
        };
        let (timestamp, note, replayed) = match &read {
            Read::Detections(d) => {
                let note = self.sequences.note(d.camera.as_str(), "detections", d.boot_id.as_str(), d.seq, d.replayed);
                (d.timestamp, note, d.replayed)
            }
            Read::Event(e) => {
                let note = self.sequences.note(e.camera.as_str(), "events", e.boot_id.as_str(), e.seq, e.replayed);
                (e.timestamp, note, e.replayed)
            }
            // It carries no number.
            Read::Minimal(m) => (m.timestamp, Note::default(), m.replayed),
        };
        let latency = now.since(timestamp).as_secs_f64() * 1e3;
        if json {
            return as_json(message, &read, latency, note);
        }
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
        let remarks = remarks(note, replayed);
        format!("{}  {camera:<16} {latency:>7.1} ms  {what}{remarks}", clock(timestamp))
    }

    /// The end: what each camera's numbers told.
    fn sum_up(&self, json: bool) {
        let totals = self.sequences.totals();
        if json {
            let row = |(camera, kind, total): &(&str, &str, Total)| serde_json::json!({ "camera": camera, "kind": kind, "total": total });
            let rows: Vec<_> = totals.iter().map(row).collect();
            say(&serde_json::json!({ "summary": rows, "lost": self.sequences.lost(), "foreign": self.foreign })
                .to_string());
            return;
        }
        for (camera, kind, t) in totals {
            say(&format!(
                "{camera:<16} {kind:<10} {:>8} messages, {} lost, {} out of order, {} twice, {} replayed, {} boot{}",
                t.messages,
                t.lost,
                t.out_of_order,
                t.duplicates,
                t.replayed,
                t.boots,
                if t.boots == 1 { "" } else { "s" }
            ));
        }
    }

    fn code(&self) -> ExitCode {
        if self.sequences.lost() == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) }
    }
}

fn remarks(note: Note, replayed: bool) -> String {
    let missed = (note.missed > 0).then(|| format!("{} missed", note.missed));
    let flags = [
        (note.new_boot, "the node was started anew"),
        (note.duplicate, "came before"),
        (note.out_of_order, "out of order"),
        (replayed, "replayed"),
    ];
    let words = flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.to_owned());
    let words: Vec<String> = missed.into_iter().chain(words).collect();
    if words.is_empty() { String::new() } else { format!("  ({})", words.join(", ")) }
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

fn as_json(message: &Tailed, read: &Read, latency: f64, note: Note) -> String {
    let payload = match read {
        Read::Detections(d) => serde_json::to_value(d),
        Read::Event(e) => serde_json::to_value(e),
        Read::Minimal(m) => serde_json::to_value(m),
    };
    let latency = (latency * 1e3).round() / 1e3;
    serde_json::json!({
        "address": message.address,
        "latency_ms": latency,
        "missed": note.missed,
        "duplicate": note.duplicate,
        "out_of_order": note.out_of_order,
        "new_boot": note.new_boot,
        "payload": payload.unwrap_or_default(),
    })
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
