//! What can be changed of a camera while it runs, and how everybody who goes by it is told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::processor::{Processor, lock};
use super::states::Voice;
use super::{CameraConfig, KeyframeConfig, PublishConfig, SkipStatic};
use crate::domain::{Name, number};

/// The settings that `set` changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Detections below this score are not made.
    #[serde(serialize_with = "number::four_decimals")]
    pub confidence: f32,
    pub max_fps: f64,
    pub labels: Option<Vec<String>>,
    pub skip_static: SkipStatic,
    pub publish: PublishConfig,
    pub keyframes: Option<KeyframeConfig>,
}

impl Tuning {
    /// As the file has it; `model` is the confidence of the camera's model.
    #[must_use]
    pub fn new(config: &CameraConfig, model: f32) -> Self {
        Self {
            confidence: config.confidence.unwrap_or(model),
            max_fps: config.max_fps,
            labels: config.labels.clone(),
            skip_static: config.skip_static.clone(),
            publish: config.publish,
            keyframes: config.keyframes.clone(),
        }
    }

    /// Key by key: what can be changed alone (`publish.when`) stands alone, `keyframes`, `labels` and `skip_static` are one
    /// value each.
    #[must_use]
    pub fn flat(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(all)) = serde_json::to_value(self) else { return BTreeMap::new() };
        all.into_iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("publish", Value::Object(parts)) => {
                    parts.into_iter().map(|(part, value)| (format!("publish.{part}"), value)).collect()
                }
                (_, value) => vec![(key, value)],
            })
            .collect()
    }

    /// The inverse of [`Tuning::flat`].
    ///
    /// # Errors
    /// When a value is not what its key takes.
    pub fn from_flat(flat: &BTreeMap<String, Value>) -> Result<Self, serde_json::Error> {
        let (mut all, mut publish) = (Map::new(), Map::new());
        for (key, value) in flat {
            match key.strip_prefix("publish.") {
                Some(part) => publish.insert(part.into(), value.clone()),
                None => all.insert(key.clone(), value.clone()),
            };
        }
        all.insert("publish".into(), publish.into());
        serde_json::from_value(all.into())
    }

    /// The keys in which it differs from another.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let other = other.flat();
        self.flat().into_iter().filter(|(key, value)| other.get(key) != Some(value)).map(|(key, _)| key).collect()
    }
}

/// A number that one sets while others go by it.
#[derive(Debug, Default)]
pub struct Dial(AtomicU64);

impl Dial {
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// Changes a camera's settings while it runs.
pub struct Tuner {
    /// As the file has them. Locked after `now`.
    file: Mutex<Tuning>,
    now: Mutex<Tuning>,
    processor: Arc<Mutex<Processor>>,
    max_fps: Arc<Dial>,
    voice: Voice,
}

impl Tuner {
    /// `now` is what processor, dial and voice go by already.
    #[must_use]
    pub fn new(file: Tuning, now: Tuning, processor: Arc<Mutex<Processor>>, max_fps: Arc<Dial>, voice: Voice) -> Self {
        Self { file: Mutex::new(file), now: Mutex::new(now), processor, max_fps, voice }
    }

    /// As the file has them.
    #[must_use]
    pub fn file(&self) -> Tuning {
        held(&self.file).clone()
    }

    #[must_use]
    pub fn now(&self) -> Tuning {
        held(&self.now).clone()
    }

    /// The keys in which they differ from the file's.
    #[must_use]
    pub fn changed(&self) -> Vec<String> {
        self.now().differing(&self.file())
    }

    /// All that `change` makes of the settings, or nothing. When this returns no frame is processed by the old ones any more,
    /// and the state that is told shows the new ones.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn tune<E>(&self, change: impl FnOnce(&Tuning) -> Result<Tuning, E>) -> Result<(), E> {
        let mut now = held(&self.now);
        let next = change(&now)?;
        self.turn_to(&mut now, next, None);
        Ok(())
    }

    /// The file was changed while the camera runs: what it says now, what holds now, and the groups it is in.
    pub fn refile(&self, file: Tuning, next: Tuning, groups: &[Name]) {
        let mut now = held(&self.now);
        *held(&self.file) = file;
        self.turn_to(&mut now, next, Some(groups));
    }

    fn turn_to(&self, now: &mut Tuning, next: Tuning, groups: Option<&[Name]>) {
        lock(&self.processor).tune(&next);
        self.max_fps.set(next.max_fps);
        let changed = next.differing(&self.file());
        self.voice.tuned(|settings| {
            settings.max_fps = next.max_fps;
            settings.confidence = next.confidence;
            settings.labels.clone_from(&next.labels);
            settings.skip_static.clone_from(&next.skip_static);
            settings.publish = next.publish;
            settings.keyframes.clone_from(&next.keyframes);
            settings.changed = changed;
            if let Some(groups) = groups {
                groups.clone_into(&mut settings.groups);
            }
        });
        *now = next;
    }
}

fn held(tuning: &Mutex<Tuning>) -> MutexGuard<'_, Tuning> {
    // What is behind it is replaced whole.
    tuning.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_being_laid_flat() {
        let config = CameraConfig::new("synthetic:shapes".parse().unwrap(), "m".parse().unwrap());
        let plain = Tuning::new(&config, 0.35);
        let full = Tuning {
            labels: Some(vec!["car".into()]),
            keyframes: Some(KeyframeConfig::default()),
            ..Tuning::new(&CameraConfig { confidence: Some(0.7), ..config }, 0.35)
        };
        for tuning in [&plain, &full] {
            assert_eq!(&Tuning::from_flat(&tuning.flat()).unwrap(), tuning);
        }
        assert_eq!(plain.flat()["confidence"], 0.35);
        assert_eq!(full.differing(&plain), ["confidence", "keyframes", "labels"]);
        assert!(plain.differing(&plain).is_empty());
    }
}
