//! Many nodes and one command: everyone answers, none runs on, and who says nothing is named. The real program against real
//! brokers; `make fleet` runs it whole, with 200 cameras on 10 nodes, `make test` with a tenth of that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures are what `make fleet` is for")]

#[path = "../common/mod.rs"]
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
mod common;

mod nodes;
mod permissions;
mod roll_call;
mod signed;
