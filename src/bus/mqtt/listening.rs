//! What was asked of the broker, and what it granted; also over a cut, when the broker keeps our session. Pure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::driven::FILTERS_A_PACKET;

/// See the module's words. One for all sessions with a broker.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// What the broker may hold of ours: whether it said yes.
    held: HashMap<String, bool>,
    /// What was asked for in this session (or is known to be held) and was not taken back.
    asked: HashSet<String>,
    /// SUBSCRIBEs without an answer, in their order; the same of UNSUBSCRIBEs.
    subscribing: VecDeque<Vec<String>>,
    unsubscribing: VecDeque<Vec<String>>,
    /// What we may not listen on, and why.
    refused: BTreeMap<String, String>,
    /// An address asked for in a packet of its own, which nothing else waits for.
    alone: String,
}

/// What to send, one packet each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packets {
    pub(super) unsubscribe: Vec<Vec<String>>,
    pub(super) subscribe: Vec<Vec<String>>,
}

impl Listening {
    /// A session begins; `kept`: the broker still holds what it held.
    pub(super) fn begin(&mut self, kept: bool, alone: &str, wanted: HashSet<String>) -> Packets {
        alone.clone_into(&mut self.alone);
        if !kept {
            self.held.clear();
        }
        (self.subscribing, self.unsubscribing, self.refused) = Default::default();
        // What it never answered is asked again, or taken back.
        let sure = |(address, granted): &(&String, &bool)| **granted || !wanted.contains(*address);
        self.asked = self.held.iter().filter(sure).map(|(address, _)| address.clone()).collect();
        self.want(wanted)
    }

    /// From now on these are wanted, and no others.
    pub(super) fn want(&mut self, wanted: HashSet<String>) -> Packets {
        let sorted = |mut addresses: Vec<String>| {
            addresses.sort_unstable();
            addresses
        };
        let gone = sorted(self.asked.difference(&wanted).cloned().collect());
        let (alone, new): (Vec<String>, Vec<String>) =
            wanted.difference(&self.asked).cloned().partition(|address| *address == self.alone);
        let new = sorted(new);
        self.refused.retain(|address, _| wanted.contains(address));
        self.asked = wanted;
        for address in gone.iter().chain(&new).chain(&alone) {
            self.held.insert(address.clone(), false);
        }
        let packets = |addresses: &[String]| addresses.chunks(FILTERS_A_PACKET).map(<[_]>::to_vec).collect::<Vec<_>>();
        let packets = Packets { unsubscribe: packets(&gone), subscribe: [packets(&new), packets(&alone)].concat() };
        self.unsubscribing.extend(packets.unsubscribe.iter().cloned());
        self.subscribing.extend(packets.subscribe.iter().cloned());
        packets
    }

    /// The oldest SUBSCRIBE was answered: by its place in it, what we may not listen on, and why.
    pub(super) fn subscribed(&mut self, refused: Vec<(usize, String)>) {
        let Some(addresses) = self.subscribing.pop_front() else { return };
        let mut refused: HashMap<usize, String> = refused.into_iter().collect();
        for (at, address) in addresses.into_iter().enumerate() {
            if let Some(why) = refused.remove(&at) {
                self.held.remove(&address);
                if self.asked.contains(&address) {
                    self.refused.insert(address, why);
                }
            } else if self.asked.contains(&address) {
                self.held.insert(address, true);
            }
        }
    }

    /// The oldest UNSUBSCRIBE was answered.
    pub(super) fn unsubscribed(&mut self) {
        for address in self.unsubscribing.pop_front().into_iter().flatten() {
            // Unless it is wanted again meanwhile: then its SUBSCRIBE is on the way.
            if !self.asked.contains(&address) {
                self.held.remove(&address);
            }
        }
    }

    /// Everything that was asked for was answered, but for the one that is asked alone.
    pub(super) fn is_settled(&self) -> bool {
        self.subscribing.iter().flatten().all(|address| *address == self.alone)
    }

    /// The broker said yes to it.
    pub(super) fn is_granted(&self, address: &str) -> bool {
        self.held.get(address) == Some(&true)
    }

    pub(super) fn is_refused(&self, address: &str) -> bool {
        self.refused.contains_key(address)
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &str)> {
        self.refused.iter().map(|(address, why)| (address.as_str(), why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> HashSet<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn packets(unsubscribe: &[&str], subscribe: &[&str]) -> Packets {
        let lists = |lists: &[&str]| lists.iter().map(|list| list.split(' ').map(str::to_owned).collect()).collect();
        Packets { unsubscribe: lists(unsubscribe), subscribe: lists(subscribe) }
    }

    #[test]
    fn only_the_difference_is_said() {
        let mut listening = Listening::default();
        assert_eq!(listening.begin(false, "probe", set("a b probe")), packets(&[], &["a b", "probe"]));
        assert!(!listening.is_settled());
        listening.subscribed(vec![]);
        assert!(listening.is_settled() && !listening.is_granted("probe"));
        listening.subscribed(vec![]);
        assert!(listening.is_granted("probe"));
        assert_eq!(listening.want(set("b c probe")), packets(&["a"], &["c"]));
        assert_eq!(listening.want(set("b c probe")), Packets::default());
    }

    #[test]
    fn a_session_that_was_kept_is_asked_only_for_what_it_does_not_hold() {
        let mut listening = Listening::default();
        listening.begin(false, "", set("a b c"));
        listening.subscribed(vec![(2, "no".into())]);
        assert_eq!(listening.refused().collect::<Vec<_>>(), [("c", "no")]);
        // `d` and the farewell to `a` find no answer before the cut.
        listening.want(set("b c d"));
        assert_eq!(listening.begin(true, "", set("b c d")), packets(&["a"], &["c d"]));
        assert_eq!(listening.begin(true, "", set("b")), packets(&["a c d"], &[]), "it may hold them all");
        listening.unsubscribed();
        assert_eq!(listening.begin(true, "", set("b")), Packets::default());
        assert_eq!(listening.begin(false, "", set("b")), packets(&[], &["b"]));
    }

    #[test]
    fn what_is_wanted_again_before_its_farewell_was_answered_stays_held() {
        let mut listening = Listening::default();
        listening.begin(false, "", set("a"));
        listening.subscribed(vec![]);
        listening.want(set(""));
        assert_eq!(listening.want(set("a")), packets(&[], &["a"]));
        listening.unsubscribed();
        listening.subscribed(vec![]);
        assert!(listening.is_granted("a"));
        // And what is given up before it was granted is not.
        listening.want(set("a b"));
        listening.want(set("a"));
        listening.subscribed(vec![]);
        assert!(!listening.is_granted("b"));
        assert_eq!(listening.begin(true, "", set("a")), packets(&["b"], &[]));
    }

    #[test]
    fn a_refusal_of_what_is_no_longer_wanted_is_no_trouble() {
        let mut listening = Listening::default();
        listening.begin(false, "", set("a b"));
        listening.want(set("b"));
        listening.subscribed(vec![(0, "no".into()), (1, "no".into())]);
        assert_eq!(listening.refused().collect::<Vec<_>>(), [("b", "no")]);
        listening.want(set(""));
        assert!(!listening.is_refused("b"));
    }
}
