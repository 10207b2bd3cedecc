//! A conversation with nodes: a request that many may answer, to an inbox of our own.

use std::time::Duration;

use async_nats::{Event, StatusCode};
use futures_util::StreamExt;

use super::session::inbound;
use super::setup::Setup;
use super::visit::{BUS, knock};
use crate::bus::call::{Ends, Told};
use crate::bus::{BusError, NatsConfig};

pub(in crate::bus) async fn call(config: &NatsConfig, deadline: Duration, ends: Ends) -> Result<(), BusError> {
    let Ends { mut sayings, heard, ready } = ends;
    let mut setup = Setup::new(config, "sightwire-ctl")?;
    let mut connection = knock(&mut setup, deadline).await?;
    let lost = |why: String| BusError::Lost { bus: BUS, url: setup.shown.clone(), why };
    let client = connection.client.clone();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|e| lost(e.to_string()))?;
    let _asker_gone = ready.send(());
    // Nothing is retained here.
    if heard.send(Told::CaughtUp).await.is_err() {
        return Ok(());
    }
    loop {
        tokio::select! {
            event = connection.events.recv() => match event {
                None | Some(Event::Disconnected | Event::Closed) => return Err(lost("the server closed it".into())),
                Some(Event::ServerError(error)) => {
                    return Err(BusError::Refused { bus: BUS, url: setup.shown.clone(), why: error.to_string() });
                }
                Some(_) => {}
            },
            Some(message) = answers.next() => {
                let nobody = message.status == Some(StatusCode::NO_RESPONDERS);
                let said = if nobody { Told::Nobody } else { Told::Message(inbound(message).into()) };
                if heard.send(said).await.is_err() {
                    return Ok(());
                }
            }
            saying = sayings.recv() => {
                let Some(saying) = saying else { return Ok(()) };
                let published = client.publish_with_reply(saying.address, inbox.clone(), saying.payload).await;
                let outcome = match published {
                    Ok(()) => client.flush().await.map_err(|e| e.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                let _asker_gone = saying.said.send(outcome);
            }
        }
    }
}
