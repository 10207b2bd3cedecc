//! Wall-clock time as it is published.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in microseconds since the Unix epoch (UTC). Written as seconds with a fraction: `1763683200.123`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const UNIX_EPOCH: Self = Self(0);

    /// Reads the host's clock. Pure rooms take a `Timestamp` as an argument instead.
    #[must_use]
    pub fn now() -> Self {
        Self::from_system(SystemTime::now())
    }

    #[must_use]
    pub fn from_system(time: SystemTime) -> Self {
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self(micros(after)),
            Err(before) => Self(-micros(before.duration())),
        }
    }

    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch; exact to the microsecond until the year 2255.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "f64 holds microseconds of this era exactly enough")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e6).round() as i64)
    }

    /// Time from `earlier` to here; zero when `earlier` is later (clocks are set back).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from_secs_f64)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "description": "seconds since the Unix epoch (UTC), to the microsecond" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_back_as_it_was_written() {
        let t = Timestamp::from_micros(1_763_683_200_123_456);
        let text = serde_json::to_string(&t).unwrap();
        assert_eq!(text, "1763683200.123456");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), t);
    }
}
