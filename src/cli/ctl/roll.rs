//! The roll-call itself: answers are ticked off as they come, whichever way and however often. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::roster::Due;
use crate::domain::Name;
use crate::envelope::{ReplyError, RollOutcome, RollRow, Verb};

/// Names in the summary; the rest is counted.
const NAMED: usize = 12;

/// Who is to answer, and who has.
#[derive(Debug)]
pub struct Roll {
    id: String,
    /// Whom the command addressed.
    address: String,
    due: BTreeSet<Due>,
    rows: BTreeMap<(Name, String), RollRow>,
}

/// An answer, read loosely: a newer node may say more.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Option<String>,
    node: Name,
    target: String,
    ok: bool,
    #[serde(default)]
    state: Option<Value>,
    #[serde(default)]
    error: Option<ReplyError>,
}

impl Roll {
    pub fn new(id: &str, address: &str, due: BTreeSet<Due>) -> Self {
        Self { id: id.to_owned(), address: address.to_owned(), due, rows: BTreeMap::new() }
    }

    /// Takes in what came; anything but an answer to this command is left alone, and so is one that was given before.
    pub fn take(&mut self, payload: &[u8], latency: Duration) {
        let Ok(answer) = serde_json::from_slice::<Answer>(payload) else { return };
        if answer.id.as_deref() != Some(&self.id) {
            return;
        }
        self.due.retain(|due| !(due.any && due.node == answer.node));
        // A node that refuses a command as a whole answers once, for all that it has.
        let for_all = !answer.ok && answer.target == self.address && !self.is_due(&answer.node, &answer.target);
        if !for_all {
            let target = answer.target.clone();
            self.tick(&target, &answer, latency);
            return;
        }
        let theirs = self.due.iter().filter(|due| due.node == answer.node).map(|due| due.target.clone());
        let theirs: Vec<String> = theirs.collect();
        for target in &theirs {
            self.tick(target, &answer, latency);
        }
        let nothing_to_do = answer.error.as_ref().is_some_and(|error| error.code == "no_camera");
        if theirs.is_empty() && !nothing_to_do {
            let target = answer.target.clone();
            self.tick(&target, &answer, latency);
        }
    }

    fn is_due(&self, node: &Name, target: &str) -> bool {
        self.due.iter().any(|due| due.node == *node && due.target == target)
    }

    fn tick(&mut self, target: &str, answer: &Answer, latency: Duration) {
        self.rows.entry((answer.node.clone(), target.to_owned())).or_insert_with(|| RollRow {
            node: answer.node.clone(),
            target: target.to_owned(),
            outcome: if answer.ok { RollOutcome::Ok } else { RollOutcome::Refused },
            state: answer.state.clone(),
            error: answer.error.clone(),
            latency_ms: Some((latency.as_secs_f64() * 1e6).round() / 1e3),
        });
    }

    /// Whoever can answer has.
    pub fn is_complete(&self) -> bool {
        self.due.iter().all(|due| due.offline || self.rows.contains_key(&(due.node.clone(), due.target.clone())))
    }

    /// Every target's row: those that gave no answer, too.
    pub fn rows(mut self) -> Vec<RollRow> {
        for due in self.due {
            let outcome = if due.offline { RollOutcome::Offline } else { RollOutcome::NoAnswer };
            self.rows.entry((due.node.clone(), due.target.clone())).or_insert(RollRow {
                node: due.node,
                target: due.target,
                outcome,
                state: None,
                error: None,
                latency_ms: None,
            });
        }
        self.rows.into_values().collect()
    }
}

/// Every target answered, and with ok.
pub fn is_ok(rows: &[RollRow]) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.outcome == RollOutcome::Ok)
}

/// `37 of 40 stopped, 3 did not answer: camera/door, …`
pub fn summary(verb: Verb, rows: &[RollRow]) -> String {
    let of = |outcome: RollOutcome| rows.iter().filter(move |row| row.outcome == outcome);
    let done = match verb {
        Verb::Start => "started",
        Verb::Stop => "stopped",
        Verb::Pause => "paused",
        Verb::Resume => "resumed",
        Verb::Snapshot => "took a snapshot",
        Verb::Set => "set",
        Verb::Restart => "restarted",
        Verb::Status => "answered",
        Verb::Reset => "reset",
        Verb::Reload => "reloaded",
        Verb::Shutdown => "shut down",
    };
    let mut text = format!("{} of {} {done}", of(RollOutcome::Ok).count(), rows.len());
    let refused: Vec<String> = of(RollOutcome::Refused)
        .map(|row| format!("{} ({})", row.target, row.error.as_ref().map_or("error", |error| error.code.as_str())))
        .collect();
    let offline = of(RollOutcome::Offline).map(|row| format!("{} ({} is offline)", row.target, row.node));
    let silent: Vec<String> = of(RollOutcome::NoAnswer).map(|row| row.target.clone()).chain(offline).collect();
    for (names, what) in [(refused, "refused"), (silent, "did not answer")] {
        if !names.is_empty() {
            text = format!("{text}, {} {what}: {}", names.len(), listed(&names));
        }
    }
    text
}

