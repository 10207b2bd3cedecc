//! Why a camera cannot go on, and what comes next.

use std::any::Any;
use std::time::Duration;

use crate::envelope::Reason;
use crate::source::{Disposition, SourceError};
use crate::telemetry;

/// Ends a session. The camera says it, waits, and begins again where that may help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    pub retry: bool,
    /// Not again sooner than this.
    pub least_delay: Duration,
}

impl Failure {
    /// A fault of the program's own; caught, so that it costs one camera a moment and not the node.
    #[must_use]
    pub fn panic(what: &str, payload: &(dyn Any + Send)) -> Self {
        let place = telemetry::panic_place().unwrap_or_else(|| "a place unknown".into());
        let words = payload.downcast_ref::<&str>().map(ToString::to_string);
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        Self::again("internal_error", format!("a panic in {what} at {place}: {words}; please report it"))
    }

    #[must_use]
    pub fn again(code: &'static str, message: String) -> Self {
        Self { code, message, retry: true, least_delay: Duration::ZERO }
    }

    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.code == "internal_error"
    }

    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason { code: self.code.into(), message: self.message.clone() }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            retry: error.disposition() == Disposition::Retry,
            least_delay: error.least_delay(),
        }
    }
}
