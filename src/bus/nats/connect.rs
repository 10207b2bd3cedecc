//! Making a connection that ends with its session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::auth::Auth;
use super::setup::Setup;
use crate::bus::link::End;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Commands that may wait in the client for us; more are lost there and reported as a slow consumer.
const SUBSCRIPTION_CAPACITY: usize = 256;
const MAX_SERVERS: usize = 32;

/// A connected client.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    _room: Room,
}

/// The runtime that a client's hidden tasks live on.
///
/// The client cannot be told to give up: left alone it would reconnect, and then send what it still buffers, long after
/// the outbox sent those messages again. Here its tasks end with the session, buffers and all.
struct Room(Option<Runtime>);

impl Room {
    fn new() -> std::io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("nats-client").enable_all().build().map(|runtime| Self(Some(runtime)))
    }

    /// Runs on this runtime whatever `future` spawns.
    async fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
        let Some(runtime) = &self.0 else { return Err("the client's runtime has ended".into()) };
        runtime.spawn(future).await.map_err(|e| e.to_string())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Setup {
    /// Tries every server once, in random order; the first that takes us wins.
    pub(super) async fn connect(&mut self) -> Result<Connection, End> {
        fastrand::shuffle(&mut self.servers);
        let mut worst = End::lost("no server", None);
        for server in &self.servers {
            match self.connect_to(server).await {
                Ok(connection) => return Ok(connection),
                // A refusal says more than a server that is down.
                Err(refused @ End::Refused(_)) => worst = refused,
                Err(lost) if !matches!(worst, End::Refused(_)) => worst = lost,
                Err(_) => {}
            }
        }
        Err(worst)
    }

    /// Remembers the cluster's other servers, as this one names them.
    pub(super) fn learn(&mut self, client: &Client) {
        let scheme = if self.tls_required { "tls" } else { "nats" };
        for address in client.server_info().connect_urls {
            let url = format!("{scheme}://{address}");
            if self.servers.len() < MAX_SERVERS && !self.servers.contains(&url) {
                self.servers.push(url);
            }
        }
    }

    async fn connect_to(&self, server: &str) -> Result<Connection, End> {
        let one_of_many = self.servers.len() > 1;
        let named = |why: String| if one_of_many { format!("{server}: {why}") } else { why };
        let lost = |why: String| End::lost(named(why), None);
        let room = Room::new().map_err(|e| lost(format!("no thread for the client: {e}")))?;
        let (tell, events) = mpsc::unbounded_channel();
        let options = self.options(tell).map_err(|e| End::Refused(named(e.to_string())))?;
        let address = server.to_owned();
        match room.run(async move { options.connect(address).await }).await {
            Ok(Ok(client)) => Ok(Connection { client, events, _room: room }),
            Ok(Err(error)) => Err(match error.kind() {
                ConnectErrorKind::AuthorizationViolation => End::Refused(named("authorization violation".into())),
                ConnectErrorKind::Authentication => {
                    End::Refused(named(format!("the credentials cannot be used: {error}")))
                }
                _ => lost(error.to_string()),
            }),
            Err(error) => Err(lost(error)),
        }
    }

    fn options(&self, tell: mpsc::UnboundedSender<Event>) -> Result<ConnectOptions, std::io::Error> {
        // The first connection at once; a reconnection never, for the session is over by then.
        let connected = AtomicBool::new(false);
        let delay = move |_| {
            let again = connected.swap(true, Ordering::Relaxed);
            if again { Duration::from_hours(24) } else { Duration::ZERO }
        };
        let mut options = ConnectOptions::new()
            .name(&self.name)
            .connection_timeout(CONNECT_TIMEOUT)
            // The third ping that is due while none was answered ends the connection.
            .ping_interval(self.keep_alive / 2)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .ignore_discovered_servers()
            .reconnect_delay_callback(delay)
            .require_tls(self.tls_required)
            .event_callback(move |event| {
                let _session_over = tell.send(event);
                std::future::ready(())
            });
        if let Some(tls) = &self.tls {
            options = options.tls_client_config(tls.clone());
        }
        Ok(match &self.auth {
            Auth::None => options,
            Auth::User(user, password) => options.user_and_password(user.clone(), password.clone()),
            Auth::Token(token) => options.token(token.clone()),
            Auth::Nkey(seed) => options.nkey(seed.clone()),
            Auth::Credentials(text) => options.credentials(text)?,
        })
    }
}
