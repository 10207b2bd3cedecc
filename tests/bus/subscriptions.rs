//! What a node listens on changes while it is connected.

use sightwire::bus::{
    Absolute, BusContext, ControlTopics, Heard, Link, Message, MessageKind, MqttVersion, NatsConfig, Publisher,
    Subscriptions, Topic, start_mqtt, start_nats,
};
use sightwire::domain::{Span, Target};
use tokio::time::timeout;

use crate::common::{
    Ears, Mosquitto, NatsServer, PATIENCE, Proxy, Subscriber, context, eventually, name, publish, retained,
};
use crate::{connected, down_because, drained};

fn cameras(names: &[&str]) -> ControlTopics {
    ControlTopics::new(&name("garage"), names.iter().map(|camera| name(camera)), [])
}

fn control(camera: &str) -> String {
    format!("sightwire/cameras/{camera}/control")
}

/// A link's context, what it hears, and how to change that.
fn changeable() -> (BusContext, Ears, Subscriptions) {
    let (context, ears) = context();
    let subscriptions = context.subscriptions.clone();
    (context, ears, subscriptions)
}

async fn next(ears: &mut Ears) -> (Target, String) {
    let command = timeout(PATIENCE, ears.recv()).await.expect("a command").unwrap();
    (command.target, String::from_utf8(command.payload.to_vec()).unwrap())
}

/// Says it again and again until the first is heard: when a SUBSCRIBE takes effect is the broker's business.
async fn heard_at_last(ears: &mut Ears, say: impl Fn(), camera: &str) {
    let wanted = Target::Camera(name(camera));
    eventually("a command on the new topic", async || {
        say();
        let heard = timeout(std::time::Duration::from_millis(200), ears.recv()).await;
        matches!(heard, Ok(Some(command)) if command.target == wanted)
    })
    .await;
}

/// Empties what is still on its way, so that the next is one that is said from here on.
async fn quiet(ears: &mut Ears) {
    while timeout(std::time::Duration::from_millis(500), ears.recv()).await.is_ok() {}
}

