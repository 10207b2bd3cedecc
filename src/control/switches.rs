//! What people switched off stays off over a restart: one small file a node.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::memory::{Memory, MemoryError};
use crate::domain::Name;
use crate::envelope::DesiredState;

/// The remembered desired states. Cameras that are to run are not listed.
#[derive(Debug)]
pub struct Switches {
    memory: Memory,
    states: Mutex<BTreeMap<Name, DesiredState>>,
}

impl Switches {
    /// Reads `<state_dir>/<node>/switches.json`; see [`Memory::open`].
    ///
    /// # Errors
    /// When the file is there and cannot be read: a camera that was stopped must not run for that.
    pub fn open(state_dir: &Path, node: &Name) -> Result<Self, MemoryError> {
        let (memory, states) = Memory::open(state_dir, node, "switches")?;
        Ok(Self { memory, states: Mutex::new(states) })
    }

    #[must_use]
    pub fn get(&self, camera: &Name) -> DesiredState {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).get(camera).copied().unwrap_or_default()
    }

    /// Remembers what is wished of every camera, as `wished` says it once nobody else writes: of two commands in a row the
    /// later one is kept, whoever comes here first. Blocks for the disk.
    ///
    /// # Errors
    /// When the disk does not take it; what was remembered before still is.
    pub fn remember(&self, wished: impl FnOnce() -> BTreeMap<Name, DesiredState>) -> Result<(), MemoryError> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = wished();
        for (camera, state) in states.iter() {
            // One that is out of the configuration for an hour comes back as it was.
            next.entry(camera.clone()).or_insert(*state);
        }
        next.retain(|_, state| *state != DesiredState::Running);
        if *states == next {
            return Ok(());
        }
        self.memory.write(&next)?;
        *states = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_stop_is_remembered_and_a_start_forgets_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Switches::open(folder.path(), &name("node")).unwrap();
        let camera = name("door");
        let wish = |state| move || BTreeMap::from([(name("door"), state)]);
        open().remember(wish(DesiredState::Stopped)).unwrap();
        assert_eq!(open().get(&camera), DesiredState::Stopped);
        open().remember(wish(DesiredState::Running)).unwrap();
        assert_eq!(open().get(&camera), DesiredState::Running);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_only_of_who_wants_it_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("state");
        std::fs::write(&state_dir, "in the way").unwrap();
        let switches = Switches::open(&state_dir, &name("node")).unwrap();
        assert_eq!(switches.get(&name("door")), DesiredState::Running);
        let stop = || BTreeMap::from([(name("door"), DesiredState::Stopped)]);
        assert!(switches.remember(stop).unwrap_err().to_string().contains("state_dir"));
        std::fs::remove_file(&state_dir).unwrap();
        switches.remember(stop).unwrap();
        assert_eq!(Switches::open(&state_dir, &name("node")).unwrap().get(&name("door")), DesiredState::Stopped);
    }

    #[test]
    fn a_file_that_is_there_and_cannot_be_read_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        // Not a file: for root, too, it cannot be read.
        std::fs::create_dir_all(folder.path().join("node/switches.json")).unwrap();
        assert!(Switches::open(folder.path(), &name("node")).is_err());
    }

    #[test]
    fn a_corrupt_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node/switches.json");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "{\"door\":").unwrap();
        let switches = Switches::open(folder.path(), &name("node")).unwrap();
        assert_eq!(switches.get(&name("door")), DesiredState::Running);
        assert!(folder.path().join("node/switches.json.corrupt").is_file());
    }
}
