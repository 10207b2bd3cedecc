//! From the configuration to what a connection needs, every file read and every mistake found.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use url::Url;

use crate::bus::link::End;
use crate::bus::secrets::{Reader, percent_decode};
use crate::bus::{BusError, NatsConfig};
use crate::domain::redact;

const BUS: &str = "nats";
const READER: Reader = Reader(BUS);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Two pings without an answer end the connection.
const PING: Duration = Duration::from_secs(15);
/// Commands that may wait in the client for us; more are lost there and reported as a slow consumer.
const SUBSCRIPTION_CAPACITY: usize = 256;
const MAX_SERVERS: usize = 32;

#[derive(Clone)]
enum Auth {
    None,
    User(String, String),
    Token(String),
    Nkey(String),
    /// The text of a credentials file.
    Credentials(String),
}

pub(super) struct Setup {
    /// Safe to show.
    pub(super) shown: String,
    servers: Vec<String>,
    auth: Auth,
    tls: Option<rustls::ClientConfig>,
    tls_required: bool,
    name: String,
    pub(super) prefix: String,
    pub(super) jetstream: bool,
}

/// A connected client, and the runtime that its hidden tasks live on.
///
/// The client cannot be told to give up: left alone it would reconnect, and then send what it still buffers, long after
/// the outbox sent those messages again. Here its tasks end with the session, buffers and all.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    runtime: Option<Runtime>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Setup {
    pub(super) fn new(config: &NatsConfig, name: &str) -> Result<Self, BusError> {
        check_prefix(&config.subject_prefix)?;
        let shown: Vec<String> = config.url.split(',').map(|url| redact(url.trim())).collect();
        let shown = shown.join(",");
        let url_error = |why: String| BusError::Url {
            bus: BUS,
            url: shown.clone(),
            why,
            expected: "nats://host:4222 or tls://host:4222, several separated by commas",
        };
        let mut servers = Vec::new();
        let mut tls_required = false;
        let mut in_url = Auth::None;
        for text in config.url.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let url = Url::parse(text).map_err(|e| url_error(e.to_string()))?;
            match url.scheme() {
                "nats" => {}
                "tls" => tls_required = true,
                other => return Err(url_error(format!("'{other}' is no scheme of NATS"))),
            }
            let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| url_error("no host".into()))?;
            match (url.username(), url.password()) {
                ("", _) => {}
                (token, None) => in_url = Auth::Token(percent_decode(token)),
                (user, Some(password)) => in_url = Auth::User(percent_decode(user), percent_decode(password)),
            }
            servers.push(format!("{}://{host}:{}", url.scheme(), url.port().unwrap_or(4222)));
        }
        if servers.is_empty() {
            return Err(url_error("no server".into()));
        }
        let tls = if tls_required || config.ca_file.is_some() {
            Some(READER.tls(config.ca_file.as_deref(), None)?)
        } else {
            None
        };
        Ok(Self {
            shown,
            servers,
            auth: auth(config, in_url)?,
            tls,
            tls_required,
            name: name.to_owned(),
            prefix: config.subject_prefix.clone(),
            jetstream: config.jetstream,
        })
    }

    /// Tries every server once, in random order; the first that takes us wins.
    pub(super) async fn connect(&mut self) -> Result<Connection, End> {
        fastrand::shuffle(&mut self.servers);
        let mut worst = End::lost(format!("{}: no server", self.shown), None);
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
        let lost = |why: String| End::lost(format!("{server}: {why}"), None);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("nats-client")
            .enable_all()
            .build()
            .map_err(|e| lost(format!("no thread for the client: {e}")))?;
        let (tell, events) = mpsc::unbounded_channel();
        let options = self.options(tell).map_err(|e| End::Refused(format!("{server}: {e}")))?;
        let server_owned = server.to_owned();
        let task = runtime.spawn(async move { options.connect(server_owned).await });
        // Holds the runtime from here on, so that every way out of this function ends it properly.
        let runtime = Guard(Some(runtime));
        match task.await {
            Ok(Ok(client)) => Ok(Connection { client, events, runtime: runtime.release() }),
            Ok(Err(error)) => Err(match error.kind() {
                ConnectErrorKind::AuthorizationViolation => End::Refused(format!(
                    "{server}: the server refused: authorization violation (user name, password, token or key)"
                )),
                ConnectErrorKind::Authentication => {
                    End::Refused(format!("{server}: the credentials cannot be used: {error}"))
                }
                _ => lost(error.to_string()),
            }),
            Err(error) => Err(lost(error.to_string())),
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
            .ping_interval(PING)
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

struct Guard(Option<Runtime>);

impl Guard {
    fn release(mut self) -> Option<Runtime> {
        self.0.take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn auth(config: &NatsConfig, in_url: Auth) -> Result<Auth, BusError> {
    let ways = [
        config.username.as_ref().map(|_| "username"),
        config.creds_file.as_ref().map(|_| "creds_file"),
        config.nkey_file.as_ref().map(|_| "nkey_file"),
        config.token_file.as_ref().map(|_| "token_file"),
    ];
    let given: Vec<&str> = ways.into_iter().flatten().collect();
    if given.len() > 1 {
        return Err(READER.setting("username", format!("give one way to log in, not {}", given.join(" and "))));
    }
    if let Some(path) = &config.creds_file {
        let text = READER.text("creds_file", path)?;
        return match ConnectOptions::new().credentials(&text) {
            Ok(_) => Ok(Auth::Credentials(text)),
            Err(e) => Err(BusError::File { bus: BUS, field: "creds_file", path: path.clone(), why: e.to_string() }),
        };
    }
    if let Some(path) = &config.nkey_file {
        // The seed may stand between comment lines.
        let text = READER.text("nkey_file", path)?;
        let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
        let why = "holds no user seed (a line that begins with SU)".to_owned();
        let missing = BusError::File { bus: BUS, field: "nkey_file", path: path.clone(), why };
        return seed.map(|seed| Auth::Nkey(seed.to_owned())).ok_or(missing);
    }
    if let Some(path) = &config.token_file {
        return Ok(Auth::Token(READER.first_line("token_file", path)?));
    }
    // `${NATS_PASSWORD:-}` that is not set is no password.
    let given = config.password.as_ref().filter(|password| !password.reveal().is_empty());
    let password = match (given, &config.password_file) {
        (Some(_), Some(_)) => return Err(READER.setting("password", "give password or password_file, not both")),
        (Some(password), None) => Some(password.reveal().to_owned()),
        (None, Some(path)) => Some(READER.first_line("password_file", path)?),
        (None, None) => None,
    };
    match (&config.username, password) {
        (Some(user), password) if !user.is_empty() => Ok(Auth::User(user.clone(), password.unwrap_or_default())),
        (_, Some(password)) if !password.is_empty() => {
            Err(READER.setting("username", "a password without a user name; a token goes into token_file"))
        }
        _ => Ok(in_url),
    }
}

fn check_prefix(prefix: &str) -> Result<(), BusError> {
    let word = |word: &str| {
        !word.is_empty()
            && !word.contains(|c: char| c == '*' || c == '>' || c == '/' || c.is_control() || c.is_whitespace())
    };
    if prefix.starts_with('$') || !prefix.split('.').all(word) {
        return Err(READER.setting(
            "subject_prefix",
            format!("'{prefix}' is no subject: one or more words joined by '.', without '*', '>', '/', spaces, or '$' in front"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Secret;

    fn config(url: &str) -> NatsConfig {
        NatsConfig { url: url.into(), ..NatsConfig::default() }
    }

    #[test]
    fn several_servers_and_credentials_are_read_from_the_url() {
        let setup = Setup::new(&config("nats://me:p%40ss@a, tls://b:5222"), "n").unwrap();
        assert_eq!(setup.servers, ["nats://a:4222", "tls://b:5222"]);
        assert!(setup.tls_required);
        assert!(matches!(&setup.auth, Auth::User(user, password) if user == "me" && password == "p@ss"));
        assert!(!setup.shown.contains("p%40ss"), "{}", setup.shown);
    }

    #[test]
    fn bad_settings_name_themselves_and_never_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "hunter2\n").unwrap();
        let with = |change: &dyn Fn(&mut NatsConfig)| {
            let mut config = config("nats://h");
            change(&mut config);
            config
        };
        let cases = [
            (config("http://u:hunter2@h"), "http"),
            (config(" , "), "no server"),
            (with(&|c| c.password = Some(Secret::new("hunter2"))), "username"),
            (with(&|c| c.nkey_file = Some(file.clone())), "nkey_file"),
            (with(&|c| c.creds_file = Some(file.clone())), "creds_file"),
            (with(&|c| c.subject_prefix = "a.>".into()), "subject_prefix"),
            (
                with(&|c| {
                    c.username = Some("u".into());
                    c.token_file = Some(file.clone());
                }),
                "token_file",
            ),
        ];
        for (config, word) in cases {
            let error = Setup::new(&config, "n").err().unwrap().to_string();
            assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
        }
    }
}
