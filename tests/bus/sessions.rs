//! What an MQTT session keeps over a cut, and who may take it.

use sightwire::bus::{BusContext, Link, MessageKind, MqttConfig, MqttVersion, Publisher, start_mqtt};
use sightwire::domain::Span;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::timeout;

use crate::common::{Ears, Mosquitto, PATIENCE, Proxy, Subscriber, context, message, publish};
use crate::{connected, down_because, drained};

const CONTROL: &str = "sightwire/cameras/front-door/control";
const PERSISTENT: &str = "allow_anonymous true\npersistence true\npersistence_location {dir}/";

fn start(proxy: &Proxy, version: MqttVersion, session: Span) -> (Link, Ears) {
    let (context, commands) = context();
    let url = format!("mqtt://127.0.0.1:{}", proxy.port);
    let config = MqttConfig { url, version, session_expiry: session, ..MqttConfig::default() };
    (start_mqtt(&config, context).unwrap(), commands)
}

async fn next(commands: &mut Ears) -> String {
    let command = timeout(PATIENCE, commands.recv()).await.expect("a command").unwrap();
    assert!(!command.retained);
    String::from_utf8(command.payload.to_vec()).unwrap()
}

/// What arrives of a command that was sent while the node was cut off, and of one after that.
async fn first_after_a_cut(version: MqttVersion, session: Span, mut broker: Mosquitto, restarted: bool) -> String {
    let proxy = Proxy::to(broker.port);
    let (link, mut commands) = start(&proxy, version, session);
    connected(&link).await;
    publish(broker.port, CONTROL, "before", &["-q", "1"]);
    assert_eq!(next(&mut commands).await, "before");
    proxy.cut();
    down_because(&link, "").await;
    publish(broker.port, CONTROL, "meanwhile", &["-q", "1"]);
    if restarted {
        broker.stop();
        broker.start();
    }
    proxy.mend();
    connected(&link).await;
    publish(broker.port, CONTROL, "after", &["-q", "1"]);
    let mut first = next(&mut commands).await;
    if first == "before" {
        // At least once: the cut came before its acknowledgement.
        first = next(&mut commands).await;
    }
    // Publishing goes on in the session that was kept, under any packet id.
    for i in 0..100 {
        link.outbox().offer(message(MessageKind::Event, format!("event-{i}")));
    }
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 100);
    if first == "meanwhile" {
        assert_eq!(next(&mut commands).await, "after");
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_command_sent_during_a_short_cut_arrives_after_it() {
    let first = first_after_a_cut(MqttVersion::V5, Span::secs(120), Mosquitto::open(), false).await;
    assert_eq!(first, "meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_it_arrives_even_if_the_broker_was_restarted_and_remembers() {
    let first = first_after_a_cut(MqttVersion::V5, Span::secs(120), Mosquitto::with(PERSISTENT), true).await;
    assert_eq!(first, "meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_broker_that_forgot_the_session_is_subscribed_to_again() {
    let first = first_after_a_cut(MqttVersion::V5, Span::secs(120), Mosquitto::open(), true).await;
    assert_eq!(first, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_commands_of_the_meantime_are_lost_and_later_ones_arrive() {
    assert_eq!(first_after_a_cut(MqttVersion::V5, Span::default(), Mosquitto::open(), false).await, "after");
    assert_eq!(first_after_a_cut(MqttVersion::V311, Span::secs(120), Mosquitto::open(), false).await, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_session_that_is_resumed_sends_what_was_unconfirmed_and_loses_nothing() {
    let broker = Mosquitto::with("allow_anonymous true\nmax_queued_messages 0");
    let mut subscriber = Subscriber::with(broker.port, "sightwire/cameras/front-door/events", &["-F", "%p"]);
    let proxy = Proxy::to(broker.port);
    let (link, _commands) = start(&proxy, MqttVersion::V5, Span::secs(120));
    connected(&link).await;
    let mut sent = 0;
    for _ in 0..5 {
        for i in 0..200 {
            link.outbox().offer(message(MessageKind::Event, format!("event-{sent}.")));
            sent += 1;
            if i == 100 {
                proxy.cut();
            }
        }
        proxy.mend();
        connected(&link).await;
    }
    drained(&link).await;
    for i in 0..sent {
        subscriber.wait_for("every event", |line| line == format!("event-{i}."));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_node_that_ends_in_order_leaves_no_session_behind() {
    let broker = Mosquitto::open();
    let (node, _commands) = context();
    let id = client_id(&node);
    let link = start_mqtt(&broker.config(MqttVersion::V5), node).unwrap();
    connected(&link).await;
    link.shutdown(PATIENCE).await;
    publish(broker.port, CONTROL, "for nobody", &["-q", "1"]);
    // Whoever comes with its id finds nothing that waited.
    let found = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-V", "mqttv5", "-i", &id, "-c", "-x", "60"])
        .args(["-t", "nothing/of/interest", "-W", "2"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&found.stdout).contains("for nobody"), "{found:?}");
}

fn client_id(context: &BusContext) -> String {
    let boot = context.boot_id.as_str();
    format!("sightwire-garage-{}", &boot[boot.len() - 12..])
}

/// An operator's mistake: `mosquitto_sub` with the node's own id, which comes back whenever it is thrown out.
async fn intruder(version: MqttVersion, words: &str) {
    let broker = Mosquitto::open();
    let (node, _commands) = context();
    let id = client_id(&node);
    let link = start_mqtt(&broker.config(version), node).unwrap();
    connected(&link).await;
    let mut intruder = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-i", &id, "-t", "x"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let why = down_because(&link, words).await;
    assert!(why.contains("running twice"), "{why}");
    // From now on the session is left to the other one for at least five seconds, not taken back at once.
    let noticed = Instant::now();
    let mut state = link.state();
    let back = timeout(Duration::from_secs(4), state.wait_for(|state| state.connected)).await;
    assert!(back.is_err(), "back after {:?}", noticed.elapsed());
    intruder.kill().unwrap();
    intruder.wait().unwrap();
    connected(&link).await;
    link.outbox().offer(message(MessageKind::Event, "back"));
    drained(&link).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_take_over_without_a_word_is_suspected_and_starts_no_war() {
    // mosquitto 2.0.11 closes without the word that MQTT 5 has for it.
    intruder(MqttVersion::V5, "again and again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_take_over_is_suspected_and_starts_no_war() {
    intruder(MqttVersion::V311, "again and again").await;
}
