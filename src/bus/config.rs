//! The `buses:` part of the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where messages go. One bus or both; none = an embedded MQTT broker on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BusesConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsConfig>,
}

/// The MQTT protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "VersionInput", into = "VersionInput")]
#[schemars(with = "VersionInput")]
pub enum MqttVersion {
    /// MQTT 5.0 (OASIS, 2019): properties, response topics, reason codes.
    #[default]
    V5,
    /// MQTT 3.1.1 (OASIS, 2014).
    V311,
}

/// `5` is a number in YAML and `3.1.1` a text: both are taken.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(description = "5 or 3.1.1")]
enum VersionInput {
    Number(u8),
    Text(String),
}

impl TryFrom<VersionInput> for MqttVersion {
    type Error = String;

    fn try_from(input: VersionInput) -> Result<Self, String> {
        match input {
            VersionInput::Number(5) => Ok(Self::V5),
            VersionInput::Text(text) if text == "5" || text == "5.0" => Ok(Self::V5),
            VersionInput::Text(text) if text == "3.1.1" => Ok(Self::V311),
            VersionInput::Number(4) => Err("MQTT's protocol level 4 is written 3.1.1 here".into()),
            VersionInput::Number(other) => Err(format!("{other} is no MQTT version; use 5 or 3.1.1")),
            VersionInput::Text(other) => Err(format!("'{other}' is no MQTT version; use 5 or 3.1.1")),
        }
    }
}

impl From<MqttVersion> for VersionInput {
    fn from(version: MqttVersion) -> Self {
        match version {
            MqttVersion::V5 => Self::Number(5),
            MqttVersion::V311 => Self::Text("3.1.1".into()),
        }
    }
}

/// A password or token that never shows itself in logs, errors or `check`'s output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

/// An MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// `mqtt://host:1883`, `mqtts://host:8883` (TLS), `ws://host/path`, `wss://host/path` (websockets).
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// In plain, or better `${MQTT_PASSWORD}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file whose first line is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// PEM file with the authorities to trust; the system's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM certificate for mutual TLS; needs `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM private key for mutual TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// 5 or 3.1.1.
    pub version: MqttVersion,
    /// First word or words of every topic.
    pub topic_prefix: String,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            url: "mqtt://localhost:1883".into(),
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            version: MqttVersion::V5,
            topic_prefix: "sightwire".into(),
        }
    }
}

/// A NATS server or cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConfig {
    /// `nats://host:4222` or `tls://host:4222`; several separated by commas.
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file whose first line is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A credentials file (JWT and nkey seed), as `nsc` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creds_file: Option<PathBuf>,
    /// A file that holds an nkey seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey_file: Option<PathBuf>,
    /// A file whose first line is the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// PEM file with the authorities to trust; the system's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Events and keyframes go through JetStream and are acknowledged by the stream.
    pub jetstream: bool,
    /// First word or words of every subject.
    pub subject_prefix: String,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: "nats://localhost:4222".into(),
            username: None,
            password: None,
            password_file: None,
            creds_file: None,
            nkey_file: None,
            token_file: None,
            ca_file: None,
            jetstream: true,
            subject_prefix: "sightwire".into(),
        }
    }
}

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the connection, for nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
