//! From a message to its record and back. What a record cannot hold is made anew: moments by the wall clock, the function
//! that marks a late payload by its content type.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::record::Record;
use crate::bus::{Message, Qos, Topic};
use crate::telemetry::MessageKind;

/// Makes a payload say that it comes late.
pub type Mark = fn(&Bytes) -> Bytes;

/// The two clocks read at one moment.
#[derive(Debug, Clone, Copy)]
pub(in crate::bus) struct Now {
    instant: Instant,
    /// Milliseconds since the Unix epoch.
    unix: u64,
}

impl Now {
    pub(in crate::bus) fn read() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), unix: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    fn unix_of(self, instant: Instant) -> u64 {
        self.unix.saturating_sub(millis(self.instant.saturating_duration_since(instant)))
    }

    /// None: before the machine's own beginning, or after now. The wall clock may have been set since.
    fn instant_of(self, unix: u64) -> Option<Instant> {
        self.instant.checked_sub(Duration::from_millis(self.unix.checked_sub(unix)?))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// None for a message that cannot be spooled: another kind, or one without a camera.
pub(in crate::bus) fn record_of(message: &Message, offered_at: Instant, now: Now) -> Option<Record> {
    let captured_before =
        message.captured_at.and_then(|at| u32::try_from(millis(offered_at.saturating_duration_since(at))).ok());
    Some(Record {
        kind: message.kind,
        camera: message.camera.clone()?,
        retain: message.retain,
        says_late: message.late.is_some(),
        offered_at: now.unix_of(offered_at),
        captured_before,
        content_type: message.content_type.to_owned(),
        id: message.id.clone(),
        properties: message.properties.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        payload: message.payload.clone(),
    })
}

/// The message, and when it was offered. `own`: in this boot; else the clocks' difference tells nothing certain, and no
/// latency is measured from it.
pub(in crate::bus) fn message_of(record: Record, own: bool, mark: fn(&str) -> Mark, now: Now) -> (Message, Instant) {
    let offered_at = now.instant_of(record.offered_at).unwrap_or(now.instant);
    let before = record.captured_before.filter(|_| own).map(|millis| Duration::from_millis(millis.into()));
    let camera = record.camera;
    let topic = match record.kind {
        MessageKind::Keyframe => Topic::Keyframe(camera.clone()),
        MessageKind::Detections => Topic::Detections(camera.clone()),
        _ => Topic::Events(camera.clone()),
    };
    let properties = record.properties.into_iter().filter_map(|(key, value)| Some((word(&key)?, value))).collect();
    let message = Message {
        kind: record.kind,
        topic,
        payload: record.payload,
        late: record.says_late.then(|| mark(&record.content_type)),
        content_type: word(&record.content_type).unwrap_or("application/octet-stream"),
        qos: Qos::AtLeastOnce,
        retain: record.retain,
        properties,
        correlation: None,
        id: record.id,
        camera: Some(camera),
        captured_at: before.and_then(|before| offered_at.checked_sub(before)),
        shrink: None,
        trace: None,
    };
    (message, offered_at)
}

/// The program's own few words (content types, keys of properties) live as long as it does; so do those that another
/// version wrote, up to a bound that no honest file reaches.
fn word(text: &str) -> Option<&'static str> {
    const MOST: usize = 256;
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(word) = words.get(text) {
        return Some(word);
    }
    if words.len() >= MOST {
        return None;
    }
    let word: &'static str = Box::leak(text.into());
    words.insert(word);
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_went() {
        let camera: crate::domain::Name = "cam".parse().unwrap();
        let offered_at = Instant::now();
        let message = Message {
            kind: MessageKind::Keyframe,
            topic: Topic::Keyframe(camera.clone()),
            payload: Bytes::from_static(b"jpeg"),
            content_type: "image/jpeg",
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: vec![("camera", "cam".into())],
            correlation: None,
            id: Some("cam-boot-keyframe-1".into()),
            camera: Some(camera),
            captured_at: offered_at.checked_sub(Duration::from_millis(30)),
            late: None,
            shrink: None,
            trace: None,
        };
        let now = Now::read();
        let record = record_of(&message, offered_at, now).unwrap();
        let (back, at) = message_of(record.clone(), true, |_| Bytes::clone, now);
        assert_eq!(
            format!("{:?}", Message { captured_at: None, ..back.clone() }),
            format!("{:?}", Message { captured_at: None, ..message })
        );
        let drift = |a: Instant, b: Instant| a.max(b) - a.min(b);
        assert!(drift(at, offered_at) < Duration::from_millis(5));
        assert!(drift(back.captured_at.unwrap() + Duration::from_millis(30), at) < Duration::from_millis(5));
        let (restored, _) = message_of(record, false, |_| Bytes::clone, now);
        assert_eq!(restored.captured_at, None, "another boot's moments say nothing here");
    }
}
