//! What a session listens on: one subscription an address, taken back when it is wanted no more.

use std::collections::{HashMap, HashSet};

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{SelectAll, TakeUntil};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bus::link::Wire;

#[derive(Default)]
pub(super) struct Ears {
    /// A subscriber that is dropped unsubscribes.
    heard: SelectAll<TakeUntil<Subscriber, BoxFuture<'static, ()>>>,
    /// Dropping one ends its subscription.
    open: HashMap<String, DropGuard>,
}

impl Ears {
    /// Subscribes to what is new of the node's wish, and unsubscribes what is gone.
    pub(super) async fn listen(&mut self, client: &Client, wire: &Wire) -> Result<(), String> {
        let probed = wire.delivery.wanted().then_some(&wire.probe_address);
        let wanted: HashSet<&String> = wire.listening.keys().chain(probed).collect();
        self.open.retain(|address, _| wanted.contains(address));
        for address in wanted {
            if self.open.contains_key(address) {
                continue;
            }
            let subscribed = client.subscribe(address.clone()).await;
            let subscriber = subscribed.map_err(|error| format!("cannot subscribe: {error}"))?;
            let end = CancellationToken::new();
            let ended: BoxFuture<'static, ()> = Box::pin(end.clone().cancelled_owned());
            self.heard.push(subscriber.take_until(ended));
            self.open.insert(address.clone(), end.drop_guard());
        }
        Ok(())
    }

    /// `None`: there is nothing to listen on.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.heard.next().await
    }
}
