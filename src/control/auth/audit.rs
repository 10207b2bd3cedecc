//! What is written down of a command.

use serde_json::{Map, Value};

use super::{Admitted, Rejected};
use crate::control::Fleet;
use crate::domain::{RawCommand, Timestamp, redact_text};
use crate::envelope::{Audit, AuditResult, Reply};

/// Of what a stranger sent, no more than this is repeated.
const LONGEST: usize = 128;

pub(super) fn accepted<F: Fleet>(fleet: &F, raw: &RawCommand, admitted: &Admitted, replies: &[Reply], now: Timestamp) {
    let command = &admitted.command;
    let result = |reply: &Reply| AuditResult {
        target: reply.target.clone(),
        ok: reply.ok,
        code: reply.error.as_ref().map(|error| error.code.clone()),
    };
    fleet.guard().number(|seq| {
        fleet.audit(Audit {
            command: Some(command.command.as_str().into()),
            id: command.id.as_deref().map(cut),
            args: shown(&command.args),
            operator: admitted.operator.clone(),
            accepted: true,
            results: replies.iter().map(result).collect(),
            ..of(fleet, raw, now, seq)
        });
    });
}

pub(super) fn refused<F: Fleet>(fleet: &F, raw: &RawCommand, rejected: &Rejected, now: Timestamp) {
    let refusal = &rejected.refusal;
    fleet.guard().number(|seq| {
        fleet.audit(Audit {
            command: refusal.word.as_deref().map(|word| cut(&redact_text(word))),
            id: refusal.id.as_deref().map(cut),
            operator: rejected.operator.clone(),
            claimed_operator: rejected.claimed.clone(),
            code: Some(refusal.code.into()),
            message: Some(refusal.message.clone()).filter(|message| !message.is_empty()),
            ..of(fleet, raw, now, seq)
        });
    });
}

fn of<F: Fleet>(fleet: &F, raw: &RawCommand, timestamp: Timestamp, seq: u64) -> Audit {
    Audit {
        timestamp,
        node: fleet.node().clone(),
        boot_id: fleet.boot_id().clone(),
        seq,
        bus: raw.bus.into(),
        target: raw.target.to_string(),
        command: None,
        id: None,
        args: Map::new(),
        operator: None,
        claimed_operator: None,
        reply_to: raw.reply_to.as_ref().map(|to| cut(&to.address)),
        accepted: false,
        code: None,
        message: None,
        results: Vec::new(),
        replayed: false,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The settings without what might be a credential in a URL, and no text longer than it need be.
fn shown(args: &Map<String, Value>) -> Map<String, Value> {
    args.iter().map(|(key, value)| (cut(key), plain(value))).collect()
}

fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => cut(&redact_text(text)).into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => shown(map).into(),
        other => other.clone(),
    }
}
