//! What the numbers of the messages tell: gaps, doubles, late ones, a node that was started anew. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Gaps remembered for one boot of a series: the oldest beyond that are lost for good.
const GAPS: usize = 10_000;
/// Boots remembered for one series. A second one speaks beside the newest while what it left in its spool is replayed late,
/// or when the same node runs twice.
const BOOTS: usize = 8;

/// What one message's number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Note {
    /// Numbers between the last one and this one.
    pub missed: u64,
    /// Seen before.
    pub duplicate: bool,
    /// It was missed: one of a higher number came before it.
    pub out_of_order: bool,
    /// The node was started anew since the last message of this kind.
    pub new_boot: bool,
}

/// What all of them said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Total {
    pub messages: u64,
    /// Numbers that never came.
    pub lost: u64,
    pub duplicates: u64,
    pub out_of_order: u64,
    pub replayed: u64,
    pub boots: u64,
}

/// One kind of message of one camera.
#[derive(Debug, Default)]
struct Series {
    /// The one heard last at the end.
    boots: VecDeque<Boot>,
    total: Total,
}

#[derive(Debug, Default)]
struct Boot {
    id: String,
    last: u64,
    /// First and last number of what is missing.
    gaps: BTreeMap<u64, u64>,
}

/// By camera and kind.
#[derive(Debug, Default)]
pub struct Sequences(HashMap<(String, &'static str), Series>);

impl Sequences {
    pub fn note(&mut self, camera: &str, kind: &'static str, boot: &str, seq: u64, replayed: bool) -> Note {
        let series = self.0.entry((camera.to_owned(), kind)).or_default();
        series.total.messages += 1;
        series.total.replayed += u64::from(replayed);
        if let Some(at) = series.boots.iter().position(|known| known.id == boot) {
            let known = series.boots.remove(at).unwrap_or_default();
            series.boots.push_back(known);
            return series.place(seq);
        }
        let new_boot = series.total.boots > 0;
        series.total.boots += 1;
        if series.boots.len() == BOOTS {
            series.boots.pop_front();
        }
        // A boot that began while we listened is to be heard from its first number; what is replayed began before.
        let heard_from = if new_boot && !replayed { 0 } else { seq - seq.min(1) };
        series.boots.push_back(Boot { id: boot.to_owned(), last: heard_from, gaps: BTreeMap::new() });
        Note { new_boot, ..series.place(seq) }
    }

    /// Camera, kind and total, sorted.
    pub fn totals(&self) -> Vec<(&str, &'static str, Total)> {
        let mut totals: Vec<_> =
            self.0.iter().map(|((camera, kind), series)| (camera.as_str(), *kind, series.total)).collect();
        totals.sort_unstable_by_key(|(camera, kind, _)| (*camera, *kind));
        totals
    }

    pub fn lost(&self) -> u64 {
        self.0.values().map(|series| series.total.lost).sum()
    }
}

impl Series {
    /// In the boot that is heard.
    fn place(&mut self, seq: u64) -> Note {
        let Some(Boot { last, gaps, .. }) = self.boots.back_mut() else { return Note::default() };
        if seq > *last {
            let missed = seq - *last - 1;
            if missed > 0 {
                gaps.insert(*last + 1, seq - 1);
                self.total.lost += missed;
                if gaps.len() > GAPS {
                    gaps.pop_first();
                }
            }
            *last = seq;
            return Note { missed, ..Note::default() };
        }
        let gap = gaps.range(..=seq).next_back().map(|(from, to)| (*from, *to)).filter(|(_, to)| seq <= *to);
        let Some((from, to)) = gap else {
            self.total.duplicates += 1;
            return Note { duplicate: true, ..Note::default() };
        };
        gaps.remove(&from);
        if from < seq {
            gaps.insert(from, seq - 1);
        }
        if seq < to {
            gaps.insert(seq + 1, to);
        }
        self.total.lost -= 1;
        self.total.out_of_order += 1;
        Note { out_of_order: true, ..Note::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(seen: &mut Sequences, boot: &str, seq: u64) -> Note {
        seen.note("c", "detections", boot, seq, false)
    }

    #[test]
    fn a_gap_is_seen_and_filled_by_what_comes_late() {
        let mut seen = Sequences::default();
        assert_eq!([5, 6, 10].map(|seq| note(&mut seen, "a", seq).missed), [0, 0, 3]);
        assert_eq!(seen.lost(), 3);
        assert!(note(&mut seen, "a", 8).out_of_order && note(&mut seen, "a", 8).duplicate);
        assert!(note(&mut seen, "a", 7).out_of_order && note(&mut seen, "a", 10).duplicate);
        assert_eq!(seen.lost(), 1);
        assert!(note(&mut seen, "a", 9).out_of_order);
        assert!(note(&mut seen, "a", 4).duplicate, "what came before the watch began is no gap");
        let total = seen.totals()[0].2;
        assert_eq!((total.lost, total.out_of_order, total.duplicates, total.messages), (0, 3, 3, 9));
    }

    #[test]
    fn a_new_boot_begins_anew_and_keeps_the_losses_of_the_old_one() {
        let mut seen = Sequences::default();
        note(&mut seen, "a", 1);
        note(&mut seen, "a", 4);
        assert_eq!(note(&mut seen, "b", 1), Note { new_boot: true, ..Note::default() });
        assert_eq!(note(&mut seen, "b", 2), Note::default());
        let total = seen.totals()[0].2;
        assert_eq!((total.lost, total.boots), (2, 2));
    }

    #[test]
    fn a_boot_that_began_while_we_listened_is_missed_from_its_first_number() {
        let mut seen = Sequences::default();
        note(&mut seen, "a", 50);
        assert_eq!(note(&mut seen, "b", 5), Note { new_boot: true, missed: 4, ..Note::default() });
        assert!(note(&mut seen, "b", 2).out_of_order);
        assert_eq!(seen.lost(), 3);
    }

    #[test]
    fn two_boots_side_by_side_are_told_apart() {
        let mut seen = Sequences::default();
        note(&mut seen, "b", 7);
        let old = seen.note("c", "detections", "a", 60, true);
        assert_eq!(old, Note { new_boot: true, ..Note::default() }, "what was before the watch is no gap");
        assert_eq!(note(&mut seen, "b", 8), Note::default());
        assert_eq!(seen.note("c", "detections", "a", 62, true).missed, 1);
        let total = seen.totals()[0].2;
        assert_eq!((total.lost, total.boots), (1, 2));
    }

    #[test]
    fn cameras_and_kinds_count_for_themselves() {
        let mut seen = Sequences::default();
        seen.note("b", "events", "x", 1, true);
        seen.note("a", "detections", "x", 9, false);
        assert_eq!(seen.note("a", "events", "x", 30, false), Note::default());
        let names: Vec<_> =
            seen.totals().iter().map(|(camera, kind, total)| (*camera, *kind, total.replayed)).collect();
        assert_eq!(names, [("a", "detections", 0), ("a", "events", 0), ("b", "events", 1)]);
    }
}
