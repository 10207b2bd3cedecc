//! The bus that a command listens and speaks on.

use super::BadUsage;
use crate::bus::BusConfig;

#[derive(Debug, clap::Args)]
pub struct BusArgs {
    /// The bus: `mqtt://host:1883`, `mqtts://`, `ws://`, `nats://host:4222`, `tls://`; user and password in the URL.
    #[arg(
        id = "bus",
        long = "bus",
        value_name = "URL",
        default_value = "mqtt://localhost:1883",
        env = "SIGHTWIRE_BUS",
        hide_env_values = true
    )]
    pub url: String,
    /// The prefix of topics and subjects.
    #[arg(long, default_value = "sightwire")]
    prefix: String,
}

impl BusArgs {
    pub fn config(&self) -> Result<BusConfig, BadUsage> {
        BusConfig::from_url(&self.url, &self.prefix).map_err(|error| BadUsage(format!("--bus: {error}")))
    }
}
