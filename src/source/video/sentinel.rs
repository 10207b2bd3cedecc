//! Whether a stream still is what it was when it was opened.
//!
//! OpenCV 4 does not notice a new picture size in mid-stream: it goes on with the old one and shows the new picture in a
//! corner of it, or the last old one for ever (opencv#27116). No property of it tells. So the camera's server is asked now
//! and then how it describes its video; when that has changed, the stream is opened anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::diagnose::description;
use super::super::{Cancel, OpenOptions};

const EVERY: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);

/// Asks on a thread of its own until dropped.
pub(super) struct Sentinel {
    changed: Arc<AtomicBool>,
    cancel: Cancel,
}

impl Sentinel {
    /// `None` when the machine has no thread left: the stream goes on unwatched.
    pub(super) fn post(url: &str, options: &OpenOptions) -> Option<Self> {
        let (changed, cancel) = (Arc::<AtomicBool>::default(), Cancel::default());
        let (url, options, raise) =
            (url.to_owned(), OpenOptions { cancel: cancel.clone(), ..options.clone() }, changed.clone());
        let look = move || {
            let mut known = description(&url, &options);
            while !options.cancel.wait(EVERY) {
                // Says nothing now: who is away is found out by reading.
                let Some(now) = description(&url, &options) else { continue };
                match &known {
                    None => known = Some(now),
                    Some(known) if *known == now => {}
                    // Some cameras word it anew each time: only what is said twice is a change.
                    Some(_) if options.cancel.wait(AGAIN) || description(&url, &options).as_ref() != Some(&now) => {}
                    Some(_) => return raise.store(true, Ordering::Relaxed),
                }
            }
        };
        std::thread::Builder::new().name("description".into()).spawn(look).ok()?;
        Some(Self { changed, cancel })
    }

    pub(super) fn saw_a_change(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
