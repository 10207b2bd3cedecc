//! From the configuration to what a connection needs, every file read and every mistake found.

use std::time::Duration;

use url::Url;

use super::auth::{Auth, auth};
use crate::bus::secrets::{Reader, percent_decode};
use crate::bus::{BusError, NatsConfig};
use crate::domain::redact;

pub(super) const BUS: &str = "nats";
pub(super) const READER: Reader = Reader(BUS);

pub(super) struct Setup {
    /// Safe to show.
    pub(super) shown: String,
    pub(super) servers: Vec<String>,
    pub(super) auth: Auth,
    pub(super) tls: Option<rustls::ClientConfig>,
    pub(super) tls_required: bool,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) jetstream: bool,
    /// 0 = as many as fit the server.
    pub(super) replicas: u8,
    pub(super) keep_alive: Duration,
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
        let identity = READER.identity(config.cert_file.as_deref(), config.key_file.as_deref())?;
        // A server may ask for TLS at nats:// as well.
        let tls = if tls_required || config.ca_file.is_some() || identity.is_some() {
            Some(READER.tls(config.ca_file.as_deref(), identity)?)
        } else {
            None
        };
        if !matches!(config.stream_replicas, 0 | 1 | 3 | 5) {
            return Err(READER.setting("stream_replicas", "write 1, 3 or 5; 0 = 3 in a cluster, else 1"));
        }
        if config.keep_alive.0 < Duration::from_secs(1) {
            return Err(READER.setting("keep_alive", "at least 1s: nothing else notices a server that vanished"));
        }
        Ok(Self {
            shown,
            servers,
            auth: auth(config, in_url)?,
            tls,
            tls_required,
            name: name.to_owned(),
            prefix: config.subject_prefix.clone(),
            jetstream: config.jetstream,
            replicas: config.stream_replicas,
            keep_alive: config.keep_alive.0,
        })
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
            (with(&|c| c.cert_file = Some(file.clone())), "key_file"),
            (with(&|c| c.stream_replicas = 2), "stream_replicas"),
            (with(&|c| c.keep_alive = crate::domain::Span::default()), "keep_alive"),
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
