//! An MQTT broker inside the process, on loopback: for the demo and for a node without a configured bus.
//!
//! Speaks MQTT 3.1.1 and 5 on one port, keeps everything in memory, knows no passwords.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, MqttBroker};
use tokio::task::JoinHandle;

use super::BusError;

/// Larger than any keyframe; small enough that a mistake does not fill the memory.
const MAX_PACKET: usize = 32 << 20;
const FAREWELL: Duration = Duration::from_secs(2);

/// A running broker. Dropping it ends it.
#[derive(Debug)]
pub struct Embedded {
    addr: SocketAddr,
    task: JoinHandle<()>,
    shutdown: tokio::sync::oneshot::Sender<()>,
}

/// Listens on `addr`; port 0 takes a free one.
///
/// # Errors
/// [`BusError::Listen`]: the port is in use, or the address is not this machine's.
pub async fn start(addr: SocketAddr) -> Result<Embedded, BusError> {
    let listen_error = |why: String| BusError::Listen { addr, why };
    let config = BrokerConfig {
        bind_addresses: vec![addr],
        max_clients: 1_000,
        max_packet_size: MAX_PACKET,
        // Sessions and their queues end with the process anyway; a day bounds them in a process that runs for months.
        session_expiry_interval: Duration::from_hours(24),
        sys_topics_enabled: false,
        storage_config: StorageConfig {
            backend: StorageBackend::Memory,
            enable_persistence: true,
            ..StorageConfig::default()
        },
        ..BrokerConfig::default()
    };
    let mut broker = MqttBroker::with_config(config).await.map_err(|e| listen_error(reason(&e.to_string(), addr)))?;
    let bound = broker.local_addr().ok_or_else(|| listen_error("no listener".into()))?;
    let handle = broker.shutdown_handle();
    let (shutdown, asked) = tokio::sync::oneshot::channel::<()>();
    let mut ready = broker.ready_receiver();
    let task = tokio::spawn(async move {
        let running = broker.run();
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = &mut running => Some(ended),
            _ = asked => None,
        };
        match ended {
            Some(Err(error)) => tracing::error!(%error, "the embedded broker failed"),
            Some(Ok(())) => {}
            None => {
                handle.shutdown();
                let _late = tokio::time::timeout(FAREWELL, running).await;
            }
        }
    });
    // Listening already; `run` accepts from here on.
    let _closed = ready.wait_for(|ready| *ready).await;
    tracing::info!(addr = %bound, "embedded MQTT broker listens");
    Ok(Embedded { addr: bound, task, shutdown })
}

/// The broker says a headline, a line an address (`  - 127.0.0.1:1883: Address already in use (os error 98)`), and advice
/// about `lsof`: the address's line is the reason, the headline where there is none.
fn reason(said: &str, addr: SocketAddr) -> String {
    let bullet = format!("- {addr}: ");
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(&bullet));
    line.or_else(|| said.lines().next()).unwrap_or_default().trim().to_owned()
}

impl Embedded {
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `mqtt://127.0.0.1:1883`
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }

    /// Ends the broker and its connections.
    pub async fn stop(self) {
        let _gone = self.shutdown.send(());
        let _ended = self.task.await;
    }
}
