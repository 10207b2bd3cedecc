//! Delivery under attack: real brokers that are killed, restarted, frozen and cut off at random moments during a stream of
//! events. `docs/reliability.md` says what is checked with which broker, and why.
//!
//! `SIGHTWIRE_CHAOS=full` is the long form (`make chaos`); `SIGHTWIRE_CHAOS_SEED` repeats the dice of a run (its faults, their
//! order and lengths; how they meet the messages is up to the machine).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;

mod arena;
mod faults;
mod ledger;
mod mqtt;
mod nats;
mod plan;
mod proxy;
mod stream;
mod tap;
