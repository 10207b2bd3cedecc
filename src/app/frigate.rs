//! Frigate's topics of a node: which cameras are on, who may be switched there, and what has to be cleared one day.
//!
//! What is retained there is remembered in `state_dir`: a camera that is taken out of the configuration while the node is
//! away, another prefix, or topics that are not wanted any more leave nothing behind. The prefix is the node's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::cameras::Cameras;
use super::notebook::Notebook;
use crate::bus::{Absolute, Fanout, Message, MessageKind, Publisher, Subscriptions, Topic};
use crate::config::Config;
use crate::control::MemoryError;
use crate::domain::{Label, Name};
use crate::envelope::DesiredState;
use crate::frigate::FrigateConfig;
use crate::pipeline::{Applied, FrigateTopics};

const MQTT: &str = "mqtt";
/// How often it is looked whether what was cleared has arrived.
const LOOK: Duration = Duration::from_millis(500);

/// One node's; does nothing where its topics are not wanted.
pub struct Frigate {
    config: FrigateConfig,
    fanout: Arc<Fanout>,
    subscriptions: Subscriptions,
    desk: Mutex<Desk>,
    /// Something new is to be remembered.
    news: Notify,
}

#[derive(Default)]
struct Desk {
    held: Held,
    /// Whether each camera is switched on, as it was said.
    on: BTreeMap<Name, bool>,
}

/// By prefix and camera: the labels of which something may be retained.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held(BTreeMap<String, BTreeMap<Name, BTreeSet<Label>>>);

/// What goes on beside the cameras.
pub struct Upkeep {
    frigate: Arc<Frigate>,
    notebook: Notebook<Held>,
    /// Of earlier runs: it is cleared, and remembered until that has arrived.
    stale: Held,
}

/// What of an earlier run is remembered: `<state_dir>/<node>/frigate.json`.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn remembered(state_dir: &Path, node: &Name) -> Result<Notebook<Held>, MemoryError> {
    let at_stake = "what is retained at Frigate's topics may stay there when it is over";
    Notebook::open(state_dir, node, "frigate", at_stake)
}

impl Held {
    fn note(&mut self, prefix: &str, camera: &Name) -> &mut BTreeSet<Label> {
        self.0.entry(prefix.to_owned()).or_default().entry(camera.clone()).or_default()
    }

    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (prefix, camera, labels) in other.all() {
            both.note(prefix, camera).extend(labels.iter().cloned());
        }
        both
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Name, &BTreeSet<Label>)> {
        let of = |(prefix, cameras)| std::iter::repeat(prefix).zip(cameras);
        self.0.iter().flat_map(of).map(|(prefix, (camera, labels)): (&String, _)| (prefix.as_str(), camera, labels))
    }

    fn split(self, is_live: impl Fn(&str, &Name) -> bool) -> (Self, Self) {
        let (mut live, mut stale) = (Self::default(), Self::default());
        for (prefix, camera, labels) in self.all() {
            let part = if is_live(prefix, camera) { &mut live } else { &mut stale };
            part.note(prefix, camera).extend(labels.iter().cloned());
        }
        (live, stale)
    }
}

impl Frigate {
    #[must_use]
    pub fn new(
        config: &Config,
        fanout: Arc<Fanout>,
        subscriptions: Subscriptions,
        notebook: Notebook<Held>,
    ) -> (Arc<Self>, Upkeep) {
        let FrigateConfig { topics, prefix } = &config.frigate;
        let is_live = |of: &str, camera: &Name| *topics && of == prefix && config.cameras.contains_key(camera);
        let (held, stale) = notebook.written().clone().split(is_live);
        let desk = Mutex::new(Desk { held, on: BTreeMap::new() });
        let frigate =
            Arc::new(Self { config: config.frigate.clone(), fanout, subscriptions, desk, news: Notify::new() });
        let upkeep = Upkeep { frigate: frigate.clone(), notebook, stale };
        (frigate, upkeep)
    }

    /// For a camera to speak there; None: it is not wanted.
    #[must_use]
    pub fn topics(self: &Arc<Self>) -> Option<FrigateTopics> {
        let frigate = self.clone();
        let told = move |camera: &Name, label: &Label| {
            if frigate.desk().held.note(&frigate.config.prefix, camera).insert(label.clone()) {
                frigate.news.notify_one();
            }
        };
        self.config.topics.then(|| FrigateTopics { config: self.config.clone(), told: Arc::new(told) })
    }

    /// The camera was removed, and says nothing any more: so does what is retained of it. Call it when nobody finds the camera
    /// any more.
    pub fn left(&self, camera: &Name) {
        if !self.config.topics {
            return;
        }
        let mut desk = self.desk();
        desk.on.remove(camera);
        self.subscriptions.remove(&self.config.switch(camera.as_str()));
        self.clear(&self.config.enabled(camera.as_str()));
        // Remembered until the next start: it may not arrive before this one's end.
        for label in desk.held.note(&self.config.prefix, camera).iter() {
            self.clear_label(camera, label);
        }
    }

