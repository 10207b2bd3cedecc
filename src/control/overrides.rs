//! What `set` changed stays changed over a restart: one small file a node, beside the switches.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::memory::{Memory, MemoryError};
use crate::domain::Name;

/// A camera's settings, key by key.
pub type Flat = BTreeMap<String, Value>;

/// One key that was set over the file's value. It holds as long as the file says what it said then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Override {
    value: Value,
    file: Value,
}

type Keys = BTreeMap<String, Override>;

/// The remembered settings. Cameras that go by the file alone are not listed.
#[derive(Debug)]
pub struct Overrides {
    memory: Memory,
    cameras: Mutex<BTreeMap<Name, Keys>>,
}

impl Overrides {
    /// Reads `<state_dir>/<node>/settings.json`; see [`Memory::open`].
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(state_dir: &Path, node: &Name) -> Result<Self, MemoryError> {
        let (memory, cameras) = Memory::open(state_dir, node, "settings")?;
        Ok(Self { memory, cameras: Mutex::new(cameras) })
    }

    /// The file's settings with what was set over them. Where the file was changed since, the file holds; those keys come
    /// second.
    #[must_use]
    pub fn over(&self, camera: &Name, file: &Flat) -> (Flat, Vec<String>) {
        let cameras = self.held();
        let (mut settings, mut passed_over) = (file.clone(), Vec::new());
        for (key, set) in cameras.get(camera).into_iter().flatten() {
            match settings.get_mut(key) {
                Some(value) if *value == set.file => value.clone_from(&set.value),
                _ => passed_over.push(key.clone()),
            }
        }
        (settings, passed_over)
    }

    /// Remembers a camera's settings where they differ from the file's, as `now` says them once nobody else writes. Blocks for
    /// the disk.
    ///
    /// # Errors
    /// When the disk does not take it; what was remembered before still is.
    pub fn remember(&self, camera: &Name, file: &Flat, now: impl FnOnce() -> Flat) -> Result<(), MemoryError> {
        let mut cameras = self.held();
        let mut next = cameras.clone();
        let differing = now().into_iter().filter_map(|(key, value)| {
            let file = file.get(&key).filter(|file| **file != value)?.clone();
            Some((key, Override { value, file }))
        });
        let keys: Keys = differing.collect();
        if keys.is_empty() {
            next.remove(camera)
        } else {
            next.insert(camera.clone(), keys)
        };
        if *cameras != next {
            self.memory.write(&next)?;
            *cameras = next;
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Name, Keys>> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(confidence: f64, max_fps: f64) -> Flat {
        Flat::from([("confidence".into(), confidence.into()), ("max_fps".into(), max_fps.into())])
    }

    #[test]
    fn what_was_set_holds_until_the_file_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let (node, door) = ("garage".parse().unwrap(), "door".parse().unwrap());
        let open = || Overrides::open(folder.path(), &node).unwrap();
        let file = flat(0.4, 5.0);
        open().remember(&door, &file, || flat(0.6, 2.0)).unwrap();
        assert_eq!(open().over(&door, &file), (flat(0.6, 2.0), vec![]));
        // The file was changed in one key: there it holds, and that is said.
        assert_eq!(open().over(&door, &flat(0.5, 5.0)), (flat(0.5, 2.0), vec!["confidence".to_owned()]));
        assert_eq!(open().over(&"yard".parse().unwrap(), &file), (file.clone(), vec![]));
        open().remember(&door, &file, || file.clone()).unwrap();
        assert_eq!(open().over(&door, &file), (file.clone(), vec![]));
        assert_eq!(std::fs::read_to_string(folder.path().join("garage/settings.json")).unwrap(), "{}");
    }
}
