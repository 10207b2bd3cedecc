//! What a NATS server says besides its work.

use sightwire::bus::{LaneLimit, MessageKind, NatsConfig, OutboxLimits, Publisher, Trouble, start_nats};
use sightwire::domain::Span;

use crate::common::{NatsServer, Proxy, Way, context, eventually, message};
use crate::{connected, drained, telemetry, troubled};

#[tokio::test(flavor = "multi_thread")]
async fn nats_a_server_about_to_shut_down_says_so_and_it_is_told() {
    let server = NatsServer::with("lame_duck_grace_period: \"8s\"\nlame_duck_duration: \"30s\"");
    let link = start_nats(&server.config(), context().0).unwrap();
    connected(&link).await;
    let signalled = std::process::Command::new("nats-server")
        .args(["--signal", &format!("ldm={}", server.pid())])
        .status()
        .unwrap();
    assert!(signalled.success());
    let why = troubled(&link, Trouble::LameDuck).await;
    assert!(why.contains("about to shut down"), "{why}");
    assert!(link.state().borrow().ready(), "it still works");
    link.outbox().offer(message(MessageKind::Detections, "frame"));
    drained(&link).await;
}

/// Commands pile up in the client while the link is busy: a megabyte that the socket does not take.
#[tokio::test(flavor = "multi_thread")]
async fn nats_commands_that_come_too_fast_are_reported_as_a_slow_consumer() {
    let page = telemetry();
    let server = NatsServer::with("max_payload: 8MB\nmax_pending: 128MB");
    let proxy = Proxy::to(server.port);
    let url = format!("nats://127.0.0.1:{}", proxy.port);
    let (mut node, _commands) = context();
    node.limits = OutboxLimits { detections: LaneLimit { messages: 100, bytes: 1 << 30 }, ..node.limits };
    let config = NatsConfig { url, probe_interval: Span::default(), ..NatsConfig::default() };
    let link = start_nats(&config, node).unwrap();
    connected(&link).await;
    proxy.stall(Way::ToServer, true);
    for _ in 0..8 {
        link.outbox().offer(message(MessageKind::Detections, vec![0; 7 << 20]));
    }
    let client = server.client().await;
    let counted = |notice: &str| {
        let line = format!("sightwire_bus_notices_total{{bus=\"nats\",notice=\"{notice}\"}} ");
        page.render().lines().find_map(|l| l.strip_prefix(&line).map(|n| n.parse::<u64>().unwrap())).unwrap_or(0)
    };
    for _ in 0..2000 {
        client.publish("sightwire.control", "status".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    proxy.mend();
    eventually("it is counted", async || counted("slow_consumer") > 0).await;
    drained(&link).await;
}
