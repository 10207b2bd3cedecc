//! Optimised graphs kept from one start to the next: `<state_dir>/<node>/graphs/<path>-<key>-<digest>.onnx`.
//!
//! ONNX Runtime spends most of a load on optimising the graph, and the result is the same every time. The key says what it was
//! made of and for: the model's bytes, the runtime's version, the processor. The digest is that of the kept file itself: one
//! that was damaged or written by somebody else does not fit its own name, is taken away and made anew. Nothing here can keep
//! a model from loading: without a folder that can be written to, all goes on as if there were none.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::digest::{Context, SHA256};

/// Raised when what is kept would mean something else.
const FORMAT: &str = "sightwire optimised graph 1";
/// Larger ones gain least, and take the most room.
const LARGEST: u64 = 1 << 30;
/// What was not used for so long goes.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);
/// What was not finished for so long never will be.
const ABANDONED: Duration = Duration::from_hours(1);

/// A model's place among the kept graphs.
#[derive(Debug, Clone)]
pub struct Entry {
    folder: PathBuf,
    /// The model's path, in short.
    origin: String,
    key: String,
}

impl Entry {
    /// The place of the model at `path`, as the runtime called `runtime` makes it on this machine; none for a model that is
    /// too large.
    ///
    /// # Errors
    /// When the model cannot be read.
    pub fn of(folder: &Path, path: &Path, runtime: &str) -> io::Result<Option<Self>> {
        if fs::metadata(path)?.len() > LARGEST {
            return Ok(None);
        }
        let mut key = Context::new(&SHA256);
        for word in [FORMAT, runtime, std::env::consts::ARCH, &processor()] {
            key.update(word.as_bytes());
            key.update(&[0]);
        }
        digest_file(path, &mut key)?;
        let mut origin = Context::new(&SHA256);
        origin.update(path.canonicalize().unwrap_or_else(|_| path.into()).as_os_str().as_encoded_bytes());
        Ok(Some(Self { folder: folder.into(), origin: short(origin), key: short(key) }))
    }

    /// The kept graph, if there is one and it is whole.
    pub fn find(&self) -> Option<PathBuf> {
        let start = format!("{}-{}-", self.origin, self.key);
        let mut kept = names(&self.folder).filter(|(name, _)| name.starts_with(&start));
        kept.find_map(|(name, path)| {
            let mut digest = Context::new(&SHA256);
            let whole = digest_file(&path, &mut digest).is_ok() && name == format!("{start}{}.onnx", short(digest));
            if whole {
                // For the sweep: it is in use. A folder that is read-only keeps its dates.
                let _dated = File::options().append(true).open(&path).and_then(|f| f.set_modified(SystemTime::now()));
                return Some(path);
            }
            tracing::warn!(file = %path.display(), "a kept graph is damaged; it is made anew");
            Self::discard(&path);
            None
        })
    }

    /// Takes a kept graph away that is of no use.
    pub fn discard(path: &Path) {
        if let Err(error) = fs::remove_file(path) {
            tracing::debug!(file = %path.display(), "a kept graph cannot be removed: {error}");
        }
    }

    /// A file to write the optimised graph to.
    ///
    /// # Errors
    /// When there is nowhere to keep it.
    pub fn begin(&self) -> io::Result<Part<'_>> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{}-{}-{:x}.part", self.origin, self.key, fastrand::u64(..)));
        File::create_new(&path)?;
        Ok(Part { entry: self, path })
    }

    /// Takes away what this model was before, and what nobody used for long.
    fn sweep(&self, kept: &Path) {
        for (name, path) in names(&self.folder) {
            let age = fs::metadata(&path).and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
            let older = |limit| age.is_some_and(|age| age > limit);
            let ours = Path::new(&name).extension();
            let stale = match ours.and_then(|e| e.to_str()) {
                Some("onnx") => path != kept && (name.starts_with(&self.origin) || older(FORGOTTEN)),
                Some("part") => older(ABANDONED),
                _ => false,
            };
            if stale {
                Self::discard(&path);
            }
        }
    }
}

/// An optimised graph that is being written; gone again unless it is kept.
#[derive(Debug)]
pub struct Part<'a> {
    entry: &'a Entry,
    path: PathBuf,
}

