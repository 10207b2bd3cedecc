//! Whether a camera still shows its scene: frozen, black and covered pictures told from healthy ones.
//!
//! A few thousand points of a frame, a few times a second ([`Sample`]); what they mean over time is decided by a pure
//! [`Judge`], whose clock is an argument. Nothing is allocated a frame.

mod config;
mod frozen;
mod judge;
mod sample;
#[cfg(test)]
mod tests;

use std::fmt;

pub use config::PictureCheck;
pub use judge::{Condition, Hold, Judge, Limits};
pub use sample::{Facts, Sample};

use crate::domain::{Frame, Span};
use crate::source::SourceKind;

/// So often a frame is looked at.
const EVERY: i64 = 250_000;

/// Looks at the frames of one camera, over all its sessions.
pub struct Watch {
    judge: Judge,
    sample: Sample,
    last: Option<i64>,
}

impl Watch {
    /// `None` when nothing is to be looked for in such a source.
    #[must_use]
    pub fn new(check: &PictureCheck, source: &SourceKind) -> Option<Self> {
        let limits = limits(check, source);
        limits.any().then(|| Self { judge: Judge::new(limits), sample: Sample::default(), last: None })
    }

    /// A new connection: what was seen before says nothing about now, only what the camera's detail normally is.
    pub fn begin(&mut self) {
        self.judge.begin();
        self.last = None;
    }

    /// Takes the frame in if it is time to; tells when the verdict has changed.
    pub fn look(&mut self, frame: &Frame) -> Option<Option<Condition>> {
        let at = frame.captured_at.as_micros();
        // A clock that was set back begins anew.
        if self.last.is_some_and(|last| (last..last + EVERY).contains(&at)) {
            return None;
        }
        let passed = self.last.map_or(0, |last| at.saturating_sub(last).max(0)).unsigned_abs();
        self.last = Some(at);
        let before = self.judge.verdict();
        let facts = self.sample.take(frame)?;
        self.judge.see(std::time::Duration::from_micros(passed), &facts, &self.sample);
        let now = self.judge.verdict();
        (now != before).then_some(now)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("judge", &self.judge).finish_non_exhaustive()
    }
}

/// What is drawn or shown from stills may stand still, be black or without detail: that is no fault. A film may stand
/// still, too.
fn limits(check: &PictureCheck, source: &SourceKind) -> Limits {
    let after = |span: Span| (!span.0.is_zero()).then_some(span.0);
    let all = Limits {
        frozen: after(check.frozen_after),
        black: after(check.black_after),
        covered: after(check.covered_after),
    };
    match source {
        SourceKind::Stream(_) | SourceKind::Webcam(_) => all,
        SourceKind::File(_) => Limits { frozen: None, ..all },
        SourceKind::Images { .. } | SourceKind::Push { .. } | SourceKind::Synthetic(_) => Limits::default(),
    }
}
