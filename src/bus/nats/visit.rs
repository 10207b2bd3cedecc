//! Short visits to a server: is it there (`check`), and what goes by (`watch`).

use std::time::Duration;

use async_nats::Event;
use futures_util::StreamExt;
use futures_util::stream::SelectAll;

use super::connect::Connection;
use super::session::inbound;
use super::setup::Setup;
use crate::bus::link::End;
use crate::bus::{BusError, NatsConfig, Tailed};
use tokio::sync::mpsc;

pub(super) const BUS: &str = "nats";

/// Connects, and says what was found.
pub(in crate::bus) async fn probe(config: &NatsConfig, deadline: Duration) -> Result<String, BusError> {
    let mut setup = Setup::new(config, "sightwire-check")?;
    let connection = knock(&mut setup, deadline).await?;
    let info = connection.client.server_info();
    let storage = match (config.jetstream, info.jetstream) {
        (true, true) => ", JetStream there",
        (true, false) => ", no JetStream (events and keyframes go without acknowledgement)",
        (false, _) => "",
    };
    Ok(format!("NATS {} server, messages up to {} bytes{storage}", info.version, info.max_payload))
}

pub(super) async fn knock(setup: &mut Setup, deadline: Duration) -> Result<Connection, BusError> {
    let url = setup.shown.clone();
    match tokio::time::timeout(deadline, setup.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(End::Refused(why))) => Err(BusError::Refused { bus: BUS, url, why }),
        Ok(Err(End::Lost { why, .. } | End::TakenOver { why, .. })) => Err(BusError::Connect { bus: BUS, url, why }),
        Ok(Err(End::Stopped)) => Err(BusError::Connect { bus: BUS, url, why: "stopped".into() }),
        Err(_) => Err(BusError::Timeout { bus: BUS, url, timeout: deadline }),
    }
}

/// Listens on `addresses` and hands on what arrives until the connection is lost (the error) or nobody receives.
pub(in crate::bus) async fn tail(
    config: &NatsConfig,
    addresses: &[String],
    deadline: Duration,
    sender: &mpsc::Sender<Tailed>,
    again: bool,
) -> Result<(), BusError> {
    let mut setup = Setup::new(config, "sightwire-watch")?;
    let mut connection = knock(&mut setup, deadline).await?;
    let lost = |why: String| BusError::Lost { bus: BUS, url: setup.shown.clone(), why };
    let mut messages = SelectAll::new();
    for address in addresses {
        messages.push(connection.client.subscribe(address.clone()).await.map_err(|e| lost(e.to_string()))?);
    }
    if again {
        tracing::info!("{}: subscribed again", setup.shown);
    }
    loop {
        tokio::select! {
            event = connection.events.recv() => match event {
                None | Some(Event::Disconnected | Event::Closed) => return Err(lost("the connection was lost".into())),
                Some(Event::ServerError(error)) => {
                    return Err(BusError::Refused { bus: BUS, url: setup.shown.clone(), why: error.to_string() });
                }
                Some(_) => {}
            },
            Some(message) = messages.next() => {
                if sender.send(inbound(message).into()).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
