//! What can go wrong with a spool. None of it ends the node: messages then wait in memory only.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    #[error("{}: {why}; check that the folder is there and that this user may write into it", path.display())]
    Folder { path: PathBuf, why: String },
    #[error("{}: another process holds it: does the same node run twice on one state_dir?", path.display())]
    Locked { path: PathBuf },
    #[error("{}: {why}", path.display())]
    Corrupt { path: PathBuf, why: String },
    #[error("{}: written by a newer version of the program (format {version})", path.display())]
    Newer { path: PathBuf, version: i64 },
    #[error("{}: no space left on the disk; free some, or lower spool.max_size", path.display())]
    Full { path: PathBuf },
    #[error("{}: {why}", path.display())]
    Disk { path: PathBuf, why: String },
}

impl SpoolError {
    pub(super) fn folder(path: &Path, error: &std::io::Error) -> Self {
        Self::Folder { path: path.to_owned(), why: error.to_string() }
    }

    pub(super) fn corrupt(path: &Path, why: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, why) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            // Without a code: columns of a wrong type, which this program never wrote.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => Self::Corrupt { path, why },
            Some(_) => Self::Disk { path, why },
        }
    }
}
