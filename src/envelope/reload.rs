//! What the last reload of a configuration did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{Name, Timestamp};

/// The last time the configuration was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadSummary {
    /// When it was over.
    pub timestamp: Timestamp,
    /// False: nothing was changed, and `error` says why.
    pub ok: bool,
    /// Cameras that were not there before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Name>,
    /// Cameras that are gone; what was retained of them was cleared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Name>,
    /// Cameras that began anew, since their part of the file or their model changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarted: Vec<Name>,
    /// Cameras whose settings changed while they went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Name>,
    /// Sections of the file that were changed and hold only after a restart of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
    /// What is likely not meant so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Everything that is wrong with the file; only when not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
