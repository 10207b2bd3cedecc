//! The `http:` part of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::live::VideoConfig;
use crate::live::webrtc::WebRtcConfig;

/// The HTTP server: live page, API, metrics, health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// A file whose first line is the bearer token; needed for anything but loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// What is encoded for those who watch.
    pub video: VideoConfig,
    /// Live video by WebRTC (WHEP).
    pub webrtc: WebRtcConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8720)),
            token_file: None,
            video: VideoConfig::default(),
            webrtc: WebRtcConfig::default(),
        }
    }
}
