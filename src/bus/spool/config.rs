//! The `spool:` part of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::Size;

/// Messages that must not be lost wait on disk, in `<state_dir>/<node>/spool/`, one file a bus: they survive a crash and
/// long outages of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// `false`: everything waits in memory only, and a restart loses what was not delivered.
    pub enabled: bool,
    /// Of each bus. When it is full the oldest keyframes go first, then the oldest detections with `qos: 1`, events last.
    pub max_size: Size,
}

impl SpoolConfig {
    /// Less would not hold a handful of keyframes.
    pub const SMALLEST: Size = Size::mib(8);
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { enabled: true, max_size: Size::mib(1024) }
    }
}
