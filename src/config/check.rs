//! What no schema can say: references, files, keys that exclude each other, addresses.

use std::path::Path as FilePath;

use url::Url;

use super::Config;
use super::explain::{nearest, shown};
use super::problem::Problem;
use super::resolve::{is_builtin, is_bundled};
use super::tree::{Content, Node, Path};
use crate::bus::{MqttConfig, NatsConfig, SpoolConfig};
use crate::control::auth::PublicKey;
use crate::domain::{Size, redact};
use crate::envelope::Verb;
use crate::http::HttpConfig;
use crate::inference::LabelsConfig;
use crate::pipeline::{Encoding, TrackerChoice};

/// Problems and warnings of a configuration that was read; `config` may lack sections that have problems of their own.
pub(super) struct Check<'a> {
    pub root: &'a Node,
    pub config: &'a Config,
    /// Values that have a problem already.
    pub spoiled: &'a [Path],
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn run(&mut self) {
        let config = self.config;
        if let Some(mqtt) = &config.buses.mqtt {
            self.mqtt(mqtt);
        }
        if let Some(nats) = &config.buses.nats {
            self.nats(nats);
        }
        self.http();
        self.webrtc();
        self.control();
        self.spool();
        self.models();
        self.cameras();
        self.homeassistant();
        self.frigate();
        self.traces();
    }

    fn problem(&mut self, path: &Path, what: impl Into<String>, fix: impl Into<String>) {
        let problem = Problem::new(self.root.place_of(path), path, what).fix(fix);
        self.problems.push(problem);
    }

    fn warning(&mut self, path: &Path, what: impl Into<String>, fix: impl Into<String>) {
        let problem = Problem::new(self.root.key_place(path), path, what).fix(fix);
        self.warnings.push(problem);
    }

    /// Whether a key was given a value, even one with a problem of its own.
    fn is_set(&self, path: &Path) -> bool {
        self.root.at(path).is_some_and(|node| {
            self.spoiled.contains(path) || node.scalar().is_none_or(|scalar| !scalar.value.is_null())
        })
    }

    /// An empty section; one without any value has its own problem.
    fn is_empty(&self, path: &Path) -> bool {
        self.root.at(path).is_some_and(|node| matches!(&node.content, Content::Mapping(entries) if entries.is_empty()))
    }

    /// The keys written under `section`, a name each.
    fn names(&self, section: &str) -> Vec<String> {
        self.names_at(&Path::of([section]))
    }

    fn names_at(&self, path: &Path) -> Vec<String> {
        let node = self.root.at(path);
        node.map(|node| node.entries().iter().map(|entry| entry.key.clone()).collect()).unwrap_or_default()
    }

    fn cameras(&mut self) {
        let path = Path::of(["cameras"]);
        if self.is_empty(&path) {
            self.problem(&path, "there is no camera", super::SMALLEST);
        }
        let models = self.names("models");
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        // Off the tree, not the types: a camera that could not be read names a model all the same.
        for camera in self.names("cameras") {
            let path = path.key(&camera).key("model");
            let named = self.root.at(&path).and_then(Node::scalar).map(|scalar| scalar.text.clone());
            let Some(named) = named.filter(|named| !self.spoiled.contains(&path) && !models.contains(&named.as_str()))
            else {
                continue;
            };
            let list = if models.is_empty() { "none".into() } else { models.join(", ") };
            let fix = match nearest(&named, &models) {
                Some(near) => format!("did you mean '{near}'? models in this file: {list}"),
                None => format!("models in this file: {list}"),
            };
            self.problem(&path, format!("there is no model {}", self.raw(&path)), fix);
        }
        for (name, camera) in &self.config.cameras {
            if camera.labels.as_ref().is_some_and(Vec::is_empty) {
                self.warning(
                    &path.key(name.as_str()).key("labels"),
                    "no label is published, since the list is empty",
                    "remove the key to publish every label",
                );
            }
        }
    }

    /// A value as it was written: nothing of the environment comes out.
    fn raw(&self, path: &Path) -> String {
        self.root.at(path).and_then(Node::scalar).map_or("the value".into(), |scalar| shown(path, &scalar.raw))
    }

    fn models(&mut self) {
        let path = Path::of(["models"]);
        if self.is_empty(&path) {
            self.problem(&path, "there is no model", super::SMALLEST);
        }
        for (name, model) in &self.config.models {
            let path = path.key(name.as_str());
            if is_bundled(&model.path) {
                let known = crate::inference::BUNDLED;
                if model.path.to_str() != Some(known) {
                    let path = path.key("path");
                    let what = format!("{} does not come with the program", self.raw(&path));
                    self.problem(&path, what, format!("write '{known}', or the path of an ONNX file"));
                }
            } else {
                self.file(&path.key("path"), Some(&model.path), "give the ONNX file, or 'bundled:shapes'");
            }
            if let Some(LabelsConfig::Named(labels)) = model.labels.as_ref()
                && !is_builtin(labels)
            {
                let fix = "give 'coco', 'coco91', a file with one label a line, or a list: '[person, car]'";
                self.file(&path.key("labels"), Some(FilePath::new(labels)), fix);
            }
            for (key, what, fix) in model.input.faults() {
                self.problem(&path.key("input").key(key), what, fix);
            }
            if !self.root_uses(name.as_str()) {
                self.warning(&path, "no camera uses this model", "remove it, or name it in a camera's 'model'");
            }
        }
    }

    /// Whether any camera names the model, cameras with problems of their own included.
    fn root_uses(&self, model: &str) -> bool {
        self.names("cameras").iter().any(|camera| {
            let named = self.root.at(&Path::of(["cameras", camera, "model"])).and_then(Node::scalar);
            named.is_some_and(|named| named.text == model)
        })
    }

    fn http(&mut self) {
        let http = &self.config.http;
        let path = Path::of(["http"]);
        let fix = "write a token of 16 characters or more into its first line: openssl rand -hex 24";
        self.file(&path.key("token_file"), http.token_file.as_deref(), fix);
        if http.token_file.as_deref().is_some_and(FilePath::is_file)
            && let Some(fault) = http.token_fault()
        {
            self.problem(&path.key("token_file"), fault, fix);
        }
        if !http.listen.ip().is_loopback() && !self.is_set(&path.key("token_file")) {
            let shown = self.raw(&path.key("listen"));
            let what = format!("{shown} can be reached from other machines, and there is no 'token_file'");
            let fix = "name a file that holds a token, or listen on loopback: 127.0.0.1:8720";
            self.problem(&path.key("listen"), what, fix);
        }
        for (index, host) in http.hosts.iter().enumerate().filter(|(_, host)| !HttpConfig::is_host(host)) {
            let what = format!("'{}' is not a host's name", redact(host));
            self.problem(
                &path.key("hosts").index(index),
                what,
                "write the name alone, without scheme, port and path: garage.local",
            );
        }
        if http.session.0.is_zero() {
            self.problem(&path.key("session"), "a login that lasts no time", "give a length of time such as 12h or 7d");
        }
        if http.max_streams + HttpConfig::RESERVE > http.max_connections {
            let what = format!(
                "leaves fewer than {} of max_connections ({}) to all else",
                HttpConfig::RESERVE,
                http.max_connections
            );
            let fix = "lower it, or raise 'max_connections'";
            self.problem(&path.key("max_streams"), what, fix);
        }
        if !(Size(1)..=HttpConfig::LARGEST_FRAME).contains(&http.max_frame) {
            let what = format!("{} is no size for a picture", self.raw(&path.key("max_frame")));
            self.problem(&path.key("max_frame"), what, format!("give from 1B to {}", HttpConfig::LARGEST_FRAME));
        }
    }

    fn webrtc(&mut self) {
        let webrtc = &self.config.http.webrtc;
        let path = Path::of(["http", "webrtc"]);
        let nowhere = |ip: &&std::net::IpAddr| ip.is_unspecified() || ip.is_multicast();
        if let Some(ip) = webrtc.announce.iter().find(nowhere) {
            let what = format!("no viewer can send to {ip}");
            self.problem(&path.key("announce"), what, "name the address that viewers reach this node at");
        }
    }

    fn control(&mut self) {
        let config = self.config;
        let path = Path::of(["control"]);
        let operators = self.names_at(&path.key("operators"));
        for name in &operators {
            let path = path.key("operators").key(name);
            let (public, secret) = (path.key("public_key"), path.key("hmac_key_file"));
            self.exclusive(&path, &["public_key", "hmac_key_file"]);
            if !self.is_set(&public) && !self.is_set(&secret) && !self.spoiled.contains(&path) {
                let fix = "give 'public_key' (sightwire keygen FILE prints it), or 'hmac_key_file'";
                self.problem(&path, "an operator without a key can sign nothing", fix);
            }
        }
        for (name, operator) in &config.control.operators {
            let path = path.key("operators").key(name.as_str());
            if let Some(Err(why)) = operator.public_key.as_deref().map(PublicKey::ed25519) {
                let what = format!("the key cannot be used: {why}");
                self.problem(&path.key("public_key"), what, "sightwire keygen FILE makes a pair, and prints this half");
            }
            let fix = "sightwire keygen --hmac FILE makes one; the same file goes to the operator";
            self.file(&path.key("hmac_key_file"), operator.hmac_key_file.as_deref(), fix);
        }
        let required = path.key("require_signature");
        if operators.is_empty() && config.control.require_signature.as_ref().is_some_and(|verbs| !verbs.is_empty()) {
            let what = "nobody can sign: there are no operators";
            self.problem(&required, what, "add 'operators', each with a key, or remove the list");
        }
        if !operators.is_empty() && config.control.trust_http && config.http.token_file.is_none() {
            let what = "over HTTP nothing needs a signature, and without a token everybody on this machine may command";
            let fix =
                "set http.token_file; or control.trust_http: false, and closed commands are to be signed over HTTP too";
            self.warning(&path.key("operators"), what, fix);
        }
        if config.control.require_signature.as_ref().is_some_and(|verbs| verbs.contains(&Verb::Stop)) {
            let what = "with the keys lost, nobody can stop a camera over a bus";
            self.warning(&required, what, "leave 'stop' out, unless a stop does more harm than a camera that runs on");
        }
    }

    fn homeassistant(&mut self) {
        let Some(config) = &self.config.homeassistant else { return };
        let path = Path::of(["homeassistant"]);
        let buses = Path::of(["buses"]);
        if config.discovery && self.is_set(&buses.key("nats")) && !self.is_set(&buses.key("mqtt")) {
            self.problem(
                &path,
                "Home Assistant listens on MQTT, and there is only NATS",
                "add 'buses.mqtt', the broker that Home Assistant uses",
            );
        }
        self.prefix(&path.key("prefix"), &config.prefix, '/', "+#");
        if let Some(topic) = &config.birth_topic {
            self.prefix(&path.key("birth_topic"), topic, '/', "+#");
        }
        if config.labels.as_ref().is_some_and(Vec::is_empty) {
            self.warning(
                &path.key("labels"),
                "no label gets entities of its own, since the list is empty",
                "remove the key to announce those that are published or seen",
            );
        }
        let signed = [Verb::Start, Verb::Set, Verb::Restart, Verb::Reload, Verb::Stop, Verb::Snapshot];
        let signed: Vec<&str> =
            signed.into_iter().filter(|v| self.config.control.must_be_signed(*v)).map(Verb::as_str).collect();
        if config.discovery && !signed.is_empty() {
            let what = format!("Home Assistant cannot sign: what it sends of {} is refused", signed.join(", "));
            self.warning(
                &path,
                what,
                "list in 'control.require_signature' only what it need not send, or leave it so: it shows everything all the same",
            );
        }
        for (name, camera) in self.config.cameras.iter().filter(|_| config.discovery) {
            if camera.publish.encoding == Encoding::Protobuf && camera.tracker != TrackerChoice::None {
                let path = Path::of(["cameras", name.as_str(), "publish", "encoding"]);
                let what = "Home Assistant cannot read protobuf: this camera has no event entity there";
                self.warning(&path, what, "use 'encoding: json', or leave it so: all other entities are there");
            }
        }
    }

    fn frigate(&mut self) {
        let config = self.config;
        let (path, buses) = (Path::of(["frigate"]), Path::of(["buses"]));
        self.prefix(&path.key("prefix"), &config.frigate.prefix, '/', "+#");
        if !config.frigate.topics {
            return;
        }
        if self.is_set(&buses.key("nats")) && !self.is_set(&buses.key("mqtt")) {
            let what = "Frigate's topics are MQTT's, and there is only NATS";
            self.problem(&path.key("topics"), what, "add 'buses.mqtt', the broker that listens to Frigate");
        }
        let own = config.buses.mqtt.as_ref().map_or("sightwire", |mqtt| mqtt.topic_prefix.as_str());
        if config.frigate.prefix == own {
            let path = if self.is_set(&path.key("prefix")) { path.key("prefix") } else { path };
            self.problem(
                &path,
                "the prefix is that of Sightwire's own topics, too",
                "give each its own, such as 'frigate'",
            );
        }
        let untracked = config.cameras.iter().filter(|(_, camera)| camera.tracker == TrackerChoice::None);
        for (name, _) in untracked {
            let path = Path::of(["cameras", name.as_str(), "tracker"]);
            let what = "nothing is tracked: this camera has counts at Frigate's topics, and no events and snapshots";
            self.warning(&path, what, "use 'tracker: bytetrack', or leave it so");
        }
    }

    fn traces(&mut self) {
        let Some(traces) = &self.config.telemetry.traces else { return };
        let path = Path::of(["telemetry", "traces"]);
        let form = "write http://collector:4318 or https://collector/v1/traces; credentials go into 'headers_file'";
        let url = self.url(&path.key("endpoint"), &traces.endpoint, &["http", "https"], form);
        let credentials = url.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some());
        if credentials {
            self.problem(&path.key("endpoint"), "the URL holds credentials", form);
        }
        for (key, file) in [("headers_file", &traces.headers_file), ("ca_file", &traces.ca_file)] {
            self.file(&path.key(key), file.as_deref(), "create it, or correct the path");
        }
        if traces.ca_file.is_some() && url.is_some_and(|url| url.scheme() == "http") {
            let what = "has no effect: http:// is not encrypted";
            self.warning(&path.key("ca_file"), what, "use https://, or remove it");
        }
    }

    fn spool(&mut self) {
        let path = Path::of(["spool", "write_after"]);
        if self.config.spool.write_after > SpoolConfig::LATEST {
            let what = format!("{} is long: all that is offered meanwhile is lost with the process", self.raw(&path));
            self.problem(&path, what, "give at most 10s; 50ms is the default");
        }
        let path = Path::of(["spool", "max_size"]);
        let least = SpoolConfig::SMALLEST;
        if self.config.spool.max_size < least {
            let what = format!("{} is too small for a handful of keyframes", self.raw(&path));
            self.problem(&path, what, format!("give at least {least}, or set 'enabled: false'"));
        }
    }

    fn mqtt(&mut self, mqtt: &MqttConfig) {
        let path = Path::of(["buses", "mqtt"]);
        let form = "write mqtt://host:1883, mqtts://host:8883 (TLS), ws://host/path or wss://host/path";
        let url = self.url(&path.key("url"), &mqtt.url, &["mqtt", "mqtts", "ws", "wss"], form);
        self.exclusive(&path, &["password", "password_file"]);
        match (self.is_set(&path.key("cert_file")), self.is_set(&path.key("key_file"))) {
            (true, false) => self.problem(
                &path.key("cert_file"),
                "a certificate without its key",
                "add 'key_file', or remove 'cert_file'",
            ),
            (false, true) => self.problem(
                &path.key("key_file"),
                "a key without its certificate",
                "add 'cert_file', or remove 'key_file'",
            ),
            _ => {}
        }
        for (key, file) in [
            ("password_file", &mqtt.password_file),
            ("ca_file", &mqtt.ca_file),
            ("cert_file", &mqtt.cert_file),
            ("key_file", &mqtt.key_file),
        ] {
            self.file(&path.key(key), file.as_deref(), "create it, or correct the path");
        }
        if let Some(url) = url {
            let tls = matches!(url.scheme(), "mqtts" | "wss");
            for key in ["ca_file", "cert_file"] {
                if self.is_set(&path.key(key)) && !tls {
                    let what = format!("has no effect: {}:// is not encrypted", url.scheme());
                    self.warning(&path.key(key), what, "use mqtts:// (or wss://), or remove it");
                }
            }
            if !url.username().is_empty() && mqtt.username.is_some() {
                self.problem(&path.key("username"), "the url names a user too", "give the user in one place");
            }
        }
        self.prefix(&path.key("topic_prefix"), &mqtt.topic_prefix, '/', "+#");
    }

    fn nats(&mut self, nats: &NatsConfig) {
        let path = Path::of(["buses", "nats"]);
        let form = "write nats://host:4222 or tls://host:4222; several separated by commas";
        for url in nats.url.split(',') {
            self.url(&path.key("url"), url.trim(), &["nats", "tls"], form);
        }
        self.exclusive(&path, &["password", "password_file"]);
        self.exclusive(&path, &["username", "creds_file", "nkey_file", "token_file"]);
        let password = if self.is_set(&path.key("password")) { "password" } else { "password_file" };
        let has_password = self.is_set(&path.key(password));
        let has_user = self.is_set(&path.key("username"));
        if has_password && !has_user {
            self.problem(&path.key(password), "a password without a user", "add 'username'");
        }
        if !has_password && has_user {
            self.problem(&path.key("username"), "a user without a password", "add 'password' or 'password_file'");
        }
        for (key, file) in [
            ("password_file", &nats.password_file),
            ("creds_file", &nats.creds_file),
            ("nkey_file", &nats.nkey_file),
            ("token_file", &nats.token_file),
            ("ca_file", &nats.ca_file),
        ] {
            self.file(&path.key(key), file.as_deref(), "create it, or correct the path");
        }
        self.prefix(&path.key("subject_prefix"), &nats.subject_prefix, '.', "*>");
    }

    fn exclusive(&mut self, section: &Path, keys: &[&str]) {
        let set: Vec<&str> = keys.iter().copied().filter(|key| self.is_set(&section.key(key))).collect();
        if let [_, .., last] = set.as_slice() {
            let what = format!("{} exclude each other", set.join(" and "));
            self.problem(&section.key(last), what, "keep one of them");
        }
    }

    fn url(&mut self, path: &Path, text: &str, schemes: &[&str], form: &str) -> Option<Url> {
        let shown = self.raw(path);
        match Url::parse(text) {
            Ok(url) if !schemes.contains(&url.scheme()) => {
                let what = format!("{shown} does not begin with {}", in_words(schemes));
                self.problem(path, what, form);
                None
            }
            Ok(url) if url.host_str().is_none_or(str::is_empty) => {
                self.problem(path, format!("{shown} names no host"), form);
                None
            }
            Ok(url) => Some(url),
            Err(error) => {
                self.problem(path, format!("{shown} is not an address: {error}"), form);
                None
            }
        }
    }

    fn prefix(&mut self, path: &Path, prefix: &str, separator: char, wildcards: &str) {
        let fault = if prefix.is_empty() {
            Some("is empty".to_owned())
        } else if prefix.split(separator).any(str::is_empty) {
            Some(format!("begins or ends with '{separator}', or has two in a row"))
        } else if let Some(c) = prefix.chars().find(|&c| wildcards.contains(c)) {
            Some(format!("holds the wildcard '{c}'"))
        } else if prefix.chars().any(|c| c.is_whitespace() || c.is_control()) {
            Some("holds a space".to_owned())
        } else if prefix.starts_with('$') {
            Some("begins with '$', which brokers keep for themselves".to_owned())
        } else {
            None
        };
        if let Some(fault) = fault {
            let fix =
                format!("use plain words joined by '{separator}', such as 'sightwire' or 'site{separator}sightwire'");
            self.problem(path, fault, fix);
        }
    }

    fn file(&mut self, path: &Path, file: Option<&FilePath>, fix: &str) {
        let Some(file) = file else { return };
        let from_environment =
            self.root.at(path).and_then(Node::scalar).is_some_and(|scalar| !scalar.hidden.is_empty());
        let shown = if from_environment { self.raw(path) } else { file.display().to_string() };
        let what = match std::fs::metadata(file) {
            Ok(meta) if meta.is_dir() => format!("{shown} is a folder, not a file"),
            Ok(_) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("there is no file {shown}"),
            Err(error) => format!("{shown} cannot be read: {error}"),
        };
        self.problem(path, what, fix);
    }
}

fn in_words(schemes: &[&str]) -> String {
    let schemes: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    match schemes.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => schemes.concat(),
    }
}
