//! A number of bytes as people write it in a configuration: `1GiB`, `500MB`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    #[must_use]
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no size; write '1GiB', '512MiB' or '500MB'");
        let trimmed = text.trim();
        let digits = trimmed.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = trimmed[digits.len()..].trim();
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(*factor).filter(|bytes| i64::try_from(*bytes).is_ok()).map(Self).ok_or_else(wrong)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, factor) =
            UNITS[..3].iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)).unwrap_or(&UNITS[6]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*\d+\s*([KkMmGg][Ii]?)?[Bb]\s*$",
            "description": "a number of bytes with its unit, such as 1GiB, 512MiB or 500MB",
            "examples": ["1GiB", "500MB"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them_and_shown_the_same_way() {
        for (text, bytes) in [("1GiB", 1 << 30), (" 512 mib ", 512 << 20), ("500MB", 500_000_000), ("0B", 0)] {
            assert_eq!(text.parse::<Size>().unwrap().0, bytes, "{text}");
        }
        for wrong in ["", "1", "GiB", "1.5GiB", "-1MB", "1TB", "99999999999GiB", "1 GiB 2"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        assert_eq!(
            [Size::mib(1024), Size::mib(5), Size(1000), Size(0)].map(|s| s.to_string()),
            ["1GiB", "5MiB", "1000B", "0B"]
        );
    }
}
