//! Who is there: nodes, their cameras and groups, as they say of themselves. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::{Name, Target};
use crate::envelope::Verb;

/// What is known of who might answer.
#[derive(Debug, Default)]
pub struct Roster {
    nodes: BTreeMap<Name, Node>,
    groups: BTreeMap<Name, BTreeSet<Name>>,
}

#[derive(Debug, Default)]
struct Node {
    /// Its `status` says so: it ended, or its will was published.
    offline: bool,
    /// Somebody says that it must answer.
    expected: bool,
    cameras: BTreeSet<Name>,
    /// The cameras that its own state names, where it was heard: what else is retained is of a camera that it no longer has.
    named: Option<BTreeSet<Name>>,
}

/// Somebody who is to answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    pub node: Name,
    pub target: String,
    /// Its node is known to be away.
    pub offline: bool,
    /// What runs there is not known: any answer of the node does.
    pub any: bool,
}

/// Whom the command addresses does not exist, as far as is known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nobody {
    #[error("there is no {kind} '{name}' here; {}", listed(.kind, .known))]
    Unknown { kind: &'static str, name: Name, known: Vec<String> },
    #[error(
        "no node of sightwire is known on this bus: is it the right one, with the right --prefix, and does a node run?"
    )]
    Empty,
    #[error("no camera is there: nothing to {0}")]
    NoCamera(&'static str),
}

fn listed(kind: &str, known: &[String]) -> String {
    if known.is_empty() { format!("there is no {kind} at all") } else { format!("there are: {}", known.join(", ")) }
}

impl Node {
    fn own(&self) -> impl Iterator<Item = &Name> {
        self.cameras.iter().filter(|camera| self.named.as_ref().is_none_or(|named| named.contains(*camera)))
    }
}

impl Roster {
    /// Takes in what stands at `words`, the topic behind the prefix; what is no state is left alone.
    pub fn read(&mut self, words: &[&str], payload: &[u8]) {
        match words {
            ["nodes", node, "status"] => {
                if let Ok(node) = node.parse() {
                    self.nodes.entry(node).or_default().offline = payload == b"offline";
                }
            }
            ["nodes" | "cameras", _, "state"] => {
                if let Ok(state) = serde_json::from_slice(payload) {
                    self.state(&state);
                }
            }
            _ => {}
        }
    }

    /// Takes in a node's or a camera's state.
    pub fn state(&mut self, state: &Value) {
        let name = |value: &Value| value.as_str().and_then(|text| text.parse::<Name>().ok());
        let Some(node) = name(&state["node"]) else { return };
        if let Some(camera) = name(&state["camera"]) {
            self.nodes.entry(node).or_default().cameras.insert(camera.clone());
            for group in state["settings"]["groups"].as_array().into_iter().flatten().filter_map(name) {
                self.groups.entry(group).or_default().insert(camera.clone());
            }
        } else if let Some(cameras) = state["cameras"].as_array() {
            let cameras: BTreeSet<Name> = cameras.iter().filter_map(|camera| name(&camera["name"])).collect();
            let node = self.nodes.entry(node).or_default();
            node.cameras.extend(cameras.iter().cloned());
            node.named = Some(cameras);
        }
    }

    /// These are to answer, whether or not they were heard of.
    pub fn expect(&mut self, nodes: &[Name]) {
        for node in nodes {
            self.nodes.entry(node.clone()).or_default().expected = true;
        }
    }

    /// Who is to answer a command. A node that reads its file again or ends answers for itself; else its cameras do.
    pub fn due(&self, target: &Target, verb: Verb) -> Result<BTreeSet<Due>, Nobody> {
        if self.nodes.is_empty() {
            return Err(Nobody::Empty);
        }
        self.exists(target)?;
        let mut due = BTreeSet::new();
        let by_node = matches!(target, Target::All | Target::Node(_));
        for (name, node) in self.nodes.iter().filter(|(name, _)| !matches!(target, Target::Node(one) if one != *name)) {
            let any = node.expected && node.cameras.is_empty();
            let one =
                |target: Target| Due { node: name.clone(), target: target.to_string(), offline: node.offline, any };
            if by_node && (any || matches!(verb, Verb::Status | Verb::Reload | Verb::Shutdown)) {
                due.insert(one(Target::Node(name.clone())));
            }
            if !(by_node && matches!(verb, Verb::Reload | Verb::Shutdown)) {
                let meant = |camera: &&Name| self.addresses(target, camera) && !self.moved_from(name, camera);
                due.extend(node.own().filter(meant).map(|camera| one(Target::Camera(camera.clone()))));
            }
        }
        if due.is_empty() { Err(Nobody::NoCamera(verb.as_str())) } else { Ok(due) }
    }

