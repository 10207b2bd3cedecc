//! What is found in a still picture, said in the words of a camera.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::Detections;
use crate::domain::Name;

/// A file's name in the place of a camera's. It has a dot, as no camera's name has, or is a camera's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StillName(String);

impl StillName {
    /// `bus.jpg` is `bus.jpg`. A name without a dot becomes the camera's name that is like it: `IMG 7` is `img-7`.
    #[must_use]
    pub fn of(file: &str) -> Self {
        if file.contains('.') && !file.contains('/') {
            return Self(file.to_owned());
        }
        Self(Name::like(file).map_or_else(|| "still".to_owned(), |name| name.to_string()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The detections payload of one picture, with the path by which it was named.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StillDetections {
    #[serde(flatten)]
    pub detections: Detections<StillName>,
    pub file: String,
}

/// What may stand in `camera` of a detections payload.
pub(super) struct Speaker;

impl JsonSchema for Speaker {
    fn schema_name() -> Cow<'static, str> {
        "Speaker".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                generator.subschema_for::<Name>(),
                { "type": "string", "pattern": "^[^/]*\\.[^/]*$", "description": "a file's name, from `sightwire detect`" },
            ],
        })
    }
}

/// Adds `file`, which only `sightwire detect` writes.
pub(super) fn with_file(schema: &mut Schema) {
    let file = serde_json::json!({ "type": "string", "description": "From `sightwire detect` alone: the path by which the picture was named." });
    if let Some(properties) = schema.get_mut("properties").and_then(|properties| properties.as_object_mut()) {
        properties.insert("file".into(), file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_unless_it_could_be_mistaken_for_a_cameras() {
        for (file, name) in [
            ("bus.jpg", "bus.jpg"),
            ("Ein Bild.PNG", "Ein Bild.PNG"),
            ("bus", "bus"),
            ("IMG 7", "img-7"),
            ("…", "still"),
        ] {
            assert_eq!(StillName::of(file).as_str(), name);
        }
    }
}
