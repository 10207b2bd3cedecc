//! What was commanded, by whom, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::is_false;
use crate::domain::{BootId, Name, Timestamp};

/// One command that came to a node, carried out or refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// When it was judged.
    pub timestamp: Timestamp,
    pub node: Name,
    pub boot_id: BootId,
    /// +1 for each audit message of this node in this boot.
    #[schemars(range(min = 1))]
    pub seq: u64,
    /// Where it came from: `mqtt`, `nats`, `http`.
    pub bus: String,
    /// Whom it addressed: `camera/front-door`, `group/outdoor`, `node/garage`, `all`.
    #[schemars(regex(pattern = "^(all|(camera|group|node)/[a-z0-9][a-z0-9_-]{0,63})$"))]
    pub target: String,
    /// The command's word as it came; absent when none could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Without credentials.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// Who signed it, proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Name>,
    /// Whose it claimed to be, where that was not proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_operator: Option<String>,
    /// The address that the command named for its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// It was let in; `results` say what came of it.
    pub accepted: bool,
    /// Why it was not let in: a word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub code: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// One a target that answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<AuditResult>,
    /// True for a message that is delivered late, after an outage.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
}

/// What one target made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditResult {
    /// `camera/front-door`, `node/garage`, …
    pub target: String,
    pub ok: bool,
    /// Only when not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}
