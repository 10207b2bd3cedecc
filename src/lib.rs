//! Sightwire turns cameras into message streams.

pub mod bus;
pub mod codec;
pub mod config;
pub mod domain;
pub mod http;
pub mod inference;
pub mod pipeline;
pub mod source;
pub mod telemetry;
