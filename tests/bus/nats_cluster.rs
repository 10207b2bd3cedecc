//! A cluster of three servers with JetStream, and what a cut between a message and its acknowledgement does.

use sightwire::bus::{MessageKind, NatsConfig, Publisher, start_nats};
use sightwire::domain::Span;
use std::time::Duration;
use tokio::time::timeout;

use crate::common::{NatsServer, Proxy, Way, context, message};
use crate::{connected, down_because, drained, law_holds};

#[tokio::test(flavor = "multi_thread")]
async fn nats_the_connected_server_of_a_cluster_dies_and_no_event_is_lost() {
    let mut servers = NatsServer::cluster().await;
    // One is named: the others are learned from it.
    let link = start_nats(&servers[0].config(), context().0).unwrap();
    connected(&link).await;
    let mut sent = 0_u32;
    let mut say = |count: u32| {
        for _ in 0..count {
            let mut event = message(MessageKind::Event, format!("event-{sent}"));
            event.id = Some(format!("event-{sent}"));
            link.outbox().offer(event);
            sent += 1;
        }
        u64::from(sent)
    };
    say(100);
    drained(&link).await;
    say(50);
    servers[0].kill();
    say(50);
    down_because(&link, "").await;
    connected(&link).await;
    let sent = say(100);
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, sent);
    law_holds(&link);
    let jetstream = async_nats::jetstream::new(servers[1].client().await);
    let mut stream = jetstream.get_stream("SIGHTWIRE").await.unwrap();
    let info = stream.info().await.unwrap();
    assert_eq!(info.config.num_replicas, 3, "in a cluster the stream survives a server");
    assert_eq!(info.state.messages, sent, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_cut_between_publish_and_acknowledgement_stores_the_message_once() {
    let server = NatsServer::with_jetstream();
    let proxy = Proxy::to(server.port);
    let url = format!("nats://127.0.0.1:{}", proxy.port);
    let config =
        NatsConfig { url, keep_alive: Span::secs(2), probe_interval: Span::default(), ..NatsConfig::default() };
    let link = start_nats(&config, context().0).unwrap();
    connected(&link).await;
    proxy.stall(Way::FromServer, true);
    let mut event = message(MessageKind::Event, "once");
    event.id = Some("front-door-boot-event-1".into());
    link.outbox().offer(event);
    let jetstream = async_nats::jetstream::new(server.client().await);
    let stored = async || jetstream.get_stream("SIGHTWIRE").await.unwrap().info().await.unwrap().state.messages;
    crate::common::eventually("it is stored", async || stored().await == 1).await;
    down_because(&link, "").await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 0);
    proxy.mend();
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    assert_eq!(stored().await, 1, "the second time it is known by its Nats-Msg-Id");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_while_a_cluster_has_no_leader_events_wait_and_are_not_sent_without_acknowledgement() {
    let mut servers = NatsServer::cluster().await;
    servers[1].kill();
    servers[2].kill();
    let link = start_nats(&servers[0].config(), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "waits"));
    let why = down_because(&link, "JetStream is not ready").await;
    assert!(why.contains("JetStream is not ready"), "{why}");
    assert_eq!(link.outbox().tally(MessageKind::Event).sent, 0);
    servers[1].start();
    servers[2].start();
    let acked = async {
        while link.outbox().tally(MessageKind::Event).acked == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // A new leader, and the back-off of ours.
    assert!(timeout(Duration::from_secs(90), acked).await.is_ok(), "{:?}", link.state().borrow());
    assert_eq!(link.outbox().tally(MessageKind::Event).sent, 0);
}
