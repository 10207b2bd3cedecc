//! From the configuration to what a connection needs, every file read and every mistake found.

use std::sync::Arc;

use url::Url;

use crate::bus::secrets::{Reader, percent_decode};
use crate::bus::{BusError, MessageExpiry, MqttConfig, Topic};
use crate::domain::{BootId, Name, Span, redact};

const BUS: &str = "mqtt";
const READER: Reader = Reader(BUS);

/// Announced to an MQTT 5 broker, which then keeps larger messages to itself. Commands are far smaller.
pub(super) const MAX_INCOMING_V5: u32 = 1 << 20;
/// MQTT 3.1.1 cannot announce a limit: a larger packet cuts the link, so there is room for a foolish one; the control
/// room refuses it by its size.
pub(super) const MAX_INCOMING_V311: usize = 16 << 20;
/// MQTT's own limit of a packet's remaining length.
pub(super) const MAX_PACKET: usize = 268_435_455;
/// Messages handed out and not yet confirmed: so many whatever their size, and up to [`WINDOW`] while they are small. A
/// broker at full speed is kept busy by some hundreds, and a slow link does not have megabytes of pictures before it.
pub(super) const WINDOW_OF_ANY: usize = 64;
pub(super) const WINDOW: u16 = 1024;
pub(super) const WINDOW_BYTES: usize = 256 << 10;
/// Packets to one write of the client.
pub(super) const BATCH: usize = 64;
/// Room in the client's queue: the window, a probe or two, and a thousand cameras' SUBSCRIBEs. What found none would stay
/// unsaid until the session ends.
pub(super) const QUEUE: usize = 1536;
pub(super) const CONNECT_TIMEOUT_SECONDS: u64 = 10;

#[derive(Debug, Clone)]
pub(super) enum Route {
    Tcp {
        host: String,
        port: u16,
    },
    /// The URL as the client wants it: with port, without credentials.
    Websocket(String),
}

#[derive(Clone)]
pub(super) struct Setup {
    /// Safe to show.
    pub(super) shown: String,
    pub(super) route: Route,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) credentials: Option<(String, String)>,
    pub(super) client_id: String,
    /// The topic of the `offline` will.
    pub(super) will: Option<String>,
    pub(super) prefix: String,
    pub(super) keep_alive_seconds: u16,
    /// How long the broker keeps our session; 0 = not at all.
    pub(super) session_seconds: u32,
    pub(super) expiry: MessageExpiry,
}

impl Setup {
    /// The id carries node and boot: two nodes never throw each other out, and a restart is a new client.
    pub(super) fn for_node(config: &MqttConfig, node: &Name, boot: &BootId) -> Result<Self, BusError> {
        let boot = boot.as_str();
        let tail = &boot[boot.len().saturating_sub(12)..];
        let mut setup = Self::for_visitor(config, "")?;
        setup.client_id = format!("sightwire-{node}-{tail}");
        setup.session_seconds = whole_seconds("session_expiry", config.session_expiry)?;
        setup.will = Some(Topic::NodeStatus(node.clone()).mqtt(&config.topic_prefix));
        Ok(setup)
    }

    /// For a short visit (`check`, `watch`): an id of its own and no will.
    pub(super) fn for_visitor(config: &MqttConfig, purpose: &str) -> Result<Self, BusError> {
        check_prefix(&config.topic_prefix)?;
        let url_error = |why: String| BusError::Url {
            bus: BUS,
            url: redact(&config.url),
            why,
            expected: "mqtt://host:1883, mqtts://host:8883, ws://host:port/path or wss://host/path",
        };
        let url = Url::parse(&config.url).map_err(|e| url_error(e.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| url_error("no host".into()))?;
        let (secure, websocket, default_port) = match url.scheme() {
            "mqtt" | "tcp" => (false, false, 1883),
            "mqtts" | "ssl" | "tls" => (true, false, 8883),
            "ws" => (false, true, 80),
            "wss" => (true, true, 443),
            other => return Err(url_error(format!("'{other}' is no scheme of MQTT"))),
        };
        let port = url.port().unwrap_or(default_port);
        let route = if websocket {
            let path = match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            };
            Route::Websocket(format!("{}://{host}:{port}{path}", url.scheme()))
        } else {
            Route::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port }
        };
        let identity = READER.identity(config.cert_file.as_deref(), config.key_file.as_deref())?;
        if !secure && (config.ca_file.is_some() || identity.is_some()) {
            return Err(url_error("ca_file, cert_file and key_file need TLS: mqtts:// or wss://".into()));
        }
        let tls = secure.then(|| READER.tls(config.ca_file.as_deref(), identity)).transpose()?.map(Arc::new);
        Ok(Self {
            shown: redact(&config.url),
            route,
            tls,
            credentials: credentials(config, &url)?,
            client_id: format!("sightwire-{purpose}-{:012x}", fastrand::u64(..) & 0xffff_ffff_ffff),
            will: None,
            prefix: config.topic_prefix.clone(),
            keep_alive_seconds: keep_alive(config)?,
            session_seconds: 0,
            expiry: config.message_expiry.clone(),
        })
    }
}

