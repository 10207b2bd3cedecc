//! The bus room against real servers: mosquitto (MQTT 5 and 3.1.1), nats-server (with and without JetStream), and the
//! embedded broker, watched by mosquitto's own clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures, and what was skipped")]

mod aliases;
mod commands;
#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod embedded;
mod halfopen;
mod mqtt;
mod nats;
mod nats_cluster;
mod nats_logins;
mod nats_notices;
mod outage;
mod permissions;
mod probing;
mod refusals;
mod sessions;
mod shrinking;
mod subscriptions;
mod tls;
mod visits;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{PATIENCE, message, name};
use sightwire::bus::{Link, Message, MessageKind, Topic, Trouble};
use sightwire::telemetry::Telemetry;
use tokio::time::timeout;

/// The process's one recorder; links that are started afterwards count into it.
fn telemetry() -> &'static Telemetry {
    static TELEMETRY: std::sync::OnceLock<Telemetry> = std::sync::OnceLock::new();
    TELEMETRY.get_or_init(|| Telemetry::install().unwrap())
}

const DETECTIONS: &str = "sightwire/cameras/front-door/detections";
const EVENTS: &str = "sightwire/cameras/front-door/events";

fn law_holds(link: &Link) {
    for kind in MessageKind::ALL {
        let tally = link.outbox().tally(kind);
        assert!(tally.law_holds(), "{kind:?}: {tally:?}");
    }
}

async fn connected(link: &Link) {
    let mut state = link.state();
    timeout(PATIENCE, state.wait_for(|state| state.connected)).await.expect("connects in time").unwrap();
}

async fn down_because(link: &Link, word: &str) -> String {
    let mut state = link.state();
    let wanted = state.wait_for(|state| !state.connected && state.detail.contains(word));
    timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("never down because of '{word}'")).unwrap().detail.clone()
}

/// Waits until this is wrong with the link, although it is connected.
async fn troubled(link: &Link, trouble: Trouble) -> String {
    let mut state = link.state();
    let wanted = state.wait_for(|state| state.connected && state.troubles.contains_key(&trouble));
    let state =
        timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("never {trouble:?}: {:?}", link.state().borrow()));
    state.unwrap().troubles[&trouble].clone()
}

async fn untroubled(link: &Link) {
    let mut state = link.state();
    let wanted = state.wait_for(|state| state.connected && state.troubles.is_empty());
    let _state = timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("never well: {:?}", link.state().borrow()));
}

async fn drained(link: &Link) {
    let waited = timeout(PATIENCE, link.outbox().drained()).await;
    assert!(waited.is_ok(), "still waiting: {:?}, {:?}", link.outbox().waiting(), link.state().borrow());
}

fn birth(text: &'static str) -> Message {
    let mut birth = message(MessageKind::State, text);
    birth.topic = Topic::NodeStatus(name("garage"));
    birth.camera = None;
    birth
}

fn openssl(dir: &Path, args: &str) {
    let status = Command::new("openssl").args(args.split(' ')).current_dir(dir).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "openssl {args}");
}

/// `ca.pem`, and `server` and `client` with certificates from it.
fn make_certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(dir, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca"));
    std::fs::write(dir.join("san"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
    for who in ["server", "client"] {
        openssl(dir, &format!("req {key} -keyout {who}.key -out {who}.csr -subj /CN={who}"));
        openssl(
            dir,
            &format!(
                "x509 -req -in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {who}.pem -days 2 -extfile san"
            ),
        );
    }
}
