//! Still pictures as a slideshow.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::picture::read_picture;
use super::spec::is_glob;
use super::{FrameSource, OpenOptions, Pace, Read, SourceError};
use crate::domain::{Frame, Timestamp};

const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

/// One picture every so often, in the natural order of their names (`2.jpg` before `10.jpg`). Looping looks into the
/// folder again at every round. A picture is captured at the moment it is shown; `decode` is reading and decoding.
#[derive(Debug)]
pub struct ImagesSource {
    pattern: String,
    every: Duration,
    options: OpenOptions,
    paths: std::vec::IntoIter<PathBuf>,
    due: Instant,
    /// Pictures shown in this round; a round of none ends the show.
    shown: usize,
    last_problem: String,
    /// Pictures that cannot be read, each said once.
    told: HashSet<PathBuf>,
}

impl ImagesSource {
    pub fn open(pattern: &str, every: Duration, options: &OpenOptions) -> Result<Self, SourceError> {
        let paths = list(pattern)?.into_iter();
        let (pattern, options) = (pattern.to_owned(), options.clone());
        let (due, last_problem, told) = (Instant::now(), String::new(), HashSet::new());
        Ok(Self { pattern, every, options, paths, due, shown: 0, last_problem, told })
    }

    fn name(&self) -> String {
        format!("images:{}", self.pattern)
    }

    /// The next picture that can be decoded; false when this round has no more.
    fn next_picture(&mut self, frame: &mut Frame) -> Result<bool, SourceError> {
        for path in self.paths.by_ref() {
            if self.options.cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            match read_picture(&path, frame) {
                Ok(()) => {
                    self.told.remove(&path);
                    return Ok(true);
                }
                Err(e) => {
                    self.last_problem = e.to_string();
                    if self.told.insert(path) {
                        tracing::warn!("{e}; skipped");
                    }
                }
            }
        }
        Ok(false)
    }
}

impl FrameSource for ImagesSource {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        while !self.next_picture(frame)? {
            if self.shown == 0 && !self.last_problem.is_empty() {
                let why = format!("not one of its pictures; the last: {}", self.last_problem);
                return Err(SourceError::Undecodable { source_name: self.name(), why });
            }
            if !self.options.looping {
                return Ok(Read::End);
            }
            self.paths = list(&self.pattern)?.into_iter();
            self.shown = 0;
            self.last_problem.clear();
        }
        if self.options.pace == Pace::Realtime {
            if self.options.cancel.wait(self.due.saturating_duration_since(Instant::now())) {
                return Err(SourceError::Cancelled);
            }
            // From now, not from when it was due: nobody wants a burst of slides after a stall.
            self.due = Instant::now() + self.every;
        }
        self.shown += 1;
        frame.captured_at = Timestamp::now();
        frame.captured_instant = Instant::now();
        frame.ready_at = frame.captured_instant;
        Ok(Read::Frame)
    }
}

/// The pictures that a file's name, a folder or a pattern such as `a/*.jpg` stands for, in the natural order of their names.
///
/// # Errors
/// `NotFound`, `Open` (a folder that cannot be read or holds none, a pattern that is none or fits no file).
pub fn list(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let source_name = || format!("images:{pattern}");
    let open = |why: String| SourceError::Open { source_name: source_name(), why };
    let path = Path::new(pattern);
    let mut paths: Vec<PathBuf> = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| open(e.to_string()))?;
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_picture(path)).collect()
    } else if path.is_file() {
        vec![path.to_owned()]
    } else if is_glob(pattern) {
        let found = glob::glob(pattern).map_err(|e| open(format!("not a file name pattern: {e}")))?;
        found.filter_map(Result::ok).filter(|path| path.is_file()).collect()
    } else {
        return Err(SourceError::NotFound { source_name: source_name() });
    };
    if paths.is_empty() {
        let what = if path.is_dir() {
            "the folder holds no jpg, jpeg, png, webp, bmp, tif or tiff"
        } else {
            "no file matches"
        };
        return Err(open(what.into()));
    }
    paths.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(paths)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    // Hidden files are other programs' matters: `._photo.jpg` is no picture.
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.is_file() && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Runs of digits compare as numbers; equal numbers by their spelling (`1` before `01`).
fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        let (dx, dy) = (digits(x), digits(y));
        let step = if dx > 0 && dy > 0 {
            let strip = |run: &[u8]| run.iter().position(|&c| c != b'0').unwrap_or(run.len());
            let (p, q) = (&x[strip(&x[..dx])..dx], &y[strip(&y[..dy])..dy]);
            p.len().cmp(&q.len()).then_with(|| p.cmp(q))
        } else {
            match (x.first(), y.first()) {
                (Some(p), Some(q)) => p.cmp(q),
                // The rest decides; same but for leading zeros: the spelling.
                (p, q) => {
                    return p.is_some().cmp(&q.is_some()).then_with(|| a.len().cmp(&b.len())).then_with(|| a.cmp(b));
                }
            }
        };
        if step != Ordering::Equal {
            return step;
        }
        (x, y) = if dx > 0 && dy > 0 { (&x[dx..], &y[dy..]) } else { (&x[1..], &y[1..]) };
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_in_the_order_a_person_expects() {
        let mut names = vec!["p10.jpg", "p2.jpg", "a/p1", "p02.jpg", "p1.jpg", "p", "q1", "p2b.jpg", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "a/p1", "p", "p1.jpg", "p2.jpg", "p02.jpg", "p2b.jpg", "p10.jpg", "q1"]);
    }
}
