//! The `frigate:` part of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Frigate's event topics beside Sightwire's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrigateConfig {
    /// Publish them, over MQTT.
    pub topics: bool,
    /// What they begin with; two nodes of one broker need one each.
    #[schemars(regex(pattern = "^[^+#\\s]+$"))]
    pub prefix: String,
}

impl Default for FrigateConfig {
    fn default() -> Self {
        Self { topics: false, prefix: "frigate".into() }
    }
}

impl FrigateConfig {
    #[must_use]
    pub fn available(&self) -> String {
        format!("{}/available", self.prefix)
    }

    #[must_use]
    pub fn events(&self) -> String {
        format!("{}/events", self.prefix)
    }

    /// `ON` or `OFF`, retained.
    #[must_use]
    pub fn enabled(&self, camera: &str) -> String {
        format!("{}/{camera}/enabled/state", self.prefix)
    }

    /// Where `ON` and `OFF` are heard.
    #[must_use]
    pub fn switch(&self, camera: &str) -> String {
        format!("{}/{camera}/enabled/set", self.prefix)
    }

    /// How many of a label are seen, or of `all`; `active`: those that do not stand still.
    #[must_use]
    pub fn count(&self, camera: &str, label: &str, active: bool) -> String {
        let tail = if active { "/active" } else { "" };
        format!("{}/{camera}/{label}{tail}", self.prefix)
    }

    /// A JPEG, retained.
    #[must_use]
    pub fn snapshot(&self, camera: &str, label: &str) -> String {
        format!("{}/{camera}/{label}/snapshot", self.prefix)
    }
}
