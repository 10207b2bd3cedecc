//! What `docker compose up` starts, without Docker: the brokers' shipped files in a real mosquitto and a real nats-server, the shipped
//! configurations in the real program, and that the pinned versions agree. `make compose-test` runs the containers themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;

mod health;
mod permissions;
mod pins;
mod site;
