//! A command and its answer, as they are written. Reading a command in all its ways is the control room's work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CameraState, KeyframeMeta, NodeState};
use crate::domain::{Name, Timestamp};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Start,
    /// Camera closed: nothing captured, inferred or published until `start`; remembered over a restart.
    Stop,
    /// Source stays open, nothing inferred or published.
    Pause,
    Resume,
    /// A keyframe now.
    Snapshot,
    /// Changes settings live.
    Set,
    /// Closes the source and opens it again; tracks end, numbers go on.
    Restart,
    Status,
    /// Takes back what `set` changed.
    Reset,
    /// A node reads its configuration again.
    Reload,
    /// A node ends.
    Shutdown,
}

impl Verb {
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::Stop,
        Self::Pause,
        Self::Resume,
        Self::Snapshot,
        Self::Set,
        Self::Restart,
        Self::Status,
        Self::Reset,
        Self::Reload,
        Self::Shutdown,
    ];

    /// Whether it is asked of a node as a whole, and of no camera.
    #[must_use]
    pub fn is_for_nodes(self) -> bool {
        matches!(self, Self::Reload | Self::Shutdown)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Snapshot => "snapshot",
            Self::Set => "set",
            Self::Restart => "restart",
            Self::Status => "status",
            Self::Reset => "reset",
            Self::Reload => "reload",
            Self::Shutdown => "shutdown",
        }
    }
}

impl std::str::FromStr for Verb {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word).ok_or(())
    }
}

/// A command in JSON. The bare word (`stop`, without quotes) says the same with nothing but `command`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub command: Verb,
    /// Any text; comes back in the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For `set`: the settings and their new values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// After this moment the command is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Command {
    /// A command with nothing but its word.
    #[must_use]
    pub fn bare(command: Verb) -> Self {
        Self { command, id: None, args: Map::new(), expires_at: None }
    }
}

/// The answer to a command: `ok` means applied, not received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The command's, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub node: Name,
    /// The command's word as it came; absent when none could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Who answers: `camera/front-door`, `group/outdoor`, `node/garage`, `all`.
    #[schemars(regex(pattern = "^(all|(camera|group|node)/[a-z0-9][a-z0-9_-]{0,63})$"))]
    pub target: String,
    pub ok: bool,
    /// When it was applied; only when `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Timestamp>,
    /// The target's state after the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ReplyState>,
    /// Of a `snapshot`: the picture that was handed to the buses; `frame.id` binds it to the detections of the same frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyframe: Option<KeyframeMeta>,
    /// Only when not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
}

/// The state of whom the command addressed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReplyState {
    Camera(Box<CameraState>),
    Node(Box<NodeState>),
}

/// Why a command was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyError {
    /// A word for programs: `unknown_command`, `malformed`, `retained`, `expired`, …
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub code: String,
    /// A sentence for people.
    pub message: String,
}