impl Part<'_> {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps what was written, under a name that says what it is.
    ///
    /// # Errors
    /// When it cannot be read again or renamed.
    pub fn keep(self) -> io::Result<()> {
        let mut digest = Context::new(&SHA256);
        digest_file(&self.path, &mut digest)?;
        let Entry { folder, origin, key } = self.entry;
        let kept = folder.join(format!("{origin}-{key}-{}.onnx", short(digest)));
        fs::rename(&self.path, &kept)?;
        self.entry.sweep(&kept);
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // Renamed: not there any more.
        let _gone = fs::remove_file(&self.path);
    }
}

/// Files of a folder by their names; none of a folder that is not there.
fn names(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn digest_file(path: &Path, into: &mut Context) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => into.update(&buffer[..read]),
        }
    }
}

/// Half a digest: these are names, and nothing that anybody would forge.
fn short(digest: Context) -> String {
    use std::fmt::Write;
    digest.finish().as_ref()[..16].iter().fold(String::new(), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// What the processor can do, by its own list: layouts are chosen by it.
fn processor() -> String {
    let list = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = list.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    flags.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _folder: tempfile::TempDir,
        graphs: PathBuf,
        model: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (graphs, model) = (folder.path().join("a/graphs"), folder.path().join("m.onnx"));
            fs::write(&model, "a model").unwrap();
            Self { _folder: folder, graphs, model }
        }

        fn entry(&self, runtime: &str) -> Entry {
            Entry::of(&self.graphs, &self.model, runtime).unwrap().unwrap()
        }

        fn keep(entry: &Entry, graph: &str) {
            let part = entry.begin().unwrap();
            fs::write(part.path(), graph).unwrap();
            part.keep().unwrap();
        }

        fn files(&self) -> usize {
            names(&self.graphs).count()
        }
    }

    #[test]
    fn what_is_kept_is_found_again_by_the_same_model_runtime_and_machine_only() {
        let place = Place::new();
        let entry = place.entry("1.31.1");
        assert_eq!(entry.find(), None);
        Place::keep(&entry, "optimised");
        assert_eq!(fs::read_to_string(entry.find().unwrap()).unwrap(), "optimised");
        assert_eq!(place.entry("1.32.0").find(), None);
        fs::write(&place.model, "another").unwrap();
        assert_eq!(place.entry("1.31.1").find(), None);
    }

    #[test]
    fn a_damaged_one_is_taken_away_and_room_is_made_for_a_new_one() {
        let place = Place::new();
        let entry = place.entry("1.31.1");
        Place::keep(&entry, "optimised");
        fs::write(entry.find().unwrap(), "optimisee").unwrap();
        assert_eq!((entry.find(), place.files()), (None, 0));
        Place::keep(&entry, "optimised");
        assert!(entry.find().is_some());
    }

    #[test]
    fn what_the_model_was_before_goes_and_what_was_not_finished_leaves_nothing() {
        let place = Place::new();
        Place::keep(&place.entry("1.31.1"), "old");
        Place::keep(&place.entry("1.32.0"), "new");
        assert_eq!((place.files(), place.entry("1.31.1").find()), (1, None));
        let (entry, other) = (place.entry("1.32.0"), place.graphs.join("notes.txt"));
        drop(entry.begin().unwrap());
        assert_eq!(place.files(), 1);
        // What others put there is theirs; what was forgotten goes.
        fs::write(&other, "").unwrap();
        let forgotten = place.graphs.join("f00-ba4-123.onnx");
        File::create_new(&forgotten).unwrap().set_modified(SystemTime::now() - 2 * FORGOTTEN).unwrap();
        Place::keep(&entry, "new");
        assert_eq!((place.files(), other.exists(), forgotten.exists()), (2, true, false));
    }

    #[test]
    fn where_nothing_can_be_kept_is_an_error_and_no_panic() {
        let place = Place::new();
        fs::write(place.graphs.parent().unwrap().with_file_name("b"), "").unwrap();
        let entry = Entry { folder: place.graphs.parent().unwrap().with_file_name("b"), ..place.entry("1.31.1") };
        assert!(entry.find().is_none() && entry.begin().is_err());
    }
}
