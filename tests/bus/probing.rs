//! The delivery probe: connected is not delivered.

use sightwire::bus::{Link, MqttConfig, MqttVersion, NatsConfig, Trouble, start_mqtt, start_nats};
use sightwire::domain::Span;
use std::time::Duration;
use tokio::time::timeout;

use crate::common::{Mosquitto, NatsServer, PATIENCE, Proxy, Subscriber, Way, context};
use crate::{troubled, untroubled};

const OFTEN: Span = Span(Duration::from_millis(200));

/// A server that stops delivering and takes everything: then, and only then, nobody would receive.
async fn swallowed_is_noticed(link: &Link, proxy: &Proxy) {
    delivering(link, Some(true)).await;
    proxy.stall(Way::FromServer, true);
    let why = troubled(link, Trouble::Delivery).await;
    assert!(why.contains("nobody would receive"), "{why}");
    let state = link.state().borrow().clone();
    assert_eq!(state.delivering, Some(false));
    assert!(state.connected && !state.ready() && state.problem().unwrap().contains("nobody"), "{state:?}");
    proxy.mend();
    delivering(link, Some(true)).await;
    untroubled(link).await;
}

async fn delivering(link: &Link, wanted: Option<bool>) {
    let mut state = link.state();
    let reached = timeout(PATIENCE, state.wait_for(|state| state.connected && state.delivering == wanted)).await;
    assert!(reached.is_ok(), "never delivering: {wanted:?}: {:?}", link.state().borrow());
}

async fn mqtt_swallowed(version: MqttVersion) {
    let broker = Mosquitto::open();
    let mut probes = Subscriber::new(broker.port, "sightwire/nodes/garage/probe");
    let proxy = Proxy::to(broker.port);
    let url = format!("mqtt://127.0.0.1:{}", proxy.port);
    let link =
        start_mqtt(&MqttConfig { url, version, probe_interval: OFTEN, ..MqttConfig::default() }, context().0).unwrap();
    probes.wait_for("of the probe", |line| line.contains("probe 0 1 {\"boot_id\":"));
    swallowed_is_noticed(&link, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_broker_that_stops_delivering_is_noticed_and_its_return_too() {
    mqtt_swallowed(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_broker_that_stops_delivering_is_noticed_and_its_return_too() {
    mqtt_swallowed(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_server_that_stops_delivering_is_noticed_and_its_return_too() {
    let server = NatsServer::with("");
    let proxy = Proxy::to(server.port);
    let url = format!("nats://127.0.0.1:{}", proxy.port);
    let link = start_nats(&NatsConfig { url, probe_interval: OFTEN, ..NatsConfig::default() }, context().0).unwrap();
    swallowed_is_noticed(&link, &proxy).await;
}

const EVERYTHING: &str = "topic readwrite #\n";
const ALL_BUT_HEARING_IT: &str = "topic write #\ntopic read sightwire/+/control\n";

/// mosquitto never refuses to let us listen; it just delivers nothing, and acknowledges everything.
async fn mqtt_unheard(version: MqttVersion) {
    let mut broker = Mosquitto::configured("allow_anonymous true\nacl_file {dir}/acl", |dir| {
        std::fs::write(dir.join("acl"), ALL_BUT_HEARING_IT).unwrap();
    });
    broker.start();
    let config = MqttConfig { probe_interval: OFTEN, ..broker.config(version) };
    let link = start_mqtt(&config, context().0).unwrap();
    let why = troubled(&link, Trouble::Unproven).await;
    assert!(why.contains("sightwire/nodes/garage/probe") && why.contains("probe_interval: 0s"), "{why}");
    assert!(link.state().borrow().ready(), "an ACL is no outage");
    std::fs::write(broker.dir().join("acl"), EVERYTHING).unwrap();
    broker.signal("HUP");
    delivering(&link, Some(true)).await;
    untroubled(&link).await;
    // It delivered before: now this is an outage.
    std::fs::write(broker.dir().join("acl"), ALL_BUT_HEARING_IT).unwrap();
    broker.signal("HUP");
    troubled(&link, Trouble::Delivery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_probe_that_never_came_back_is_told_from_one_that_stopped() {
    mqtt_unheard(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_a_probe_that_never_came_back_is_told_from_one_that_stopped() {
    mqtt_unheard(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_a_probe_that_may_not_be_published_is_said_to_be_forbidden() {
    let mut broker = Mosquitto::configured("allow_anonymous true\nacl_file {dir}/acl", |dir| {
        std::fs::write(dir.join("acl"), "topic read #\ntopic write sightwire/cameras/#\n").unwrap();
    });
    broker.start();
    let config = MqttConfig { probe_interval: OFTEN, ..broker.config(MqttVersion::V5) };
    let link = start_mqtt(&config, context().0).unwrap();
    let why = troubled(&link, Trouble::Unproven).await;
    assert!(why.contains("forbidden") && why.contains("publish to sightwire/nodes/garage/probe"), "{why}");
    assert_eq!(link.state().borrow().delivering, None);
    assert!(link.state().borrow().ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_forbidden_probe_is_said_to_be_forbidden() {
    for (rule, what) in [("publish", "publish to"), ("subscribe", "listen on")] {
        let server = NatsServer::with(&format!(
            "authorization {{ users: [ {{ user: me, password: pw, permissions: {{ {rule}: {{ deny: [\"sightwire.nodes.*.probe\"] }} }} }} ] }}"
        ));
        let url = server.url().replace("nats://", "nats://me:pw@");
        let config = NatsConfig { url, probe_interval: OFTEN, ..NatsConfig::default() };
        let link = start_nats(&config, context().0).unwrap();
        let why = troubled(&link, Trouble::Unproven).await;
        assert!(why.contains("forbidden") && why.contains(&format!("{what} sightwire.nodes.garage.probe")), "{why}");
        assert!(link.state().borrow().ready());
    }
}
