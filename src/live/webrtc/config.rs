//! The `http.webrtc` part of the configuration.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Live video by WebRTC (WHEP): one UDP port for all viewers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebRtcConfig {
    /// Whether viewers may come; `false` opens no UDP port.
    pub enabled: bool,
    /// Address and UDP port; that of `http.listen` when absent.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Addresses that viewers are told instead of this machine's own: in a container, behind a router.
    #[schemars(with = "Vec<String>")]
    pub announce: Vec<IpAddr>,
    /// Viewers at once, over all cameras; the next one is refused.
    #[schemars(range(min = 1, max = 1000))]
    pub max_sessions: usize,
}

impl Default for WebRtcConfig {
    fn default() -> Self {
        Self { enabled: true, listen: None, announce: Vec::new(), max_sessions: 32 }
    }
}
