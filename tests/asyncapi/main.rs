//! The `AsyncAPI` document: its own parser takes it, and a real node says nothing that is not in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "what the end-to-end tests have and these do not use")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
#[path = "../e2e/metrics.rs"]
mod metrics;
#[path = "../e2e/node.rs"]
mod node;
#[path = "../common/npm.rs"]
mod npm;
mod parser;
mod run;
#[path = "../e2e/witness.rs"]
mod witness;
