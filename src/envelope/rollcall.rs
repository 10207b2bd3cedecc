//! A roll-call: whom a command addressed, and what each made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ReplyError, Verb};
use crate::domain::{Name, Timestamp};

/// What became of a command at one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollOutcome {
    /// Applied.
    Ok,
    /// Answered with an error.
    Refused,
    /// No answer in time.
    NoAnswer,
    /// No answer, and none was to be expected: its node is offline.
    Offline,
}

impl RollOutcome {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::Offline => "offline",
        }
    }
}

/// How it is known who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollKnownBy {
    /// Nodes and cameras keep their states on the broker (MQTT).
    RetainedState,
    /// Who answered `status` a moment before (NATS keeps no states): nobody that was away then is in the list,
    /// unless it was named with `--expect`.
    Status,
}

/// What `sightwire ctl --json` prints: whom the command addressed, and what each made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RollCall {
    /// When the command was sent.
    pub timestamp: Timestamp,
    pub command: Verb,
    /// The command's.
    pub id: String,
    /// Whom it addressed: `camera/front-door`, `group/outdoor`, `node/garage`, `all`.
    #[schemars(regex(pattern = "^(all|(camera|group|node)/[a-z0-9][a-z0-9_-]{0,63})$"))]
    pub target: String,
    /// Every target answered, and with ok.
    pub ok: bool,
    /// In a sentence.
    pub summary: String,
    pub known_by: RollKnownBy,
    /// One a target.
    pub rows: Vec<RollRow>,
}

/// One target's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RollRow {
    pub node: Name,
    /// `camera/front-door` or `node/garage`.
    #[schemars(regex(pattern = "^(all|(camera|group|node)/[a-z0-9][a-z0-9_-]{0,63})$"))]
    pub target: String,
    pub outcome: RollOutcome,
    /// The target's state after the command, whole, as its answer has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// Only when it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
    /// From sending the command until its answer came here, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub latency_ms: Option<f64>,
}
