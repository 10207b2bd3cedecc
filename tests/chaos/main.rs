//! Delivery under attack: real brokers that are killed, restarted, frozen and cut off at random moments during a stream of
//! events. `docs/reliability.md` says what is checked with which broker, and why.
//!
//! `SIGHTWIRE_CHAOS=full` is the long form (`make chaos`); `SIGHTWIRE_CHAOS_SEED` repeats the dice of a run (its faults, their
//! order and lengths; how they meet the messages is up to the machine).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the summary is what `make chaos` is for")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts, far below 2^52"
)]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;

#[path = "../e2e/metrics.rs"]
#[allow(dead_code, reason = "the same reader as in the tests of the whole program")]
mod metrics;
#[path = "../e2e/node.rs"]
#[allow(dead_code, reason = "the same node as in the tests of the whole program")]
mod node;

mod arena;
mod faults;
mod ledger;
mod memory;
mod mqtt;
mod nats;
mod network;
mod plan;
mod program;
mod proxy;
mod soak;
mod stream;
mod tap;
