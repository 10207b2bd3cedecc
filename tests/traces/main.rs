//! Traced frames: the real program, real brokers, and a collector of the test's own that reads OTLP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "what the end-to-end tests have and these do not use")]

mod away;
mod collector;
#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
#[path = "../e2e/metrics.rs"]
mod metrics;
#[path = "../e2e/node.rs"]
mod node;
mod secure;
mod whole;
#[path = "../e2e/witness.rs"]
mod witness;

/// The section; `more` are further keys.
fn traces(endpoint: &str, every: &str, more: &str) -> String {
    format!("telemetry: {{ traces: {{ endpoint: \"{endpoint}\", every: {every}{more} }} }}\n")
}
