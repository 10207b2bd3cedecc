//! A camera's objects at Frigate's topics, beside its own.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::bus::{Message, MessageKind, Publisher, Qos, Topic};
use crate::domain::{Detection, Frame, Label, Name};
use crate::envelope::Origin;
use crate::frigate::{FrigateConfig, Objects, Said, Seen, Sight};
use crate::tracker::{TrackEvent, TrackEventKind};

/// What all cameras of a node share of it.
#[derive(Clone)]
pub struct FrigateTopics {
    pub config: FrigateConfig,
    /// Is told of a label of which a camera retains something for the first time: it has to be cleared one day.
    pub told: Told,
}

/// See [`FrigateTopics::told`].
pub type Told = Arc<dyn Fn(&Name, &Label) + Send + Sync>;

/// One camera's.
pub(super) struct Frigate {
    topics: FrigateTopics,
    origin: Origin,
    objects: Objects,
    told: BTreeSet<Label>,
    publisher: Arc<dyn Publisher>,
    /// Kept: no allocation a frame.
    said: Vec<Said>,
}

impl Frigate {
    /// Says the zeros of `labels`.
    pub(super) fn new(
        topics: FrigateTopics,
        origin: Origin,
        tracked: bool,
        labels: impl IntoIterator<Item = Label>,
        publisher: Arc<dyn Publisher>,
    ) -> Self {
        let objects = Objects::new(origin.camera.clone(), origin.boot_id.clone(), tracked, labels);
        let mut frigate = Self { topics, origin, objects, told: BTreeSet::new(), publisher, said: Vec::new() };
        frigate.finish(&[]);
        frigate
    }

    /// What a frame showed and what began and ended with it. The addresses at which its picture is wanted.
    pub(super) fn see(&mut self, events: &[TrackEvent], frame: &Frame, found: &[Detection]) -> Vec<String> {
        let (at, size) = (frame.captured_at, (frame.width, frame.height));
        for event in events {
            match event.kind {
                TrackEventKind::Started => {
                    let TrackEvent { track_id, label, score, bbox, first_seen, .. } = event;
                    let (label, track_id) = (label.clone(), *track_id);
                    let found = Detection { label, score: *score, bbox: *bbox, class_id: 0, track_id: Some(track_id) };
                    self.objects.started(track_id, *first_seen, Sight { found: &found, at, size }, &mut self.said);
                }
                TrackEventKind::Ended => self.objects.ended(event.track_id, event.last_seen, &mut self.said),
            }
        }
        self.objects.update(Seen { at, size, found }, &mut self.said);
        self.publish()
    }

    /// The camera stops or has ended: these tracks, and it sees nothing.
    pub(super) fn finish(&mut self, events: &[TrackEvent]) {
        for event in events {
            self.objects.ended(event.track_id, event.last_seen, &mut self.said);
        }
        self.objects.clear(&mut self.said);
        self.publish();
    }

    /// Only these labels are looked for from now on; None = all.
    pub(super) fn want(&mut self, labels: Option<&HashSet<Label>>) {
        self.objects.want(labels, &mut self.said);
        self.publish();
    }

    fn publish(&mut self) -> Vec<String> {
        let Self { topics: FrigateTopics { config, told: tell }, origin, told, publisher, said, .. } = self;
        let camera = &origin.camera;
        let mut pictures = Vec::new();
        let mut retained = |label: &Label| {
            if told.insert(label.clone()) {
                tell(camera, label);
            }
        };
        for said in said.drain(..) {
            match said {
                Said::Event(json) => publisher.offer(event(config.events(), json)),
                Said::Count { label, active, count } => {
                    retained(&label);
                    let topic = Topic::Absolute(config.count(camera.as_str(), &label, active));
                    publisher.offer(Message::word(topic, count.to_string(), Some(camera.clone())));
                }
                Said::Snapshot(label) => {
                    retained(&label);
                    pictures.push(config.snapshot(camera.as_str(), &label));
                }
            }
        }
        pictures
    }
}

/// Of no camera, for the spool would give it back at that camera's own topic: what is not delivered when the process dies is
/// lost. It is no loss for those who wait for Sightwire's own events, which are kept.
fn event(address: String, json: Vec<u8>) -> Message {
    Message {
        kind: MessageKind::Event,
        qos: Qos::AtLeastOnce,
        retain: false,
        ..Message::state(Topic::Absolute(address), json.into(), "application/json", None)
    }
}
