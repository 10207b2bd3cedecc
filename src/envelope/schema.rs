//! The JSON Schemas of the payloads, generated from the types (draft 2020-12).

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::{Audit, CameraState, Command, Detections, Event, KeyframeMeta, Minimal, NodeState, Reply, RollCall};

/// The names [`schema`] knows.
pub const SCHEMAS: [&str; 10] = [
    "detections",
    "minimal",
    "event",
    "state",
    "node-state",
    "control",
    "reply",
    "keyframe-meta",
    "roll-call",
    "audit",
];

/// The schema of a payload by its name, as in `schemas/<name>.schema.json`.
#[must_use]
pub fn schema(name: &str) -> Option<Value> {
    Some(match name {
        "detections" => written::<Detections>(name),
        "minimal" => written::<Minimal>(name),
        "event" => written::<Event>(name),
        "state" => written::<CameraState>(name),
        "node-state" => written::<NodeState>(name),
        "reply" => written::<Reply>(name),
        "keyframe-meta" => written::<KeyframeMeta>(name),
        "audit" => written::<Audit>(name),
        "roll-call" => written::<RollCall>(name),
        "control" => titled(name, SchemaSettings::draft2020_12().for_deserialize().into_generator(), root::<Command>),
        _ => return None,
    })
}

/// What Sightwire writes: a field that is always there is required.
fn written<T: JsonSchema>(name: &str) -> Value {
    titled(name, SchemaSettings::draft2020_12().for_serialize().into_generator(), root::<T>)
}

fn root<T: JsonSchema>(generator: SchemaGenerator) -> schemars::Schema {
    generator.into_root_schema_for::<T>()
}

fn titled(name: &str, generator: SchemaGenerator, root: fn(SchemaGenerator) -> schemars::Schema) -> Value {
    let mut schema = root(generator);
    schema.insert("title".into(), format!("sightwire {name}").into());
    schema.into()
}
