//! nats-server with JetStream on disk: the stream itself is the witness. What it acknowledged is in its file and outlives SIGKILL.

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt;
use sightwire::bus::{NatsConfig, start_nats};
use tokio::task::JoinSet;

use super::arena::Arena;
use super::common::{NatsServer, PATIENCE, context};
use super::ledger::{Ledger, Said};
use super::mqtt::sum;
use super::plan::plan;
use super::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_jetstream_server_that_is_killed_frozen_and_cut_off_stores_every_event_in_order() {
    let mut storms = JoinSet::new();
    for index in 0..plan().links(8) {
        storms.spawn(async move {
            let server = NatsServer::with_jetstream();
            let proxy = Proxy::start(server.port, None);
            let url = format!("nats://127.0.0.1:{}", proxy.port);
            let link = start_nats(&NatsConfig { url, ..NatsConfig::default() }, context().0).unwrap();
            let mut arena = Arena { server, proxy, link, dice: plan().dice("nats", index) };
            let (promised, mut report) = arena.storm(true).await;
            let stored = stored(&arena.server).await;
            stored.check("in the stream", &promised.events);
            report.duplicates = stored.duplicates;
            report
        });
    }
    sum(storms).await.say("NATS, JetStream on disk, SIGKILL too");
}

/// Everything the stream holds, in its order.
pub async fn stored(server: &NatsServer) -> Ledger {
    let jetstream = jetstream::new(server.client().await);
    let mut stream = jetstream.get_stream("SIGHTWIRE").await.unwrap();
    let all = stream.info().await.unwrap().state.messages;
    let mut ledger = Ledger::default();
    let consumer = stream.create_consumer(OrderedConfig::default()).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for _ in 0..all {
        let next = tokio::time::timeout(PATIENCE, messages.next()).await.expect("the stream gives all it holds");
        // Keyframes are in it as well.
        if let Some(said) = Said::read(&next.unwrap().unwrap().payload) {
            ledger.saw(&said);
        }
    }
    ledger
}
