//! The file: an `SQLite` database in write-ahead mode. Every call may wait for the disk: for the clerk's thread only.
//!
//! A commit survives the end of the process; the write-ahead log's checksums make a torn tail a shorter log.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, params};

use super::SpoolError;
use super::record::{kind_code, kind_of};
use crate::domain::Name;
use crate::telemetry::MessageKind;

/// `SWSP`: tells the file from other databases.
const APPLICATION: i64 = 0x5357_5350;
/// Of the tables. The records have a version of their own.
const FORMAT: i64 = 1;
const PAGE: u64 = 4096;
/// The file may grow so much past its size within one transaction, before the oldest are given up.
const SLACK: u64 = 32 << 20;
/// The log is cut back to this once its content is in the file.
const LOG_BYTES: u32 = 8 << 20;
/// Given up at a time.
const SHED: usize = 64;
/// Who gives way first when there is no room.
const ORDER: [MessageKind; 3] = [MessageKind::Keyframe, MessageKind::Detections, MessageKind::Event];
/// Pages are handed back to the disk once so many are free and nothing waits.
const GIVE_BACK: u64 = (16 << 20) / PAGE;

/// Messages of one kind and camera that lie on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bus) struct Found {
    pub(in crate::bus) kind: MessageKind,
    pub(in crate::bus) camera: Name,
    pub(in crate::bus) messages: u64,
    /// Payloads.
    pub(in crate::bus) bytes: u64,
}

/// A message to be written.
pub(super) struct Row<'a> {
    pub(super) pos: i64,
    pub(super) kind: MessageKind,
    pub(super) camera: &'a Name,
    /// Of its payload.
    pub(super) bytes: usize,
    pub(super) record: Vec<u8>,
}

/// A message that gave way to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bus) struct Victim {
    pub(in crate::bus) pos: i64,
    pub(in crate::bus) kind: MessageKind,
    pub(in crate::bus) camera: Name,
    pub(in crate::bus) bytes: usize,
}

/// A message as it was read.
pub(super) struct Read {
    pub(super) pos: i64,
    pub(super) bytes: usize,
    pub(super) record: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::bus) struct Usage {
    pub(in crate::bus) messages: u64,
    /// On disk, with all that goes with it.
    pub(in crate::bus) bytes: u64,
}

pub(super) struct Store {
    db: Connection,
    path: PathBuf,
    max_bytes: u64,
    /// A position as the outbox counts them, from 0 in each boot, plus this is the position on disk.
    base: i64,
    cameras: HashMap<Name, i64>,
    messages: u64,
}

