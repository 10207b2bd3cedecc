//! The `spool:` part of the configuration.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{Size, Span};

/// Messages that must not be lost wait on disk, in `<state_dir>/<node>/spool/`, one file a bus: they survive a crash and
/// long outages of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// `false`: everything waits in memory only, and a restart loses what was not delivered.
    pub enabled: bool,
    /// What is acknowledged before it is that old is never written. Of what is killed without a word, so much of the last
    /// moment is lost at most, unless it was acknowledged.
    pub write_after: Span,
    /// Of each bus. When it is full the oldest keyframes go first, then the oldest detections with `qos: 1`, events last.
    pub max_size: Size,
}

impl SpoolConfig {
    /// Less would not hold a handful of keyframes.
    pub const SMALLEST: Size = Size::mib(8);
    /// More would be no promise.
    pub const LATEST: Span = Span::secs(10);
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { enabled: true, write_after: Span(Duration::from_millis(50)), max_size: Size::mib(1024) }
    }
}
