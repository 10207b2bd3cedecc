//! The labels that each camera has shown, remembered over a restart: after a crash their counts are said as zero, so that
//! nobody sees the ghosts of the last run, and Home Assistant keeps their entities.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bus::{Message, Publisher, Topic};
use crate::control::{Memory, MemoryError};
use crate::domain::Name;

/// How often it is looked whether there is something new to remember.
const LOOK: Duration = Duration::from_millis(500);

type Labels = BTreeMap<Name, Vec<String>>;

#[derive(Debug)]
pub struct Sightings {
    memory: Memory,
    labels: Mutex<Labels>,
}

/// A publisher that notes which labels are counted.
pub struct Witness {
    sightings: Arc<Sightings>,
    publisher: Arc<dyn Publisher>,
}

impl Sightings {
    /// Reads `<state_dir>/<node>/labels.json`; only what is remembered of `cameras` is kept.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(state_dir: &Path, node: &Name, cameras: &[&Name]) -> Result<Self, MemoryError> {
        let (memory, mut labels) = Memory::open::<Labels>(state_dir, node, "labels")?;
        labels.retain(|camera, _| cameras.contains(&camera));
        Ok(Self { memory, labels: Mutex::new(labels) })
    }

    /// Those of one camera, in the order in which they were first seen.
    #[must_use]
    pub fn of(&self, camera: &Name) -> Vec<String> {
        self.lock().get(camera).cloned().unwrap_or_default()
    }

    /// Says of everything that was seen in an earlier run that there is none of it now.
    pub fn say_zeros(&self, publisher: &dyn Publisher) {
        for (camera, labels) in self.lock().iter() {
            for label in labels {
                let topic = Topic::Count(camera.clone(), label.clone());
                publisher.offer(Message::word(topic, "0", Some(camera.clone())));
            }
        }
    }

    /// Writes down what is new, until `stop`.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut written = self.lock().clone();
        let mut failed = false;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let now = self.lock().clone();
            if now == written {
                continue;
            }
            let (sightings, held) = (self.clone(), now.clone());
            let done = tokio::task::spawn_blocking(move || sightings.memory.write(&held)).await;
            match done {
                Ok(Ok(())) => (written, failed) = (now, false),
                // Said once, and tried again.
                Ok(Err(error)) if !failed => {
                    tracing::warn!("{error}");
                    failed = true;
                }
                _ => failed = true,
            }
        }
    }

    fn saw(&self, camera: &Name, label: &str) {
        let mut labels = self.lock();
        let known = labels.entry(camera.clone()).or_default();
        if !known.iter().any(|known| known == label) {
            known.push(label.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Labels> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness {
    #[must_use]
    pub fn new(sightings: Arc<Sightings>, publisher: Arc<dyn Publisher>) -> Self {
        Self { sightings, publisher }
    }
}

impl Publisher for Witness {
    fn offer(&self, message: Message) {
        // Counts come only when one changes: this is rare.
        if let Topic::Count(camera, label) = &message.topic
            && !message.is_tombstone()
        {
            self.sightings.saw(camera, label);
        }
        self.publisher.offer(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::MemoryPublisher;

    #[tokio::test]
    async fn what_was_seen_is_zero_after_a_crash_and_what_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (node, door, yard): (Name, Name, Name) =
            ("garage".parse().unwrap(), "door".parse().unwrap(), "yard".parse().unwrap());
        let both = [&door, &yard];
        let sightings = Arc::new(Sightings::open(folder.path(), &node, &both).unwrap());
        let witness = Witness::new(sightings.clone(), Arc::new(MemoryPublisher::default()));
        for (camera, label) in [(&door, "car"), (&yard, "cat"), (&door, "car"), (&door, "bus")] {
            witness.offer(Message::word(Topic::Count(camera.clone(), label.into()), "1", None));
        }
        assert_eq!(sightings.of(&door), ["car", "bus"]);
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(sightings.keep(stop.clone()));
        let file = folder.path().join("garage/labels.json");
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        keeping.await.unwrap();
        let again = Sightings::open(folder.path(), &node, &[&door]).unwrap();
        let said = MemoryPublisher::default();
        again.say_zeros(&said);
        let said: Vec<_> = said.take().into_iter().map(|m| (m.topic, m.payload)).collect();
        let zero = |label: &str| (Topic::Count(door.clone(), label.into()), "0".into());
        assert_eq!(said, [zero("car"), zero("bus")]);
    }
}
