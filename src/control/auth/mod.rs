//! The door of the control room: a command is let in or not, carried out, answered, and written down
//! (docs/control.md, docs/decisions/0006-signed-commands.md).

mod audit;
mod guard;
pub mod jws;
mod keys;
mod memory;
mod rules;
mod seen;
#[cfg(test)]
mod tests;

use futures_util::future::join;

pub use guard::{Admitted, Guard, LIFETIME, Rejected, SKEW};
pub use keys::{PublicKey, SigningKey, generate};
pub use rules::{GuardError, Rules};

use super::dispatch::{carry_out, refused};
use super::{Fleet, Refusal};
use crate::domain::{RawCommand, Timestamp};
use crate::envelope::{Reply, Verb};
use crate::telemetry::count_command;

/// Judges and carries out one command; the answers are to be sent where it came from. All wishes are said in the first
/// poll, so commands that are polled once in their order are carried out in that order, however long the answers take.
pub async fn answer<F: Fleet>(fleet: &F, raw: &RawCommand) -> Vec<Reply> {
    let now = Timestamp::now();
    let admitted = match fleet.guard().admit(raw, now) {
        Ok(admitted) => admitted,
        Err(rejected) => {
            let Refusal { code, message, word, .. } = &rejected.refusal;
            let word = word.as_deref().and_then(|w| w.parse::<Verb>().ok()).map_or("unknown", Verb::as_str);
            count_command(word, code);
            tracing::warn!(target_name = %raw.target, bus = raw.bus, code, operator = rejected.operator.as_ref().map(ToString::to_string),
                claimed_operator = rejected.claimed, "command refused: {message}");
            audit::refused(fleet, raw, &rejected, now);
            return vec![refused(fleet.node(), &raw.target.to_string(), None, &rejected.told())];
        }
    };
    let command = &admitted.command;
    let operator = admitted.operator.as_ref().map(ToString::to_string);
    tracing::info!(target_name = %raw.target, bus = raw.bus, command = command.command.as_str(), id = command.id, operator, "command");
    // First the wishes: no disk may keep a camera from stopping. The answer waits for both.
    let (replies, ()) = join(carry_out(fleet, &raw.target, command), fleet.guard().keep(&admitted)).await;
    audit::accepted(fleet, raw, &admitted, &replies, now);
    replies
}
