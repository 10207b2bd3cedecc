//! The second connection: availability at an address of others, by a will of its own.

use sightwire::bus::{self, LinkState, MqttConfig, MqttVersion};
use sightwire::domain::BootId;
use tokio::sync::watch;

use crate::common::{Mosquitto, Proxy, eventually, name, retained};

const ADDRESS: &str = "frigate/available";

async fn says(broker: &Mosquitto, word: &str) {
    let port = broker.port;
    eventually(&format!("'{word}' is retained"), async || {
        let found = tokio::task::spawn_blocking(move || retained(port, ADDRESS)).await.unwrap();
        found.as_deref() == Some(word)
    })
    .await;
}

fn link(connected: bool) -> LinkState {
    LinkState { connected, ..LinkState::default() }
}

async fn is_there_and_gone(version: MqttVersion) {
    let broker = Mosquitto::open();
    let proxy = Proxy::to(broker.port);
    let config = MqttConfig { url: format!("mqtt://127.0.0.1:{}", proxy.port), ..broker.config(version) };
    let (tell, state) = watch::channel(link(true));
    let (node, boot) = (name("garage"), BootId::new());
    let herald = bus::start_herald(&config, (&node, &boot), ADDRESS, state).unwrap();
    says(&broker, "online").await;
    // Its own connection is well, the node's is not: nobody should wait for events.
    tell.send_replace(link(false));
    says(&broker, "offline").await;
    tell.send_replace(link(true));
    says(&broker, "online").await;
    // The will.
    proxy.cut();
    says(&broker, "offline").await;
    proxy.mend();
    says(&broker, "online").await;
    herald.stop().await;
    says(&broker, "offline").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_mqtt_5_it_says_online_while_the_node_is_there_and_the_broker_says_offline_for_it() {
    is_there_and_gone(MqttVersion::V5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_mqtt_3_1_1_it_says_online_while_the_node_is_there_and_the_broker_says_offline_for_it() {
    is_there_and_gone(MqttVersion::V311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_when_the_broker_comes_and_again_when_that_forgot_everything() {
    let mut broker = Mosquitto::down("allow_anonymous true\n");
    let (_tell, state) = watch::channel(link(true));
    let (node, boot) = (name("garage"), BootId::new());
    let herald = bus::start_herald(&broker.config(MqttVersion::V5), (&node, &boot), ADDRESS, state).unwrap();
    broker.start();
    says(&broker, "online").await;
    broker.kill();
    broker.start();
    says(&broker, "online").await;
    herald.stop().await;
    says(&broker, "offline").await;
}
