//! The `homeassistant:` part of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How entities are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// One message a device (Home Assistant 2024.11 and later).
    #[default]
    Device,
    /// One message an entity, for older releases.
    Components,
}

/// Home Assistant finds cameras and nodes by MQTT discovery. Nothing is announced without this section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HomeAssistantConfig {
    /// `false` takes back what was announced.
    pub discovery: bool,
    /// Home Assistant's discovery prefix.
    pub prefix: String,
    pub style: Style,
    /// Where Home Assistant says `online` when it has started; default: `<prefix>/status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_topic: Option<String>,
    /// Only these labels get entities of their own; absent: a camera's `labels`, else those it has shown, 16 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
}

impl Default for HomeAssistantConfig {
    fn default() -> Self {
        Self { discovery: true, prefix: "homeassistant".into(), style: Style::Device, birth_topic: None, labels: None }
    }
}

impl HomeAssistantConfig {
    /// Where a device is announced with all its entities ([`Style::Device`]).
    #[must_use]
    pub fn device_topic(&self, id: &str) -> String {
        format!("{}/device/{id}/config", self.prefix)
    }

    /// Where one entity is announced ([`Style::Components`]).
    #[must_use]
    pub fn component_topic(&self, platform: &str, id: &str, key: &str) -> String {
        format!("{}/{platform}/{id}/{key}/config", self.prefix)
    }

    /// Where its birth message comes.
    #[must_use]
    pub fn birth_topic(&self) -> String {
        self.birth_topic.clone().unwrap_or_else(|| format!("{}/status", self.prefix))
    }
}
