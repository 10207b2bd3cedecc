//! Sightwire turns cameras into message streams.

pub mod app;
pub mod asyncapi;
pub mod bus;
pub mod cli;
pub mod codec;
pub mod config;
pub mod control;
pub mod domain;
pub mod envelope;
pub mod frigate;
pub mod homeassistant;
pub mod http;
pub mod inference;
pub mod live;
pub mod pipeline;
pub mod source;
pub mod telemetry;
pub mod tracker;
