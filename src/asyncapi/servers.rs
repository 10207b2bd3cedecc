//! Where it is said: the brokers and servers a node can be told to use, and how it shows who it is.

use serde_json::{Value, json};

use super::topics::Wire;

const MQTT: [&str; 2] = ["mqtt", "mqtts"];
const NATS: [&str; 2] = ["nats", "natsTls"];

/// The servers where these channels are.
pub(super) fn of(wire: Wire) -> &'static [&'static str] {
    match wire {
        Wire::Mqtt => &MQTT,
        Wire::Nats => &NATS,
    }
}

pub(super) fn servers() -> Value {
    let mqtt = |protocol: &str, port: u16, says: &str, security: &[&str]| {
        let mut said = server(protocol, port, says, security);
        said["protocolVersion"] = "5".into();
        said["bindings"] = json!({ "mqtt": {
            "lastWill": { "topic": "sightwire/nodes/garage/status", "qos": 1, "message": "offline", "retain": true },
            "bindingVersion": "0.2.0",
        } });
        said
    };
    let listed = [
        ("mqtt", mqtt("mqtt", 1883, "`buses.mqtt.url`; also 3.1.1, and over websockets (`ws://`)", &["password"])),
        ("mqtts", mqtt("secure-mqtt", 8883, "The same by TLS (`mqtts://`, `wss://`)", &["password", "certificate"])),
        ("nats", server("nats", 4222, "`buses.nats.url`, with or without JetStream", &["password", "token", "nkey"])),
        ("natsTls", server("nats", 4222, "The same by TLS (`tls://`)", &["password", "token", "nkey", "certificate"])),
    ];
    listed.into_iter().map(|(name, server)| (name.to_owned(), server)).collect::<serde_json::Map<_, _>>().into()
}

fn server(protocol: &str, port: u16, says: &str, security: &[&str]) -> Value {
    let security: Vec<Value> =
        security.iter().map(|name| json!({ "$ref": format!("#/components/securitySchemes/{name}") })).collect();
    json!({
        "host": format!("{{host}}:{port}"),
        "protocol": protocol,
        "description": says,
        "variables": { "host": { "default": "localhost", "description": "Where the broker is" } },
        "security": security,
    })
}

pub(super) fn security_schemes() -> Value {
    json!({
        "password": { "type": "userPassword", "description": "`username` with `password_file`" },
        "certificate": { "type": "X509", "description": "`cert_file` with `key_file`" },
        "token": { "type": "httpApiKey", "name": "auth_token", "in": "header", "description": "`token_file`, in NATS's CONNECT" },
        "nkey": { "type": "asymmetricEncryption", "description": "`nkey_file`, or `creds_file` with its JWT" },
    })
}
