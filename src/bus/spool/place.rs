//! Where a spool lies on disk: its folder, its file, its lock.

use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::store::Store;
use super::{Mark, SpoolError};
use crate::bus::Shrink;
use crate::domain::Size;

/// Where the spools of a node lie, and how large each may be.
#[derive(Debug, Clone)]
pub struct SpoolPlace {
    /// `<state_dir>/<node>/spool`
    pub folder: PathBuf,
    pub max_bytes: u64,
    /// What is acknowledged before it is that old is never written.
    pub write_after: Duration,
    /// How a payload of this content type is made to say that it comes late.
    pub mark: fn(&str) -> Mark,
    /// How a keyframe is made smaller.
    pub shrink: Shrink,
}

impl SpoolPlace {
    /// Of one bus.
    #[must_use]
    pub fn file(&self, bus: &str) -> PathBuf {
        self.folder.join(format!("{bus}.db"))
    }

    /// Really opens a bus's spool, and says what waits in it. One that cannot be used is left as it is.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn probe(&self, bus: &str) -> Result<String, SpoolError> {
        let path = self.file(bus);
        let _lock = match self.enter(bus) {
            Err(SpoolError::Locked { .. }) => return Ok(format!("{}: in use by a running node", path.display())),
            entered => entered?,
        };
        let (store, found) = Store::open(&path, self.max_bytes, None)?;
        let (waiting, room) = (found.iter().map(|found| found.messages).sum::<u64>(), Size(self.max_bytes));
        store.close()?;
        let messages = if waiting == 1 { "message waits" } else { "messages wait" };
        Ok(format!("{}: {waiting} {messages}, room for {room}", path.display()))
    }

    /// The folder made, and nobody else in it. The lock lasts as long as what is returned, or the process.
    pub(super) fn enter(&self, bus: &str) -> Result<File, SpoolError> {
        // Pictures of people's homes: for nobody else's eyes.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|e| SpoolError::folder(&self.folder, &e))?;
        let path = self.folder.join(format!("{bus}.lock"));
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|e| SpoolError::folder(&path, &e))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(SpoolError::Locked { path: self.file(bus) }),
            Err(TryLockError::Error(e)) => Err(SpoolError::folder(&path, &e)),
        }
    }
}

/// Renames a file that cannot be used, with its log, so that it is never lost and never in the way. Its new name.
pub(super) fn put_aside(path: &Path, what: &str) -> Result<PathBuf, SpoolError> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let with = |path: &Path, more: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(more);
        PathBuf::from(name)
    };
    let names = (0..)
        .map(|n| with(path, &if n == 0 { format!(".{what}-{seconds}") } else { format!(".{what}-{seconds}-{n}") }));
    let aside = names.into_iter().find(|name| !name.exists()).unwrap_or_else(|| with(path, ".aside"));
    std::fs::rename(path, &aside).map_err(|e| SpoolError::folder(path, &e))?;
    let log = with(path, "-wal");
    if log.exists() {
        std::fs::rename(&log, with(&aside, "-wal")).map_err(|e| SpoolError::folder(&log, &e))?;
    }
    Ok(aside)
}

/// Spools in the folder that belong to none of these buses, and their sizes: what they hold waits for its bus.
#[must_use]
pub fn left_behind(folder: &Path, buses: &[&str]) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let spools = entries.flatten().filter_map(|entry| {
        let path = entry.path();
        let bus = path.file_name()?.to_str()?.strip_suffix(".db")?;
        let size = entry.metadata().ok()?.len();
        (!buses.contains(&bus) && size > 0).then_some((path, size))
    });
    spools.collect()
}
