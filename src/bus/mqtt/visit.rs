//! Short visits to a broker: is it there (`check`), and what goes by (`watch`).

use std::time::Duration;

use super::dialect::{Closing, Dialect, Saying};
use super::driven::{Driven, FILTERS_A_PACKET};
use super::session::{HUNG_UP, TAKEN_OVER};
use super::setup::Setup;
use super::{v5, v311};
use crate::bus::{BusError, MqttConfig, MqttVersion, Tailed};
use tokio::sync::mpsc;

/// Connects, and says what was found.
pub(in crate::bus) async fn probe(config: &MqttConfig, deadline: Duration) -> Result<String, BusError> {
    let setup = Setup::for_visitor(config, "check")?;
    match config.version {
        MqttVersion::V5 => look::<v5::Client>(&setup, deadline).await,
        MqttVersion::V311 => look::<v311::Client>(&setup, deadline).await,
    }
}

async fn look<D: Dialect>(setup: &Setup, deadline: Duration) -> Result<String, BusError> {
    let (link, found) = knock::<D>(setup, deadline).await?;
    link.leave().await;
    Ok(found)
}

pub(super) async fn knock<D: Dialect>(setup: &Setup, deadline: Duration) -> Result<(Driven<D>, String), BusError> {
    let mut link = Driven::<D>::open(setup, false);
    let url = setup.shown.clone();
    match tokio::time::timeout(deadline, link.next()).await {
        Ok(Ok(Saying::Connected { max_packet, .. })) => {
            Ok((link, format!("{} broker, session ok, packets up to {max_packet} bytes", D::NAME)))
        }
        Ok(Ok(other)) => Err(BusError::Connect { bus: "mqtt", url, why: format!("unexpected: {other:?}") }),
        Ok(Err(Closing::Refused(why))) => Err(BusError::Refused { bus: "mqtt", url, why }),
        Ok(Err(Closing::Lost(why))) => Err(BusError::Connect { bus: "mqtt", url, why }),
        Ok(Err(Closing::HungUp)) => Err(BusError::Connect { bus: "mqtt", url, why: HUNG_UP.into() }),
        Ok(Err(Closing::TakenOver)) => Err(BusError::Connect { bus: "mqtt", url, why: TAKEN_OVER.into() }),
        Ok(Err(Closing::Done)) => Err(BusError::Connect { bus: "mqtt", url, why: "closed".into() }),
        Err(_) => Err(BusError::Timeout { bus: "mqtt", url, timeout: deadline }),
    }
}

/// Listens on `addresses` and hands on what arrives until the connection is lost (the error) or nobody receives.
pub(in crate::bus) async fn tail(
    config: &MqttConfig,
    addresses: &[String],
    deadline: Duration,
    sender: &mpsc::Sender<Tailed>,
    again: bool,
) -> Result<(), BusError> {
    let setup = Setup::for_visitor(config, "watch")?;
    match config.version {
        MqttVersion::V5 => listen::<v5::Client>(&setup, addresses, deadline, sender, again).await,
        MqttVersion::V311 => listen::<v311::Client>(&setup, addresses, deadline, sender, again).await,
    }
}

async fn listen<D: Dialect>(
    setup: &Setup,
    addresses: &[String],
    deadline: Duration,
    sender: &mpsc::Sender<Tailed>,
    again: bool,
) -> Result<(), BusError> {
    let (mut link, _) = knock::<D>(setup, deadline).await?;
    addresses.chunks(FILTERS_A_PACKET).for_each(|chunk| link.client.subscribe(chunk));
    loop {
        match link.next().await {
            Ok(Saying::Message(inbound)) => {
                if sender.send(inbound.into()).await.is_err() {
                    link.leave().await;
                    return Ok(());
                }
            }
            Ok(Saying::Subscribed { refused }) if !refused.is_empty() => {
                let whys: Vec<&str> = refused.iter().map(|(_, why)| why.as_str()).collect();
                let why = format!("{} of the topics may not be listened on: {}", refused.len(), whys.join(", "));
                return Err(BusError::Refused { bus: "mqtt", url: setup.shown.clone(), why });
            }
            Ok(Saying::Subscribed { .. }) if again => tracing::info!("{}: subscribed again", setup.shown),
            Ok(_) => {}
            Err(closing) => return over(closing, setup),
        }
    }
}

/// A visit that is over, by us or not.
pub(super) fn over(closing: Closing, setup: &Setup) -> Result<(), BusError> {
    let url = setup.shown.clone();
    match closing {
        Closing::Refused(why) => Err(BusError::Refused { bus: "mqtt", url, why }),
        Closing::Lost(why) => Err(BusError::Lost { bus: "mqtt", url, why }),
        Closing::HungUp => Err(BusError::Lost { bus: "mqtt", url, why: HUNG_UP.into() }),
        Closing::TakenOver => Err(BusError::Lost { bus: "mqtt", url, why: TAKEN_OVER.into() }),
        Closing::Done => Ok(()),
    }
}