impl Store {
    /// Opens the file, or makes it. `base`: of this boot's first opening; `None` for that.
    pub(super) fn open(path: &Path, max_bytes: u64, base: Option<i64>) -> Result<(Self, Vec<Found>), SpoolError> {
        let db = Connection::open(path).map_err(|e| SpoolError::of(path, &e))?;
        let mut store = Self { db, path: path.to_owned(), max_bytes, base: 0, cameras: HashMap::new(), messages: 0 };
        store.prepare().map_err(|e| SpoolError::of(path, &e))?;
        store.check_format()?;
        let found = store.look()?;
        store.messages = found.iter().map(|found| found.messages).sum();
        let last = store.db.query_row("SELECT max(pos) FROM messages", [], |row| row.get::<_, Option<i64>>(0));
        store.base = match base {
            Some(base) => base,
            None => store.checked(last)?.unwrap_or(0) + 1,
        };
        // The file's name is safe only when its folder is.
        let folder = path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all());
        folder.map_err(|e| SpoolError::folder(path, &e))?;
        Ok((store, found))
    }

    pub(super) fn base(&self) -> i64 {
        self.base
    }

    fn checked<T>(&self, result: rusqlite::Result<T>) -> Result<T, SpoolError> {
        result.map_err(|e| SpoolError::of(&self.path, &e))
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        let pages = (self.max_bytes + SLACK) / PAGE;
        // Exclusive: no shared memory file, which some file systems cannot have. Before anything that reads.
        self.db.execute_batch(&format!(
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size={PAGE}; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;
             PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit={LOG_BYTES}; PRAGMA max_page_count={pages};
             PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
        ))
    }

    fn check_format(&mut self) -> Result<(), SpoolError> {
        let pragma = |name| self.db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let (application, version) = (self.checked(pragma("application_id"))?, self.checked(pragma("user_version"))?);
        let tables = self.db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        match (application, version, self.checked(tables)?) {
            (0, 0, 0) => self.make().map_err(|e| SpoolError::of(&self.path, &e)),
            (APPLICATION, FORMAT, _) => Ok(()),
            (APPLICATION, version, _) if version > FORMAT => {
                Err(SpoolError::Newer { path: self.path.clone(), version })
            }
            _ => Err(SpoolError::corrupt(&self.path, "a database, but not a spool's")),
        }
    }

    fn make(&mut self) -> rusqlite::Result<()> {
        let making = self.db.transaction()?;
        // The index holds all that the counts and the order need, so that neither reads payloads.
        making.execute_batch(&format!(
            "CREATE TABLE cameras (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
             CREATE TABLE messages (pos INTEGER PRIMARY KEY, kind INTEGER NOT NULL, camera INTEGER NOT NULL, bytes INTEGER NOT NULL,
               record BLOB NOT NULL);
             CREATE INDEX by_camera ON messages (kind, camera, pos, bytes);
             PRAGMA application_id={APPLICATION}; PRAGMA user_version={FORMAT};"
        ))?;
        making.commit()
    }

    fn look(&mut self) -> Result<Vec<Found>, SpoolError> {
        let path = self.path.clone();
        let odd = |what: &str| SpoolError::corrupt(&path, format!("a {what} that no spool has"));
        let rows =
            self.read_all("SELECT id, name FROM cameras", |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let mut names = HashMap::new();
        for (id, name) in rows {
            let name: Name = name.parse().map_err(|_| odd("camera"))?;
            names.insert(id, name.clone());
            self.cameras.insert(name, id);
        }
        let sums = "SELECT kind, camera, count(*), sum(bytes) FROM messages INDEXED BY by_camera GROUP BY kind, camera";
        let rows = self.read_all(sums, |row| {
            Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)?, row.get::<_, u64>(2)?, row.get::<_, u64>(3)?))
        })?;
        let found = rows.into_iter().map(|(kind, camera, messages, bytes)| {
            let kind = kind_of(kind).ok_or_else(|| odd("kind"))?;
            let camera = names.get(&camera).ok_or_else(|| odd("camera"))?.clone();
            Ok(Found { kind, camera, messages, bytes })
        });
        found.collect()
    }

    fn read_all<T>(
        &self,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SpoolError> {
        let rows = || self.db.prepare(sql)?.query_map([], read)?.collect();
        self.checked(rows())
    }

    /// One transaction: what was settled goes, what is new comes, and what there is no room for gives way.
    pub(super) fn commit(&mut self, rows: &[Row<'_>], erase: &[i64]) -> Result<Vec<Victim>, SpoolError> {
        let (base, max_bytes) = (self.base, self.max_bytes);
        let known = self.cameras.len();
        let done = (|| {
            let writing = self.db.transaction()?;
            let erased = erase_all(&writing, erase, base)?;
            {
                let mut statement = writing.prepare(
                    "INSERT OR REPLACE INTO messages (pos, kind, camera, bytes, record) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                for row in rows {
                    let camera = camera_id(&writing, &mut self.cameras, row.camera)?;
                    statement.execute(params![row.pos + base, kind_code(row.kind), camera, row.bytes, row.record])?;
                }
            }
            let over = used(&writing)? > max_bytes;
            let enough = max_bytes - max_bytes / 64;
            let victims = if over { shed(&writing, &self.cameras, base, enough)? } else { Vec::new() };
            writing.commit()?;
            Ok((erased, victims))
        })();
        match done {
            Ok((erased, victims)) => {
                let gone = erased + victims.len() as u64;
                self.messages = (self.messages + rows.len() as u64).saturating_sub(gone);
                self.give_back();
                Ok(victims)
            }
            Err(error) => {
                // Ids that were given out in the transaction that is no more.
                if self.cameras.len() > known {
                    self.forget_cameras();
                }
                self.checked(Err(error))
            }
        }
    }

    fn forget_cameras(&mut self) {
        let kept =
            self.read_all("SELECT id, name FROM cameras", |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        let kept = kept.unwrap_or_default().into_iter();
        self.cameras = kept.filter_map(|(id, name)| Some((name.parse().ok()?, id))).collect();
    }

    /// After an outage the file is as large as it ever was, and empty: the disk has other uses for it.
    fn give_back(&mut self) {
        if self.messages == 0 && pages(&self.db, "freelist_count").is_ok_and(|free| free > GIVE_BACK) {
            let given = self.db.execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);");
            if let Err(error) = given {
                tracing::debug!(%error, "the spool's file stays as large as it is");
            }
        }
    }

    /// The oldest messages of one camera after `after`, up to `upto`: as many as asked for, at least one, up to `bytes`.
    pub(super) fn read(
        &self,
        kind: MessageKind,
        camera: &Name,
        (after, upto): (i64, i64),
        (messages, bytes): (usize, usize),
    ) -> Result<Vec<Read>, SpoolError> {
        let Some(camera) = self.cameras.get(camera) else { return Ok(Vec::new()) };
        let (after, upto) = (after.saturating_add(self.base), upto.saturating_add(self.base));
        let read = || {
            let mut statement = self.db.prepare(
                "SELECT pos, bytes, record FROM messages INDEXED BY by_camera
                 WHERE kind = ?1 AND camera = ?2 AND pos > ?3 AND pos <= ?4 ORDER BY pos LIMIT ?5",
            )?;
            let mut rows = statement.query(params![kind_code(kind), camera, after, upto, messages])?;
            let (mut found, mut size) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let read = Read { pos: row.get::<_, i64>(0)? - self.base, bytes: row.get(1)?, record: row.get(2)? };
                size += read.bytes;
                if size > bytes && !found.is_empty() {
                    break;
                }
                found.push(read);
            }
            Ok(found)
        };
        self.checked(read())
    }

    /// Whether nothing is on disk but these.
    pub(super) fn holds_only(&self, positions: &[i64]) -> Result<bool, SpoolError> {
        let positions: HashSet<i64> = positions.iter().map(|pos| pos + self.base).collect();
        let all = || {
            let mut statement = self.db.prepare("SELECT pos FROM messages INDEXED BY by_camera")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if !positions.contains(&row.get(0)?) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.checked(all())
    }

    /// An empty file in the place of this one. The log goes last: alone it is nothing, and the file without it is not whole.
    pub(super) fn begin_anew(self) -> Result<Self, SpoolError> {
        let Self { db, path, max_bytes, base, .. } = self;
        drop(db);
        std::fs::remove_file(&path).map_err(|e| SpoolError::folder(&path, &e))?;
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        match std::fs::remove_file(&log) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(SpoolError::folder(Path::new(&log), &e)),
            _ => {}
        }
        Ok(Self::open(&path, max_bytes, Some(base))?.0)
    }

    /// Brings the log into the file. An empty one goes: a file that is there holds something.
    pub(super) fn close(self) -> Result<(), SpoolError> {
        let path = self.path;
        self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(|e| SpoolError::of(&path, &e))?;
        let holds = self.db.query_row("SELECT EXISTS (SELECT 1 FROM messages)", [], |row| row.get::<_, bool>(0));
        let holds = holds.map_err(|e| SpoolError::of(&path, &e))?;
        self.db.close().map_err(|(_, e)| SpoolError::of(&path, &e))?;
        if !holds {
            std::fs::remove_file(&path).map_err(|e| SpoolError::folder(&path, &e))?;
        }
        Ok(())
    }

    pub(super) fn usage(&self) -> Usage {
        Usage { messages: self.messages, bytes: used(&self.db).unwrap_or_default() }
    }

    /// A commit is in the system's hands and survives the process; this puts it on the disk, where it survives the power.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        std::fs::File::open(log)?.sync_data()
    }
}

