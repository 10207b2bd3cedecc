//! What two real nodes say over both buses is held against the document, and all of the document is said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sightwire::codec;

use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, buses, scene, wait_for};
use crate::witness::{MqttWitness, NatsWitness, Received, publish};

/// The document, as a reader of it sees it.
struct Document(Value);

impl Document {
    /// The one channel of this bus (`mqtt`, `nats`) whose address this is; `/` joins words here on both.
    fn channel(&self, bus: &str, topic: &str) -> &str {
        let fits = |channel: &Value| {
            let there = channel["servers"].as_array().unwrap().iter();
            let there = there.clone().any(|server| server["$ref"] == format!("#/servers/{bus}"));
            let parameters = &channel["parameters"];
            let pattern = channel["address"].as_str().unwrap().replace('.', "/");
            let (pattern, words) = (pattern.split('/').collect::<Vec<_>>(), topic.split('/').collect::<Vec<_>>());
            let fits = |(pattern, word): (&&str, &&str)| match pattern.strip_prefix('{') {
                Some(name) => {
                    let name = name.trim_end_matches('}');
                    parameters[name]["default"].as_str().is_none_or(|default| default == *word)
                }
                None => pattern == word,
            };
            there && pattern.len() == words.len() && pattern.iter().zip(&words).all(fits)
        };
        let found: Vec<&str> = self.0["channels"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, c)| fits(c))
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(found.len(), 1, "{bus} {topic}: {found:?}");
        found[0]
    }

    fn resolved<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        while let Some(to) = value["$ref"].as_str() {
            value = self.0.pointer(to.trim_start_matches('#')).unwrap();
        }
        value
    }

    fn messages(&self, channel: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.0["channels"][channel]["messages"].as_object().unwrap().iter().map(|(k, said)| (k, self.resolved(said)))
    }

    fn check(&self, schema: &Value, what: &Value) -> Result<(), String> {
        let whole = json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "components": self.0["components"], "allOf": [schema]
        });
        jsonschema::validate(&whole, what).map_err(|error| format!("{}: {error}", error.instance_path()))
    }

    /// Which message of the channel this is, its payload and properties held against what is written.
    fn message(&self, channel: &str, said: &Received) -> String {
        let content_type = said.content_type.as_deref().unwrap_or("text/plain");
        let candidates = self.messages(channel).filter(|(_, message)| message["contentType"] == content_type);
        let judged: Vec<(&String, Result<(), String>)> =
            candidates.map(|(key, message)| (key, self.judge(message, content_type, said))).collect();
        let Some((key, _)) = judged.iter().find(|(_, result)| result.is_ok()) else {
            panic!("{} ({content_type}): {judged:?}\n{}", said.topic, said.text())
        };
        (*key).clone()
    }

    fn judge(&self, message: &Value, content_type: &str, said: &Received) -> Result<(), String> {
        let allowed = message["headers"]["properties"].as_object();
        for name in said.properties.keys().filter(|name| !matches!(name.as_str(), "Content-Type" | "Nats-Msg-Id")) {
            if !allowed.is_some_and(|allowed| allowed.contains_key(name)) {
                return Err(format!("the property {name}"));
            }
        }
        if message["headers"].is_object() {
            self.check(&message["headers"], &json!(said.properties))?;
        }
        match content_type {
            "application/json" => self.check(&message["payload"], &said.json()),
            "text/plain" => self.check(&message["payload"], &json!(said.text())),
            "image/jpeg" => said.payload.starts_with(&[0xff, 0xd8]).then_some(()).ok_or("no JPEG".into()),
            "application/x-protobuf" => {
                let (payload, encoding) = (&said.payload, codec::encoding_of(Some(content_type)));
                let read = match message["name"].as_str().unwrap() {
                    "detectionsProtobuf" => codec::decode_minimal(payload, encoding).map(drop),
                    "eventProtobuf" => codec::decode_event(payload, encoding).map(drop),
                    "keyframeMetaProtobuf" => codec::decode_keyframe_meta(payload, encoding).map(drop),
                    other => panic!("who reads {other}?"),
                };
                read.map_err(|error| error.to_string())
            }
            other => Err(format!("{other}?")),
        }
    }

    /// Of this bus, what a node sends there.
    fn sent(&self, bus: &str) -> BTreeSet<&str> {
        let operations = self.0["operations"].as_object().unwrap().values();
        let sent = operations.filter(|operation| operation["action"] == "send");
        let channels = sent.map(|operation| operation["channel"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap());
        let of_bus = |channel: &&str| {
            let servers = self.0["channels"][*channel]["servers"].as_array().unwrap();
            servers.iter().any(|server| server["$ref"] == format!("#/servers/{bus}"))
        };
        channels.filter(of_bus).collect()
    }

    /// Quality of service and retain flag are those of the operation.
    fn hold_delivery(&self, channel: &str, said: &Received) {
        let mut operations = self.0["operations"].as_object().unwrap().values();
        let here = json!({ "$ref": format!("#/channels/{channel}") });
        let Some(binding) = operations.find(|o| o["action"] == "send" && o["channel"] == here) else { return };
        let binding = &binding["bindings"]["mqtt"];
        assert_eq!(binding["retain"], said.retain, "{}", said.topic);
        // Detections go as `publish.qos` says.
        let raised = channel == "detections" && said.qos == 1;
        assert!(raised || binding["qos"] == said.qos, "{}: {}", said.topic, said.qos);
    }
}

