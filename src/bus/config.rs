//! The `buses:` part of the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::Span;

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

/// How long a broker of MQTT 5 keeps a message for subscribers that are away, and as a retained one; `0s` = for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageExpiry {
    pub events: Span,
    pub detections: Span,
    /// Keyframes and their metadata.
    pub keyframes: Span,
    /// Answers to commands.
    pub replies: Span,
}

impl Default for MessageExpiry {
    /// What must not be lost never expires. A picture of yesterday says nothing of today, and who asked has gone after minutes.
    fn default() -> Self {
        Self {
            events: Span::default(),
            detections: Span::default(),
            keyframes: Span::secs(24 * 60 * 60),
            replies: Span::secs(5 * 60),
        }
    }
}

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
    /// A broker that says nothing for so long is asked for a sign of life; after twice that the connection counts as dead.
    pub keep_alive: Span,
    /// MQTT 5: so long the broker keeps the session over a cut, and with it the commands that come meanwhile. `0s` = not at all.
    pub session_expiry: Span,
    /// MQTT 5.
    pub message_expiry: MessageExpiry,
    /// How often the node publishes a message to itself, to see whether the broker delivers. `0s` = never.
    pub probe_interval: Span,
}

const KEEP_ALIVE: Span = Span::secs(15);
const PROBE_INTERVAL: Span = Span::secs(10);

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
            keep_alive: KEEP_ALIVE,
            session_expiry: Span::secs(2 * 60),
            message_expiry: MessageExpiry::default(),
            probe_interval: PROBE_INTERVAL,
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
    /// PEM certificate for mutual TLS; needs `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM private key for mutual TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Events and keyframes go through JetStream and are acknowledged by the stream.
    pub jetstream: bool,
    /// Servers that hold a copy of the stream, when it is made: 1, 3 or 5. 0 = 3 in a cluster, else 1.
    #[schemars(range(max = 5))]
    pub stream_replicas: u8,
    /// First word or words of every subject.
    pub subject_prefix: String,
    /// A server that says nothing is asked for a sign of life; after twice that the connection counts as dead.
    pub keep_alive: Span,
    /// How often the node publishes a message to itself, to see whether the server delivers. `0s` = never.
    pub probe_interval: Span,
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
            cert_file: None,
            key_file: None,
            jetstream: true,
            stream_replicas: 0,
            subject_prefix: "sightwire".into(),
            keep_alive: KEEP_ALIVE,
            probe_interval: PROBE_INTERVAL,
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
