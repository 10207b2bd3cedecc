//! MQTT 5 and 3.1.1. `v5` and `v311` have the same shape behind the seam in `dialect`; everything else is written once.

mod alias;
mod call;
mod dialect;
mod driven;
mod herald;
mod listening;
mod resume;
mod session;
mod setup;
mod v311;
mod v5;
mod visit;
mod words;

pub(super) use self::call::call;
pub use self::herald::{Herald, start as start_herald};
use self::session::Broker;
use self::setup::Setup;
pub(super) use self::visit::{probe, tail};
use super::{BusContext, BusError, Link, MqttConfig, MqttVersion};

/// Starts the link; it connects by itself, now or when the broker comes. Call within a Tokio runtime.
///
/// # Errors
/// Only what the configuration alone shows to be wrong: the URL, files that cannot be used.
pub fn start(config: &MqttConfig, context: BusContext) -> Result<Link, BusError> {
    let setup = Setup::for_node(config, &context.node, &context.boot_id)?;
    let (words, probe) = ((config.topic_prefix.as_str(), '/'), config.probe_interval.0);
    Ok(match config.version {
        MqttVersion::V5 => Link::start("mqtt", Broker::<v5::Client>::new(setup), context, words, probe),
        MqttVersion::V311 => Link::start("mqtt", Broker::<v311::Client>::new(setup), context, words, probe),
    })
}