fn listed(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED { format!("{shown} and {} more", names.len() - NAMED) } else { shown }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn due(node: &str, target: &str, offline: bool) -> Due {
        Due { node: node.parse().unwrap(), target: target.into(), offline, any: false }
    }

    fn roll(due: &[Due]) -> Roll {
        Roll::new("7", "all", due.iter().cloned().collect())
    }

    fn answer(roll: &mut Roll, id: &str, node: &str, target: &str, error: Option<&str>) {
        let error = error.map(|code| json!({ "code": code, "message": "so" }));
        let reply = json!({ "id": id, "node": node, "target": target, "ok": error.is_none(), "error": error,
            "state": { "actual": "stopped" }, "more": 1 });
        roll.take(reply.to_string().as_bytes(), Duration::from_millis(5));
    }

    #[test]
    fn answers_that_come_twice_or_by_both_ways_count_once() {
        let mut roll = roll(&[due("a", "camera/x", false), due("b", "camera/y", false)]);
        for _ in 0..2 {
            answer(&mut roll, "7", "a", "camera/x", None);
        }
        answer(&mut roll, "8", "b", "camera/y", None);
        assert!(!roll.is_complete(), "that was the answer to somebody else's");
        roll.take(b"\xff{", Duration::ZERO);
        answer(&mut roll, "7", "b", "camera/y", None);
        assert!(roll.is_complete());
        let rows = roll.rows();
        assert_eq!((rows.len(), is_ok(&rows), rows[0].latency_ms), (2, true, Some(5.0)));
        assert_eq!(summary(Verb::Stop, &rows), "2 of 2 stopped");
    }

    #[test]
    fn who_refuses_and_who_says_nothing_is_named() {
        let mut roll = roll(&[
            due("a", "camera/x", false),
            due("b", "camera/y", false),
            due("c", "camera/z", true),
            due("d", "camera/w", false),
        ]);
        answer(&mut roll, "7", "a", "camera/x", None);
        answer(&mut roll, "7", "b", "camera/y", Some("timeout"));
        assert!(!roll.is_complete());
        let rows = roll.rows();
        assert!(!is_ok(&rows));
        let said = "1 of 4 stopped, 1 refused: camera/y (timeout), 2 did not answer: camera/w, camera/z (c is offline)";
        assert_eq!(summary(Verb::Stop, &rows), said);
    }

    #[test]
    fn a_node_that_refuses_the_whole_command_answers_for_all_it_has() {
        let mut roll = roll(&[due("a", "camera/x", false), due("a", "camera/y", false)]);
        answer(&mut roll, "7", "a", "all", Some("unsigned"));
        answer(&mut roll, "7", "empty", "all", Some("no_camera"));
        answer(&mut roll, "7", "other", "all", Some("unsigned"));
        assert!(roll.is_complete());
        let rows = roll.rows();
        assert_eq!(rows.iter().map(|row| row.target.as_str()).collect::<Vec<_>>(), ["camera/x", "camera/y", "all"]);
        assert!(rows.iter().all(|row| row.error.as_ref().unwrap().code == "unsigned"));
    }

    #[test]
    fn any_answer_of_a_node_that_is_only_expected_will_do() {
        let mut roll = roll(&[Due { any: true, ..due("a", "node/a", false) }]);
        assert!(!roll.is_complete());
        answer(&mut roll, "7", "a", "camera/x", None);
        assert!(roll.is_complete());
        assert_eq!(roll.rows().len(), 1);
    }

    #[test]
    fn a_long_list_is_cut() {
        let due: Vec<Due> = (10..40).map(|i| due("a", &format!("camera/{i}"), false)).collect();
        let said = summary(Verb::Stop, &roll(&due).rows());
        assert!(
            said.starts_with("0 of 30 stopped, 30 did not answer: camera/10, ") && said.ends_with("and 18 more"),
            "{said}"
        );
    }
}
