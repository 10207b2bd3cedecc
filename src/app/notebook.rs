//! What a node remembers of what it says elsewhere, so that it can take it back after a restart.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::{Memory, MemoryError};
use crate::domain::Name;

/// Written when it changes; tried again whenever it is asked to, until the disk takes it.
pub struct Notebook<T> {
    memory: Arc<Memory>,
    written: T,
    /// What is lost with it, in words.
    at_stake: &'static str,
    /// That the disk does not take it was said.
    complained: bool,
}

impl<T> Notebook<T>
where
    T: Clone + PartialEq + Default + Serialize + DeserializeOwned + Send + 'static,
{
    /// Reads `<state_dir>/<node>/<what>.json`.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(
        state_dir: &Path,
        node: &Name,
        what: &'static str,
        at_stake: &'static str,
    ) -> Result<Self, MemoryError> {
        let (memory, written) = Memory::open(state_dir, node, what)?;
        Ok(Self { memory: Arc::new(memory), written, at_stake, complained: false })
    }

    /// As it is on the disk.
    pub fn written(&self) -> &T {
        &self.written
    }

    /// Returns once the disk has it, or does not take it; the latter is said once.
    pub async fn keep(&mut self, held: &T) {
        if *held == self.written {
            return;
        }
        let (memory, writing) = (self.memory.clone(), held.clone());
        let kept = tokio::task::spawn_blocking(move || memory.write(&writing).map(|()| writing)).await;
        match kept {
            Ok(Ok(written)) => (self.written, self.complained) = (written, false),
            Ok(Err(error)) if !self.complained => {
                tracing::warn!("{error}; until then {}", self.at_stake);
                self.complained = true;
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}
