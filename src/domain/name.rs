//! Names of cameras, nodes, groups and models: they become topic words, so they are kept plain.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// `[a-z0-9][a-z0-9_-]{0,63}`
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

/// Every message has two: straight from where they are.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "'{0}' is not a name: use 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit (it becomes a topic word)"
)]
pub struct InvalidName(String);

impl Name {
    /// `node`: for a host whose own name has nothing in it that a name may have.
    #[must_use]
    pub fn fallback() -> Self {
        Self("node".into())
    }

    /// The name closest to a text: small letters, '-' for what a name may not have. None when nothing is left of it.
    #[must_use]
    pub fn like(text: &str) -> Option<Self> {
        let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
        let word: String = text.trim().to_ascii_lowercase().chars().map(letter).collect();
        word.trim_matches(['-', '_']).chars().take(64).collect::<String>().parse().ok()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = text.as_bytes();
        let good = (1..=64).contains(&bytes.len())
            && word(bytes[0])
            && bytes.iter().all(|&c| word(c) || c == b'_' || c == b'-');
        if good { Ok(Self(text.into())) } else { Err(InvalidName(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$",
            "description": "1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit (it becomes a topic word)",
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_topic_words() {
        for good in ["a", "front-door", "7", "cam_1"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a/b", "a.b", "é", "+", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
