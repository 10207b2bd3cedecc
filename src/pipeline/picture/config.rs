//! The `picture_check:` part of a camera's configuration.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::domain::Span;

/// After how long each is reported; 0 = never. Written as a map, or as the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureCheck {
    pub frozen_after: Span,
    pub black_after: Span,
    pub covered_after: Span,
}

/// The map's form.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the names of the configuration")]
struct Spans {
    /// Live cameras only: pictures come, but for so long none that differs. Longer than the camera's key frames are apart. 0 = never.
    frozen_after: Span,
    /// Black for so long, without a light in it. 0 = never.
    black_after: Span,
    /// So long with a fraction of the detail this camera normally has. 0 = never.
    covered_after: Span,
}

impl PictureCheck {
    pub const OFF: Self =
        Self { frozen_after: Span::secs(0), black_after: Span::secs(0), covered_after: Span::secs(0) };
}

impl Default for PictureCheck {
    fn default() -> Self {
        Self { frozen_after: Span::secs(30), black_after: Span::secs(10), covered_after: Span::secs(10) }
    }
}

impl Default for Spans {
    fn default() -> Self {
        PictureCheck::default().into()
    }
}

impl From<PictureCheck> for Spans {
    fn from(PictureCheck { frozen_after, black_after, covered_after }: PictureCheck) -> Self {
        Self { frozen_after, black_after, covered_after }
    }
}

impl From<Spans> for PictureCheck {
    fn from(Spans { frozen_after, black_after, covered_after }: Spans) -> Self {
        Self { frozen_after, black_after, covered_after }
    }
}

impl Serialize for PictureCheck {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::OFF { serializer.serialize_str("off") } else { Spans::from(*self).serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for PictureCheck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OffOrMap;
        impl<'de> Visitor<'de> for OffOrMap {
            type Value = PictureCheck;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, or a map of frozen_after, black_after, covered_after")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PictureCheck, E> {
                if text == "off" {
                    return Ok(PictureCheck::OFF);
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<PictureCheck, E> {
                Ok(if on { PictureCheck::default() } else { PictureCheck::OFF })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PictureCheck, A::Error> {
                Spans::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
            }
        }
        deserializer.deserialize_any(OffOrMap)
    }
}

impl JsonSchema for PictureCheck {
    fn schema_name() -> Cow<'static, str> {
        "PictureCheck".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // Of a text only the pattern holds, of a map only its keys: one schema, so that a wrong key is told as one.
        let mut schema = Spans::json_schema(generator);
        schema.insert("type".into(), json!(["object", "string", "boolean"]));
        schema.insert("pattern".into(), json!("^off$"));
        schema.insert(
            "description".into(),
            json!(
                "`off`, or a map of frozen_after, black_after, covered_after: after how long such a picture is reported. \
                 Synthetic scenes and slideshows are never checked, files only for black and covered pictures."
            ),
        );
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_or_a_map_and_written_as_it_is_read() {
        let read = |text: &str| serde_json::from_str::<PictureCheck>(text);
        assert_eq!(read("\"off\"").unwrap(), PictureCheck::OFF);
        assert_eq!(read("false").unwrap(), PictureCheck::OFF);
        assert_eq!(read("{}").unwrap(), PictureCheck::default());
        let some = read(r#"{"frozen_after":"1m","black_after":"0"}"#).unwrap();
        assert_eq!((some.frozen_after, some.black_after), (Span::secs(60), Span::secs(0)));
        assert_eq!(some.covered_after, PictureCheck::default().covered_after);
        for check in [PictureCheck::OFF, PictureCheck::default(), some] {
            assert_eq!(read(&serde_json::to_string(&check).unwrap()).unwrap(), check);
        }
        let said = read("\"never\"").unwrap_err().to_string();
        assert!(said.contains("`off`, or a map of frozen_after"), "{said}");
        assert!(read(r#"{"frozen":"1m"}"#).unwrap_err().to_string().contains("frozen_after"));
    }
}
