//! Topic aliases of MQTT 5: a topic that is said often is said by a number. For one connection, and pure.

use std::collections::HashMap;

/// A topic that was said so often in this connection is said often.
const OFTEN: u8 = 3;

/// How to name the topic of the next publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Plain,
    /// By its name, which the number will stand for from now on.
    Introduce(u16),
    /// By the number alone.
    Alias(u16),
}

#[derive(Debug)]
enum Said {
    Times(u8),
    As(u16),
}

/// Numbers are handed out until the broker's are used up, and never given to another topic: there are few of either.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// The broker's Topic Alias Maximum; 0 = none.
    limit: u16,
    given: u16,
    said: HashMap<String, Said>,
}

impl Aliases {
    /// What the CONNACK offers.
    pub(super) fn offered(&mut self, limit: u16) {
        *self = Self { limit, ..Self::default() };
    }

    pub(super) fn name(&mut self, topic: &str) -> Naming {
        match self.said.get_mut(topic) {
            Some(Said::As(alias)) => Naming::Alias(*alias),
            // Nothing is remembered of topics that cannot get a number any more.
            _ if self.given >= self.limit => Naming::Plain,
            Some(Said::Times(times)) if *times < OFTEN => {
                *times += 1;
                Naming::Plain
            }
            Some(said) => {
                self.given += 1;
                *said = Said::As(self.given);
                Naming::Introduce(self.given)
            }
            None => {
                self.said.insert(topic.to_owned(), Said::Times(1));
                Naming::Plain
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_said_often_gets_a_number_and_the_brokers_numbers_are_never_exceeded() {
        let mut aliases = Aliases::default();
        aliases.offered(2);
        let mut say = |topic| (0..5).map(|_| aliases.name(topic)).collect::<Vec<_>>();
        assert_eq!(say("a"), [Naming::Plain, Naming::Plain, Naming::Plain, Naming::Introduce(1), Naming::Alias(1)]);
        assert_eq!(say("b")[3..], [Naming::Introduce(2), Naming::Alias(2)]);
        assert_eq!(say("c"), [Naming::Plain; 5]);
        assert_eq!(say("a"), [Naming::Alias(1); 5]);
        aliases.offered(1);
        assert_eq!(aliases.name("a"), Naming::Plain, "a new connection knows no numbers");
    }

    #[test]
    fn a_broker_that_offers_none_gets_none_and_costs_no_memory() {
        let mut aliases = Aliases::default();
        assert!((0..9).all(|_| aliases.name("a") == Naming::Plain));
        assert!(aliases.said.is_empty());
    }
}
