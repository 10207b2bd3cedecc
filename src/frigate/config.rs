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
        format!("{}/{camera}/{}{tail}", self.prefix, word(label))
    }

    /// A JPEG, retained.
    #[must_use]
    pub fn snapshot(&self, camera: &str, label: &str) -> String {
        format!("{}/{camera}/{}/snapshot", self.prefix, word(label))
    }
}

/// A label as Frigate has it in topics, blanks and all, but for what means something to a broker.
fn word(label: &str) -> String {
    let meant = |c: char| c.is_control() || matches!(c, '/' | '+' | '#');
    let word: String = label.chars().map(|c| if meant(c) { '_' } else { c }).collect();
    if word.is_empty() { "_".into() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_frigates_and_no_label_breaks_them() {
        let config = FrigateConfig { topics: true, prefix: "home/frigate".into() };
        assert_eq!(config.count("door", "traffic light", false), "home/frigate/door/traffic light");
        assert_eq!(config.count("door", "all", true), "home/frigate/door/all/active");
        assert_eq!(config.snapshot("door", "a/b+c#\n"), "home/frigate/door/a_b_c__/snapshot");
        assert_eq!(config.count("door", "", false), "home/frigate/door/_");
    }
}
