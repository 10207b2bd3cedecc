//! A second connection that says nothing but whether the node is there: MQTT has one will a connection, and the node's own
//! is taken by its `status`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dialect::{Closing, Dialect, Receipt, Saying};
use super::driven::Driven;
use super::setup::Setup;
use super::{v5, v311};
use crate::bus::{Backoff, BusError, LinkState, Message, MqttConfig, MqttVersion, Topic};
use crate::domain::{BootId, Name};

/// For the last word to be acknowledged.
const FAREWELL: Duration = Duration::from_secs(2);
/// A broker that will not have us is not asked more often.
const SLOW: Duration = Duration::from_secs(5);

/// `online` at an address for as long as this lives and the node's own link is up, `offline` otherwise, by the broker's hand if
/// need be.
#[derive(Debug)]
pub struct Herald {
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Herald {
    /// Says `offline` and leaves.
    pub async fn stop(self) {
        self.stop.disarm().cancel();
        let _late = tokio::time::timeout(FAREWELL * 2, self.task).await;
    }
}

/// Connects by itself, now or when the broker comes. `link`: the node's own.
///
/// # Errors
/// As [`super::start`].
pub fn start(
    config: &MqttConfig,
    (node, boot): (&Name, &BootId),
    address: &str,
    link: watch::Receiver<LinkState>,
) -> Result<Herald, BusError> {
    let mut setup = Setup::for_node(config, node, boot)?;
    setup.client_id.push_str("-available");
    // It listens on nothing: there is no session to be kept.
    setup.session_seconds = 0;
    setup.will = Some(address.to_owned());
    let stop = CancellationToken::new();
    let voice = Voice { setup, address: address.to_owned(), link, stop: stop.clone(), complained: HashSet::new() };
    let task = match config.version {
        MqttVersion::V5 => tokio::spawn(voice.live::<v5::Client>()),
        MqttVersion::V311 => tokio::spawn(voice.live::<v311::Client>()),
    };
    Ok(Herald { stop: stop.drop_guard(), task })
}

struct Voice {
    setup: Setup,
    address: String,
    link: watch::Receiver<LinkState>,
    stop: CancellationToken,
    /// What was said to be wrong.
    complained: HashSet<String>,
}

impl Voice {
    async fn live<D: Dialect>(mut self) {
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            let begun = Instant::now();
            let Some(closing) = self.be_there::<D>().await else { return };
            backoff.connected_for(begun.elapsed());
            let mut delay = backoff.next_delay();
            if let Closing::Refused(why) = closing {
                self.complain(&why);
                delay = delay.max(SLOW);
            } else {
                // Why a broker is away the node's own link says.
                tracing::debug!(bus = "mqtt", address = self.address, ?closing, "availability is not said");
            }
            let _stopped = self.stop.run_until_cancelled(tokio::time::sleep(delay)).await;
        }
    }

    /// One connection, until it is lost, or the node ends.
    async fn be_there<D: Dialect>(&mut self) -> Option<Closing> {
        let stop = self.stop.clone();
        let mut connection = Driven::<D>::open(&self.setup, false);
        // The first saying is the broker's welcome.
        match stop.run_until_cancelled(connection.next()).await? {
            Ok(Saying::Connected { retains: false, .. }) => {
                return Some(Closing::Refused("it keeps no retained messages".into()));
            }
            Ok(_) => {}
            Err(closing) => return Some(closing),
        }
        let lost = stop.run_until_cancelled(self.follow(&mut connection)).await;
        if let Some(closing) = lost {
            return Some(closing);
        }
        if connection.client.publish(&self.address, &self.word(false)).is_ok() {
            let acknowledged = async { while !matches!(connection.next().await, Ok(Saying::Answered(..)) | Err(_)) {} };
            let _late = tokio::time::timeout(FAREWELL, acknowledged).await;
        }
        connection.leave().await;
        None
    }

    /// Says how the node's own link is: who hears `online` is to be heard.
    async fn follow<D: Dialect>(&mut self, connection: &mut Driven<D>) -> Closing {
        let mut said = None;
        loop {
            let up = self.link.borrow_and_update().connected;
            if said.replace(up) != Some(up)
                && let Err(why) = connection.client.publish(&self.address, &self.word(up))
            {
                self.complain(&why);
            }
            tokio::select! {
                next = connection.next() => match next {
                    Ok(Saying::Answered(_, Receipt::Refused(why))) => self.complain(&why),
                    Ok(Saying::Answered(_, Receipt::Forbidden)) => self.complain("not authorized to publish there"),
                    Ok(_) => {}
                    Err(closing) => return closing,
                },
                () = changed(&mut self.link) => {}
            }
        }
    }

    fn word(&self, online: bool) -> Message {
        let word: &[u8] = if online { b"online" } else { b"offline" };
        Message::word(Topic::Absolute(self.address.clone()), Bytes::from_static(word), None)
    }

    /// Once: it is tried again for as long as the node lives.
    fn complain(&mut self, why: &str) {
        if self.complained.insert(why.to_owned()) {
            let address = &self.address;
            tracing::warn!(
                bus = "mqtt",
                address,
                "the broker does not let us say that we are there: {why}; it is a second \
                connection of this node, with a will at this address: allow both"
            );
        }
    }
}

async fn changed(link: &mut watch::Receiver<LinkState>) {
    if link.changed().await.is_err() {
        // The link ended, and so will this.
        std::future::pending::<()>().await;
    }
}
