//! What the server does not let us say or hear, as its complaints tell it, one a message and without saying which.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// A subject that was forbidden is tried again after so long: permissions change while we are connected.
const RETRY: Duration = Duration::from_mins(1);
/// So long after a try no complaint means that it is allowed.
const VERDICT: Duration = Duration::from_secs(5);

/// One complaint.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Violation {
    Publish(String),
    Subscribe(String),
}

impl Violation {
    /// From `Permissions Violation for Publish to "a.b"`, or for Subscription.
    pub(super) fn read(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (_, subject) = text.split_once('"')?;
        let subject = subject.split('"').next()?.to_owned();
        if lower.contains("permissions violation for publish to") {
            Some(Self::Publish(subject))
        } else if lower.contains("permissions violation for subscription to") {
            Some(Self::Subscribe(subject))
        } else {
            None
        }
    }
}

/// Whether a subject may be published to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Free,
    /// It was forbidden, and a try brought no complaint.
    Again,
    Forbidden,
}

#[derive(Debug, Default)]
pub(super) struct Permissions {
    forbidden: HashMap<String, Since>,
    pub(super) deaf: BTreeSet<String>,
}

#[derive(Debug)]
struct Since {
    complained: Instant,
    tried: Option<Instant>,
}

impl Permissions {
    pub(super) fn forbid(&mut self, subject: String, now: Instant) {
        self.forbidden.insert(subject, Since { complained: now, tried: None });
    }

    pub(super) fn may_publish(&mut self, subject: &str, now: Instant) -> Leave {
        let Some(since) = self.forbidden.get_mut(subject) else { return Leave::Free };
        match since.tried {
            None if now.saturating_duration_since(since.complained) < RETRY => Leave::Forbidden,
            None => {
                since.tried = Some(now);
                Leave::Free
            }
            Some(tried) if now.saturating_duration_since(tried) < VERDICT => Leave::Forbidden,
            Some(_) => {
                self.forbidden.remove(subject);
                Leave::Again
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_its_subject() {
        let publish = Violation::read("nats: Permissions Violation for Publish to \"a.b\"");
        assert_eq!(publish, Some(Violation::Publish("a.b".into())));
        let subscribe = Violation::read("permissions violation for subscription to \"a.>\" using queue \"q\"");
        assert_eq!(subscribe, Some(Violation::Subscribe("a.>".into())));
        assert_eq!(Violation::read("nats: maximum connections exceeded"), None);
    }

    #[test]
    fn a_forbidden_subject_is_tried_again_by_one_message_and_then_free() {
        let (mut permissions, now) = (Permissions::default(), Instant::now());
        permissions.forbid("a".into(), now);
        assert_eq!(permissions.may_publish("b", now), Leave::Free);
        assert_eq!(permissions.may_publish("a", now), Leave::Forbidden);
        let later = now + RETRY;
        assert_eq!(permissions.may_publish("a", later), Leave::Free);
        assert_eq!(permissions.may_publish("a", later), Leave::Forbidden, "the verdict is out");
        assert_eq!(permissions.may_publish("a", later + VERDICT), Leave::Again);
        assert_eq!(permissions.may_publish("a", later + VERDICT), Leave::Free);
    }
}
