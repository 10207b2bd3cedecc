//! The `AsyncAPI` document: every topic that a node speaks or listens on, made of the table of topics and the types. Pure.
//!
//! `topics` says which addresses there are (the bus's own table, and those that Frigate and Home Assistant chose), `messages` what
//! is said there, `servers` where. This file joins them. Whoever adds a topic to the table has to say its messages: a `match`
//! without a default asks for them.

mod messages;
mod servers;
mod topics;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::bus::Direction;
use messages::Message;
use topics::{Entry, Wire};

/// The whole document, `AsyncAPI` 3.0.
#[must_use]
pub fn document() -> Value {
    // Draft 7 is what the standard's own schema objects are.
    let settings = SchemaSettings::draft07().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let entries = topics::all();
    let (mut channels, mut operations, mut said) = (Map::new(), Map::new(), Map::new());
    for entry in &entries {
        for message in &entry.messages {
            said.entry(message.key).or_insert_with(|| message.described(&mut schemas));
        }
        channels.insert(entry.key.clone(), channel(entry));
        for (key, operation) in entry_operations(entry) {
            operations.insert(key, operation);
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:sightwire",
        "info": {
            "title": "Sightwire",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a node says and hears over MQTT and NATS. Addresses begin with the configured prefix; on NATS the same words \
                are joined by dots. Delivery is at least once but for detections: `seq` shows a gap, ids a repetition. Payloads are JSON \
                unless `publish.encoding: protobuf` says otherwise; the content type tells.",
            "license": { "name": "Apache-2.0 OR MIT" },
            "tags": topics::TAGS.map(|(name, says)| json!({ "name": name, "description": says })),
        },
        "defaultContentType": "application/json",
        "servers": servers::servers(),
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": said,
            "schemas": schemas.take_definitions(true),
            "securitySchemes": servers::security_schemes(),
        },
    })
}

fn channel(entry: &Entry) -> Value {
    let servers: Vec<Value> = servers::of(entry.wire).iter().map(|name| reference("servers", name)).collect();
    let messages: Map<String, Value> =
        entry.messages.iter().map(|said| (said.key.to_owned(), reference("components/messages", said.key))).collect();
    let parameters: Map<String, Value> =
        topics::parameters(&entry.address).map(|name| (name.to_owned(), topics::parameter(name, entry.wire))).collect();
    let mut said = json!({
        "address": entry.address,
        "title": entry.title,
        "description": entry.says,
        "servers": servers,
        "messages": messages,
        "tags": [{ "name": entry.tag }],
    });
    if !parameters.is_empty() {
        said["parameters"] = parameters.into();
    }
    said
}

/// Named after what the node does: it sends what it says and receives what it hears.
fn entry_operations(entry: &Entry) -> Vec<(String, Value)> {
    let mut capital = entry.key.clone();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let one = |action: &str| (format!("{action}{capital}"), operation(entry, action));
    match entry.direction {
        Direction::Says => vec![one("send")],
        Direction::Hears => vec![one("receive")],
        Direction::Both => vec![one("send"), one("receive")],
    }
}

fn operation(entry: &Entry, action: &str) -> Value {
    let channel = format!("channels/{}", entry.key);
    let messages = |of: &[Message], channel: &str| -> Vec<Value> {
        of.iter().map(|said| reference(&format!("{channel}/messages"), said.key)).collect()
    };
    let mut said = json!({
        "action": action,
        "channel": { "$ref": format!("#/{channel}") },
        "summary": entry.says,
        "messages": messages(&entry.messages, &channel),
        "bindings": entry.bindings(),
    });
    if let Some(replies) = &entry.replies {
        // An address that the command names (MQTT 5 response topic, NATS reply subject) is used in this one's place.
        said["reply"] = json!({
            "channel": { "$ref": format!("#/channels/{replies}") },
            "messages": messages(&[messages::reply()], &format!("channels/{replies}")),
        });
    }
    if entry.wire == Wire::Nats {
        said["x-jetstream"] = entry.stream.into();
    }
    said
}

fn reference(place: &str, key: &str) -> Value {
    json!({ "$ref": format!("#/{place}/{key}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Channel;

    #[test]
    fn every_row_of_the_table_is_there_for_both_buses() {
        let document = document();
        let addresses: Vec<&str> =
            document["channels"].as_object().unwrap().values().map(|c| c["address"].as_str().unwrap()).collect();
        for channel in Channel::ALL {
            for separator in ["/", "."] {
                let address = [&["{prefix}"], channel.words()].concat().join(separator);
                assert_eq!(addresses.iter().filter(|there| **there == address).count(), 1, "{address}");
            }
        }
    }

    #[test]
    fn no_reference_hangs_and_no_key_is_used_twice() {
        let document = document();
        let text = document.to_string();
        for pointer in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let keys: Vec<String> = topics::all().into_iter().map(|entry| entry.key).collect();
        let different: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(keys.len(), different.len(), "{keys:?}");
    }
}
