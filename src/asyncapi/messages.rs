//! What is said: payloads by their types, content types, and the properties that go with them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::bus::Channel;
use crate::codec::{JPEG, JSON, PROTOBUF, TEXT};
use crate::envelope::{
    Audit, CameraState, Command, Detections, Event, KeyframeMeta, KeyframeReason, Minimal, NodeState, Reply, Verb,
};
use crate::frigate;

const PROTO: &str = include_str!("../../proto/sightwire/v1/sightwire.proto");

pub(super) struct Message {
    pub key: &'static str,
    title: &'static str,
    content_type: &'static str,
    payload: Payload,
    headers: Headers,
}

enum Payload {
    Type(fn(&mut SchemaGenerator) -> Schema),
    Written(Value),
    /// A message of the `.proto` file.
    Protobuf(&'static str),
}

/// MQTT 5 user properties, NATS headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Headers {
    None,
    Keyframe,
}

impl Message {
    pub(super) fn described(&self, schemas: &mut SchemaGenerator) -> Value {
        let payload = match &self.payload {
            Payload::Type(describe) => describe(schemas).into(),
            Payload::Written(schema) => schema.clone(),
            Payload::Protobuf(name) => json!({
                "schemaFormat": "application/vnd.google.protobuf;version=3",
                "schema": rooted(name),
            }),
        };
        let mut said = json!({
            "name": self.key,
            "title": self.title,
            "contentType": self.content_type,
            "payload": payload,
        });
        if self.headers != Headers::None {
            said["headers"] = self.headers.described();
        }
        said
    }
}

