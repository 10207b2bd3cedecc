//! Of which labels a camera ever said that it saw some: after a crash their retained counts must not go on for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::memory::{Memory, MemoryError};
use crate::domain::{Label, Name};

/// One small file a node, as large as the cameras' models have labels.
#[derive(Debug)]
pub struct CountedLabels {
    memory: Memory,
    cameras: Mutex<BTreeMap<Name, BTreeSet<Label>>>,
}

impl CountedLabels {
    /// Reads `<state_dir>/<node>/counts.json`; see [`Memory::open`].
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(state_dir: &Path, node: &Name) -> Result<Self, MemoryError> {
        let (memory, cameras) = Memory::open(state_dir, node, "counts")?;
        Ok(Self { memory, cameras: Mutex::new(cameras) })
    }

    #[must_use]
    pub fn of(&self, camera: &Name) -> BTreeSet<Label> {
        self.held().get(camera).cloned().unwrap_or_default()
    }

    /// Remembers labels that are new. Blocks for the disk.
    ///
    /// # Errors
    /// When the disk does not take it; what was remembered before still is.
    pub fn add(&self, labels: impl IntoIterator<Item = (Name, Label)>) -> Result<(), MemoryError> {
        let mut cameras = self.held();
        let mut next = cameras.clone();
        for (camera, label) in labels {
            next.entry(camera).or_default().insert(label);
        }
        if *cameras != next {
            self.memory.write(&next)?;
            *cameras = next;
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Name, BTreeSet<Label>>> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_remembered_by_camera() {
        let folder = tempfile::tempdir().unwrap();
        let (node, door, yard): (Name, Name, Name) =
            ("garage".parse().unwrap(), "door".parse().unwrap(), "yard".parse().unwrap());
        let open = || CountedLabels::open(folder.path(), &node).unwrap();
        open().add([(door.clone(), "car".into()), (door.clone(), "bus".into())]).unwrap();
        open().add([(door.clone(), "car".into())]).unwrap();
        assert_eq!(open().of(&door), ["bus", "car"].map(Label::from).into());
        assert!(open().of(&yard).is_empty());
    }
}
