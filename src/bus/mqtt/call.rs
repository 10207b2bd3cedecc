//! A conversation with nodes: MQTT 5 answers come to a topic of our own, 3.1.1's to the nodes' `replies`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::dialect::{Asking, Dialect, Receipt, Saying};
use super::driven::{Driven, FILTERS_A_PACKET};
use super::setup::Setup;
use super::visit::{knock, over};
use super::{v5, v311};
use crate::bus::call::{Ends, Told, reply_to};
use crate::bus::{BusError, MqttConfig, MqttVersion};

/// A broker that does not give our own word back by then has said what it retains, or never will.
const FENCE: Duration = Duration::from_secs(1);

pub(in crate::bus) async fn call(config: &MqttConfig, deadline: Duration, ends: Ends) -> Result<(), BusError> {
    let setup = Setup::for_visitor(config, "ctl")?;
    match config.version {
        MqttVersion::V5 => converse::<v5::Client>(&setup, deadline, ends).await,
        MqttVersion::V311 => converse::<v311::Client>(&setup, deadline, ends).await,
    }
}

async fn converse<D: Dialect>(setup: &Setup, deadline: Duration, ends: Ends) -> Result<(), BusError> {
    let Ends { mut sayings, heard, ready } = ends;
    let (mut link, _) = knock::<D>(setup, deadline).await?;
    let prefix = &setup.prefix;
    // Under the prefix, so that a broker which keeps its users to their topics need know no further one.
    let inbox = format!("{prefix}/ctl/{}", setup.client_id);
    let states = ["nodes/+/status", "nodes/+/state", "cameras/+/state"].map(|words| format!("{prefix}/{words}"));
    let own = listen(&mut link, setup, std::slice::from_ref(&inbox), deadline).await?.is_empty();
    if !D::HAS_RESPONSE_TOPICS || !own {
        allowed(listen(&mut link, setup, &[format!("{prefix}/nodes/+/replies")], deadline).await?, setup)?;
    }
    // What is retained comes from here on, and after it our own word.
    states.chunks(FILTERS_A_PACKET).for_each(|chunk| link.client.subscribe(chunk));
    let reply = (D::HAS_RESPONSE_TOPICS && own).then_some(inbox.as_str());
    let mut receipts: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let mut fenced = false;
    let fence = tokio::time::sleep(FENCE);
    tokio::pin!(fence);
    let _asker_gone = ready.send(());
    loop {
        tokio::select! {
            said = link.next() => match said {
                Ok(Saying::Message(inbound)) if own && inbound.address == inbox && inbound.payload.is_empty() => {
                    if !std::mem::replace(&mut fenced, true) && heard.send(Told::CaughtUp).await.is_err() { break }
                }
                Ok(Saying::Message(inbound)) => if heard.send(Told::Message(inbound.into())).await.is_err() { break },
                Ok(Saying::Subscribed { refused }) => {
                    allowed(refused, setup)?;
                    if own {
                        receipts.push(quietly(link.client.ask(Asking::word(&inbox))));
                    }
                }
                Ok(_) => {}
                Err(closing) => return over(closing, setup),
            },
            () = &mut fence, if !fenced => {
                fenced = true;
                if heard.send(Told::CaughtUp).await.is_err() { break }
            }
            Some(()) = receipts.next() => {}
            saying = sayings.recv() => {
                let Some(saying) = saying else { break };
                let asked = link.client.ask(Asking {
                    address: &saying.address,
                    payload: saying.payload,
                    reply_to: reply.map(|inbox| reply_to(inbox, saying.correlation)),
                    expiry: saying.expiry,
                });
                let said = saying.said;
                receipts.push(Box::pin(async move {
                    let outcome = match asked {
                        Err(why) => Err(why),
                        Ok(receipt) => match receipt.await {
                            Receipt::Acked => Ok(()),
                            Receipt::Forbidden => Err("the broker does not let this user publish there".into()),
                            Receipt::Refused(why) => Err(why),
                            Receipt::Lost => Err("the connection was lost".into()),
                        },
                    };
                    let _asker_gone = said.send(outcome);
                }));
            }
        }
    }
    drop(receipts);
    link.leave().await;
    Ok(())
}

/// Subscribes and waits for the answer: which of the addresses we may not listen on.
async fn listen<D: Dialect>(
    link: &mut Driven<D>,
    setup: &Setup,
    addresses: &[String],
    deadline: Duration,
) -> Result<Vec<(usize, String)>, BusError> {
    link.client.subscribe(addresses);
    let answered = async {
        loop {
            match link.next().await {
                Ok(Saying::Subscribed { refused }) => return Ok(refused),
                Ok(_) => {}
                Err(closing) => return over(closing, setup).map(|()| Vec::new()),
            }
        }
    };
    let timeout = || BusError::Timeout { bus: "mqtt", url: setup.shown.clone(), timeout: deadline };
    tokio::time::timeout(deadline, answered).await.map_err(|_| timeout())?
}

fn allowed(refused: Vec<(usize, String)>, setup: &Setup) -> Result<(), BusError> {
    let Some((_, why)) = refused.into_iter().next() else { return Ok(()) };
    let why = format!("this user may not listen to what nodes say (nodes/+/…, cameras/+/state): {why}");
    Err(BusError::Refused { bus: "mqtt", url: setup.shown.clone(), why })
}

fn quietly(asked: Result<super::dialect::Notice, String>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        if let Ok(receipt) = asked {
            let _no_matter = receipt.await;
        }
    })
}

impl<'a> Asking<'a> {
    /// A word to ourselves.
    fn word(address: &'a str) -> Self {
        Self { address, payload: Bytes::new(), reply_to: None, expiry: None }
    }
}
