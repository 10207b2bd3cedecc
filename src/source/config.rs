//! The source's part of a camera's configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast a finite source plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// By its own timestamps.
    #[default]
    Realtime,
    /// As fast as it is read.
    Asap,
}
