//! Whose turn it is to open a stream, and who made the others wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::{OpenOptions, SourceError};

/// OpenCV opens one stream at a time. Waited for here and not inside it, for then it can be told who is slow, and stopped.
pub(super) static OPENING: Turns = Turns::new();

pub(super) struct Turns(Mutex<State>);

struct State {
    holder: Option<Holder>,
    /// Who used its time up without opening, and how often in a row. No more entries than there are cameras.
    slow: BTreeMap<String, u32>,
}

struct Holder {
    /// Its credentials removed.
    shown: String,
    since: Instant,
}

/// Ends when dropped. A native call that never returns keeps it for good.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    const fn new() -> Self {
        Self(Mutex::new(State { holder: None, slow: BTreeMap::new() }))
    }

    /// How often in a row this one kept the others waiting for nothing.
    pub(super) fn in_vain(&self, shown: &str) -> u32 {
        self.lock().slow.get(shown).copied().unwrap_or(0)
    }

    pub(super) fn opened(&self, shown: &str) {
        self.lock().slow.remove(shown);
    }

    pub(super) fn timed_out(&self, shown: &str) {
        let mut state = self.lock();
        let times = state.slow.entry(shown.to_owned()).or_default();
        *times = times.saturating_add(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn; `shown` is whom the others blame meanwhile.
    pub(super) fn take(&self, deadline: Instant, shown: &str, options: &OpenOptions) -> Result<Turn<'_>, SourceError> {
        loop {
            if let Some(why) = self.try_take(shown) {
                if Instant::now() >= deadline {
                    return Err(SourceError::Open { source_name: shown.to_owned(), why });
                }
            } else {
                return Ok(Turn(self));
            }
            if options.cancel.wait(Duration::from_millis(20)) {
                return Err(SourceError::Cancelled);
            }
        }
    }

    /// Why not, if another has it.
    fn try_take(&self, shown: &str) -> Option<String> {
        let mut state = self.lock();
        if let Some(Holder { shown, since }) = &state.holder {
            let seconds = since.elapsed().as_secs();
            return Some(format!(
                "'{shown}' has been opening for {seconds} s and OpenCV opens one stream at a time; \
                 restart the node if it does not end"
            ));
        }
        state.holder = Some(Holder { shown: shown.to_owned(), since: Instant::now() });
        None
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().holder = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_vain_for_its_turn_is_told_who_has_it() {
        let (turns, options) = (Turns::new(), OpenOptions::default());
        let turn = turns.take(Instant::now(), "rtsp://***@cam2/live", &options).ok().unwrap();
        let error = turns.take(Instant::now(), "rtsp://cam3/live", &options).err().unwrap().to_string();
        assert!(error.starts_with("rtsp://cam3/live: "), "{error}");
        assert!(error.contains("'rtsp://***@cam2/live' has been opening for"), "{error}");
        options.cancel.cancel();
        let later = Instant::now() + Duration::from_mins(1);
        assert!(matches!(turns.take(later, "rtsp://cam3/live", &options), Err(SourceError::Cancelled)));
        drop(turn);
        assert!(turns.take(Instant::now(), "rtsp://cam3/live", &options).is_ok(), "free again");
    }

    #[test]
    fn who_keeps_the_others_waiting_is_known_until_it_opens() {
        let turns = Turns::new();
        turns.timed_out("rtsp://cam2/live");
        turns.timed_out("rtsp://cam2/live");
        assert_eq!((turns.in_vain("rtsp://cam2/live"), turns.in_vain("rtsp://cam3/live")), (2, 0));
        turns.opened("rtsp://cam2/live");
        assert_eq!(turns.in_vain("rtsp://cam2/live"), 0);
    }
}
