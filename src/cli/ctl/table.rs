//! The roll-call as people read it.

use crate::envelope::{RollOutcome, RollRow};

/// A line of headings, and one a target.
pub fn lines(rows: &[RollRow]) -> Vec<String> {
    let head = ["NODE", "TARGET", "ANSWER", "STATE", "LATENCY"].map(str::to_owned);
    let cells: Vec<[String; 5]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    // The answer may be a sentence: it comes last, and no other column is shifted by it.
    let (node, target, state, latency) = (width(0), width(1), width(3), width(4));
    let line = |[a, b, answer, c, d]: &[String; 5]| {
        format!("{a:<node$}  {b:<target$}  {c:<state$}  {d:>latency$}  {answer}").trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

fn cells(row: &RollRow) -> [String; 5] {
    let answer = match (row.outcome, &row.error) {
        (_, Some(error)) => format!("{}: {}", error.code, error.message),
        (RollOutcome::Ok, None) => "ok".into(),
        (RollOutcome::Refused, None) => "refused".into(),
        (RollOutcome::NoAnswer, None) => "no answer".into(),
        (RollOutcome::Offline, None) => "offline".into(),
    };
    let latency = row.latency_ms.map_or_else(|| "-".into(), |ms| format!("{ms:.1} ms"));
    [row.node.to_string(), row.target.clone(), answer, state(row), latency]
}

/// A camera's word; of a node, how many cameras it has.
fn state(row: &RollRow) -> String {
    let Some(state) = &row.state else { return "-".into() };
    let many = |count: usize| if count == 1 { "1 camera".to_owned() } else { format!("{count} cameras") };
    let cameras = || state["cameras"].as_array().map(|cameras| many(cameras.len()));
    state["actual"].as_str().map(str::to_owned).or_else(cameras).unwrap_or_else(|| "-".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_who_and_what_and_how_fast() {
        let row = |target: &str, outcome, state, error, latency_ms| RollRow {
            node: "garage".parse().unwrap(),
            target: target.into(),
            outcome,
            state,
            error,
            latency_ms,
        };
        let error = crate::envelope::ReplyError { code: "timeout".into(), message: "late".into() };
        let rows = [
            row("camera/front-door", RollOutcome::Ok, Some(json!({ "actual": "stopped" })), None, Some(12.34)),
            row("camera/yard", RollOutcome::Refused, None, Some(error), Some(5000.0)),
            row("node/garage", RollOutcome::Offline, None, None, None),
        ];
        assert_eq!(
            lines(&rows),
            [
                "NODE    TARGET             STATE      LATENCY  ANSWER",
                "garage  camera/front-door  stopped    12.3 ms  ok",
                "garage  camera/yard        -        5000.0 ms  timeout: late",
                "garage  node/garage        -                -  offline",
            ]
        );
    }
}
