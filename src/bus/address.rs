//! Any bus by its configuration or URL: look whether it is there, and listen to what goes by.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::link::Inbound;
use super::{Backoff, BusError, MqttConfig, NatsConfig, Remedy, Topic, mqtt, nats};
use crate::domain::{Name, redact};

/// One bus to visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusConfig {
    Mqtt(MqttConfig),
    Nats(NatsConfig),
}

/// A message that went by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tailed {
    /// Topic or subject.
    pub address: String,
    pub payload: Bytes,
    pub content_type: Option<String>,
    pub retained: bool,
}

impl BusConfig {
    /// The bus by the URL's scheme, everything else by default.
    ///
    /// # Errors
    /// The scheme belongs to no bus.
    pub fn from_url(url: &str, prefix: &str) -> Result<Self, BusError> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("nats" | "tls") => {
                Ok(Self::Nats(NatsConfig { url: url.into(), subject_prefix: prefix.into(), ..NatsConfig::default() }))
            }
            Some("mqtt" | "mqtts" | "tcp" | "ssl" | "ws" | "wss") => {
                Ok(Self::Mqtt(MqttConfig { url: url.into(), topic_prefix: prefix.into(), ..MqttConfig::default() }))
            }
            _ => Err(BusError::Url {
                bus: "mqtt",
                url: redact(url),
                why: "no scheme of a bus".into(),
                expected: "mqtt://host:1883, mqtts://, ws://, wss://, nats://host:4222 or tls://",
            }),
        }
    }

    fn address(&self, topic: &Topic) -> String {
        match self {
            Self::Mqtt(config) => topic.mqtt(&config.topic_prefix),
            Self::Nats(config) => topic.nats(&config.subject_prefix),
        }
    }

    /// Detections and events of one camera, or of all.
    fn addresses(&self, camera: Option<&Name>) -> Vec<String> {
        if let Some(camera) = camera {
            return [Topic::Detections(camera.clone()), Topic::Events(camera.clone())]
                .iter()
                .map(|topic| self.address(topic))
                .collect();
        }
        let all = |kind: &str| match self {
            Self::Mqtt(config) => format!("{}/cameras/+/{kind}", config.topic_prefix),
            Self::Nats(config) => format!("{}.cameras.*.{kind}", config.subject_prefix),
        };
        vec![all("detections"), all("events")]
    }
}

/// Really connects, authenticates and leaves again; says what was found.
///
/// # Errors
/// Why not: the configuration, no answer within `deadline`, a refusal.
pub async fn probe(config: &BusConfig, deadline: Duration) -> Result<String, BusError> {
    match config {
        BusConfig::Mqtt(config) => mqtt::probe(config, deadline).await,
        BusConfig::Nats(config) => nats::probe(config, deadline).await,
    }
}

/// Hands detections and events of one camera (or all) to `sender` until its receiver is gone. A connection that was
/// made once and is lost is made again.
///
/// # Errors
/// The first connection could not be made, or what is wrong needs a person.
pub async fn tail(config: &BusConfig, camera: Option<&Name>, sender: mpsc::Sender<Tailed>) -> Result<(), BusError> {
    const DEADLINE: Duration = Duration::from_secs(10);
    let addresses = config.addresses(camera);
    let mut backoff = Backoff::default();
    let mut connected_once = false;
    loop {
        let started = std::time::Instant::now();
        let session = async {
            match config {
                BusConfig::Mqtt(config) => mqtt::tail(config, &addresses, DEADLINE, &sender, connected_once).await,
                BusConfig::Nats(config) => nats::tail(config, &addresses, DEADLINE, &sender, connected_once).await,
            }
        };
        let ended = tokio::select! {
            ended = session => ended,
            () = sender.closed() => return Ok(()),
        };
        let Err(error) = ended else { return Ok(()) };
        connected_once |= matches!(error, BusError::Lost { .. });
        if !connected_once || error.remedy() == Remedy::Fatal || matches!(error, BusError::Refused { .. }) {
            return Err(error);
        }
        backoff.connected_for(started.elapsed());
        tracing::warn!(%error, "connecting again; what is said meanwhile is not seen");
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

impl From<Inbound> for Tailed {
    fn from(inbound: Inbound) -> Self {
        let Inbound { address, payload, content_type, retained, .. } = inbound;
        Self { address, payload, content_type, retained }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_bus_and_its_words() {
        let mqtt = BusConfig::from_url("mqtts://h", "a/b").unwrap();
        assert_eq!(mqtt.addresses(None), ["a/b/cameras/+/detections", "a/b/cameras/+/events"]);
        let nats = BusConfig::from_url("nats://h", "a").unwrap();
        let camera: Name = "cam".parse().unwrap();
        assert_eq!(nats.addresses(Some(&camera)), ["a.cameras.cam.detections", "a.cameras.cam.events"]);
        let error = BusConfig::from_url("http://u:secret@h", "a").unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("nats://"), "{error}");
    }
}
