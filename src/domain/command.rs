//! A command as it came off a bus, not yet read: buses hand it over, the control room judges it.

use bytes::Bytes;

use super::Name;

/// Whom a control topic addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Camera(Name),
    Group(Name),
    Node(Name),
    All,
}

impl std::fmt::Display for Target {
    /// As in the `target` of a reply: `camera/front-door`, `group/outdoor`, `node/garage`, `all`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Camera(name) => write!(f, "camera/{name}"),
            Self::Group(name) => write!(f, "group/{name}"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::All => f.write_str("all"),
        }
    }
}

/// Where an answer is wanted: the MQTT 5 response topic with its correlation data, or the NATS reply subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    pub address: String,
    pub correlation: Option<Bytes>,
}

/// One message that arrived on a control topic.
#[derive(Debug, Clone)]
pub struct RawCommand {
    /// The bus it came from (`mqtt`, `nats`); the reply goes back there.
    pub bus: &'static str,
    pub target: Target,
    pub payload: Bytes,
    /// A retained command is stale by definition and is refused.
    pub retained: bool,
    pub reply_to: Option<ReplyTo>,
}
