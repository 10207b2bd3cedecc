//! The `skip_static:` part of a camera's configuration.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::domain::{BBox, Span};

/// Whether a picture in which nothing has changed is inferred again. Written as a boolean, or as a map of the rules.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SkipStatic(pub Option<StillRules>);

/// What counts as unchanged, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StillRules {
    /// Grey levels of 255 by which a 64th of the picture's width by a 36th of its height must change, beyond the picture's own
    /// noise. Lower sees more and saves less.
    #[schemars(range(min = 1, max = 100))]
    pub threshold: u8,
    /// While nothing changes the last detections are said again so often; 0 = with every frame.
    pub heartbeat: Span,
    /// However still the picture is, it is inferred again after so long.
    pub max_age: Span,
    /// Boxes in which no change counts, such as the camera's clock: `[x_min, y_min, x_max, y_max]`, fractions of the frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<BBox>,
}

impl Default for StillRules {
    fn default() -> Self {
        Self { threshold: 8, heartbeat: Span::secs(1), max_age: Span::secs(10), ignore: Vec::new() }
    }
}

impl SkipStatic {
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for SkipStatic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => serializer.serialize_bool(false),
            Some(rules) => rules.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SkipStatic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoolOrMap;
        impl<'de> Visitor<'de> for BoolOrMap {
            type Value = SkipStatic;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a map of threshold, heartbeat, max_age, ignore")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<SkipStatic, E> {
                Ok(SkipStatic(on.then(StillRules::default)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SkipStatic, A::Error> {
                StillRules::deserialize(MapAccessDeserializer::new(map)).map(|rules| SkipStatic(Some(rules)))
            }
        }
        deserializer.deserialize_any(BoolOrMap)
    }
}

impl JsonSchema for SkipStatic {
    fn schema_name() -> Cow<'static, str> {
        "SkipStatic".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // One schema for both forms, so that a wrong key of the map is told as one.
        let mut schema = StillRules::json_schema(generator);
        schema.insert("type".into(), json!(["object", "boolean"]));
        schema.insert(
            "description".into(),
            json!(
                "true, or a map of threshold, heartbeat, max_age, ignore: a picture in which nothing has changed since the last \
                 inference is not inferred; what was found is said again. false: every frame is inferred."
            ),
        );
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_boolean_or_a_map_and_read_as_it_is_written() {
        let read = |text: &str| serde_json::from_str::<SkipStatic>(text);
        assert_eq!(read("false").unwrap(), SkipStatic::default());
        assert_eq!(read("true").unwrap(), SkipStatic(Some(StillRules::default())));
        assert_eq!(read("{}").unwrap(), read("true").unwrap());
        let some = read(r#"{"max_age":"1m","ignore":[[0,0,0.3,0.1]]}"#).unwrap();
        let rules = some.0.clone().unwrap();
        assert_eq!((rules.max_age, rules.heartbeat), (Span::secs(60), Span::secs(1)));
        assert_eq!(rules.ignore, [BBox::from([0.0, 0.0, 0.3, 0.1])]);
        for skip in [SkipStatic::default(), read("true").unwrap(), some] {
            assert_eq!(read(&serde_json::to_string(&skip).unwrap()).unwrap(), skip);
        }
        let said = read("\"sometimes\"").unwrap_err().to_string();
        assert!(said.contains("true, false, or a map of threshold"), "{said}");
        assert!(read(r#"{"age":"1m"}"#).unwrap_err().to_string().contains("max_age"));
    }
}
