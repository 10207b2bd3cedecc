//! The `http:` part of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::domain::{Size, Span};
use crate::live::VideoConfig;
use crate::live::webrtc::WebRtcConfig;

/// The HTTP server: live page, API, metrics, health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// A file whose first line is the token, for `Authorization: Bearer` and the login form; needed for anything but loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Names by which browsers reach this node besides localhost and IP addresses: `garage.local`, or that of a proxy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses and networks. By it wrong tokens are counted by visitor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<Network>,
    /// How long a login in a browser lasts.
    pub session: Span,
    /// Connections at once; more are turned away.
    #[schemars(range(min = 8, max = 65_536))]
    pub max_connections: usize,
    /// Of these, how many may be live streams (MJPEG, `/ws`): the rest stays free for the page, the API, metrics and health.
    #[schemars(range(min = 0, max = 65_528))]
    pub max_streams: usize,
    /// The largest picture that `PUT /cameras/<camera>/frame` takes.
    pub max_frame: Size,
    /// What is encoded for those who watch.
    pub video: VideoConfig,
    /// Live video by WebRTC (WHEP).
    pub webrtc: WebRtcConfig,
}

impl HttpConfig {
    /// `max_streams` leaves at least so many connections to everything else.
    pub const RESERVE: usize = 8;
    pub const LARGEST_FRAME: Size = Size::mib(256);

    /// What is wrong with the token's file, if anything is.
    #[must_use]
    pub fn token_fault(&self) -> Option<String> {
        match super::gate::Token::load(self) {
            Err(super::HttpError::Token { path, why }) => Some(format!("{path}: {why}")),
            _ => None,
        }
    }

    /// A name as it may stand in `hosts`: without scheme, port and path.
    #[must_use]
    pub fn is_host(name: &str) -> bool {
        let word = |label: &str| {
            !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
        };
        name.len() <= 253 && name.split('.').all(word)
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8720)),
            token_file: None,
            hosts: Vec::new(),
            proxies: Vec::new(),
            session: Span::secs(7 * 24 * 3600),
            max_connections: 256,
            max_streams: 200,
            max_frame: Size::mib(32),
            video: VideoConfig::default(),
            webrtc: WebRtcConfig::default(),
        }
    }
}
