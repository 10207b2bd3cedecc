//! What can go wrong with a source, and whether trying again may help.

use std::time::Duration;

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Open it again after a back-off.
    Retry,
    /// Nothing changes until a person does something.
    Fatal,
}

/// Every text is safe to publish: sources are named with their credentials removed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    #[error("{source_name}: not found; check the path (it is taken relative to the configuration file)")]
    NotFound { source_name: String },
    #[error("{source_name}: cannot be opened: {why}")]
    Open { source_name: String, why: String },
    #[error("{source_name}: the server refused: {why}; check user name and password")]
    Unauthorized { source_name: String, why: String },
    #[error("{source_name}: no answer within {:.0} s", timeout.as_secs_f64())]
    OpenTimeout { source_name: String, timeout: Duration },
    #[error("{source_name}: no frame for {timeout:?}")]
    ReadTimeout { source_name: String, timeout: Duration },
    #[error("{source_name}: the stream ended")]
    Disconnected { source_name: String },
    #[error("{source_name}: holds no picture that can be decoded: {why}")]
    Undecodable { source_name: String, why: String },
    #[error("{source_name}: broken after frame {after}: {why}")]
    Truncated { source_name: String, after: u64, why: String },
    #[error("{source_name}: the capture thread hung in native code for {spent:?} and was abandoned")]
    Stuck { source_name: String, spent: Duration },
    #[error("cancelled")]
    Cancelled,
}

impl SourceError {
    /// The reason code of the camera's `state`: short, stable, bounded.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "source_not_found",
            Self::Open { .. } => "source_open_failed",
            Self::Unauthorized { .. } => "source_unauthorized",
            Self::OpenTimeout { .. } => "source_open_timeout",
            Self::ReadTimeout { .. } => "source_read_timeout",
            Self::Disconnected { .. } => "source_disconnected",
            Self::Undecodable { .. } => "source_undecodable",
            Self::Truncated { .. } => "source_truncated",
            Self::Stuck { .. } => "capture_stuck",
            Self::Cancelled => "cancelled",
        }
    }

    /// Not to be tried again sooner: cameras lock out who knocks with a wrong password a few times.
    #[must_use]
    pub fn least_delay(&self) -> Duration {
        match self {
            Self::Unauthorized { .. } => Duration::from_secs(30),
            _ => Duration::ZERO,
        }
    }

    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            // A file that is missing may be put there, a webcam plugged in: both are worth a look now and then.
            Self::NotFound { .. }
            | Self::Open { .. }
            | Self::Unauthorized { .. }
            | Self::OpenTimeout { .. }
            | Self::ReadTimeout { .. }
            | Self::Disconnected { .. }
            | Self::Stuck { .. } => Disposition::Retry,
            Self::Undecodable { .. } | Self::Truncated { .. } | Self::Cancelled => Disposition::Fatal,
        }
    }
}