fn erase_all(writing: &Transaction<'_>, erase: &[i64], base: i64) -> rusqlite::Result<u64> {
    let mut statement = writing.prepare("DELETE FROM messages WHERE pos = ?1")?;
    let mut erased = 0;
    for pos in erase {
        erased += statement.execute([pos + base])? as u64;
    }
    Ok(erased)
}

fn camera_id(writing: &Transaction<'_>, known: &mut HashMap<Name, i64>, name: &Name) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    writing.execute("INSERT INTO cameras (name) VALUES (?1)", [name.as_str()])?;
    let id = writing.last_insert_rowid();
    known.insert(name.clone(), id);
    Ok(id)
}

fn pages(db: &Connection, what: &str) -> rusqlite::Result<u64> {
    db.query_row(&format!("PRAGMA {what}"), [], |row| row.get(0))
}

fn used(db: &Connection) -> rusqlite::Result<u64> {
    Ok((pages(db, "page_count")?.saturating_sub(pages(db, "freelist_count")?)) * PAGE)
}

/// Gives up the oldest, one kind after the other, until no more than `enough` is used.
fn shed(
    writing: &Transaction<'_>,
    cameras: &HashMap<Name, i64>,
    base: i64,
    enough: u64,
) -> rusqlite::Result<Vec<Victim>> {
    let mut victims = Vec::new();
    let mut delete = writing.prepare("DELETE FROM messages WHERE pos = ?1")?;
    for kind in ORDER {
        loop {
            let oldest = oldest(writing, cameras, kind)?;
            if oldest.is_empty() {
                break;
            }
            for mut victim in oldest {
                delete.execute([victim.pos])?;
                victim.pos -= base;
                victims.push(victim);
                if used(writing)? <= enough {
                    return Ok(victims);
                }
            }
        }
    }
    Ok(victims)
}

fn oldest(writing: &Transaction<'_>, cameras: &HashMap<Name, i64>, kind: MessageKind) -> rusqlite::Result<Vec<Victim>> {
    let mut of_camera = writing.prepare(
        "SELECT pos, bytes FROM messages INDEXED BY by_camera WHERE kind = ?1 AND camera = ?2 ORDER BY pos LIMIT ?3",
    )?;
    let mut oldest = Vec::new();
    for (name, id) in cameras {
        let rows = of_camera.query_map(params![kind_code(kind), id, SHED], |row| {
            Ok(Victim { pos: row.get(0)?, kind, camera: name.clone(), bytes: row.get(1)? })
        })?;
        for victim in rows {
            oldest.push(victim?);
        }
    }
    oldest.sort_unstable_by_key(|victim| victim.pos);
    oldest.truncate(SHED);
    Ok(oldest)
}
