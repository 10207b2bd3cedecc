//! The `control:` part of the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::Name;
use crate::envelope::Verb;

/// Who may command this node by signed commands, and what must be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// People and programs whose signatures count, each with one key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operators: BTreeMap<Name, OperatorConfig>,
    /// Commands that are refused unsigned. Default: none without operators; with them start, resume, set, restart, reset,
    /// reload and shutdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_signature: Option<Vec<Verb>>,
    /// Who may speak HTTP to this node may command it unsigned: by `http.token_file`, or without one as anybody on this machine.
    pub trust_http: bool,
}

/// One operator: a public key, or a secret that both sides hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorConfig {
    /// Ed25519, base64: 32 bytes, or the line within a PEM file. `sightwire keygen` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// A file whose first line is a secret of at least 32 characters, for HMAC-SHA256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_key_file: Option<PathBuf>,
    /// Only these commands; default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may: Option<Vec<Verb>>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { operators: BTreeMap::new(), require_signature: None, trust_http: true }
    }
}

impl ControlConfig {
    /// What is closed once there are operators. `stop`, `pause`, `status` and `snapshot` stay open: no lost key may keep
    /// anybody from stopping a camera.
    pub const CLOSED: [Verb; 7] =
        [Verb::Start, Verb::Resume, Verb::Set, Verb::Restart, Verb::Reset, Verb::Reload, Verb::Shutdown];

    #[must_use]
    pub fn must_be_signed(&self, verb: Verb) -> bool {
        match &self.require_signature {
            Some(verbs) => verbs.contains(&verb),
            None => !self.operators.is_empty() && Self::CLOSED.contains(&verb),
        }
    }
}
