//! A crowd of viewers, and how old what they see is. Alone in its process: it would take the machine from other tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "made for the tests of HTTP; these use a part of it")]
mod client;
#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;
mod crowd;
#[path = "../whep/http.rs"]
#[allow(dead_code, clippy::format_push_string, reason = "made for the tests of WHEP; these use a part of it")]
mod http;
mod latency;
mod load;
#[path = "../live/viewer.rs"]
#[allow(dead_code, reason = "as above")]
mod viewer;
#[path = "../whep/viewer.rs"]
#[allow(dead_code, reason = "as above")]
mod whep;
