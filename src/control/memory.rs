//! A small file that is remembered whole: written beside the old one and put in its place, so that a crash leaves the one or
//! the other.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Name;

#[derive(Debug, thiserror::Error)]
#[error("{path}: {what} cannot be remembered: {why}; check `state_dir` and its permissions")]
pub struct MemoryError {
    path: String,
    what: &'static str,
    why: String,
}

/// Where it is, and what it holds in words (`switches`).
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    what: &'static str,
}

impl Memory {
    /// Reads `<state_dir>/<node>/<what>.json`; no file = nothing was remembered. A file that cannot be read as JSON is put aside
    /// (`.corrupt`) and said, for a node that does not start helps nobody. So is a folder that cannot be made: where there is
    /// none, nothing was remembered.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open<T: DeserializeOwned + Default>(
        state_dir: &Path,
        node: &Name,
        what: &'static str,
    ) -> Result<(Self, T), MemoryError> {
        let folder = state_dir.join(node.as_str());
        let memory = Self { path: folder.join(format!("{what}.json")), what };
        let made = std::fs::create_dir_all(&folder);
        let held = match std::fs::read(&memory.path) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                if let Err(e) = made {
                    tracing::error!("{}; they will be lost with the next restart", memory.error(&e));
                }
                T::default()
            }
            Err(e) => return Err(memory.error(&e)),
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
                let aside = memory.path.with_extension("json.corrupt");
                let kept = std::fs::rename(&memory.path, &aside).is_ok();
                let path = memory.path.display();
                tracing::error!(%path, kept, "remembered {what} are unreadable ({e}): the node starts without them");
                T::default()
            }),
        };
        Ok((memory, held))
    }

    /// Blocks for the disk.
    ///
    /// # Errors
    /// When the disk does not take it; what was remembered before still is.
    pub fn write(&self, held: &impl Serialize) -> Result<(), MemoryError> {
        self.replace(held).map_err(|e| self.error(&e))
    }

    fn replace(&self, held: &impl Serialize) -> std::io::Result<()> {
        // It may not have been there, and nothing may have let us make it, when the node started.
        self.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let beside = self.path.with_extension("json.new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(held)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        // The new name is safe only when its folder is.
        self.path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    }

    fn error(&self, why: &std::io::Error) -> MemoryError {
        MemoryError { path: self.path.display().to_string(), what: self.what, why: why.to_string() }
    }
}
