//! A second connection that says nothing but whether the node is there: MQTT has one will a connection, and the node's own
//! is taken by its `status`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dialect::{Closing, Dialect};
use super::driven::Driven;
use super::setup::Setup;
use super::{v5, v311};
use crate::bus::{Backoff, BusError, Message, MqttConfig, MqttVersion, Topic};
use crate::domain::{BootId, Name};

/// For the last word to be acknowledged.
const FAREWELL: Duration = Duration::from_secs(2);

/// `online` at an address for as long as this lives, `offline` afterwards, by the broker's hand if need be.
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

/// Connects by itself, now or when the broker comes.
///
/// # Errors
/// As [`super::start`].
pub fn start(config: &MqttConfig, node: &Name, boot: &BootId, address: &str) -> Result<Herald, BusError> {
    let mut setup = Setup::for_node(config, node, boot)?;
    setup.client_id.push_str("-available");
    // It listens on nothing: there is no session to be kept.
    setup.session_seconds = 0;
    setup.will = Some(address.to_owned());
    let stop = CancellationToken::new();
    let task = match config.version {
        MqttVersion::V5 => tokio::spawn(live::<v5::Client>(setup, address.to_owned(), stop.clone())),
        MqttVersion::V311 => tokio::spawn(live::<v311::Client>(setup, address.to_owned(), stop.clone())),
    };
    Ok(Herald { stop: stop.drop_guard(), task })
}

async fn live<D: Dialect>(setup: Setup, address: String, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let why = be_there::<D>(&setup, &address, &stop).await;
        if stop.is_cancelled() {
            return;
        }
        // The node's own link says why a broker is away.
        tracing::debug!(bus = "mqtt", address, ?why, "availability is not said");
        backoff.connected_for(begun.elapsed());
        let _stopped = stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
    }
}

/// One connection, until it is lost or the node ends.
async fn be_there<D: Dialect>(setup: &Setup, address: &str, stop: &CancellationToken) -> Option<Closing> {
    let mut link = Driven::<D>::open(setup, false);
    let word = |word: &'static [u8]| Message::word(Topic::Absolute(address.to_owned()), Bytes::from_static(word), None);
    // The first saying is the broker's welcome.
    if let Err(closing) = stop.run_until_cancelled(link.next()).await? {
        return Some(closing);
    }
    let _acknowledged = link.client.publish(address, &word(b"online"));
    let lost = stop.run_until_cancelled(async {
        loop {
            if let Err(closing) = link.next().await {
                return closing;
            }
        }
    });
    if let Some(closing) = lost.await {
        return Some(closing);
    }
    if let Ok(said) = link.client.publish(address, &word(b"offline")) {
        let heard = async { while link.next().await.is_ok() {} };
        tokio::select! { _ = said => {} () = heard => {} () = tokio::time::sleep(FAREWELL) => {} }
    }
    link.leave().await;
    None
}
