//! Signed commands that were taken, each remembered until it expires: none is taken twice. Pure.

use std::collections::{BTreeSet, HashSet};

use crate::domain::Timestamp;

/// Remembered at most; each was signed by an operator, and none lives longer than [`super::LIFETIME`].
pub const MOST: usize = 10_000;

/// Operator and id, made short.
pub type Fingerprint = [u8; 16];

/// No command: where memory begins, written down for as long as a command from before could live.
pub const FLOOR: Fingerprint = [0; 16];

#[derive(Debug, Default)]
pub struct Seen {
    known: HashSet<Fingerprint>,
    by_expiry: BTreeSet<(Timestamp, Fingerprint)>,
    /// What expires until then may have been here and been forgotten since: the clock was set back.
    forgotten: Option<Timestamp>,
}

/// Why a command is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Known,
    /// No room to remember it by.
    Full,
}

impl Seen {
    /// Remembers it, or says why it is not to be taken.
    pub fn take(&mut self, fingerprint: Fingerprint, expires_at: Timestamp, now: Timestamp) -> Result<(), Repeat> {
        self.forget(now);
        if self.known.contains(&fingerprint) || self.forgotten.is_some_and(|until| expires_at <= until) {
            return Err(Repeat::Known);
        }
        if self.known.len() >= MOST {
            return Err(Repeat::Full);
        }
        self.known.insert(fingerprint);
        self.by_expiry.insert((expires_at, fingerprint));
        Ok(())
    }

    /// What has expired is refused by that.
    fn forget(&mut self, now: Timestamp) {
        while let Some(first) = self.by_expiry.first().copied().filter(|(expires_at, _)| *expires_at < now) {
            self.by_expiry.remove(&first);
            self.known.remove(&first.1);
            self.forgotten = self.forgotten.max(Some(first.0));
        }
    }

    pub fn all(&self) -> impl Iterator<Item = (Timestamp, Fingerprint)> {
        self.by_expiry.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_that_is_set_back_brings_nothing_back() {
        let mut seen = Seen::default();
        assert_eq!(seen.take([1; 16], at(10), at(5)), Ok(()));
        assert_eq!(seen.take([2; 16], at(90), at(50)), Ok(()));
        assert_eq!(seen.known.len(), 1, "the first has expired");
        assert_eq!(seen.take([1; 16], at(10), at(6)), Err(Repeat::Known));
        assert_eq!(seen.take([3; 16], at(11), at(6)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_free_again_when_commands_expire() {
        let mut seen = Seen::default();
        let print = |i: usize| u128::try_from(i).unwrap().to_le_bytes();
        for i in 0..MOST {
            assert_eq!(seen.take(print(i), at(100), at(0)), Ok(()));
        }
        assert_eq!(seen.take(print(MOST), at(100), at(0)), Err(Repeat::Full));
        assert_eq!(seen.take(print(MOST), at(300), at(101)), Ok(()));
        assert_eq!(seen.known.len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_the_order_and_the_clock_each_is_taken_once(
            steps in proptest::collection::vec((0_u8..12, 0_i64..60), 1..80)
        ) {
            // A command's life is its own; the clock jumps as it likes, and what is expired by it is not even asked.
            let mut seen = Seen::default();
            let mut taken = HashSet::new();
            for (command, now) in steps {
                let expires_at = at(i64::from(command) * 5 + 1);
                if expires_at >= at(now) && seen.take([command; 16], expires_at, at(now)).is_ok() {
                    prop_assert!(taken.insert(command), "{} twice", command);
                }
            }
        }
    }
}
