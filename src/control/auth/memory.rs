//! What was taken stays taken over a restart: a small file a node, a line a signed command. Blocks for the disk.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::guard::LIFETIME;
use super::seen::{FLOOR, Fingerprint, MOST};
use crate::domain::{Name, Timestamp};

/// More than twice the lines that can be of use is written anew.
const LONGEST: usize = 2 * MOST;
/// A line is shorter than this.
const LINE: u64 = 64;

/// The file, as long as it can be written.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
}

/// One signed command: until when, and which.
pub type Entry = (Timestamp, Fingerprint);

impl Memory {
    /// Reads `<state_dir>/<node>/signed-commands`, and writes it anew without what has expired. `None` beside it: there is no
    /// memory of what was taken before now (no file, or not whole).
    pub fn open(state_dir: &Path, node: &Name, now: Timestamp) -> (Self, Option<Vec<Entry>>) {
        let path = state_dir.join(node.as_str()).join("signed-commands");
        let known = match read(&path) {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "what signed commands were taken before is unreadable");
                None
            }
        };
        let mut memory = Self { path, file: None, lines: 0 };
        let mut live: Vec<Entry> =
            known.iter().flatten().copied().filter(|(expires_at, _)| *expires_at >= now).collect();
        if known.is_none() {
            // The next start, soon after this one, is to know as little as this one does.
            live.push((now.plus(LIFETIME), FLOOR));
        }
        memory.rewrite(&live).unwrap_or_else(|error| memory.lose(&error));
        (memory, known)
    }

    /// Adds a line, and waits until it is on disk. `live`: all that has not expired, should the file be due to be made anew.
    pub fn keep(&mut self, entry: Entry, live: impl FnOnce() -> Vec<Entry>) {
        let kept = match &mut self.file {
            Some(file) if self.lines < LONGEST => file.write_all(&line(entry)).and_then(|()| file.sync_data()),
            // Too long, or it could not be written before: all of it now.
            _ => self.rewrite(&live()),
        };
        match kept {
            Ok(()) => self.lines += 1,
            Err(error) => self.lose(&error),
        }
    }

    fn rewrite(&mut self, live: &[Entry]) -> std::io::Result<()> {
        self.file = None;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&beside)?;
        file.write_all(&live.iter().flat_map(|entry| line(*entry)).collect::<Vec<_>>())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        File::open(folder)?.sync_all()?;
        (self.file, self.lines) = (Some(file), live.len());
        Ok(())
    }

    /// A file that does not hold all is worse than none: the next start is to know.
    fn lose(&mut self, error: &std::io::Error) {
        self.file = None;
        let gone = match std::fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        tracing::error!(path = %self.path.display(), %error, gone,
            "signed commands that were taken cannot be remembered over a restart; check `state_dir` and its permissions");
    }
}

fn line((expires_at, fingerprint): Entry) -> Vec<u8> {
    format!("{} {:032x}\n", expires_at.as_micros(), u128::from_be_bytes(fingerprint)).into_bytes()
}

fn read(path: &Path) -> std::io::Result<Option<Vec<Entry>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = String::new();
    file.take(LONGEST as u64 * LINE + LINE).read_to_string(&mut text)?;
    let odd = || std::io::Error::other("it holds other lines than its own");
    // A line that was torn was not acted upon with an answer; but who knows what else happened to the file.
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(odd());
    }
    let entry = |line: &str| {
        let (expires_at, print) = line.split_once(' ')?;
        let print = u128::from_str_radix(print, 16).ok().filter(|_| print.len() == 32)?;
        Some((Timestamp::from_micros(expires_at.parse().ok()?), print.to_be_bytes()))
    };
    text.lines().map(|line| entry(line).ok_or_else(odd)).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, now: i64) -> (Memory, Option<Vec<Entry>>) {
        Memory::open(folder, &"garage".parse().unwrap(), Timestamp::from_micros(now))
    }

    fn entry(expires_at: i64, print: u8) -> Entry {
        (Timestamp::from_micros(expires_at), [print; 16])
    }

    /// What the first start, at 0, leaves behind.
    fn floor() -> Entry {
        (Timestamp::UNIX_EPOCH.plus(LIFETIME), FLOOR)
    }

    #[test]
    fn what_was_kept_is_known_to_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let (mut memory, known) = open(folder.path(), 0);
        assert_eq!(known, None, "the first start has no memory");
        memory.keep(entry(10, 1), Vec::new);
        memory.keep(entry(20, 0xfe), Vec::new);
        assert_eq!(open(folder.path(), 0).1, Some(vec![floor(), entry(10, 1), entry(20, 0xfe)]));
        let known = open(folder.path(), 15).1;
        assert_eq!(known.map(|known| known.len()), Some(3), "what has expired is told once more, and then gone");
        assert_eq!(open(folder.path(), 15).1, Some(vec![floor(), entry(20, 0xfe)]));
    }

    #[test]
    fn a_file_that_is_not_whole_is_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), 0));
        let path = folder.path().join("garage/signed-commands");
        for text in ["10 0101", "x\n", "10 01010101010101010101010101010101", "\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(open(folder.path(), 0).1, None, "{text:?}");
            assert_eq!(open(folder.path(), 0).1, Some(vec![floor()]), "it is begun anew");
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_no_file_that_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut memory, _) = open(folder.path(), 0);
        let path = folder.path().join("garage/signed-commands");
        memory.keep(entry(10, 1), Vec::new);
        // As if the disk gave an error.
        memory.file = Some(File::open(&path).unwrap());
        memory.keep(entry(20, 2), Vec::new);
        assert!(!path.exists());
        memory.keep(entry(30, 3), || vec![entry(10, 1), entry(20, 2), entry(30, 3)]);
        assert_eq!(open(folder.path(), 0).1.unwrap().len(), 3, "and whole again as soon as it can be");
    }
}
