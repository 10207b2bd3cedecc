//! The identity of one run of the process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A UUID version 7 (RFC 9562) made once at start: `seq` and `track_id` are unique within it, and later boots sort later.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct BootId(
    // Shared: every message has it.
    Arc<str>,
);

impl BootId {
    #[must_use]
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BootId {
    fn default() -> Self {
        Self::new()
    }
}

impl From<String> for BootId {
    /// For a boot that was read off a message.
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for BootId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
