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

/// Below this, a retry after quite a usual outage comes too late to be known again.
const SHORTEST_OUTAGE: Duration = Duration::from_secs(30);

/// `sightwire` becomes `SIGHTWIRE`, `site.north` becomes `SITE_NORTH`.
pub(super) fn name(prefix: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_uppercase() } else { '_' };
    prefix.chars().map(word).collect()
}

fn subjects(prefix: &str) -> Vec<String> {
    ["events", "keyframe"].iter().map(|kind| format!("{prefix}.cameras.*.{kind}")).collect()
}

/// What was commanded of nodes is kept beside them, where the stream is ours to make.
fn audit(prefix: &str) -> String {
    format!("{prefix}.nodes.*.audit")
}

/// Why there is no stream to store into, for people.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Until somebody changes something.
    Never(String),
    /// A server is starting, a cluster choosing its leader: it passes.
    NotReady(String),
}

/// Makes sure that a stream stores events and keyframes; one that exists is never changed, and what about it is unlike
/// ours is said. Whether it stores the audit as well.
pub(super) async fn ensure(jetstream: &Context, prefix: &str, replicas: usize) -> Result<bool, Unusable> {
    let (name, subjects, audit) = (name(prefix), subjects(prefix), audit(prefix));
    match jetstream.get_stream(&name).await {
        Ok(stream) => {
            let config = &stream.cached_info().config;
            look_over(config, &subjects, replicas).map_err(Unusable::Never)?;
            return Ok(config.subjects.iter().any(|has| covers(has, &audit)));
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            GetStreamErrorKind::Request => return Err(Unusable::NotReady("JetStream does not answer".into())),
            GetStreamErrorKind::JetStream(e) if e.code() == 503 => return Err(Unusable::NotReady(e.to_string())),
            _ => return Err(Unusable::Never(error.to_string())),
        },
    }
    let mut why = String::new();
    // A cluster may be too small for the copies, a server be allowed less than it is asked for.
    let tries = MAX_BYTES.iter().map(|bytes| (replicas, *bytes));
    let alone = MAX_BYTES.iter().map(|bytes| (1, *bytes)).filter(|_| replicas > 1);
    let tries: Vec<_> = tries.chain(alone).collect();
    // Somebody may keep the audit in a stream of their own.
    let with_audit = [subjects.clone(), vec![audit]].concat();
    for (subjects, (num_replicas, max_bytes)) in
        tries.iter().map(|size| (&with_audit, *size)).chain(tries.iter().map(|size| (&subjects, *size)))
    {
        let config = Config {
            name: name.clone(),
            subjects: subjects.clone(),
            max_bytes,
            max_age: MAX_AGE,
            discard: DiscardPolicy::Old,
            duplicate_window: DUPLICATES,
            num_replicas,
            ..Config::default()
        };
        match jetstream.create_stream(config).await {
            Ok(_) => {
                tracing::info!(
                    bus = "nats",
                    stream = name,
                    max_bytes,
                    num_replicas,
                    "stream created for events and keyframes"
                );
                if num_replicas < replicas {
                    tracing::warn!(
                        bus = "nats",
                        stream = name,
                        wanted = replicas,
                        why,
                        "the cluster takes no more than one copy of the stream: while its server is away, events and keyframes wait"
                    );
                }
                return Ok(subjects.len() == with_audit.len());
            }
            Err(error) => match error.kind() {
                CreateStreamErrorKind::TimedOut => return Err(Unusable::NotReady(error.to_string())),
                CreateStreamErrorKind::JetStream(e) if e.code() == 503 => {
                    return Err(Unusable::NotReady(error.to_string()));
                }
                CreateStreamErrorKind::JetStream(e)
                    if e.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP && subjects.len() < with_audit.len() =>
                {
                    return Err(Unusable::Never(format!(
                        "another stream stores some of {subjects:?}, so {name} cannot be made; let one stream store all of them"
                    )));
                }
                _ => why = error.to_string(),
            },
        }
    }
    Err(Unusable::Never(format!("the stream {name} cannot be made: {why}")))
}

fn look_over(config: &Config, subjects: &[String], replicas: usize) -> Result<(), String> {
    let name = &config.name;
    let missing: Vec<_> = subjects.iter().filter(|want| !config.subjects.iter().any(|has| covers(has, want))).collect();
    if !missing.is_empty() {
        return Err(format!("the stream {name} exists and does not store {missing:?}; add the subjects to it"));
    }
    if config.no_ack || config.sealed {
        return Err(format!("the stream {name} exists and acknowledges nothing (no_ack or sealed); make it anew"));
    }
    let remarks = remarks(config, replicas);
    if !remarks.is_empty() {
        tracing::warn!(bus = "nats", stream = name, "the stream exists and is left as it is: {}", remarks.join("; "));
    }
    Ok(())
}

/// What about somebody else's stream may surprise.
fn remarks(config: &Config, replicas: usize) -> Vec<String> {
    let mut remarks = Vec::new();
    if config.discard == DiscardPolicy::New {
        remarks
            .push("when it is full it refuses what is new (discard: new), and that is counted as refused".to_owned());
    }
    if config.duplicate_window < SHORTEST_OUTAGE {
        remarks.push(format!(
            "it knows a message again for {:?} only: one sent again after a longer outage is stored twice",
            config.duplicate_window
        ));
    }
    if config.max_message_size > 0 {
        remarks.push(format!(
            "it takes messages of at most {} bytes: larger keyframes are refused",
            config.max_message_size
        ));
    }
    if config.num_replicas < replicas {
        remarks.push(format!(
            "it has {} of {replicas} copies: while their servers are away, events and keyframes wait",
            config.num_replicas
        ));
    }
    remarks
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
    fn what_is_unlike_ours_is_remarked_and_what_cannot_work_refused() {
        let ours = Config {
            name: "S".into(),
            subjects: vec!["s.>".into()],
            duplicate_window: DUPLICATES,
            num_replicas: 1,
            ..Config::default()
        };
        let wanted = subjects("s");
        assert_eq!(remarks(&ours, 1), Vec::<String>::new());
        assert!(look_over(&ours, &wanted, 1).is_ok());
        let theirs = Config {
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(1),
            max_message_size: 1000,
            ..ours.clone()
        };
        assert_eq!(remarks(&theirs, 3).len(), 4);
        assert!(look_over(&Config { no_ack: true, ..ours.clone() }, &wanted, 1).unwrap_err().contains("no_ack"));
        assert!(look_over(&Config { subjects: vec!["t.>".into()], ..ours }, &wanted, 1).unwrap_err().contains("s.cam"));
    }

    #[test]
    fn the_streams_name_comes_from_the_prefix() {
        assert_eq!(name("sightwire"), "SIGHTWIRE");
        assert_eq!(name("site.north-1"), "SITE_NORTH-1");
    }
}
