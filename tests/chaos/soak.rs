//! Hours' worth of messages as fast as they go, over both buses, with outages in between: memory stays flat and the law holds.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use fastrand::Rng;
use sightwire::bus::{BusContext, Link, MessageKind, MqttVersion, NatsConfig, Qos, Tally, start_mqtt, start_nats};
use sightwire::domain::BootId;
use sightwire::telemetry::Telemetry;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use super::arena::{assert_law, spool_in};
use super::common::{Mosquitto, NatsServer, PATIENCE, context};
use super::memory::Samples;
use super::plan::{between, ms, plan};
use super::stream::Stream;

/// The producer waits when so many wait: a soak is a flow, and what has to arrive must find room.
const HIGH: usize = 10_000;
/// So long a session makes the next pause a short one.
const BETWEEN_OUTAGES: Duration = Duration::from_secs(12);
/// Eight cameras at five frames a second.
const A_NODES_MESSAGES_AN_HOUR: f64 = 8.0 * 5.0 * 3600.0;
/// For one that leaks no more than four bytes a message, at two million messages.
const FLAT_MIB: u64 = 8;

fn length() -> Duration {
    Duration::from_secs(if plan().full { 180 } else { 4 })
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_hours_of_messages_leave_memory_flat() {
    // The figures cost memory too.
    let _telemetry = Telemetry::install().unwrap();
    let mut broker = Mosquitto::with("allow_anonymous true");
    let mut server = NatsServer::with_jetstream();
    small_stream(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let context = BusContext { spool: Some(spool_in(folder.path())), ..context().0 };
    let mqtt = start_mqtt(&broker.config(MqttVersion::V5), context.clone()).unwrap();
    let nats = start_nats(&NatsConfig { url: server.url(), ..NatsConfig::default() }, context).unwrap();
    let mut streams = [&mqtt, &nats].map(|link| Stream::new(link.outbox().clone(), BootId::new(), 4));
    let mut dice = plan().dice("soak", 0);

    let begin = Instant::now();
    let (mut samples, mut sampled) = (Samples::default(), begin);
    let (mut outages, mut outage) = (0, begin);
    while begin.elapsed() < length() {
        for stream in &mut streams {
            pour(stream, &mut dice);
        }
        if sampled.elapsed() > ms(250) {
            sampled = Instant::now();
            samples.take("self");
            assert_law(mqtt.outbox());
            assert_law(nats.outbox());
        }
        if outage.elapsed() > BETWEEN_OUTAGES.min(length() / 2) {
            outage = Instant::now();
            outages += 1;
            block_in_place(|| away(&mut broker, &mut server, &mut dice));
        }
        while [&mqtt, &nats].iter().any(|link| waiting(link) > HIGH) {
            sleep(ms(1)).await;
        }
        tokio::task::yield_now().await;
    }
    for link in [&mqtt, &nats] {
        let drained = timeout(2 * PATIENCE, link.outbox().drained()).await;
        assert!(drained.is_ok(), "still waiting: {:?}", link.outbox().waiting());
        assert_law(link.outbox());
        let tally = link.outbox().tally(MessageKind::Event);
        assert_eq!((tally.dropped, tally.refused, tally.acked), (0, 0, tally.offered), "{}: {tally:?}", link.name());
    }
    let events = nats.outbox().tally(MessageKind::Event).acked;
    assert_eq!(stored(&server).await, events, "each stored once");
    say(&[&mqtt, &nats], outages, begin.elapsed(), &samples);
}

/// One event to one message at most once, and one that wants an acknowledgement.
fn pour(stream: &mut Stream, dice: &mut Rng) {
    for _ in 0..32 {
        stream.event(dice.usize(..4));
        stream.detections(1, Qos::AtMostOnce);
        stream.detections(0, Qos::AtLeastOnce);
    }
}

fn waiting(link: &Link) -> usize {
    let waiting = link.outbox().waiting();
    waiting.messages(MessageKind::Event) + waiting.messages(MessageKind::Detections)
}

fn away(broker: &mut Mosquitto, server: &mut NatsServer, dice: &mut Rng) {
    let pause = between(dice, ms(0), ms(800));
    broker.kill();
    server.kill();
    std::thread::sleep(pause);
    broker.start();
    server.start();
}

/// The operator's own stream, which keeps few: the disk is not what is measured here.
async fn small_stream(server: &NatsServer) {
    let subjects = vec!["sightwire.cameras.*.events".into(), "sightwire.cameras.*.keyframe".into()];
    let config = jetstream::stream::Config {
        name: "SIGHTWIRE".into(),
        subjects,
        max_messages: 20_000,
        duplicate_window: Duration::from_mins(2),
        ..Default::default()
    };
    jetstream::new(server.client().await).create_stream(config).await.unwrap();
}

/// How many messages the stream ever took.
async fn stored(server: &NatsServer) -> u64 {
    let jetstream = jetstream::new(server.client().await);
    jetstream.get_stream("SIGHTWIRE").await.unwrap().info().await.unwrap().state.last_sequence
}

fn say(links: &[&Link], outages: u32, took: Duration, samples: &Samples) {
    let all = |kind| links.iter().map(|link| link.outbox().tally(kind)).reduce(Tally::plus).unwrap();
    let (events, detections) = (all(MessageKind::Event), all(MessageKind::Detections));
    let offered = events.plus(detections).offered;
    // Beside other tests the process is not the soak's alone.
    let memory =
        if plan().full { samples.assert_flat("the soak", FLAT_MIB) } else { "not judged in the short form".into() };
    println!(
        "chaos: soak: {offered} messages in {:.0} s over {outages} outages of both buses (as many as a node of eight cameras at \
         5 frames/s sends in {:.1} hours); {} events, 0 lost, each in the stream once; {} detections delivered, {} of QoS 0 \
         dropped and counted; resident memory {memory}",
        took.as_secs_f64(),
        offered as f64 / 2.0 / A_NODES_MESSAGES_AN_HOUR,
        events.offered,
        detections.delivered(),
        detections.dropped,
    );
}
