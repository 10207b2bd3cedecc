//! The latest events with their pictures, in memory only: bounded by number, by camera and by bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::Name;
use crate::envelope::Event;

/// Of all cameras.
const EVENTS: usize = 512;
/// Of one camera, so that a busy one does not push the others out.
const EVENTS_OF_ONE: usize = 64;
/// Of all pictures; the oldest go first, their events stay.
const PICTURE_BYTES: usize = 16 << 20;

/// Which event: `<camera>-<boot_id>-<seq>`. With the boot, so that no cache shows the picture of an earlier run's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct EventId(String);

impl EventId {
    /// Where its picture is, on this server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("/api/events/{}/picture.jpg", self.0)
    }
}

impl From<&Event> for EventId {
    fn from(event: &Event) -> Self {
        Self(format!("{}-{}-{}", event.camera, event.boot_id.as_str(), event.seq))
    }
}

/// An event as the gallery shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GalleryEvent {
    pub id: EventId,
    #[serde(flatten)]
    pub event: Arc<Event>,
    /// Where its picture is; absent when there is none, not yet, or no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

#[derive(Debug, Default)]
pub struct Gallery(Mutex<Hall>);

#[derive(Debug, Default)]
struct Hall {
    /// The oldest first.
    events: VecDeque<Hung>,
    bytes: usize,
}

#[derive(Debug)]
struct Hung {
    id: EventId,
    event: Arc<Event>,
    picture: Option<Bytes>,
}

impl Gallery {
    /// The newest event; the oldest goes when there are too many.
    pub fn add(&self, event: Arc<Event>) -> EventId {
        let id = EventId::from(event.as_ref());
        let mut hall = self.lock();
        let own = |hung: &Hung| hung.event.camera == event.camera;
        if hall.events.iter().filter(|hung| own(hung)).count() >= EVENTS_OF_ONE {
            let oldest = hall.events.iter().position(own);
            hall.remove(oldest.unwrap_or(0));
        } else if hall.events.len() >= EVENTS {
            hall.remove(0);
        }
        hall.events.push_back(Hung { id: id.clone(), event, picture: None });
        id
    }

    /// Gives an event its picture; false when the event is no longer kept.
    pub fn hang(&self, id: &EventId, jpeg: Bytes) -> bool {
        let mut hall = self.lock();
        let Some(hung) = hall.events.iter_mut().rev().find(|hung| hung.id == *id) else { return false };
        let (added, replaced) = (jpeg.len(), hung.picture.replace(jpeg).map_or(0, |old| old.len()));
        hall.bytes = hall.bytes + added - replaced;
        hall.make_room();
        true
    }

    /// The latest events, the newest first.
    #[must_use]
    pub fn latest(&self, camera: Option<&Name>, limit: usize) -> Vec<GalleryEvent> {
        let hall = self.lock();
        let wanted = hall.events.iter().rev().filter(|hung| camera.is_none_or(|camera| hung.event.camera == *camera));
        let kept = |hung: &Hung| (hung.id.clone(), hung.event.clone(), hung.picture.is_some());
        let latest: Vec<_> = wanted.take(limit).map(kept).collect();
        drop(hall);
        let shown = |(id, event, picture): (EventId, _, bool)| {
            let picture = picture.then(|| id.address());
            GalleryEvent { id, event, picture }
        };
        latest.into_iter().map(shown).collect()
    }

    /// An event's picture as JPEG.
    #[must_use]
    pub fn picture(&self, id: &str) -> Option<Bytes> {
        self.lock().events.iter().find(|hung| hung.id.0 == id)?.picture.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Hall> {
        // Nothing that can panic half-way runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hall {
    fn remove(&mut self, index: usize) {
        let picture = self.events.remove(index).and_then(|hung| hung.picture);
        self.bytes -= picture.map_or(0, |picture| picture.len());
    }

    fn make_room(&mut self) {
        for hung in &mut self.events {
            if self.bytes <= PICTURE_BYTES {
                return;
            }
            self.bytes -= hung.picture.take().map_or(0, |picture| picture.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BBox, BootId, Timestamp};
    use crate::envelope::EventKind;

    fn event(camera: &str, seq: u64) -> Arc<Event> {
        let now = Timestamp::UNIX_EPOCH;
        Arc::new(Event {
            timestamp: now,
            event: EventKind::Started,
            camera: camera.parse().unwrap(),
            node: "n".parse().unwrap(),
            boot_id: BootId::default(),
            seq,
            track_id: seq,
            label: "car".into(),
            score: 0.5,
            bbox: BBox::default(),
            first_seen: now,
            last_seen: now,
            first_bbox: None,
            duration: None,
            replayed: false,
        })
    }

    #[test]
    fn a_busy_camera_does_not_push_the_others_out() {
        let gallery = Gallery::default();
        gallery.add(event("quiet", 1));
        for seq in 1..=1000 {
            gallery.add(event("busy", seq));
        }
        let all = gallery.latest(None, usize::MAX);
        assert_eq!(all.len(), EVENTS_OF_ONE + 1);
        assert_eq!((all[0].event.seq, all.last().unwrap().event.camera.as_str()), (1000, "quiet"), "the newest first");
        assert_eq!(gallery.latest(Some(&"quiet".parse().unwrap()), 9).len(), 1);
        assert_eq!(gallery.latest(None, 3).len(), 3);
    }

    #[test]
    fn many_cameras_share_the_room() {
        let gallery = Gallery::default();
        for n in 0..2000 {
            gallery.add(event(&format!("cam-{}", n % 200), n));
        }
        assert_eq!(gallery.latest(None, usize::MAX).len(), EVENTS);
    }

    #[test]
    fn the_oldest_pictures_go_when_they_are_too_large_together() {
        let gallery = Gallery::default();
        let jpeg = Bytes::from(vec![0; PICTURE_BYTES / 4]);
        let ids: Vec<EventId> = (1..=6).map(|seq| gallery.add(event("door", seq))).collect();
        assert!(ids.iter().all(|id| gallery.hang(id, jpeg.clone())));
        let shown: Vec<bool> = gallery.latest(None, 9).iter().map(|event| event.picture.is_some()).collect();
        assert_eq!(shown, [true, true, true, true, false, false]);
        assert!(gallery.picture(&ids[5].0).is_some() && gallery.picture(&ids[0].0).is_none());
        assert!(gallery.picture("door-7").is_none() && gallery.picture("../etc/passwd").is_none());
        assert_ne!(ids[0], gallery.add(event("door", 1)), "the first of another boot is another event");
        // An event that has gone takes its picture along.
        for seq in 7..=100 {
            gallery.add(event("door", seq));
        }
        assert!(!gallery.hang(&ids[0], jpeg));
        assert_eq!(gallery.lock().bytes, 0);
    }
}
