//! The HTTP server of the real program, from outside, byte by byte: who may come in, how much, how long; the API; pictures in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod attack;
mod client;
mod crowd;
mod formats;
mod gate;
mod push;
mod signed;
mod slideshow;

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
