//! The program as people run it: the real binary, real brokers, and witnesses that share no code with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;

mod accuracy;
mod bench;
mod broker;
mod commands;
mod delivery;
mod devices;
mod endings;
mod figures;
mod ghosts;
mod isolation;
mod keyframes;
mod links;
mod map;
mod metrics;
mod node;
mod picture;
#[path = "../common/rtsp.rs"]
mod rtsp;
mod spool;
mod stop_button;
mod tools;
mod tracks;
mod witness;