    fn addresses(&self, target: &Target, camera: &Name) -> bool {
        match target {
            Target::Camera(one) => one == camera,
            Target::Group(group) => self.groups.get(group).is_some_and(|cameras| cameras.contains(camera)),
            Target::Node(_) | Target::All => true,
        }
    }

    /// The node is gone, and the camera runs elsewhere now.
    fn moved_from(&self, node: &Name, camera: &Name) -> bool {
        let elsewhere =
            |(name, other): (&Name, &Node)| name != node && !other.offline && other.cameras.contains(camera);
        self.nodes.get(node).is_some_and(|node| node.offline) && self.nodes.iter().any(elsewhere)
    }

    fn exists(&self, target: &Target) -> Result<(), Nobody> {
        let cameras = || self.nodes.values().flat_map(Node::own);
        let unknown = |kind, name: &Name, known: BTreeSet<&Name>| {
            let known = known.into_iter().map(ToString::to_string).collect();
            Err(Nobody::Unknown { kind, name: name.clone(), known })
        };
        match target {
            Target::Camera(name) if !cameras().any(|camera| camera == name) => {
                unknown("camera", name, cameras().collect())
            }
            Target::Group(name) if !self.groups.contains_key(name) => {
                unknown("group", name, self.groups.keys().collect())
            }
            Target::Node(name) if !self.nodes.contains_key(name) => unknown("node", name, self.nodes.keys().collect()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn roster() -> Roster {
        let mut roster = Roster::default();
        let mut said = |topic: &str, payload: Value| {
            let payload = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
            roster.read(&topic.split('/').collect::<Vec<_>>(), payload.as_bytes());
        };
        said("nodes/garage/status", json!("online"));
        said("nodes/garage/state", json!({ "node": "garage", "cameras": [{ "name": "door" }, { "name": "yard" }] }));
        said("nodes/attic/state", json!({ "node": "attic", "cameras": [{ "name": "roof" }, { "name": "yard" }] }));
        said("nodes/attic/status", json!("offline"));
        said("nodes/empty/state", json!({ "node": "empty", "cameras": [] }));
        said("cameras/door/state", json!({ "node": "garage", "camera": "door", "settings": { "groups": ["out"] } }));
        // Taken out of the file while the node was away: its topics are still there.
        said("cameras/ghost/state", json!({ "node": "garage", "camera": "ghost" }));
        said("cameras/x/state", json!("no state"));
        said("nodes/Not A Name/status", json!("online"));
        roster
    }

    fn due(target: &Target, verb: Verb) -> Vec<String> {
        let due = roster().due(target, verb).unwrap().into_iter();
        due.map(|due| format!("{}:{}{}", due.node, due.target, if due.offline { "!" } else { "" })).collect()
    }

    #[test]
    fn every_camera_is_to_answer_once_and_where_it_is_now() {
        // The yard's camera moved from the attic, which is away.
        assert_eq!(due(&Target::All, Verb::Stop), ["attic:camera/roof!", "garage:camera/door", "garage:camera/yard"]);
        assert_eq!(due(&Target::Group(name("out")), Verb::Set), ["garage:camera/door"]);
        assert_eq!(due(&Target::Camera(name("yard")), Verb::Stop), ["garage:camera/yard"]);
        assert_eq!(due(&Target::Node(name("attic")), Verb::Stop), ["attic:camera/roof!"]);
    }

    #[test]
    fn nodes_answer_what_is_theirs() {
        assert_eq!(due(&Target::All, Verb::Reload), ["attic:node/attic!", "empty:node/empty", "garage:node/garage"]);
        let node = Target::Node(name("garage"));
        assert_eq!(due(&node, Verb::Shutdown), ["garage:node/garage"]);
        assert_eq!(due(&node, Verb::Status), ["garage:camera/door", "garage:camera/yard", "garage:node/garage"]);
    }

    #[test]
    fn a_node_that_is_expected_and_was_never_heard_of_is_waited_for() {
        let mut roster = roster();
        roster.expect(&[name("cellar"), name("garage")]);
        let due = roster.due(&Target::All, Verb::Stop).unwrap();
        let any: Vec<_> = due.iter().filter(|due| due.any).map(|due| due.target.as_str()).collect();
        assert_eq!(any, ["node/cellar"]);
    }

    #[test]
    fn who_is_not_there_is_said_with_who_is() {
        let said = |target: Target| roster().due(&target, Verb::Stop).unwrap_err().to_string();
        assert_eq!(said(Target::Camera(name("dor"))), "there is no camera 'dor' here; there are: door, roof, yard");
        assert_eq!(said(Target::Group(name("in"))), "there is no group 'in' here; there are: out");
        assert_eq!(said(Target::Node(name("x"))), "there is no node 'x' here; there are: attic, empty, garage");
        assert!(said(Target::Node(name("empty"))).contains("no camera is there"));
        assert_eq!(Roster::default().due(&Target::All, Verb::Stop), Err(Nobody::Empty));
    }
}
