//! One thing that is wrong with the file, and all of them together.

use std::fmt;
use std::path::PathBuf;

use super::tree::{Path, Place};

/// What is wrong, where, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Absent when it is about the file as a whole.
    pub place: Option<Place>,
    /// `cameras.front-door.max_fps`; empty when it is about the file as a whole.
    pub path: String,
    pub what: String,
    pub why: Option<String>,
    pub fix: Option<String>,
}

impl Problem {
    pub(super) fn new(place: impl Into<Option<Place>>, path: &Path, what: impl Into<String>) -> Self {
        Self { place: place.into(), path: path.to_string(), what: what.into(), why: None, fix: None }
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// One problem as it is listed, `file:line:column` first.
    pub fn in_file<'a>(&'a self, file: &'a std::path::Path) -> impl fmt::Display + 'a {
        InFile { problem: self, file }
    }
}

struct InFile<'a> {
    problem: &'a Problem,
    file: &'a std::path::Path,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { place, path, what, why, fix } = self.problem;
        write!(f, "{}", self.file.display())?;
        if let Some(place) = place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        if !path.is_empty() {
            write!(f, ": {path}")?;
        }
        write!(f, ": {what}")?;
        if let Some(why) = why {
            write!(f, "\n    why: {why}")?;
        }
        if let Some(fix) = fix {
            write!(f, "\n    fix: {fix}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order of its lines. Fatal: nothing was opened yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub file: PathBuf,
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(file: PathBuf, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (a.place, &a.path).cmp(&(b.place, &b.path)));
        problems.dedup();
        Self { file, problems }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            let line = if n == 0 { "" } else { "\n" };
            write!(f, "{line}{}", problem.in_file(&self.file))?;
        }
        if self.problems.len() > 1 {
            write!(f, "\n{} problems; nothing was started", self.problems.len())?;
        }
        Ok(())
    }
}
