//! What arrives on MQTT control topics.

use sightwire::bus::{MessageKind, MqttVersion, Publisher, Topic, start_mqtt};
use sightwire::domain::Target;
use std::process::Command;
use tokio::time::timeout;

use crate::common::{Mosquitto, PATIENCE, Subscriber, context, message, name, publish};
use crate::{connected, drained};

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_command_brings_its_response_topic_and_the_reply_its_correlation() {
    let broker = Mosquitto::open();
    let (context, mut commands) = context();
    let link = start_mqtt(&broker.config(MqttVersion::V5), context).unwrap();
    connected(&link).await;
    let mut answers = Subscriber::with(broker.port, "my/answers", &["-V", "mqttv5", "-F", "%t %D %C %p"]);
    let ask =
        ["-V", "mqttv5", "-D", "publish", "response-topic", "my/answers", "-D", "publish", "correlation-data", "42"];
    publish(broker.port, "sightwire/cameras/front-door/control", "stop", &ask);
    let command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    assert_eq!((command.bus, command.target), ("mqtt", Target::Camera(name("front-door"))));
    assert_eq!((&command.payload[..], command.retained), (&b"stop"[..], false));
    let reply_to = command.reply_to.unwrap();
    let mut reply = message(MessageKind::Reply, "done");
    reply.topic = Topic::reply(Some(&reply_to), &name("garage"));
    reply.correlation = reply_to.correlation;
    link.outbox().offer(reply);
    answers.wait_for("the reply", |line| line == "my/answers 42 application/json done");
    // An address that no broker takes is refused, not a reason to lose the link.
    let mut astray = message(MessageKind::Reply, "astray");
    astray.topic = Topic::Reply("a/#".into());
    link.outbox().offer(astray);
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Reply).refused, 1);
    assert!(link.state().borrow().connected);
}

async fn mqtt_retained_and_huge_commands(version: MqttVersion) {
    let broker = Mosquitto::open();
    publish(broker.port, "sightwire/control", "old", &["-r"]);
    let (context, mut commands) = context();
    let link = start_mqtt(&broker.config(version), context).unwrap();
    let old = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    assert!(old.retained && old.target == Target::All, "{old:?}");
    let dir = tempfile::tempdir().unwrap();
    let huge = dir.path().join("huge");
    std::fs::write(&huge, vec![b'x'; 10 << 20]).unwrap();
    let port = broker.port.to_string();
    let sent = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "sightwire/groups/outdoor/control", "-f"])
        .arg(&huge)
        .status();
    assert!(sent.unwrap().success());
    publish(broker.port, "sightwire/nodes/garage/control", "status", &["-q", "1"]);
    let mut command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    if version == MqttVersion::V311 {
        // It cannot be kept away: so much of it is kept that the control room refuses it by its size.
        assert_eq!(command.payload.len(), (64 << 10) + 1);
        command = timeout(PATIENCE, commands.recv()).await.unwrap().unwrap();
    }
    assert_eq!((&command.payload[..], &command.target), (&b"status"[..], &Target::Node(name("garage"))));
    assert!(link.state().borrow().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_retained_and_huge_commands_do_no_harm() {
    mqtt_retained_and_huge_commands(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_retained_and_huge_commands_do_no_harm() {
    mqtt_retained_and_huge_commands(MqttVersion::V311).await;
}