impl Headers {
    fn described(self) -> Value {
        let text = |says: &str| json!({ "type": "string", "description": says });
        let number = |says: &str| json!({ "type": "string", "pattern": "^[0-9]+$", "description": says });
        let reasons =
            [KeyframeReason::Event, KeyframeReason::Detections, KeyframeReason::Interval, KeyframeReason::Snapshot];
        match self {
            Self::None => json!({ "type": "object" }),
            Self::Keyframe => json!({
                "type": "object",
                "description": "MQTT 5 user properties, NATS headers (there also `Content-Type` and `Nats-Msg-Id`). MQTT 3.1.1 has none: see keyframe/meta",
                "required": ["camera", "node", "boot_id", "timestamp", "frame_id", "frame_width", "frame_height", "width", "height", "reason"],
                "properties": {
                    "camera": text("Its name"),
                    "node": text("Its node's name"),
                    "boot_id": text("One run of the process"),
                    "timestamp": { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$", "description": "When the frame was captured, seconds since the Unix epoch" },
                    "frame_id": number("`frame.id` of the detections message of the same picture"),
                    "frame_width": number("As captured, pixels"),
                    "frame_height": number("As captured, pixels"),
                    "width": number("Of the JPEG, pixels"),
                    "height": number("Of the JPEG, pixels"),
                    "reason": { "type": "string", "enum": reasons.map(KeyframeReason::as_str) },
                    "seq": number("`seq` of this frame's detections message; absent when none was published"),
                },
            }),
        }
    }
}

/// The whole file, with the message that is meant marked for parsers.
fn rooted(message: &str) -> String {
    PROTO.replace(&format!("\nmessage {message} {{"), &format!("\n// @RootNode\nmessage {message} {{"))
}

/// What is said on this channel: one of them at a time.
pub(super) fn of(channel: Channel) -> Vec<Message> {
    match channel {
        Channel::Detections => vec![
            typed::<Detections>("detections", "Detections (`payload: full`)"),
            typed::<Minimal>("detectionsMinimal", "Detections (`payload: minimal`)"),
            protobuf("detectionsProtobuf", "Detections as protobuf", "Detections"),
        ],
        Channel::Events => {
            vec![typed::<Event>("event", "Event"), protobuf("eventProtobuf", "Event as protobuf", "Event")]
        }
        Channel::Keyframe => {
            vec![Message { headers: Headers::Keyframe, ..jpeg("keyframe", "A picture, its boxes drawn in") }]
        }
        Channel::KeyframeMeta => vec![
            typed::<KeyframeMeta>("keyframeMeta", "What the keyframe shows"),
            protobuf("keyframeMetaProtobuf", "The same as protobuf", "KeyframeMeta"),
        ],
        Channel::Count | Channel::Objects => vec![count()],
        Channel::CameraStatus | Channel::NodeStatus => vec![status()],
        Channel::CameraState => vec![typed::<CameraState>("cameraState", "Camera state")],
        Channel::NodeState => vec![typed::<NodeState>("nodeState", "Node state")],
        Channel::CameraControl | Channel::GroupControl | Channel::NodeControl | Channel::Control => {
            vec![command(), word(), signed()]
        }
        Channel::Replies => vec![reply()],
        Channel::Audit => vec![typed::<Audit>("audit", "Audit")],
        Channel::Probe => vec![probe()],
    }
}

pub(super) fn reply() -> Message {
    typed::<Reply>("reply", "Reply")
}

pub(super) fn status() -> Message {
    text("status", "Status", json!({ "type": "string", "enum": ["online", "offline"] }))
}

pub(super) fn count() -> Message {
    text("count", "Count", json!({ "type": "string", "pattern": "^[0-9]+$", "description": "An integer as text" }))
}

/// `ON` or `OFF`.
pub(super) fn switch() -> Message {
    text("switch", "Switch", json!({ "type": "string", "enum": ["ON", "OFF"] }))
}

pub(super) fn snapshot() -> Message {
    jpeg("snapshot", "A picture")
}

pub(super) fn frigate_event() -> Message {
    let payload = Payload::Type(frigate::event_schema);
    Message { key: "frigateEvent", title: "Frigate event", content_type: JSON, payload, headers: Headers::None }
}

/// Home Assistant says what may be in it: its documentation is the reference.
pub(super) fn discovery() -> Message {
    let schema = json!({
        "type": "object",
        "required": ["device", "origin"],
        "description": "Home Assistant's MQTT discovery payload",
        "externalDocs": { "url": "https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery" },
    });
    let payload = Payload::Written(schema);
    Message { key: "discovery", title: "Home Assistant discovery", content_type: JSON, payload, headers: Headers::None }
}

/// What is read, not what is written: nothing else may be in it.
fn command() -> Message {
    let settings = SchemaSettings::draft07().for_deserialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let payload = Payload::Written(settings.into_generator().into_root_schema_for::<Command>().into());
    Message { key: "command", title: "Command", content_type: JSON, payload, headers: Headers::None }
}

fn probe() -> Message {
    let payload = Payload::Written(json!({
        "type": "object",
        "required": ["boot_id", "seq"],
        "properties": { "boot_id": { "type": "string" }, "seq": { "type": "integer", "minimum": 1 } },
        "additionalProperties": false,
    }));
    Message { key: "probe", title: "Probe", content_type: JSON, payload, headers: Headers::None }
}

fn word() -> Message {
    let words = json!({ "type": "string", "enum": Verb::ALL.map(Verb::as_str) });
    text("commandWord", "Command, a bare word", words)
}

fn signed() -> Message {
    let jws = json!({
        "type": "string",
        "pattern": "^ey[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
        "description": "A JWS in compact form (RFC 7515): docs/control.md",
    });
    Message { content_type: "application/jose", ..text("commandSigned", "Command, signed", jws) }
}

fn typed<T: JsonSchema>(key: &'static str, title: &'static str) -> Message {
    let payload = Payload::Type(SchemaGenerator::subschema_for::<T>);
    Message { key, title, content_type: JSON, payload, headers: Headers::None }
}

fn text(key: &'static str, title: &'static str, schema: Value) -> Message {
    Message { key, title, content_type: TEXT, payload: Payload::Written(schema), headers: Headers::None }
}

fn jpeg(key: &'static str, title: &'static str) -> Message {
    let payload = Payload::Written(json!({ "type": "string", "format": "binary" }));
    Message { key, title, content_type: JPEG, payload, headers: Headers::None }
}

fn protobuf(key: &'static str, title: &'static str, message: &'static str) -> Message {
    let payload = Payload::Protobuf(message);
    Message { key, title, content_type: PROTOBUF, payload, headers: Headers::None }
}
