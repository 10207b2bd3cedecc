//! The stop button: a command is read, judged, applied, and answered with what was applied.
//!
//! Reading is pure; what applying means is the node's ([`Fleet`]). A command that is retained, expired, malformed or unknown
//! is refused, counted and answered, and stops nothing.

pub mod auth;
mod config;
mod counted;
mod dispatch;
mod memory;
mod overrides;
mod parse;
mod switches;

pub use auth::{Guard, GuardError, Rules, answer};
pub use config::{ControlConfig, OperatorConfig};
pub use counted::CountedLabels;
pub use dispatch::{Answer, Fleet};
pub use memory::{Memory, MemoryError};
pub use overrides::{Flat, Overrides};
pub use parse::{MAX_PAYLOAD, Refusal, parse};
pub use switches::Switches;
