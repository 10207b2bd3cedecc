//! NATS, core and JetStream.

use futures_util::StreamExt;
use sightwire::bus::{BusConfig, BusError, MessageKind, NatsConfig, Publisher, Secret, Topic, probe, start_nats};
use sightwire::domain::{Span, Target};
use std::time::Duration;
use tokio::time::timeout;

use crate::common::{NatsServer, PATIENCE, context, eventually, message, name};
use crate::{connected, down_because, drained, law_holds, make_certificates};

#[tokio::test(flavor = "multi_thread")]
async fn nats_delivers_and_the_stream_keeps_events_and_keyframes_once() {
    let server = NatsServer::with_jetstream();
    let client = server.client().await;
    let all = client.subscribe("sightwire.>").await.unwrap();
    client.flush().await.unwrap();
    let link = start_nats(&server.config(), context().0).unwrap();
    for i in 0..20 {
        link.outbox().offer(message(MessageKind::Detections, format!("frame-{i}")));
        let mut event = message(MessageKind::Event, format!("event-{i}"));
        event.id = Some(format!("front-door/boot/event/{i}"));
        link.outbox().offer(event.clone());
        // The same again, as after a lost acknowledgement.
        link.outbox().offer(event);
    }
    link.outbox().offer(message(MessageKind::Keyframe, vec![1; 300_000]));
    link.outbox().offer(message(MessageKind::State, "online"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Detections).sent, 20);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 40);
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).acked, 1);
    assert_eq!(link.outbox().tally(MessageKind::State).sent, 1);
    law_holds(&link);
    let mut stream = async_nats::jetstream::new(client).get_stream("SIGHTWIRE").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 21);
    let mut frames = all.filter(|m| std::future::ready(m.payload.starts_with(b"frame-19")));
    let frame = timeout(PATIENCE, frames.next()).await.unwrap().unwrap();
    assert_eq!(frame.subject.as_str(), "sightwire.cameras.front-door.detections");
    let headers = frame.headers.unwrap();
    assert_eq!(headers.get("Content-Type").unwrap().as_str(), "application/json");
    assert_eq!(headers.get("camera").unwrap().as_str(), "front-door");
    assert_eq!(link.shutdown(PATIENCE).await.waiting.total_messages(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_server_crash_in_mid_stream_loses_no_event() {
    let mut server = NatsServer::with_jetstream();
    let link = start_nats(&server.config(), context().0).unwrap();
    connected(&link).await;
    let mut sent = 0;
    for _round in 0..3 {
        for i in 0..400 {
            let mut event = message(MessageKind::Event, format!("event-{sent}"));
            event.id = Some(format!("event-{sent}"));
            link.outbox().offer(event);
            sent += 1;
            if i == 200 {
                server.kill();
            }
        }
        server.start();
        connected(&link).await;
    }
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, sent);
    law_holds(&link);
    let mut stream = async_nats::jetstream::new(server.client().await).get_stream("SIGHTWIRE").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_without_jetstream_everything_goes_by_core() {
    let server = NatsServer::with("");
    let mut all = server.client().await.subscribe("sightwire.cameras.*.events").await.unwrap();
    let link = start_nats(&server.config(), context().0).unwrap();
    connected(&link).await;
    assert!(link.state().borrow().detail.contains("core only"));
    eventually("the event arrives", async || {
        link.outbox().offer(message(MessageKind::Event, "event"));
        timeout(Duration::from_millis(100), all.next()).await.is_ok()
    })
    .await;
    drained(&link).await;
    let tally = link.outbox().tally(MessageKind::Event);
    assert_eq!((tally.sent, tally.acked), (tally.offered, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_stream_of_somebody_elses_is_left_alone() {
    let server = NatsServer::with_jetstream();
    let jetstream = async_nats::jetstream::new(server.client().await);
    let theirs = async_nats::jetstream::stream::Config {
        name: "SIGHTWIRE".into(),
        subjects: vec!["something.else".into()],
        ..Default::default()
    };
    jetstream.create_stream(theirs.clone()).await.unwrap();
    let link = start_nats(&server.config(), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "event"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).sent, 1);
    let stream = jetstream.get_stream("SIGHTWIRE").await.unwrap();
    assert_eq!(stream.cached_info().config.subjects, theirs.subjects);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_server_that_is_down_at_the_start_is_found_later() {
    let mut server = NatsServer::down("");
    let link = start_nats(&server.config(), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Detections, "early"));
    down_because(&link, "refused").await;
    server.start();
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Detections).sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_refused_credentials_are_said_and_the_messages_wait() {
    let server = NatsServer::with("authorization { user: me, password: right }");
    let with = |password: &str| NatsConfig {
        username: Some("me".into()),
        password: Some(Secret::new(password)),
        ..server.config()
    };
    let link = start_nats(&with("wr0ng-secret"), context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "waits"));
    let detail = down_because(&link, "refused").await;
    assert!(detail.contains("authorization") && !detail.contains("wr0ng-secret"), "{detail}");
    let refused = probe(&BusConfig::Nats(with("wr0ng-secret")), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, BusError::Refused { .. }), "{refused}");
    let found = probe(&BusConfig::Nats(with("right")), PATIENCE).await.unwrap();
    assert!(found.contains("no JetStream"), "{found}");
    assert_eq!(link.shutdown(Duration::from_millis(50)).await.waiting.total_messages(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_message_over_max_payload_is_refused_and_the_link_survives() {
    let server = NatsServer::with("max_payload: 20000\njetstream { store_dir: \"{dir}/js\" }");
    let config = NatsConfig { probe_interval: Span::default(), ..server.config() };
    let link = start_nats(&config, context().0).unwrap();
    connected(&link).await;
    let mut state = link.state();
    state.mark_unchanged();
    link.outbox().offer(message(MessageKind::Keyframe, vec![1; 50_000]));
    link.outbox().offer(message(MessageKind::Detections, vec![1; 19_990]));
    link.outbox().offer(message(MessageKind::Event, "small"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).refused, 1);
    assert_eq!(link.outbox().tally(MessageKind::Detections).refused, 1);
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
    assert!(!state.has_changed().unwrap(), "the link was lost");
    law_holds(&link);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_request_is_answered_on_its_reply_subject() {
    let server = NatsServer::with("");
    let (context, mut commands) = context();
    let link = start_nats(&server.config(), context).unwrap();
    connected(&link).await;
    let client = server.client().await;
    let asked = tokio::spawn(async move { client.request("sightwire.nodes.garage.control", "status".into()).await });
    let command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    assert_eq!((command.bus, &command.target), ("nats", &Target::Node(name("garage"))));
    let mut reply = message(MessageKind::Reply, "fine");
    reply.topic = Topic::reply(command.reply_to.as_ref(), &name("garage"));
    link.outbox().offer(reply);
    let answer = timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap();
    assert_eq!(&answer.payload[..], b"fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_logs_in_by_token_and_by_nkey_and_speaks_tls() {
    let dir = tempfile::tempdir().unwrap();
    make_certificates(dir.path());
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        Some(dir.path().join(name))
    };
    let server = NatsServer::with("authorization { token: \"t0ken\" }");
    probe(&BusConfig::Nats(server.config()), PATIENCE).await.unwrap_err();
    let by_token = NatsConfig { token_file: file("token", "t0ken\n"), ..server.config() };
    probe(&BusConfig::Nats(by_token), PATIENCE).await.unwrap();
    // The pair of NATS' own documentation.
    let public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
    let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    let server = NatsServer::with(&format!("authorization {{ users: [ {{ nkey: {public} }} ] }}"));
    let by_nkey = NatsConfig { nkey_file: file("seed", &format!("# a user\n{seed}\n")), ..server.config() };
    probe(&BusConfig::Nats(by_nkey), PATIENCE).await.unwrap();
    let path = dir.path().display();
    let server =
        NatsServer::with(&format!("tls {{ cert_file: \"{path}/server.pem\", key_file: \"{path}/server.key\" }}"));
    let by_tls = NatsConfig {
        url: format!("tls://localhost:{}", server.port),
        ca_file: Some(dir.path().join("ca.pem")),
        ..NatsConfig::default()
    };
    probe(&BusConfig::Nats(by_tls.clone()), PATIENCE).await.unwrap();
    let stranger = NatsConfig { ca_file: Some(dir.path().join("client.pem")), ..by_tls };
    probe(&BusConfig::Nats(stranger), PATIENCE).await.unwrap_err();
}
