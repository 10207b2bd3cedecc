//! What a node listens on, changeable while it runs: its links follow without a new connection.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tokio::sync::watch;

use super::channel::control_address;
use crate::domain::{Name, RawCommand, Target};

/// The control topics a node listens on, and whom each addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlTopics {
    targets: Vec<Target>,
}

/// What is said at an address that is used as it is, without the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absolute {
    /// Home Assistant tells that it has started: `online`.
    Birth,
    /// A camera's switch as Frigate names it: `ON` starts, `OFF` stops.
    Switch(Name),
}

/// What arrived.
#[derive(Debug, Clone)]
pub enum Heard {
    Command(RawCommand),
    /// At the address of [`Absolute::Birth`].
    Birth(Bytes),
}

/// What all links of a node listen on. Clones speak of the same.
#[derive(Debug, Clone)]
pub struct Subscriptions(watch::Sender<Wish>);

#[derive(Debug, Default)]
pub(super) struct Wish {
    control: ControlTopics,
    absolute: BTreeMap<String, Absolute>,
}

/// What an address means to a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Control(Target),
    Absolute(Absolute),
}

impl ControlTopics {
    #[must_use]
    pub fn new(node: &Name, cameras: impl IntoIterator<Item = Name>, groups: impl IntoIterator<Item = Name>) -> Self {
        let mut targets = vec![Target::All, Target::Node(node.clone())];
        targets.extend(groups.into_iter().map(Target::Group));
        targets.extend(cameras.into_iter().map(Target::Camera));
        Self { targets }
    }

    /// Address and target of each, the words joined by `separator`.
    pub fn addresses(&self, prefix: &str, separator: &str) -> impl Iterator<Item = (String, Target)> {
        self.targets.iter().map(move |target| (control_address(target, prefix, separator), target.clone()))
    }
}

impl Subscriptions {
    #[must_use]
    pub fn new(control: ControlTopics) -> Self {
        Self(watch::Sender::new(Wish { control, absolute: BTreeMap::new() }))
    }

    /// Listens on these control topics from now on, and on no others.
    pub fn set_control(&self, control: ControlTopics) {
        self.0.send_if_modified(|wish| {
            let new = wish.control != control;
            wish.control = control;
            new
        });
    }

    /// Listens on an address as it is, over MQTT only.
    pub fn add(&self, address: impl Into<String>, says: Absolute) {
        let address = address.into();
        self.0.send_if_modified(move |wish| {
            let new = wish.absolute.get(&address) != Some(&says);
            wish.absolute.insert(address, says);
            new
        });
    }

    /// Listens there no more.
    pub fn remove(&self, address: &str) {
        self.0.send_if_modified(|wish| wish.absolute.remove(address).is_some());
    }

    pub(super) fn follow(&self) -> watch::Receiver<Wish> {
        self.0.subscribe()
    }
}

impl Wish {
    /// Every address on a bus with these words. Absolute ones are MQTT's alone; a control topic wins over one.
    pub(super) fn addresses(&self, prefix: &str, separator: char) -> HashMap<String, Meaning> {
        let absolute = self.absolute.iter().filter(|_| separator == '/');
        let absolute = absolute.map(|(address, says)| (address.clone(), Meaning::Absolute(says.clone())));
        let control = self.control.addresses(prefix, if separator == '/' { "/" } else { "." });
        absolute.chain(control.map(|(address, target)| (address, Meaning::Control(target)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_change_is_told_and_what_is_no_change_is_not() {
        let control = |camera| ControlTopics::new(&name("garage"), [name(camera)], []);
        let subscriptions = Subscriptions::new(control("a"));
        let mut followed = subscriptions.follow();
        let mut told = || {
            let changed = followed.has_changed().unwrap();
            followed.mark_unchanged();
            changed
        };
        subscriptions.set_control(control("a"));
        assert!(!told());
        subscriptions.set_control(control("b"));
        assert!(told());
        subscriptions.add("homeassistant/status", Absolute::Birth);
        assert!(told());
        subscriptions.clone().add("homeassistant/status", Absolute::Birth);
        assert!(!told());
        subscriptions.remove("homeassistant/status");
        assert!(told());
        subscriptions.remove("homeassistant/status");
        assert!(!told());
    }

    #[test]
    fn addresses_of_others_are_mqtts_alone_and_no_cover_for_a_control_topic() {
        let subscriptions = Subscriptions::new(ControlTopics::new(&name("garage"), [], []));
        subscriptions.add("homeassistant/status", Absolute::Birth);
        subscriptions.add("s/control", Absolute::Switch(name("door")));
        let wish = subscriptions.follow();
        let mqtt = wish.borrow().addresses("s", '/');
        assert_eq!(mqtt["homeassistant/status"], Meaning::Absolute(Absolute::Birth));
        assert_eq!(mqtt["s/control"], Meaning::Control(Target::All));
        let mut nats: Vec<_> = wish.borrow().addresses("s", '.').into_keys().collect();
        nats.sort();
        assert_eq!(nats, ["s.control", "s.nodes.garage.control"]);
    }
}
