//! How messages leave: topics, the outbox that owns a message until it is sent or acknowledged, and one folder a bus.

mod config;
mod message;
mod topic;

pub use config::{BusesConfig, MqttConfig, MqttVersion, NatsConfig, Secret};
pub use message::{Message, MessageKind, Qos};
pub use topic::{ControlTopics, Topic, topic_word};

/// Takes messages for delivery. Never blocks and never fails: what there is no room for is counted where it was lost.
pub trait Publisher: Send + Sync {
    fn offer(&self, message: Message);
}
