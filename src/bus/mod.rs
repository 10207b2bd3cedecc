//! How messages leave: topics, the outbox that owns a message until it is sent or acknowledged, and one folder a bus.
//!
//! A link keeps one session after the other with its server (`link`), each session told by `mqtt/session.rs` or
//! `nats/session.rs`. The node starts whether or not a server is there.

mod address;
mod backoff;
mod call;
mod channel;
mod config;
mod delivery;
pub mod embedded;
mod error;
mod fanout;
mod link;
mod memory;
mod message;
mod mqtt;
mod nats;
mod outbox;
mod report;
mod secrets;
pub mod spool;
mod subscriptions;
mod topic;

pub use address::{BusConfig, Tailed, probe, tail};
pub use backoff::Backoff;
pub use call::{Call, Told};
pub use channel::{Channel, Direction, Kept};
pub use config::{BusesConfig, MessageExpiry, MqttConfig, MqttVersion, NatsConfig, Secret};
pub use error::{BusError, Remedy};
pub use fanout::Fanout;
pub use link::{BusContext, Leftover, Link};
pub use memory::MemoryPublisher;
pub use message::{Message, MessageKind, Qos, Shrink};
pub use mqtt::{Herald, start as start_mqtt, start_herald};
pub use nats::start as start_nats;
pub use outbox::{LaneLimit, Outbox, OutboxLimits, Parcel, Tally, Ticket, Waiting};
pub use report::{LinkState, Trouble};
pub use spool::{SpoolConfig, SpoolPlace, SpoolState};
pub use subscriptions::{Absolute, ControlTopics, Heard, Subscriptions};
pub use topic::{Topic, topic_word};

/// Takes messages for delivery. Never blocks and never fails: what there is no room for is counted where it was lost.
pub trait Publisher: Send + Sync {
    fn offer(&self, message: Message);
}
