//! One broadcast a node: cameras offer, viewers follow. A viewer that is too slow loses the oldest and is told how many.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::message::LiveMessage;
use super::{EventId, Gallery, GalleryEvent};
use crate::codec;
use crate::domain::Name;
use crate::envelope::Event;

/// Messages that are kept for the slowest viewer; beyond them it misses some.
const DEPTH: usize = 1024;

/// What is said to everybody who looks on. Saying never waits, and costs one look while nobody does.
#[derive(Debug)]
pub struct Feed {
    sender: broadcast::Sender<Arc<FeedItem>>,
    gallery: Gallery,
}

/// A message for the viewers, written once for all of them by the first one that wants it.
#[derive(Debug)]
pub struct FeedItem {
    camera: Option<Name>,
    message: LiveMessage,
    text: OnceLock<Bytes>,
}

impl FeedItem {
    /// Whether it speaks of this camera, or of the node.
    #[must_use]
    pub fn concerns(&self, camera: &Name) -> bool {
        self.camera.as_ref().is_none_or(|own| own == camera)
    }

    /// The message as JSON.
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.text.get_or_init(|| codec::encode_json(&self.message).0).clone()
    }
}

/// What a viewer hears next.
#[derive(Debug)]
pub enum Heard {
    Item(Arc<FeedItem>),
    /// It was too slow for so many.
    Missed(u64),
}

/// Somebody who follows a feed.
pub struct Follower(broadcast::Receiver<Arc<FeedItem>>);

impl Follower {
    /// The next message; `None` when the node has ended.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(item) => Some(Heard::Item(item)),
            Err(RecvError::Lagged(count)) => Some(Heard::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(DEPTH), gallery: Gallery::default() }
    }
}

impl Feed {
    /// Follows from here on.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower(self.sender.subscribe())
    }

    /// How many follow.
    #[must_use]
    pub fn viewers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Says something of a camera, or (`None`) of the node. The message is made only when somebody follows.
    pub fn say(&self, camera: Option<&Name>, message: impl FnOnce() -> LiveMessage) {
        if self.viewers() > 0 {
            let item = FeedItem { camera: camera.cloned(), message: message(), text: OnceLock::new() };
            // The last viewer may have left meanwhile.
            let _nobody = self.sender.send(Arc::new(item));
        }
    }

    /// The latest events, with their pictures.
    #[must_use]
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Says an event, and keeps it among the latest.
    pub fn event(&self, event: Event) -> EventId {
        let event = Arc::new(event);
        let id = self.gallery.add(event.clone());
        self.say(Some(&event.camera), || {
            LiveMessage::Event(GalleryEvent { id: id.clone(), event: event.clone(), picture: None })
        });
        id
    }

    /// The picture of these events, as JPEG.
    pub fn picture(&self, camera: &Name, events: &[EventId], jpeg: &Bytes) {
        for id in events {
            if self.gallery.hang(id, jpeg.clone()) {
                let (camera, id) = (camera.clone(), id.clone());
                self.say(Some(&camera.clone()), || LiveMessage::Picture { camera, picture: id.address(), id });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn missed(count: u64) -> LiveMessage {
        LiveMessage::Missed { count }
    }

    #[test]
    fn nothing_is_made_while_nobody_follows() {
        let feed = Feed::default();
        feed.say(None, || panic!("nobody wants it"));
        let viewer = feed.follow();
        assert_eq!(feed.viewers(), 1);
        drop(viewer);
        feed.say(None, || panic!("nobody wants it any more"));
    }

    #[tokio::test]
    async fn a_slow_viewer_is_told_how_many_it_missed_and_goes_on() {
        let feed = Feed::default();
        let mut viewer = feed.follow();
        let depth = u64::try_from(DEPTH).unwrap();
        (0..depth + 3).for_each(|n| feed.say(None, || missed(n)));
        assert!(matches!(viewer.next().await, Some(Heard::Missed(3))));
        let Some(Heard::Item(item)) = viewer.next().await else { panic!("the oldest that is left") };
        assert_eq!(item.text(), r#"{"type":"missed","count":3}"#.as_bytes());
    }

    #[tokio::test]
    async fn a_message_is_written_once_and_told_by_camera() {
        let feed = Feed::default();
        let (mut one, mut two) = (feed.follow(), feed.follow());
        let (door, gate): (Name, Name) = ("door".parse().unwrap(), "gate".parse().unwrap());
        feed.say(Some(&door), || LiveMessage::Buses { timestamp: Timestamp::UNIX_EPOCH, buses: vec![] });
        let (Some(Heard::Item(one)), Some(Heard::Item(two))) = (one.next().await, two.next().await) else {
            panic!("both hear it")
        };
        assert_eq!(one.text().as_ptr(), two.text().as_ptr(), "the same bytes, not equal ones");
        assert!(one.concerns(&door) && !one.concerns(&gate));
    }
}
