//! NATS: core for what is fleeting, JetStream for events and keyframes.

mod auth;
mod call;
mod connect;
mod permissions;
mod session;
mod setup;
mod stream;
mod visit;

pub(super) use self::call::call;
use self::setup::Setup;
pub(super) use self::visit::{probe, tail};
use super::{BusContext, BusError, Link, NatsConfig};

/// Starts the link; it connects by itself, now or when the server comes. Call within a Tokio runtime.
///
/// # Errors
/// Only what the configuration alone shows to be wrong: the URL, files that cannot be used.
pub fn start(config: &NatsConfig, context: BusContext) -> Result<Link, BusError> {
    let name = format!("sightwire-{}-{}", context.node, context.boot_id);
    let setup = Setup::new(config, &name)?;
    Ok(Link::start("nats", setup, context, (&config.subject_prefix, '.'), config.probe_interval.0))
}
