//! Mosquitto that forgets, watched on the wire; mosquitto that remembers, watched by a subscriber with a lasting session.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sightwire::bus::{MqttConfig, MqttVersion, start_mqtt};
use tokio::task::JoinSet;

use super::arena::{Arena, Report};
use super::common::process::Process;
use super::common::{Mosquitto, PATIENCE, context};
use super::ledger::{Ledger, Said};
use super::plan::plan;
use super::proxy::Proxy;
use super::stream::Promised;
use super::tap::Tap;

const FORGETS: &str = "allow_anonymous true";
/// What waits for a subscriber is written down when the broker is told to end, and all of it waits.
const REMEMBERS: &str =
    "allow_anonymous true\npersistence true\npersistence_location {dir}/\nmax_queued_messages 0\nmax_queued_bytes 0";
const EVENTS: &str = "sightwire/cameras/+/events";

fn arena(broker: Mosquitto, version: MqttVersion, user: &str, index: usize) -> Arena<Mosquitto> {
    let proxy = Proxy::start(broker.port, Some(Tap::new(version == MqttVersion::V5)));
    let url = format!("mqtt://127.0.0.1:{}", proxy.port);
    let link = start_mqtt(&MqttConfig { url, version, ..MqttConfig::default() }, context().0).unwrap();
    Arena { server: broker, proxy, link, dice: plan().dice(user, index) }
}

/// Everything that a broker ever acknowledged, in the order of its acknowledgements.
fn check_the_wire(arena: &Arena<Mosquitto>, promised: &Promised) -> u64 {
    arena.proxy.tap(|tap| {
        tap.acked.check("acknowledged on the wire", &promised.events);
        tap.acked.check("acknowledged on the wire", &promised.detections);
        tap.acked.duplicates
    })
}

/// What a newcomer is given: the latest value, whatever the broker forgot.
async fn check_the_status(port: u16, promised: &Promised) {
    if promised.status.is_empty() {
        return;
    }
    let start = Instant::now();
    loop {
        let kept = Command::new("mosquitto_sub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-t",
                "sightwire/cameras/cam-0/status",
                "-C",
                "1",
                "-W",
                "2",
            ])
            .output()
            .unwrap();
        let kept = String::from_utf8_lossy(&kept.stdout).trim().to_owned();
        if kept == promised.status {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "the broker keeps '{kept}' for the last status, '{}'", promised.status);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn brokers_that_forget(version: MqttVersion, name: &'static str, links: usize) {
    let mut storms = JoinSet::new();
    for index in 0..plan().links(links) {
        storms.spawn(async move {
            let mut arena = arena(Mosquitto::with(FORGETS), version, name, index);
            let (promised, mut report) = arena.storm(true).await;
            report.duplicates = check_the_wire(&arena, &promised);
            check_the_status(arena.server.port, &promised).await;
            report
        });
    }
    sum(storms).await.say(&format!("{name}, mosquitto without persistence, SIGKILL too"));
}

async fn brokers_that_remember(version: MqttVersion, name: &'static str, links: usize) {
    let mut storms = JoinSet::new();
    for index in 0..plan().links(links) {
        storms.spawn(async move {
            let broker = Mosquitto::with(REMEMBERS);
            let witness = Witness::new(broker.port);
            let mut arena = arena(broker, version, name, index);
            let (promised, mut report) = arena.storm(false).await;
            check_the_wire(&arena, &promised);
            report.duplicates = witness.check(&promised).await;
            check_the_status(arena.server.port, &promised).await;
            report
        });
    }
    sum(storms).await.say(&format!("{name}, mosquitto with persistence and a lasting subscriber"));
}

pub async fn sum(mut storms: JoinSet<Report>) -> Report {
    let mut sum = Report::default();
    while let Some(report) = storms.join_next().await {
        sum.add(&report.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic())));
    }
    sum
}

/// `mosquitto_sub` at the broker itself, with a session that outlives the broker's restarts.
struct Witness {
    seen: Arc<Mutex<Ledger>>,
    _process: Process,
}

impl Witness {
    fn new(port: u16) -> Self {
        // The first visit makes the session: from here on the broker keeps what it cannot deliver.
        let session = ["-h", "127.0.0.1", "-p", &port.to_string(), "-V", "mqttv311", "-c", "-i", "witness", "-q", "1"];
        let made = Command::new("mosquitto_sub").args(session).args(["-t", EVENTS, "-E"]).status().unwrap();
        assert!(made.success());
        let mut command = Command::new("mosquitto_sub");
        command.args(session).args(["-t", EVENTS]);
        let mut process = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let output = process.child().stdout.take().unwrap();
        let seen = Arc::new(Mutex::new(Ledger::default()));
        let into = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                into.lock().unwrap().saw(&Said::read(line.as_bytes()).expect("an event"));
            }
        });
        Self { seen, _process: process }
    }

    /// Waits as long as something still comes; gives the number of repetitions.
    async fn check(&self, promised: &Promised) -> u64 {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            {
                let seen = self.seen.lock().unwrap();
                if seen.reaches(&promised.events) || since.elapsed() > PATIENCE {
                    seen.check("a lasting subscriber", &promised.events);
                    return seen.duplicates;
                }
                if seen.messages > before {
                    (before, since) = (seen.messages, Instant::now());
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_brokers_that_crash_and_forget_lose_no_event_that_is_not_sent_again() {
    brokers_that_forget(MqttVersion::V5, "MQTT 5", 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_brokers_that_crash_and_forget_lose_no_event_that_is_not_sent_again() {
    brokers_that_forget(MqttVersion::V311, "MQTT 3.1.1", 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_lasting_subscriber_gets_every_event_in_order_over_restarts_freezes_and_cuts() {
    brokers_that_remember(MqttVersion::V5, "MQTT 5", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_lasting_subscriber_gets_every_event_in_order_over_restarts_freezes_and_cuts() {
    brokers_that_remember(MqttVersion::V311, "MQTT 3.1.1", 5).await;
}
