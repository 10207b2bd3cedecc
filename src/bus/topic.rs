//! Every topic of the contract; its words are in the table (`channel.rs`). MQTT joins them by `/`, NATS by `.`.

use super::Channel;
use crate::domain::{Name, ReplyTo};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    Detections(Name),
    Events(Name),
    Keyframe(Name),
    KeyframeMeta(Name),
    Count(Name, String),
    /// How many objects are seen, of all labels together.
    Objects(Name),
    CameraStatus(Name),
    CameraState(Name),
    NodeStatus(Name),
    NodeState(Name),
    Replies(Name),
    /// What was commanded of a node, and by whom.
    Audit(Name),
    /// What the node says to itself, to see whether the broker delivers.
    Probe(Name),
    /// An address that a command named for its reply: used as it is, without the prefix.
    Reply(String),
    /// An address that others chose (Home Assistant, Frigate): used as it is, without the prefix, over MQTT only.
    Absolute(String),
}

impl Topic {
    /// Where a reply goes: to the address the command named, else to the node's replies.
    #[must_use]
    pub fn reply(reply_to: Option<&ReplyTo>, node: &Name) -> Self {
        reply_to.map_or_else(|| Self::Replies(node.clone()), |to| Self::Reply(to.address.clone()))
    }

    #[must_use]
    pub fn mqtt(&self, prefix: &str) -> String {
        self.join(prefix, "/")
    }

    #[must_use]
    pub fn nats(&self, prefix: &str) -> String {
        self.join(prefix, ".")
    }

    /// Its row of the table; `None` for an address that others chose.
    #[must_use]
    pub const fn channel(&self) -> Option<Channel> {
        Some(match self {
            Self::Detections(_) => Channel::Detections,
            Self::Events(_) => Channel::Events,
            Self::Keyframe(_) => Channel::Keyframe,
            Self::KeyframeMeta(_) => Channel::KeyframeMeta,
            Self::Count(..) => Channel::Count,
            Self::Objects(_) => Channel::Objects,
            Self::CameraStatus(_) => Channel::CameraStatus,
            Self::CameraState(_) => Channel::CameraState,
            Self::NodeStatus(_) => Channel::NodeStatus,
            Self::NodeState(_) => Channel::NodeState,
            Self::Replies(_) => Channel::Replies,
            Self::Audit(_) => Channel::Audit,
            Self::Probe(_) => Channel::Probe,
            Self::Reply(_) | Self::Absolute(_) => return None,
        })
    }

    fn join(&self, prefix: &str, separator: &str) -> String {
        let at = |name: &Name| self.channel().map(|row| row.address(&[name.as_str()], prefix, separator));
        match self {
            Self::Count(camera, label) => {
                Channel::Count.address(&[camera.as_str(), &topic_word(label)], prefix, separator)
            }
            Self::Reply(address) | Self::Absolute(address) => address.clone(),
            Self::Detections(name)
            | Self::Events(name)
            | Self::Keyframe(name)
            | Self::KeyframeMeta(name)
            | Self::Objects(name)
            | Self::CameraStatus(name)
            | Self::CameraState(name)
            | Self::NodeStatus(name)
            | Self::NodeState(name)
            | Self::Replies(name)
            | Self::Audit(name)
            | Self::Probe(name) => at(name).unwrap_or_default(),
        }
    }
}

/// All addresses of this one's sort, as a server's permissions name them: cameras and labels become the wildcard `any`.
#[must_use]
pub(super) fn pattern(address: &str, prefix: &str, separator: char, any: &str) -> String {
    let own = address.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(separator));
    // Whoever sends a command chooses where its reply goes; what Home Assistant or Frigate reads is as many as cameras.
    let Some(own) = own else { return "the address that a command named for its reply, or that others read".into() };
    let mut words: Vec<&str> = own.split(separator).collect();
    if let ["cameras", camera, kind, rest @ ..] = words.as_mut_slice() {
        *camera = any;
        if *kind == "counts" {
            rest.fill(any);
        }
    }
    format!("{prefix}{separator}{}", words.join(&separator.to_string()))
}

/// A label as one topic word: `traffic light` becomes `traffic_light`; nothing that means something to a broker survives.
#[must_use]
pub fn topic_word(label: &str) -> String {
    let word: String = label
        .chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() || matches!(c, '/' | '.' | '+' | '#' | '*' | '>' | '$') {
                '_'
            } else {
                c
            }
        })
        .collect();
    if word.is_empty() { "_".into() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_the_contracts_words() {
        let camera: Name = "front-door".parse().unwrap();
        assert_eq!(Topic::Detections(camera.clone()).mqtt("sightwire"), "sightwire/cameras/front-door/detections");
        assert_eq!(Topic::KeyframeMeta(camera.clone()).nats("sightwire"), "sightwire.cameras.front-door.keyframe.meta");
        assert_eq!(
            Topic::Count(camera, "traffic light".into()).mqtt("a/b"),
            "a/b/cameras/front-door/counts/traffic_light"
        );
    }

    #[test]
    fn an_addresss_sort_is_named_as_permissions_name_it() {
        let mqtt = |topic: &Topic| pattern(&topic.mqtt("a/b"), "a/b", '/', "+");
        let camera: Name = "door".parse().unwrap();
        assert_eq!(mqtt(&Topic::Events(camera.clone())), "a/b/cameras/+/events");
        assert_eq!(mqtt(&Topic::KeyframeMeta(camera.clone())), "a/b/cameras/+/keyframe/meta");
        assert_eq!(mqtt(&Topic::Count(camera.clone(), "car".into())), "a/b/cameras/+/counts/+");
        assert_eq!(mqtt(&Topic::NodeState(camera.clone())), "a/b/nodes/door/state");
        assert_eq!(pattern("s.cameras.door.events", "s", '.', "*"), "s.cameras.*.events");
        assert!(mqtt(&Topic::Reply("a/bc/d".into())).contains("reply"));
    }

    #[test]
    fn no_label_breaks_a_topic() {
        assert_eq!(topic_word("a/b.c#+*> d"), "a_b_c_____d");
        assert_eq!(topic_word(""), "_");
    }
}
