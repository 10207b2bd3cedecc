//! The tracker on films: the synthetic scene, where the truth is known, and real clips, beside another `ByteTrack`.
//! `tests/golden/tracking.py` made the golden files; `docs/accuracy.md` shows the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures, for --nocapture")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

mod clips;
mod noise;
mod scenes;
mod score;
mod steady;
