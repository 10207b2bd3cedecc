//! The user who does everything wrong: the real program, driven from outside. Whatever is given to it, it says what, where,
//! why and what to do; it never panics, and never shows a password.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::format_collect,
    clippy::print_stderr,
    reason = "tests are read more than run; one that is skipped says so"
)]

mod buses;
mod commands;
mod configuration;
mod frames;
mod http;
mod models;
mod onnx;
mod program;
mod runtime;
mod sources;

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
