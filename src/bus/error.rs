//! What can go wrong with a bus. Every text is safe to show: URLs carry no credentials, secrets never enter.

use std::path::PathBuf;
use std::time::Duration;

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The link tries again by itself.
    Retry,
    /// Nothing changes until a person does something.
    Fatal,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    #[error("buses.{bus}.url: '{url}': {why}; write {expected}")]
    Url { bus: &'static str, url: String, why: String, expected: &'static str },
    #[error("buses.{bus}.{field}: {} cannot be used: {why}; check the path and that this user may read it", path.display())]
    File { bus: &'static str, field: &'static str, path: PathBuf, why: String },
    #[error("buses.{bus}.{field}: {why}")]
    Setting { bus: &'static str, field: &'static str, why: String },
    #[error("{url}: cannot connect: {why}; is the server running and reachable?")]
    Connect { bus: &'static str, url: String, why: String },
    #[error("{url}: the server refused: {why}; check user name, password and permissions")]
    Refused { bus: &'static str, url: String, why: String },
    #[error("{url}: no answer within {timeout:?}; is it the right port and protocol?")]
    Timeout { bus: &'static str, url: String, timeout: Duration },
    #[error("{url}: connection lost: {why}")]
    Lost { bus: &'static str, url: String, why: String },
    #[error("embedded MQTT broker: cannot listen on {addr}: {why}; free the port or configure buses.mqtt")]
    Listen { addr: std::net::SocketAddr, why: String },
}

impl BusError {
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Connect { .. } | Self::Refused { .. } | Self::Timeout { .. } | Self::Lost { .. } => Remedy::Retry,
            Self::Url { .. } | Self::File { .. } | Self::Setting { .. } | Self::Listen { .. } => Remedy::Fatal,
        }
    }
}
