//! What a witness saw, held against what `seq` promises: from 1, without a gap, in order, once repetitions are set aside.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Whose numbers: camera (of an audit: node), boot and kind.
pub type Line = (String, String, &'static str);

/// A message that is numbered, as far as the numbers go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub line: Line,
    pub seq: u64,
}

#[derive(Deserialize)]
struct Numbered {
    camera: Option<String>,
    node: Option<String>,
    boot_id: String,
    seq: u64,
    event: Option<IgnoredAny>,
    detections: Option<IgnoredAny>,
    accepted: Option<IgnoredAny>,
}

impl Said {
    /// `None`: not an event, not detections, not an audit.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let Numbered { camera, node, boot_id, seq, event, detections, accepted } =
            serde_json::from_slice(payload).ok()?;
        let kind = event.map(|_| "event").or(detections.map(|_| "detections")).or(accepted.map(|_| "audit"))?;
        Some(Self { line: (camera.or(node)?, boot_id, kind), seq })
    }
}

#[derive(Debug, Default)]
pub struct Ledger {
    last: BTreeMap<Line, u64>,
    /// By camera and kind: boots sort by their age, and what an older one left is told before anything newer.
    newest: BTreeMap<(String, &'static str), String>,
    pub messages: u64,
    pub duplicates: u64,
    /// What must not be, in words.
    pub wrong: Vec<String>,
}

impl Ledger {
    pub fn saw(&mut self, said: &Said) {
        self.messages += 1;
        let last = self.last.entry(said.line.clone()).or_default();
        if said.seq <= *last {
            self.duplicates += 1;
            return;
        }
        if said.seq != *last + 1 {
            self.wrong.push(format!("{:?}: {} came after {last}", said.line, said.seq));
        }
        *last = said.seq;
        let (camera, boot, kind) = &said.line;
        let newest = self.newest.entry((camera.clone(), kind)).or_default();
        if boot < newest {
            self.wrong.push(format!("{:?}: {} came after boot {newest}", said.line, said.seq));
        } else if boot > newest {
            newest.clone_from(boot);
        }
    }

    /// The last number of each line of this kind.
    pub fn reached(&self, kind: &str) -> BTreeMap<Line, u64> {
        self.last.iter().filter(|(line, _)| line.2 == kind).map(|(line, last)| (line.clone(), *last)).collect()
    }

    pub fn reaches(&self, promised: &BTreeMap<Line, u64>) -> bool {
        promised.iter().all(|(line, last)| self.last.get(line) == Some(last))
    }

    /// Fails unless everything promised was seen, in order.
    pub fn check(&self, who: &str, promised: &BTreeMap<Line, u64>) {
        assert!(
            self.wrong.is_empty(),
            "{who}: {} gaps: {:?}",
            self.wrong.len(),
            &self.wrong[..self.wrong.len().min(5)]
        );
        for (line, last) in promised {
            assert_eq!(self.last.get(line), Some(last), "{who}: {line:?} ends too early");
        }
    }

    /// The last number that was seen of a line; 0 when none was.
    pub fn last(&self, line: &Line) -> u64 {
        self.last.get(line).copied().unwrap_or(0)
    }
}

#[test]
fn a_ledger_tells_a_repetition_from_a_gap_and_from_a_late_comer() {
    let said = |seq| Said { line: ("cam".into(), "boot".into(), "event"), seq };
    let mut ledger = Ledger::default();
    for seq in [1, 2, 3, 2, 3, 4] {
        ledger.saw(&said(seq));
    }
    assert_eq!((ledger.duplicates, ledger.wrong.len()), (2, 0));
    ledger.check("good", &[(said(4).line, 4)].into());
    ledger.saw(&said(6));
    ledger.saw(&said(5));
    assert_eq!(ledger.wrong.len(), 1);
    assert!(!ledger.reaches(&[(said(7).line, 7)].into()));
}

#[test]
fn a_ledger_wants_old_boots_first() {
    let said = |boot: &str, seq| Said { line: ("cam".into(), boot.into(), "event"), seq };
    let mut ledger = Ledger::default();
    for (boot, seq) in [("1", 1), ("1", 2), ("2", 1), ("1", 2)] {
        ledger.saw(&said(boot, seq));
    }
    assert!(ledger.wrong.is_empty());
    ledger.saw(&said("1", 3));
    assert_eq!(ledger.wrong.len(), 1);
}
