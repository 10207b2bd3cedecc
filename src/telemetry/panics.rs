//! Panics belong into the log like everything else, and whoever catches one wants to say where it was.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic is a record in the log, with its thread and place, instead of loose lines on stderr.
pub fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let words = panic.payload_as_str().unwrap_or_default();
            let thread = std::thread::current();
            tracing::error!(thread = thread.name(), place, "panic: {words}");
            // A thread that is ending has no place left to remember.
            let _ending = PLACE.try_with(|last| last.replace(Some(place)));
        }));
    });
}

/// Where this thread's last panic was (`src/x.rs:12:5`), once; for the one who has just caught it.
#[must_use]
pub fn panic_place() -> Option<String> {
    PLACE.take()
}
