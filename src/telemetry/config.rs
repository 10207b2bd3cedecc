//! The `telemetry:` part of the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::Span;

/// What is told of the program's own work, beside metrics and logs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Absent = no frame is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<TracesConfig>,
}

/// A frame of each camera now and then is traced from capture to delivery, and told to an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector's OTLP over HTTP (protobuf): `http://collector:4318`, `https://…`; without a path, `/v1/traces`.
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint: String,
    /// One frame of each camera so often; 0s = every frame.
    #[serde(default = "every")]
    pub every: Span,
    /// `service.name` of the spans.
    #[serde(default = "service_name")]
    pub service_name: String,
    /// A file of further headers, a `Name: value` each line: an API key, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_file: Option<PathBuf>,
    /// The authorities of an `https` collector, PEM; the system's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

fn every() -> Span {
    Span::secs(10)
}

fn service_name() -> String {
    "sightwire".into()
}
