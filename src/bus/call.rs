//! A conversation with nodes over any bus: a command out, answers and retained states in (`ctl`).

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{BusConfig, BusError, Tailed, mqtt, nats};
use crate::domain::{ReplyTo, Target};

/// What has arrived and is not yet looked at. More are held back, never dropped.
const ROOM: usize = 1024;

/// What comes of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Message(Tailed),
    /// All that was retained when the conversation began has come.
    CaughtUp,
    /// NATS: nobody listens where the command went.
    Nobody,
    /// The connection is lost, and the conversation over.
    Over(String),
}

/// A command on its way out.
#[derive(Debug)]
pub(super) struct Saying {
    pub(super) address: String,
    pub(super) payload: Bytes,
    /// Names the question in the answers, where the bus has a place for it.
    pub(super) correlation: Bytes,
    /// So long the broker may hold it for a node that is away.
    pub(super) expiry: Option<Duration>,
    pub(super) said: oneshot::Sender<Result<(), String>>,
}

/// How a bus's end of the conversation is told of things.
pub(super) struct Ends {
    pub(super) sayings: mpsc::Receiver<Saying>,
    pub(super) heard: mpsc::Sender<Told>,
    /// Connected, and listening.
    pub(super) ready: oneshot::Sender<()>,
}

/// Connected for as long as it lives.
#[derive(Debug)]
pub struct Call {
    config: BusConfig,
    sayings: mpsc::Sender<Saying>,
    heard: mpsc::Receiver<Told>,
    task: JoinHandle<Result<(), BusError>>,
}

impl Call {
    /// Connects and listens for answers, and on MQTT for what is retained of nodes and cameras.
    ///
    /// # Errors
    /// Why not: the configuration, no answer within `deadline`, a refusal.
    pub async fn open(config: &BusConfig, deadline: Duration) -> Result<Self, BusError> {
        let (sayings, to_say) = mpsc::channel(4);
        let (tell, heard) = mpsc::channel(ROOM);
        let (ready, listening) = oneshot::channel();
        let ends = Ends { sayings: to_say, heard: tell, ready };
        let ours = config.clone();
        let mut task = tokio::spawn(async move {
            match &ours {
                BusConfig::Mqtt(config) => mqtt::call(config, deadline, ends).await,
                BusConfig::Nats(config) => nats::call(config, deadline, ends).await,
            }
        });
        if listening.await.is_err() {
            let ended = (&mut task).await.unwrap_or(Ok(()));
            return Err(ended.err().unwrap_or_else(|| config.lost("it ended at once")));
        }
        Ok(Self { config: config.clone(), sayings, heard, task })
    }

    /// Whether nodes and cameras keep their states there for whoever comes later.
    #[must_use]
    pub fn retains(&self) -> bool {
        matches!(self.config, BusConfig::Mqtt(_))
    }

    /// Sends a command; resolves once the broker has it. `expiry`: so long a broker may hold it for a node that is away.
    ///
    /// # Errors
    /// The bus does not take it.
    pub async fn say(
        &self,
        target: &Target,
        payload: Bytes,
        correlation: Bytes,
        expiry: Option<Duration>,
    ) -> Result<(), BusError> {
        let address = self.config.control_address(target);
        let (said, outcome) = oneshot::channel();
        let saying = Saying { address: address.clone(), payload, correlation, expiry, said };
        let gone = || self.config.lost("before the command was sent");
        self.sayings.send(saying).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?.map_err(|why| self.config.refused(format!("{address}: {why}")))
    }

    /// What is heard next.
    pub async fn next(&mut self) -> Told {
        if let Some(told) = self.heard.recv().await {
            return told;
        }
        let ended = (&mut self.task).await.ok().and_then(Result::err);
        Told::Over(ended.map_or_else(|| "the connection ended".into(), |error| error.to_string()))
    }

    /// The topic's words behind the prefix, as MQTT joins them: `nodes/garage/state`. None for foreign addresses.
    #[must_use]
    pub fn words<'a>(&self, address: &'a str) -> Option<Vec<&'a str>> {
        let (prefix, separator) = self.config.prefix();
        let rest = address.strip_prefix(prefix)?.strip_prefix(separator)?;
        Some(rest.split(separator).collect())
    }

    /// Says good-bye; nothing is lost by not waiting for it.
    pub async fn leave(self) {
        let Self { sayings, heard, task, .. } = self;
        drop((sayings, heard));
        let _late = tokio::time::timeout(Duration::from_secs(1), task).await;
    }
}

impl BusConfig {
    fn control_address(&self, target: &Target) -> String {
        let (prefix, separator) = self.prefix();
        super::channel::control_address(target, prefix, separator)
    }

    /// The first words of every address, and what joins words.
    fn prefix(&self) -> (&str, &'static str) {
        match self {
            Self::Mqtt(config) => (&config.topic_prefix, "/"),
            Self::Nats(config) => (&config.subject_prefix, "."),
        }
    }

    fn named(&self) -> (&'static str, String) {
        match self {
            Self::Mqtt(config) => ("mqtt", crate::domain::redact(&config.url)),
            Self::Nats(config) => ("nats", crate::domain::redact(&config.url)),
        }
    }

    fn lost(&self, why: &str) -> BusError {
        let (bus, url) = self.named();
        BusError::Lost { bus, url, why: why.into() }
    }

    fn refused(&self, why: String) -> BusError {
        let (bus, url) = self.named();
        BusError::Refused { bus, url, why }
    }
}

/// A reply address of one conversation.
pub(super) fn reply_to(address: &str, correlation: Bytes) -> ReplyTo {
    ReplyTo { address: address.to_owned(), correlation: Some(correlation) }
}
