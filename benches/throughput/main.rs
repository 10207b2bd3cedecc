//! Messages a second from encoded detections to a real broker, beside a bare loop of the same client in the same run:
//! `cargo bench --bench throughput`. The two take turns; what counts is the ratio of their medians. JSON lines on stdout.
//!
//! `ROUNDS` (5) and `SECONDS` (2, of a bare loop, about) set its length; `ONLY=qos0` picks by name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark may fail by panicking, and prints"
)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates")]

mod bare;
#[path = "../../tests/common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Mosquitto, NatsServer, context};
use sightwire::bus::{LaneLimit, Link, Message, MessageKind, OutboxLimits, Publisher, Qos};

/// How many may wait in the outbox before the producer pauses: less than its smallest lane holds.
const HIGH: usize = 768;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    MqttQos0,
    MqttQos1,
    NatsCore,
    JetStream,
}

impl Way {
    const ALL: [Self; 4] = [Self::MqttQos0, Self::MqttQos1, Self::NatsCore, Self::JetStream];

    fn name(self) -> &'static str {
        match self {
            Self::MqttQos0 => "mqtt qos0",
            Self::MqttQos1 => "mqtt qos1",
            Self::NatsCore => "nats core",
            Self::JetStream => "jetstream file",
        }
    }

    fn id(number: u64) -> String {
        format!("front-door-0199a1b2c3d4-detections-{number}")
    }

    /// As the node would make it.
    fn message(self, payload: &Bytes, number: u64) -> Message {
        let kind = if self == Self::JetStream { MessageKind::Event } else { MessageKind::Detections };
        let qos = if matches!(self, Self::MqttQos1 | Self::JetStream) { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let id = Some(Self::id(number));
        Message { qos, id, properties: Vec::new(), ..common::message(kind, payload.clone()) }
    }
}

/// The servers of all rounds.
struct Servers {
    mosquitto: Mosquitto,
    nats: NatsServer,
}

/// 500 bytes, as a handful of detections are.
fn payload() -> Bytes {
    let mut json = String::from(r#"{"timestamp":1789000000.123456,"camera":"front-door","seq":123,"detections":["#);
    while json.len() < 420 {
        json.push_str(r#"{"track_id":7,"label":"person","score":0.87,"bbox":[0.1,0.2,0.3,0.4]},"#);
    }
    json.pop();
    json.push_str("],\"pad\":\"");
    let pad = 498 - json.len();
    json.extend(std::iter::repeat_n('x', pad));
    json.push_str("\"}");
    assert_eq!(json.len(), 500);
    json.into()
}

/// A node's link, up.
async fn link(servers: &Servers, way: Way) -> Link {
    let (context, ears) = context();
    // Commands are of no concern here.
    std::mem::forget(ears);
    let limits = OutboxLimits { event: LaneLimit { messages: 1024, bytes: 16 << 20 }, ..OutboxLimits::default() };
    let context = sightwire::bus::BusContext { limits, ..context };
    let link = match way {
        Way::MqttQos0 | Way::MqttQos1 => {
            sightwire::bus::start_mqtt(&servers.mosquitto.config(sightwire::bus::MqttVersion::V5), context)
        }
        Way::NatsCore | Way::JetStream => sightwire::bus::start_nats(&servers.nats.config(), context),
    }
    .unwrap();
    let mut state = link.state();
    state.wait_for(|state| state.connected).await.unwrap();
    link
}

/// Offers as a camera's thread does, and waits until all is sent or acknowledged; how long it took.
async fn ours(servers: &Servers, way: Way, payload: &Bytes, count: u64) -> Duration {
    let link = link(servers, way).await;
    let outbox = link.outbox().clone();
    let kind = way.message(payload, 0).kind;
    let before = outbox.tally(kind);
    let (begun, producer) = (Instant::now(), outbox.clone());
    let payload = payload.clone();
    let thread = std::thread::spawn(move || {
        for number in 0..count {
            if number % 64 == 0 {
                while producer.tally(kind).waiting > HIGH as u64 {
                    std::thread::sleep(Duration::from_micros(50));
                }
            }
            producer.offer(way.message(&payload, number));
        }
    });
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    outbox.drained().await;
    if way == Way::MqttQos0 {
        // Handled in order: once this is acknowledged, the broker has taken all of them.
        outbox.offer(Way::MqttQos1.message(&Bytes::from_static(b"end"), count));
        outbox.drained().await;
    }
    let took = begun.elapsed();
    let tally = outbox.tally(kind);
    assert!(tally.law_holds() && tally.lost() == 0 && tally.waiting == 0, "{tally:?}");
    assert_eq!(tally.delivered() - before.delivered(), count + u64::from(way == Way::MqttQos0));
    link.shutdown(Duration::from_secs(5)).await;
    took
}

/// Wall and processor time of one of them; the process is both, never at once.
async fn timed(run: impl Future<Output = Duration>) -> [f64; 2] {
    let before = cpu();
    let took = run.await;
    [took.as_secs_f64(), cpu().saturating_sub(before).as_secs_f64()]
}

fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn ends(values: &[f64]) -> [f64; 2] {
    [values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(0.0, f64::max)].map(f64::round)
}

fn env(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn compare(servers: &Servers, way: Way, payload: &Bytes) {
    let (rounds, seconds) = (env("ROUNDS", 5.0) as usize, env("SECONDS", 2.0));
    let trial = 4_000;
    let rate = trial as f64 / bare::run(servers, way, payload, trial).await.as_secs_f64();
    let count = (rate * seconds) as u64;
    // Messages a second, and microseconds of processor time for one: the second bends less on a busy machine.
    let figures = |[wall, cpu]: [f64; 2]| [count as f64 / wall, cpu / count as f64 * 1e6];
    let (mut mine, mut theirs, mut alike) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        theirs.push(figures(timed(bare::run(servers, way, payload, count)).await));
        mine.push(figures(timed(ours(servers, way, payload, count)).await));
        if let Some(took) = bare::run_with_headers(servers, way, payload, count).await {
            alike.push(count as f64 / took.as_secs_f64());
        }
        let (ours, bare) = (mine[round][0].round(), theirs[round][0].round());
        println!(
            "{}",
            serde_json::json!({"row": "round", "case": way.name(), "round": round, "ours": ours, "bare": bare})
        );
    }
    let column = |rows: &[[f64; 2]], at: usize| rows.iter().map(|row| row[at]).collect::<Vec<_>>();
    let [mine, my_cpu] = [0, 1].map(|at| column(&mine, at));
    let [theirs, their_cpu] = [0, 1].map(|at| column(&theirs, at));
    let (ours, bare) = (median(&mine), median(&theirs));
    let line = serde_json::json!({
        "row": "messages", "case": way.name(), "rounds": rounds, "count": count, "share": ours / bare,
        "ours": ours.round(), "ours_spread": ends(&mine), "bare": bare.round(), "bare_spread": ends(&theirs),
        "share_with_headers": (!alike.is_empty()).then(|| ours / median(&alike)), "ours_cpu_us": median(&my_cpu), "bare_cpu_us": median(&their_cpu),
    });
    println!("{line}");
}

fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let extra = "allow_anonymous true\npersistence false\nmax_queued_messages 0\nmax_inflight_messages 0\n";
        let servers = Servers { mosquitto: Mosquitto::with(extra), nats: NatsServer::with_jetstream() };
        let (payload, only) = (payload(), std::env::var("ONLY").unwrap_or_default());
        for way in Way::ALL.into_iter().filter(|way| way.name().contains(&only)) {
            compare(&servers, way, &payload).await;
        }
    });
}
