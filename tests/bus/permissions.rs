//! What a server does not let the node say or hear is refused, counted and said once, with what to do.

use sightwire::bus::{MessageKind, MqttVersion, NatsConfig, Publisher, Trouble, start_mqtt, start_nats};
use sightwire::domain::Span;
use std::path::Path;

use crate::common::{Mosquitto, NatsServer, context, eventually, message};
use crate::{connected, drained, law_holds, troubled};

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_topics_that_may_not_be_published_to_are_named_until_they_may() {
    let acl = |more: &str| format!("topic read #\ntopic write sightwire/nodes/#\n{more}");
    let mut broker = Mosquitto::configured("allow_anonymous true\nacl_file {dir}/acl", |dir| {
        std::fs::write(dir.join("acl"), acl("")).unwrap();
    });
    broker.start();
    let link = start_mqtt(&broker.config(MqttVersion::V5), context().0).unwrap();
    connected(&link).await;
    for _ in 0..3 {
        link.outbox().offer(message(MessageKind::Event, "forbidden"));
        link.outbox().offer(message(MessageKind::Keyframe, "forbidden"));
    }
    drained(&link).await;
    let why = troubled(&link, Trouble::Permission).await;
    assert!(why.contains("sightwire/cameras/+/events, sightwire/cameras/+/keyframe"), "{why}");
    assert!(why.contains("allow it to publish there"), "{why}");
    assert!(!link.state().borrow().ready());
    assert_eq!(link.outbox().tally(MessageKind::Event).refused, 3);
    law_holds(&link);
    std::fs::write(broker.dir().join("acl"), acl("topic write #\n")).unwrap();
    broker.signal("HUP");
    eventually("both are taken again", async || {
        link.outbox().offer(message(MessageKind::Event, "allowed"));
        link.outbox().offer(message(MessageKind::Keyframe, "allowed"));
        drained(&link).await;
        link.state().borrow().ready()
    })
    .await;
    assert!(link.outbox().tally(MessageKind::Event).acked > 0);
}

/// mosquitto's own plugin, the only one of it that refuses subscriptions; where Debian puts it.
fn dynamic_security() -> Option<std::path::PathBuf> {
    let libraries = glob::glob("/usr/lib/*/mosquitto_dynamic_security.so").unwrap();
    libraries.flatten().next()
}

async fn stop_button_not_connected(version: MqttVersion) {
    let Some(plugin) = dynamic_security() else {
        eprintln!("skipped: mosquitto's dynamic security plugin is not installed");
        return;
    };
    let rules = r#"{ "defaultACLAccess": { "publishClientSend": true, "publishClientReceive": true, "subscribe": false,
        "unsubscribe": true }, "anonymousGroup": "all", "clients": [], "groups": [{ "groupname": "all", "roles":
        [{ "rolename": "some" }], "clients": [] }], "roles": [{ "rolename": "some", "acls": [
        { "acltype": "subscribePattern", "topic": "sightwire/cameras/#", "allow": true },
        { "acltype": "subscribePattern", "topic": "sightwire/nodes/#", "allow": true } ] }] }"#;
    let config =
        format!("allow_anonymous true\nplugin {}\nplugin_opt_config_file {{dir}}/rules.json", plugin.display());
    let mut broker = Mosquitto::configured(&config, |dir: &Path| {
        std::fs::write(dir.join("rules.json"), rules).unwrap();
    });
    broker.start();
    let link = start_mqtt(&broker.config(version), context().0).unwrap();
    let why = troubled(&link, Trouble::Control).await;
    assert!(why.contains("the stop button is not connected"), "{why}");
    assert!(why.contains("sightwire/control") && why.contains("sightwire/groups/outdoor/control"), "{why}");
    assert!(!why.contains("sightwire/cameras/"), "{why}");
    let state = link.state().borrow().clone();
    assert!(state.connected && !state.ready() && state.shown().contains("stop button"), "{state:?}");
    // It publishes all the same.
    link.outbox().offer(message(MessageKind::Event, "event"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_control_topics_that_are_refused_are_named() {
    stop_button_not_connected(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_control_topics_that_are_refused_are_named() {
    stop_button_not_connected(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_subjects_that_are_forbidden_are_named_refused_and_do_not_end_the_session() {
    let rules = r#"authorization { users: [ { user: me, password: pw, permissions: {
        publish: { deny: ["sightwire.cameras.*.events", "sightwire.cameras.*.detections"] }
        subscribe: { deny: ["sightwire.control"] } } }, { user: other, password: pw } ] }
        jetstream { store_dir: "{dir}/js" }"#;
    let server = NatsServer::with(rules);
    let url = server.url().replace("nats://", "nats://me:pw@");
    let config = NatsConfig { url, probe_interval: Span::default(), ..NatsConfig::default() };
    let link = start_nats(&config, context().0).unwrap();
    let deaf = troubled(&link, Trouble::Control).await;
    assert!(deaf.contains("listen on sightwire.control;"), "{deaf}");
    let reconnects = link.state();
    link.outbox().offer(message(MessageKind::Event, "forbidden"));
    link.outbox().offer(message(MessageKind::Detections, "forbidden"));
    let why = troubled(&link, Trouble::Permission).await;
    assert!(why.contains("sightwire.cameras.*."), "{why}");
    drained(&link).await;
    eventually("both sorts are known", async || {
        link.state().borrow().shown().contains("*.detections, sightwire.cameras.*.events")
    })
    .await;
    // From now on they are refused before they are sent.
    for _ in 0..3 {
        link.outbox().offer(message(MessageKind::Detections, "forbidden"));
        link.outbox().offer(message(MessageKind::Event, "forbidden"));
    }
    link.outbox().offer(message(MessageKind::Keyframe, "allowed"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Event).refused, 4);
    assert_eq!(
        link.outbox().tally(MessageKind::Detections).refused,
        3,
        "the first was sent before the server complained"
    );
    assert_eq!(link.outbox().tally(MessageKind::Keyframe).acked, 1);
    law_holds(&link);
    assert!(reconnects.borrow().connected);
}
