//! Frigate's MQTT topics, for automations that were written for them: what is said, not where it is sent. Pure.
//!
//! Event-topic compatible, not a drop-in: there is no Frigate API behind the ids, and no zone, clip or recording.
//! The shapes are those of <https://docs.frigate.video/integrations/mqtt/>.

mod config;
mod object;
mod objects;
mod payload;

pub use config::FrigateConfig;
pub use object::Sight;
pub use objects::{Objects, Said, Seen};
pub use payload::event_schema;