fn camera(name: &str, more: &str) -> String {
    format!(
        "  {name}: {{ source: {}, model: shapes, max_fps: 0, groups: [outdoor]{more} }}\n",
        scene(10, "&objects=6&seed=5")
    )
}

/// Two nodes with all that can be said, over both buses.
fn homes(broker: &Mosquitto, server: &NatsServer) -> [Home; 2] {
    let cameras = [
        camera("door", ", keyframes: { when: [event], every: 1s }"),
        camera("yard", ", publish: { encoding: protobuf, qos: 1 }, keyframes: { when: [event], every: 1s }"),
        camera("shop", ", publish: { payload: minimal }"),
        camera("hall", ", publish: { payload: minimal, encoding: protobuf }"),
    ];
    let both = buses(Some((broker.port, "5")), Some(server.port));
    let garage = Home::new(&format!(
        "{both}frigate: {{ topics: true }}\nhomeassistant: {{ }}\n{SHAPES}cameras:\n{}",
        cameras.concat()
    ));
    let one = buses(Some((broker.port, "5")), None);
    let shed =
        Home::new(&format!("{one}homeassistant: {{ style: components }}\n{SHAPES}cameras:\n{}", camera("gate", "")));
    let file = shed.path().join("sightwire.yaml");
    let text = std::fs::read_to_string(&file).unwrap().replace("node: garage", "node: shed");
    std::fs::write(file, text).unwrap();
    [garage, shed]
}

#[test]
fn real_nodes_say_what_the_document_tells_and_nothing_else() {
    let (broker, server) = (Mosquitto::open(), NatsServer::with_jetstream());
    let mqtt = MqttWitness::with(broker.port, &["-V", "mqttv5", "--retain-as-published", "-t", "#"]);
    let nats = NatsWitness::new(server.port);
    let homes = homes(&broker, &server);
    let nodes = homes.each_ref().map(Home::start);
    let document = Document(sightwire::asyncapi::document());
    for command in ["control", "cameras/door/control", "groups/outdoor/control", "nodes/garage/control"] {
        publish(
            broker.port,
            &format!("sightwire/{command}"),
            b"status",
            &["-V", "mqttv5", "-D", "publish", "content-type", "text/plain"],
        );
    }
    let json = ["-V", "mqttv5", "-D", "publish", "content-type", "application/json"];
    publish(broker.port, "sightwire/cameras/door/control", br#"{"command":"status","id":"1"}"#, &json);
    publish(broker.port, "frigate/door/enabled/set", b"ON", &[]);
    publish(broker.port, "homeassistant/status", b"online", &[]);
    nats.ask("sightwire.cameras.door.control", "status", 1);
    nats.runtime.block_on(async {
        nats.client.publish("sightwire.cameras.yard.control", "status".into()).await.unwrap();
        nats.client.flush().await.unwrap();
    });
    let skip = |said: &&Received| said.topic != "test/mark" && !(said.retain && said.payload.is_empty());
    for (bus, inbox) in [("mqtt", &mqtt.inbox), ("nats", &nats.inbox)] {
        let wanted = document.sent(bus);
        let mut met: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut read = 0;
        wait_for(&format!("all of {wanted:?} on {bus}"), || {
            let all = inbox.all();
            for said in all[read..].iter().filter(skip) {
                let channel = document.channel(bus, &said.topic);
                if bus == "mqtt" {
                    document.hold_delivery(channel, said);
                }
                // A command by a plain NATS client names no content type; the witness's own is nothing to hold.
                let ours = bus == "mqtt" || said.content_type.is_some();
                met.entry(channel.to_owned()).or_default().extend(ours.then(|| document.message(channel, said)));
            }
            read = all.len();
            let missing: Vec<_> = wanted.iter().filter(|channel| !met.contains_key(**channel)).collect();
            let detections = met.iter().find(|(channel, _)| channel.starts_with("detections"));
            (missing.is_empty() && detections.is_some_and(|(_, kinds)| kinds.len() == 3)).then_some(())
        });
    }
    for node in nodes {
        assert!(node.end().0.success());
    }
    // The last words as well.
    for said in mqtt.inbox.all().iter().filter(skip) {
        document.message(document.channel("mqtt", &said.topic), said);
    }
}
