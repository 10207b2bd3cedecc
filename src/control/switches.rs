//! What people switched off stays off over a restart: one small file a node.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::domain::Name;
use crate::envelope::DesiredState;

#[derive(Debug, thiserror::Error)]
#[error("{path}: switches cannot be remembered: {why}; check `state_dir` and its permissions")]
pub struct SwitchError {
    path: String,
    why: String,
}

/// The remembered desired states. Cameras that are to run are not listed.
#[derive(Debug)]
pub struct Switches {
    path: PathBuf,
    states: Mutex<BTreeMap<Name, DesiredState>>,
}

impl Switches {
    /// Reads `<state_dir>/<node>/switches.json`; no file = everything runs. A file that cannot be read as JSON is put aside
    /// (`.corrupt`) and said, for a node that does not start helps nobody. So is a folder that cannot be made: where there is
    /// none, nothing was switched off.
    ///
    /// # Errors
    /// When the file is there and cannot be read: a camera that was stopped must not run for that.
    pub fn open(state_dir: &Path, node: &Name) -> Result<Self, SwitchError> {
        let folder = state_dir.join(node.as_str());
        let path = folder.join("switches.json");
        let fail = |e: std::io::Error| SwitchError { path: path.display().to_string(), why: e.to_string() };
        let made = std::fs::create_dir_all(&folder);
        let states = match std::fs::read(&path) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                if let Err(e) = made {
                    tracing::error!("{}; a stop will be lost with the next restart", fail(e));
                }
                BTreeMap::new()
            }
            Err(e) => return Err(fail(e)),
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
                let aside = path.with_extension("json.corrupt");
                let kept = std::fs::rename(&path, &aside).is_ok();
                tracing::error!(path = %path.display(), kept, "remembered switches are unreadable ({e}): cameras start as if never switched");
                BTreeMap::new()
            }),
        };
        Ok(Self { path, states: Mutex::new(states) })
    }

    #[must_use]
    pub fn get(&self, camera: &Name) -> DesiredState {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).get(camera).copied().unwrap_or_default()
    }

    /// Remembers what is wished of every camera, as `wished` says it once nobody else writes: of two commands in a row the
    /// later one is kept, whoever comes here first. Written whole beside the old file and put in its place, so that a crash
    /// leaves the one or the other. Blocks for the disk.
    ///
    /// # Errors
    /// When the disk does not take it; what was remembered before still is.
    pub fn remember(&self, wished: impl FnOnce() -> BTreeMap<Name, DesiredState>) -> Result<(), SwitchError> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = wished();
        next.retain(|_, state| *state != DesiredState::Running);
        if *states == next {
            return Ok(());
        }
        self.write(&next).map_err(|e| SwitchError { path: self.path.display().to_string(), why: e.to_string() })?;
        *states = next;
        Ok(())
    }

    fn write(&self, states: &BTreeMap<Name, DesiredState>) -> std::io::Result<()> {
        // It may not have been there, and nothing may have let us make it, when the node started.
        self.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let beside = self.path.with_extension("json.new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(states)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        // The new name is safe only when its folder is.
        self.path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
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