    /// Clears what is retained of labels that are looked for no more.
    pub fn clear_labels(&self, camera: &Name, is_over: impl Fn(&str) -> bool) {
        if !self.config.topics {
            return;
        }
        let labels = self.desk().held.note(&self.config.prefix, camera).clone();
        labels
            .iter()
            .filter(|label| ***label != *"all" && is_over(label))
            .for_each(|label| self.clear_label(camera, label));
    }

    fn clear_label(&self, camera: &Name, label: &Label) {
        for active in [false, true] {
            self.clear(&self.config.count(camera.as_str(), label, active));
        }
        // The way of pictures, so that none of those that wait comes after it.
        let topic = Topic::Absolute(self.config.snapshot(camera.as_str(), label));
        self.fanout.offer(Message { kind: MessageKind::Keyframe, ..Message::tombstone(topic, None) });
    }

    fn clear(&self, address: &str) {
        self.fanout.offer(Message::tombstone(Topic::Absolute(address.to_owned()), None));
    }

    /// Says which cameras are on, where that is news, and listens for their switches. How each stands.
    fn settle(&self, cameras: &Cameras) -> Vec<watch::Receiver<Applied>> {
        if !self.config.topics {
            return Vec::new();
        }
        let mut desk = self.desk();
        // Under the lock: who leaves is not found any more, or cleared after this.
        let all = cameras.all().into_iter();
        all.map(|(camera, handle)| {
            let mut applied = handle.applied.clone();
            let on = applied.borrow_and_update().desired.state != DesiredState::Stopped;
            if desk.on.insert(camera.clone(), on) != Some(on) {
                desk.held.note(&self.config.prefix, &camera);
                self.subscriptions.add(self.config.switch(camera.as_str()), Absolute::Switch(camera.clone()));
                let topic = Topic::Absolute(self.config.enabled(camera.as_str()));
                self.fanout.offer(Message::word(topic, if on { "ON" } else { "OFF" }, Some(camera)));
            }
            applied
        })
        .collect()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upkeep {
    pub async fn run(mut self, cameras: Arc<Cameras>, stop: CancellationToken) {
        let mut stale = self.stale_addresses();
        for address in &stale {
            self.frigate.clear(address);
        }
        let mut changes = cameras.changes();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            let applied = self.frigate.settle(&cameras);
            stale.retain(|address| self.is_on_its_way(address));
            if stale.is_empty() {
                self.stale = Held::default();
            }
            let held = self.frigate.desk().held.and(&self.stale);
            self.notebook.keep(&held).await;
            if stale.is_empty() && !self.frigate.config.topics {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick(), if !stale.is_empty() => {}
                _ = changes.changed() => {}
                () = any_moves(applied) => {}
                () = self.frigate.news.notified() => {}
            }
        }
    }

    fn stale_addresses(&self) -> Vec<String> {
        let now = &self.frigate.config;
        let mut addresses = BTreeSet::new();
        for (prefix, camera, labels) in self.stale.all() {
            let then = FrigateConfig { topics: true, prefix: prefix.to_owned() };
            if !now.topics || now.prefix != then.prefix {
                addresses.insert(then.available());
            }
            let camera = camera.as_str();
            addresses.insert(then.enabled(camera));
            for label in labels {
                addresses.extend([false, true].map(|active| then.count(camera, label, active)));
                addresses.insert(then.snapshot(camera, label));
            }
        }
        addresses.into_iter().collect()
    }

    /// Whether the broker was not told yet that the address is over; it is not over if its camera came back.
    fn is_on_its_way(&self, address: &str) -> bool {
        let Frigate { config, fanout, .. } = self.frigate.as_ref();
        let back = |camera: &Name| address.starts_with(&format!("{}/{camera}/", config.prefix));
        fanout.is_retained(MQTT, &Topic::Absolute(address.to_owned())) && !self.frigate.desk().on.keys().any(back)
    }
}

/// Any camera stands otherwise than when it was looked at.
async fn any_moves(applied: Vec<watch::Receiver<Applied>>) {
    let moves = applied.into_iter().map(|mut applied| async move {
        if applied.changed().await.is_err() {
            // It ended; who takes its place is another change.
            std::future::pending::<()>().await;
        }
    });
    if moves.collect::<FuturesUnordered<_>>().next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_split_and_put_together_again() {
        let (door, yard): (Name, Name) = ("door".parse().unwrap(), "yard".parse().unwrap());
        let mut held = Held::default();
        held.note("frigate", &door).insert("car".into());
        held.note("frigate", &yard);
        held.note("old", &door).insert("bus".into());
        let (live, stale) = held.clone().split(|prefix, camera| prefix == "frigate" && *camera == door);
        assert_eq!(
            live.all().map(|(prefix, camera, _)| (prefix, camera.as_str())).collect::<Vec<_>>(),
            [("frigate", "door")]
        );
        assert_eq!(stale.all().count(), 2);
        assert_eq!(live.and(&stale), held);
        let text = serde_json::to_string(&held).unwrap();
        assert_eq!(text, r#"{"frigate":{"door":["car"],"yard":[]},"old":{"door":["bus"]}}"#);
    }
}
