//! Pictures that a program hands to the node, one at a time: each is taken by the camera's session or given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::picture::decode_picture;
use super::{Cancel, FrameSource, OpenOptions, Opener, Read, SourceError};
use crate::domain::{Frame, Timestamp, TimestampSource};

/// So often a session that waits for a picture looks whether it is cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// Why a picture was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    #[error("{0}")]
    Undecodable(String),
    #[error("no session takes pictures now")]
    Closed,
    #[error("the camera still has as many pictures as may wait")]
    Full,
}

/// Where a program's pictures go in and a camera's sessions take them out. Clones share it.
#[derive(Debug, Clone)]
pub struct Push(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Without a picture for so long, a session ends.
    timeout: Option<Duration>,
    /// Counts the camera's frames.
    ids: Arc<AtomicU64>,
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// At most one picture lies here.
#[derive(Debug, Default)]
struct Desk {
    /// Grows with every session and at the end of each.
    session: u64,
    open: bool,
    offered: Option<Frame>,
    /// The number that the last picture was given when it was taken.
    taken: u64,
    /// A buffer to decode the next one into.
    spare: Option<Frame>,
}

impl Push {
    /// `ids` counts the frames of this camera.
    #[must_use]
    pub fn new(timeout: Option<Duration>, ids: Arc<AtomicU64>) -> Self {
        Self(Arc::new(Shared { timeout, ids, desk: Mutex::default(), changed: Condvar::new() }))
    }

    /// Decodes a picture and waits until a session takes it; the number it has among the camera's frames. Blocks, for
    /// `patience` at most beside the decoding.
    ///
    /// # Errors
    /// When it is no picture, or nobody took it: it is gone then.
    pub fn offer(
        &self,
        bytes: &[u8],
        text: Vec<String>,
        captured_at: Option<Timestamp>,
        patience: Duration,
    ) -> Result<u64, PushError> {
        if !matches!(bytes, [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', ..]) {
            return Err(PushError::Undecodable("neither a JPEG nor a PNG".into()));
        }
        let mut frame = self.desk().spare.take().unwrap_or_else(Frame::empty);
        match decode_picture(bytes, "the picture".into(), &mut frame) {
            Ok(()) => {}
            Err(SourceError::Undecodable { why, .. }) => return Err(PushError::Undecodable(why)),
            Err(e) => return Err(PushError::Undecodable(e.to_string())),
        }
        frame.text = text;
        if let Some(at) = captured_at {
            frame.captured_at = at;
            frame.timestamp_source = TimestampSource::Client;
        }
        self.hand_over(frame, Instant::now() + patience)
    }

    fn hand_over(&self, frame: Frame, deadline: Instant) -> Result<u64, PushError> {
        let mut desk = self.wait(self.desk(), deadline, |desk| desk.open && desk.offered.is_none());
        if !desk.open {
            return Err(PushError::Closed);
        }
        if desk.offered.is_some() {
            return Err(PushError::Full);
        }
        let (session, before) = (desk.session, desk.taken);
        desk.offered = Some(frame);
        self.0.changed.notify_all();
        let mut desk = self.wait(desk, deadline, |desk| desk.taken != before || desk.session != session);
        if desk.taken != before {
            return Ok(desk.taken);
        }
        if desk.session != session {
            return Err(PushError::Closed);
        }
        desk.spare = desk.offered.take();
        self.0.changed.notify_all();
        Err(PushError::Full)
    }

    fn wait<'a>(
        &'a self,
        desk: MutexGuard<'a, Desk>,
        deadline: Instant,
        done: impl Fn(&Desk) -> bool,
    ) -> MutexGuard<'a, Desk> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.0.changed.wait_timeout_while(desk, left, |desk| !done(desk)).unwrap_or_else(PoisonError::into_inner).0
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opener for Push {
    fn open(&self, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
        let mut desk = self.desk();
        desk.session += 1;
        desk.open = true;
        let session = desk.session;
        drop(desk);
        self.0.changed.notify_all();
        Ok(Box::new(PushSource { push: self.clone(), session, cancel: options.cancel.clone(), streaming: false }))
    }

    fn shown(&self) -> String {
        "push:".into()
    }

    fn is_live(&self) -> bool {
        false
    }
}

/// One session's end of it.
struct PushSource {
    push: Push,
    session: u64,
    cancel: Cancel,
    streaming: bool,
}

impl FrameSource for PushSource {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        // Before the first picture nothing is late.
        let timeout = self.push.0.timeout.filter(|_| self.streaming);
        let begun = Instant::now();
        let mut desk = self.push.desk();
        loop {
            if self.cancel.is_cancelled() || desk.session != self.session {
                return Err(SourceError::Cancelled);
            }
            if let Some(offered) = desk.offered.take() {
                desk.spare = Some(std::mem::replace(frame, offered));
                frame.id = self.push.0.ids.fetch_add(1, Ordering::Relaxed) + 1;
                desk.taken = frame.id;
                drop(desk);
                self.push.0.changed.notify_all();
                self.streaming = true;
                return Ok(Read::Frame);
            }
            if let Some(timeout) = timeout.filter(|timeout| begun.elapsed() >= *timeout) {
                return Err(SourceError::ReadTimeout { source_name: self.push.shown(), timeout });
            }
            let look = timeout.map_or(LOOK, |timeout| LOOK.min(timeout));
            desk = self.push.0.changed.wait_timeout(desk, look).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn numbers_frames(&self) -> bool {
        true
    }
}

impl Drop for PushSource {
    fn drop(&mut self) {
        let mut desk = self.push.desk();
        // A session that was given up and lived on must not close its successor's desk.
        if desk.session == self.session {
            desk.session += 1;
            desk.open = false;
            desk.offered = None;
        }
        drop(desk);
        self.push.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(30);

    fn push() -> Push {
        Push::new(None, Arc::default())
    }

    fn offered(push: &Push, text: &str, patience: Duration) -> Result<u64, PushError> {
        let frame = Frame { text: vec![text.into()], ..Frame::empty() };
        push.hand_over(frame, Instant::now() + patience)
    }

    #[test]
    fn each_picture_is_taken_once_in_order_and_told_its_number() {
        let push = push();
        let mut source = push.open(&OpenOptions::default()).unwrap();
        let program = std::thread::spawn({
            let push = push.clone();
            move || (0..50).map(|n| offered(&push, &n.to_string(), LONG).unwrap()).collect::<Vec<u64>>()
        });
        let mut frame = Frame::empty();
        for n in 0..50 {
            assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
            assert_eq!((frame.text[0].as_str(), frame.id), (n.to_string().as_str(), n + 1));
        }
        assert_eq!(program.join().unwrap(), (1..=50).collect::<Vec<u64>>());
    }

    #[test]
    fn a_picture_nobody_takes_is_given_back() {
        let push = push();
        assert_eq!(offered(&push, "before", SOON), Err(PushError::Closed));
        let mut source = push.open(&OpenOptions::default()).unwrap();
        assert_eq!(offered(&push, "unread", SOON), Err(PushError::Full));
        let waiting = std::thread::spawn({
            let push = push.clone();
            move || offered(&push, "cut off", LONG)
        });
        while push.desk().offered.is_none() {
            std::thread::yield_now();
        }
        drop(source);
        assert_eq!(waiting.join().unwrap(), Err(PushError::Closed));
        source = push.open(&OpenOptions::default()).unwrap();
        let fresh = std::thread::spawn({
            let push = push.clone();
            move || offered(&push, "fresh", LONG)
        });
        let mut frame = Frame::empty();
        source.read(&mut frame).unwrap();
        assert_eq!((frame.text[0].as_str(), fresh.join().unwrap()), ("fresh", Ok(1)));
    }

    #[test]
    fn what_is_no_picture_is_refused_and_a_stop_ends_the_wait() {
        let push = push();
        for bytes in [&b""[..], b"GIF89a", b"\xff\xd8\xff\xc0 cut", b"\x89PNG\r\n\x1a\n"] {
            let refused = push.offer(bytes, Vec::new(), None, SOON);
            assert!(matches!(refused, Err(PushError::Undecodable(_))), "{refused:?}");
        }
        let options = OpenOptions::default();
        let mut source = push.open(&options).unwrap();
        options.cancel.cancel();
        assert!(matches!(source.read(&mut Frame::empty()), Err(SourceError::Cancelled)));
    }

    #[test]
    fn a_program_that_falls_silent_is_noticed_where_that_is_wanted() {
        let push = Push::new(Some(SOON), Arc::default());
        let mut source = push.open(&OpenOptions::default()).unwrap();
        let program = std::thread::spawn({
            let push = push.clone();
            move || offered(&push, "one", LONG)
        });
        let mut frame = Frame::empty();
        assert_eq!(source.read(&mut frame).unwrap(), Read::Frame, "before the first nothing is late");
        program.join().unwrap().unwrap();
        assert!(matches!(source.read(&mut frame), Err(SourceError::ReadTimeout { .. })));
    }
}
