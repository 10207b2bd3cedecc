//! The stream that keeps events and keyframes.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::jetstream::{Context, ErrorCode};

const MAX_AGE: Duration = Duration::from_hours(7 * 24);
/// Tried one after the other: a server may be allowed less than it is asked for.
const MAX_BYTES: [i64; 3] = [1 << 30, 128 << 20, 16 << 20];
/// A retry within this window is stored once, by its `Nats-Msg-Id`.
const DUPLICATES: Duration = Duration::from_mins(2);

/// `sightwire` becomes `SIGHTWIRE`, `site.north` becomes `SITE_NORTH`.
pub(super) fn name(prefix: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_uppercase() } else { '_' };
    prefix.chars().map(word).collect()
}

fn subjects(prefix: &str) -> Vec<String> {
    ["events", "keyframe"].iter().map(|kind| format!("{prefix}.cameras.*.{kind}")).collect()
}

/// Makes sure that a stream stores events and keyframes; one that exists is never changed. The error is for people.
pub(super) async fn ensure(jetstream: &Context, prefix: &str) -> Result<(), String> {
    let (name, subjects) = (name(prefix), subjects(prefix));
    match jetstream.get_stream(&name).await {
        Ok(stream) => {
            let has = &stream.cached_info().config.subjects;
            let missing: Vec<_> = subjects.iter().filter(|want| !has.iter().any(|has| covers(has, want))).collect();
            return if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("the stream {name} exists and does not store {missing:?}; add the subjects to it"))
            };
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            GetStreamErrorKind::Request => return Err("JetStream does not answer".into()),
            _ => return Err(error.to_string()),
        },
    }
    let mut why = String::new();
    for max_bytes in MAX_BYTES {
        let config = Config {
            name: name.clone(),
            subjects: subjects.clone(),
            max_bytes,
            max_age: MAX_AGE,
            discard: DiscardPolicy::Old,
            duplicate_window: DUPLICATES,
            ..Config::default()
        };
        match jetstream.create_stream(config).await {
            Ok(_) => {
                tracing::info!(bus = "nats", stream = name, max_bytes, "stream created for events and keyframes");
                return Ok(());
            }
            Err(error) => {
                if let CreateStreamErrorKind::JetStream(e) = error.kind()
                    && e.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP
                {
                    return Err(format!(
                        "another stream stores some of {subjects:?}, so {name} cannot be made; let one stream store all of them"
                    ));
                }
                why = error.to_string();
            }
        }
    }
    Err(format!("the stream {name} cannot be made: {why}"))
}

/// Whether the pattern `has` stores every subject that `want` stands for.
fn covers(has: &str, want: &str) -> bool {
    let (mut has, mut want) = (has.split('.'), want.split('.'));
    loop {
        match (has.next(), want.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(word)) if word != ">" => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_stores() {
        for has in ["s.cameras.*.events", "s.>", "s.cameras.*.*", ">"] {
            assert!(covers(has, "s.cameras.*.events"), "{has}");
        }
        for has in ["s.cameras.front.events", "s.cameras.*", "t.>", "s.cameras.*.events.x"] {
            assert!(!covers(has, "s.cameras.*.events"), "{has}");
        }
    }

    #[test]
    fn the_streams_name_comes_from_the_prefix() {
        assert_eq!(name("sightwire"), "SIGHTWIRE");
        assert_eq!(name("site.north-1"), "SITE_NORTH-1");
    }
}
