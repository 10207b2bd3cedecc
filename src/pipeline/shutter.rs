//! A picture at somebody's wish: the next frame that comes, whatever the rules for keyframes say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::envelope::KeyframeMeta;

/// The picture that was handed to the buses, or why there is none.
pub type Shot = Result<KeyframeMeta, String>;

/// Who may wait for a camera's next picture at once.
const MOST: usize = 64;

/// One camera's.
#[derive(Debug, Default)]
pub struct Shutter {
    waiting: Mutex<Vec<oneshot::Sender<Shot>>>,
    pressed: AtomicBool,
    hurry: AtomicBool,
}

impl Shutter {
    /// The receiver is told of the picture; an error of its own means that the picture was given up. None when too many wait.
    pub fn press(&self) -> Option<oneshot::Receiver<Shot>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.retain(|who| !who.is_closed());
        if waiting.len() >= MOST {
            return None;
        }
        waiting.push(sender);
        self.pressed.store(true, Ordering::Release);
        self.hurry.store(true, Ordering::Release);
        Some(receiver)
    }

    /// Somebody still waits for it. Cheap: asked at every frame.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Acquire) && self.somebody_waits()
    }

    /// Whoever gave up is not waited for: a picture of hours later is nobody's wish.
    fn somebody_waits(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.retain(|who| !who.is_closed());
        let waits = !waiting.is_empty();
        if !waits {
            self.pressed.store(false, Ordering::Release);
            self.hurry.store(false, Ordering::Release);
        }
        waits
    }

    /// Whether this frame is let through although it is not its time; once a press.
    #[must_use]
    pub fn hurries(&self) -> bool {
        self.hurry.load(Ordering::Acquire) && self.is_pressed() && self.hurry.swap(false, Ordering::AcqRel)
    }

    /// Who still waits; the shutter is released.
    #[must_use]
    pub fn take(&self) -> Vec<oneshot::Sender<Shot>> {
        let mut waiting = self.waiting();
        self.pressed.store(false, Ordering::Release);
        waiting.drain(..).filter(|sender| !sender.is_closed()).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<oneshot::Sender<Shot>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_is_taken_once_and_only_for_those_who_still_wait() {
        let shutter = Shutter::default();
        assert!(!shutter.is_pressed() && !shutter.hurries());
        let (first, second) = (shutter.press(), shutter.press());
        drop(first);
        assert!(shutter.is_pressed() && shutter.hurries() && !shutter.hurries());
        assert_eq!(shutter.take().len(), 1);
        assert!(!shutter.is_pressed() && shutter.take().is_empty());
        drop(second);
    }

    #[test]
    fn who_gave_up_gets_no_picture_later() {
        let shutter = Shutter::default();
        (0..1000).for_each(|_| drop(shutter.press()));
        assert_eq!(shutter.waiting().len(), 1, "the dead are not kept");
        assert!(!shutter.hurries() && !shutter.is_pressed() && shutter.take().is_empty());
        let waits: Vec<_> = std::iter::repeat_with(|| shutter.press()).take_while(Option::is_some).collect();
        assert_eq!(waits.len(), MOST);
        assert!(shutter.hurries() && shutter.is_pressed() && shutter.take().len() == MOST);
    }
}
