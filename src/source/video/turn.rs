//! Whose turn it is to open a stream.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::{OpenOptions, SourceError};

/// OpenCV opens one stream at a time. Waited for here and not inside it, for then it can be told who is slow, and stopped.
pub(super) static OPENING: Turns = Turns::new();

pub(super) struct Turns(Mutex<Option<Holder>>);

struct Holder {
    /// Its credentials removed.
    shown: String,
    since: Instant,
}

/// Ends when dropped. A native call that never returns keeps it for good.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    const fn new() -> Self {
        Self(Mutex::new(None))
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
        let mut holder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Holder { shown, since }) = &*holder {
            let seconds = since.elapsed().as_secs();
            return Some(format!(
                "'{shown}' has been opening for {seconds} s and OpenCV opens one stream at a time; \
                 restart the node if it does not end"
            ));
        }
        *holder = Some(Holder { shown: shown.to_owned(), since: Instant::now() });
        None
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
}
