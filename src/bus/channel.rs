//! The table of the contract: every sort of topic, with its words and how it is delivered. [`super::Topic`] puts the names in;
//! the links, `check --explain` and the `AsyncAPI` document read the same rows.

use super::Qos::{self, AtLeastOnce, AtMostOnce};
use crate::domain::Target;

/// Who speaks there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The node publishes.
    Says,
    /// The node listens.
    Hears,
    /// The node speaks to itself.
    Both,
}

/// How NATS delivers it where `jetstream` is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Core NATS: whoever listens.
    No,
    /// The stream acknowledges and keeps it.
    Stream,
    /// The same if the stream takes its subject; one that was made before there was an audit may not.
    StreamThatTakesIt,
}

macro_rules! channels {
    ($($(#[$doc:meta])* $name:ident: $words:expr, $direction:ident, $qos:ident, $retain:expr, $kept:ident;)*) => {
        /// A sort of topic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Channel {
            $($(#[$doc])* $name,)*
        }

        impl Channel {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Behind the prefix; one in braces is a parameter.
            #[must_use]
            pub const fn words(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$words,)* }
            }

            #[must_use]
            pub const fn direction(self) -> Direction {
                match self { $(Self::$name => Direction::$direction,)* }
            }

            /// Of what is published; of detections unless `publish.qos` says otherwise.
            #[must_use]
            pub const fn qos(self) -> Qos {
                match self { $(Self::$name => $qos,)* }
            }

            #[must_use]
            pub const fn retain(self) -> bool {
                match self { $(Self::$name => $retain,)* }
            }

            #[must_use]
            pub const fn kept(self) -> Kept {
                match self { $(Self::$name => Kept::$kept,)* }
            }
        }
    };
}

channels! {
    Detections: ["cameras", "{camera}", "detections"], Says, AtMostOnce, false, No;
    Events: ["cameras", "{camera}", "events"], Says, AtLeastOnce, false, Stream;
    Keyframe: ["cameras", "{camera}", "keyframe"], Says, AtLeastOnce, true, Stream;
    KeyframeMeta: ["cameras", "{camera}", "keyframe", "meta"], Says, AtLeastOnce, true, No;
    Count: ["cameras", "{camera}", "counts", "{label}"], Says, AtLeastOnce, true, No;
    Objects: ["cameras", "{camera}", "objects"], Says, AtLeastOnce, true, No;
    CameraStatus: ["cameras", "{camera}", "status"], Says, AtLeastOnce, true, No;
    CameraState: ["cameras", "{camera}", "state"], Says, AtLeastOnce, true, No;
    CameraControl: ["cameras", "{camera}", "control"], Hears, AtLeastOnce, false, No;
    GroupControl: ["groups", "{group}", "control"], Hears, AtLeastOnce, false, No;
    NodeStatus: ["nodes", "{node}", "status"], Says, AtLeastOnce, true, No;
    NodeState: ["nodes", "{node}", "state"], Says, AtLeastOnce, true, No;
    NodeControl: ["nodes", "{node}", "control"], Hears, AtLeastOnce, false, No;
    Replies: ["nodes", "{node}", "replies"], Says, AtLeastOnce, false, No;
    Audit: ["nodes", "{node}", "audit"], Says, AtLeastOnce, false, StreamThatTakesIt;
    Probe: ["nodes", "{node}", "probe"], Both, AtLeastOnce, false, No;
    Control: ["control"], Hears, AtLeastOnce, false, No;
}

impl Channel {
    /// The address with these names in the parameters' places, in their order.
    pub(super) fn address(self, names: &[&str], prefix: &str, separator: &str) -> String {
        let mut names = names.iter().copied();
        let words = self.words().iter().map(|word| {
            let parameter = word.starts_with('{');
            parameter.then(|| names.next()).flatten().unwrap_or(word)
        });
        std::iter::once(prefix).chain(words).collect::<Vec<_>>().join(separator)
    }
}

/// Where commands to `target` are heard.
#[must_use]
pub fn control_address(target: &Target, prefix: &str, separator: &str) -> String {
    let (channel, name) = match target {
        Target::Camera(name) => (Channel::CameraControl, Some(name)),
        Target::Group(name) => (Channel::GroupControl, Some(name)),
        Target::Node(name) => (Channel::NodeControl, Some(name)),
        Target::All => (Channel::Control, None),
    };
    let names: Vec<&str> = name.iter().map(|name| name.as_str()).collect();
    channel.address(&names, prefix, separator)
}