async fn mqtt_follows_a_change(version: MqttVersion) {
    let mut broker = Mosquitto::open();
    let (context, mut ears, subscriptions) = changeable();
    let link = start_mqtt(&broker.config(version), context).unwrap();
    connected(&link).await;
    let port = broker.port;
    subscriptions.set_control(cameras(&["yard"]));
    heard_at_last(&mut ears, || publish(port, &control("yard"), "status", &["-q", "1"]), "yard").await;
    quiet(&mut ears).await;
    publish(port, &control("front-door"), "stop", &["-q", "1"]);
    publish(port, "sightwire/groups/outdoor/control", "stop", &["-q", "1"]);
    publish(port, "sightwire/control", "status", &["-q", "1"]);
    assert_eq!(next(&mut ears).await, (Target::All, "status".into()), "the removed ones are silent");
    // The same after the broker was away and forgot everything.
    broker.stop();
    down_because(&link, "").await;
    broker.start();
    connected(&link).await;
    publish(port, &control("front-door"), "stop", &["-q", "1"]);
    publish(port, &control("yard"), "start", &["-q", "1"]);
    assert_eq!(next(&mut ears).await, (Target::Camera(name("yard")), "start".into()));
    // And what changes while it is away is told when it is back.
    broker.stop();
    down_because(&link, "").await;
    subscriptions.set_control(cameras(&["gate"]));
    broker.start();
    connected(&link).await;
    publish(port, &control("yard"), "stop", &["-q", "1"]);
    publish(port, &control("gate"), "start", &["-q", "1"]);
    assert_eq!(next(&mut ears).await, (Target::Camera(name("gate")), "start".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_topic_added_is_heard_and_one_removed_is_not() {
    mqtt_follows_a_change(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_topic_added_is_heard_and_one_removed_is_not() {
    mqtt_follows_a_change(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_session_that_was_kept_gives_up_what_was_removed_during_the_cut() {
    let broker = Mosquitto::open();
    let proxy = Proxy::to(broker.port);
    let (context, mut ears, subscriptions) = changeable();
    let mut config = broker.config(MqttVersion::V5);
    config.url = format!("mqtt://127.0.0.1:{}", proxy.port);
    config.session_expiry = Span::secs(120);
    let link = start_mqtt(&config, context).unwrap();
    connected(&link).await;
    proxy.cut();
    down_because(&link, "").await;
    subscriptions.set_control(cameras(&["yard"]));
    // Waits in the session, for a camera that is gone meanwhile: it must not be obeyed.
    publish(broker.port, &control("front-door"), "stop", &["-q", "1"]);
    publish(broker.port, "sightwire/control", "meanwhile", &["-q", "1"]);
    proxy.mend();
    connected(&link).await;
    assert_eq!(next(&mut ears).await, (Target::All, "meanwhile".into()));
    heard_at_last(&mut ears, || publish(broker.port, &control("yard"), "status", &["-q", "1"]), "yard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_subject_added_is_heard_and_one_removed_is_not() {
    let mut server = NatsServer::with("");
    let (context, mut ears, subscriptions) = changeable();
    let config =
        NatsConfig { jetstream: false, url: format!("nats://127.0.0.1:{}", server.port), ..NatsConfig::default() };
    let link = start_nats(&config, context).unwrap();
    connected(&link).await;
    subscriptions.set_control(cameras(&["yard"]));
    let mut client = async_nats::connect(&config.url).await.unwrap();
    let subject = |camera: &str| format!("sightwire.cameras.{camera}.control");
    let heard = async |ears: &mut Ears, client: &async_nats::Client| {
        eventually("a command on the new subject", async || {
            client.publish(subject("yard"), "status".into()).await.unwrap();
            client.flush().await.unwrap();
            let heard = timeout(std::time::Duration::from_millis(200), ears.recv()).await;
            matches!(heard, Ok(Some(command)) if command.target == Target::Camera(name("yard")))
        })
        .await;
        quiet(ears).await;
        client.publish(subject("front-door"), "stop".into()).await.unwrap();
        client.publish("sightwire.control", "status".into()).await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(next(ears).await, (Target::All, "status".into()), "the removed one is silent");
    };
    heard(&mut ears, &client).await;
    server.stop();
    down_because(&link, "").await;
    server.start();
    connected(&link).await;
    client = async_nats::connect(&config.url).await.unwrap();
    heard(&mut ears, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_others_are_heard_as_what_they_mean() {
    let broker = Mosquitto::open();
    let (context, mut ears, subscriptions) = changeable();
    let link = start_mqtt(&broker.config(MqttVersion::V5), context).unwrap();
    connected(&link).await;
    subscriptions.add("homeassistant/status", Absolute::Birth);
    subscriptions.add("frigate/front-door/enabled/set", Absolute::Switch(name("front-door")));
    let port = broker.port;
    let switch = || publish(port, "frigate/front-door/enabled/set", "OFF", &["-q", "1"]);
    heard_at_last(&mut ears, switch, "front-door").await;
    quiet(&mut ears).await;
    switch();
    assert_eq!(next(&mut ears).await, (Target::Camera(name("front-door")), "stop".into()));
    publish(port, "homeassistant/status", "online", &["-q", "1"]);
    let heard = timeout(PATIENCE, ears.0.recv()).await.unwrap().unwrap();
    assert!(matches!(&heard, Heard::Birth(payload) if payload == "online"), "{heard:?}");
    subscriptions.remove("homeassistant/status");
    publish(port, "homeassistant/status", "online", &["-q", "1"]);
    publish(port, "sightwire/control", "status", &["-q", "1"]);
    assert_eq!(next(&mut ears).await.0, Target::All);
}

fn discovery(payload: &'static str) -> Message {
    let topic = Topic::Absolute("homeassistant/device/garage/config".into());
    Message::state(topic, payload.into(), "application/json", Some(name("front-door")))
}

async fn offered(link: &Link, message: Message) {
    link.outbox().offer(message);
    drained(link).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_state_is_said_again_at_every_connect_and_a_tombstone_once() {
    let mut broker = Mosquitto::open();
    let proxy = Proxy::to(broker.port);
    let (context, _ears) = context();
    let mut config = broker.config(MqttVersion::V5);
    config.url = format!("mqtt://127.0.0.1:{}", proxy.port);
    let link = start_mqtt(&config, context).unwrap();
    connected(&link).await;
    offered(&link, discovery("{}")).await;
    let topic = "homeassistant/device/garage/config";
    assert_eq!(retained(broker.port, topic).as_deref(), Some("{}"));
    broker.stop();
    down_because(&link, "").await;
    broker.start();
    connected(&link).await;
    drained(&link).await;
    assert_eq!(retained(broker.port, topic).as_deref(), Some("{}"), "a broker that forgot learns it again");
    let front_door = name("front-door");
    assert_eq!(link.outbox().retained_of(&front_door), [Topic::Absolute(topic.into())]);
    offered(&link, Message::tombstone(Topic::Absolute(topic.into()), Some(front_door.clone()))).await;
    assert_eq!(retained(broker.port, topic), None);
    assert!(link.outbox().retained_of(&front_door).is_empty());
    let mut watcher = Subscriber::with(broker.port, "homeassistant/#", &["-F", "%t %l %p"]);
    proxy.cut();
    down_because(&link, "").await;
    proxy.mend();
    connected(&link).await;
    offered(&link, Message::state(Topic::Absolute("homeassistant/end".into()), "x".into(), "text/plain", None)).await;
    watcher.wait_for("of the end", |line| line == "homeassistant/end 1 x");
    assert_eq!(watcher.seen(), ["homeassistant/end 1 x"], "the tombstone is not said again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_that_was_said_while_the_broker_was_away_clears_what_it_kept() {
    let broker = Mosquitto::open();
    let proxy = Proxy::to(broker.port);
    let (context, _ears) = context();
    let mut config = broker.config(MqttVersion::V311);
    config.url = format!("mqtt://127.0.0.1:{}", proxy.port);
    let link = start_mqtt(&config, context).unwrap();
    connected(&link).await;
    let camera = name("front-door");
    for kind in [MessageKind::State, MessageKind::Keyframe] {
        offered(&link, crate::common::message(kind, "something")).await;
    }
    assert!(retained(broker.port, "sightwire/cameras/front-door/keyframe").is_some());
    proxy.cut();
    down_because(&link, "").await;
    for topic in [Topic::CameraStatus(camera.clone()), Topic::Keyframe(camera.clone())] {
        link.outbox().offer(Message::tombstone(topic, Some(camera.clone())));
    }
    proxy.mend();
    connected(&link).await;
    drained(&link).await;
    assert_eq!(retained(broker.port, "sightwire/cameras/front-door/keyframe"), None);
    assert_eq!(retained(broker.port, "sightwire/cameras/front-door/status"), None);
}