fn credentials(config: &MqttConfig, url: &Url) -> Result<Option<(String, String)>, BusError> {
    let username = match &config.username {
        Some(name) if !name.is_empty() => Some(name.clone()),
        _ if !url.username().is_empty() => Some(percent_decode(url.username())),
        _ => None,
    };
    // `${MQTT_PASSWORD:-}` that is not set is no password.
    let given = config.password.as_ref().filter(|password| !password.reveal().is_empty());
    let password = match (given, &config.password_file) {
        (Some(_), Some(_)) => return Err(READER.setting("password", "give password or password_file, not both")),
        (Some(password), None) => Some(password.reveal().to_owned()),
        (None, Some(path)) => Some(READER.first_line("password_file", path)?),
        (None, None) => url.password().map(percent_decode),
    };
    match (username, password) {
        (Some(username), password) => Ok(Some((username, password.unwrap_or_default()))),
        (None, Some(password)) if !password.is_empty() => {
            Err(READER.setting("username", "a password without a user name; MQTT 3.1.1 forbids it"))
        }
        (None, _) => Ok(None),
    }
}

fn keep_alive(config: &MqttConfig) -> Result<u16, BusError> {
    let seconds = whole_seconds("keep_alive", config.keep_alive)?;
    // Without it nothing would notice a broker that vanished.
    u16::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| READER.setting("keep_alive", "MQTT counts it in seconds, from 1s to 65535s"))
}

fn whole_seconds(field: &'static str, span: Span) -> Result<u32, BusError> {
    let seconds = u32::try_from(span.0.as_secs()).ok().filter(|_| span.0.subsec_nanos() == 0);
    seconds.ok_or_else(|| READER.setting(field, "MQTT counts it in whole seconds, and 32 bits of them"))
}

fn check_prefix(prefix: &str) -> Result<(), BusError> {
    let bad = prefix.is_empty()
        || prefix.starts_with(['/', '$'])
        || prefix.ends_with('/')
        || prefix.contains(|c: char| c == '+' || c == '#' || c.is_control() || c.is_whitespace());
    if bad {
        return Err(READER.setting(
            "topic_prefix",
            format!(
                "'{prefix}' is no topic: one or more words joined by '/', without '+', '#', spaces, or '$' in front"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Secret;

    fn config(url: &str) -> MqttConfig {
        MqttConfig { url: url.into(), ..MqttConfig::default() }
    }

    fn setup(config: &MqttConfig) -> Result<Setup, BusError> {
        Setup::for_node(config, &"garage".parse().unwrap(), &BootId::new())
    }

    #[test]
    fn a_url_becomes_a_route_and_credentials() {
        let tcp = setup(&config("mqtt://us%20er:p%40ss@[::1]")).map(|s| (s.route, s.credentials, s.shown)).unwrap();
        assert!(matches!(&tcp.0, Route::Tcp { host, port: 1883 } if host == "::1"), "{:?}", tcp.0);
        assert_eq!(tcp.1, Some(("us er".into(), "p@ss".into())));
        assert!(!tcp.2.contains("p%40ss"), "{}", tcp.2);
        let ws = setup(&config("ws://u:p@host/mqtt?x=1")).map(|s| s.route).unwrap();
        assert!(matches!(&ws, Route::Websocket(url) if url == "ws://host:80/mqtt?x=1"), "{ws:?}");
    }

    #[test]
    fn the_client_id_carries_node_and_boot_and_the_will_its_topic() {
        let boot = BootId::new();
        let setup = Setup::for_node(&config("mqtt://h"), &"garage".parse().unwrap(), &boot).unwrap();
        assert_eq!(setup.client_id, format!("sightwire-garage-{}", &boot.as_str()[24..]));
        assert_eq!(setup.will.as_deref(), Some("sightwire/nodes/garage/status"));
    }

    #[test]
    fn bad_settings_name_themselves_and_never_the_password() {
        let mut no_user = config("mqtt://h");
        no_user.password = Some(Secret::new("hunter2"));
        let mut half = config("mqtts://h");
        half.cert_file = Some("c.pem".into());
        let mut prefix = config("mqtt://h");
        prefix.topic_prefix = "a/+".into();
        let mut plain = config("mqtt://u:hunter2@h");
        plain.ca_file = Some("ca.pem".into());
        let spans = |keep_alive, session_expiry| MqttConfig { keep_alive, session_expiry, ..config("mqtt://h") };
        let half_second = Span(std::time::Duration::from_millis(500));
        let cases = [
            (spans(Span::secs(0), Span::secs(0)), "keep_alive"),
            (spans(half_second, Span::secs(0)), "keep_alive"),
            (spans(Span::secs(70_000), Span::secs(0)), "keep_alive"),
            (spans(Span::secs(1), half_second), "session_expiry"),
            (config("http://u:hunter2@h"), "http"),
            (config("not a url"), "buses.mqtt.url"),
            (no_user, "buses.mqtt.username"),
            (half, "key_file"),
            (prefix, "topic_prefix"),
            (plain, "mqtts://"),
        ];
        for (config, word) in cases {
            let error = setup(&config).err().unwrap().to_string();
            assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
        }
    }
}
