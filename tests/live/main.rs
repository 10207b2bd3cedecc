//! What onlookers see, of the real program: pictures with the right boxes, encoded once and only while somebody watches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people, and places in a picture"
)]

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "made for the tests of HTTP; these use a part of it")]
mod client;
#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod hls;
mod mjpeg;
mod viewer;
