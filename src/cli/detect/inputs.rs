//! The pictures that were named, and how one is read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::tell;
use crate::domain::Frame;
use crate::source::{SourceError, list_pictures, read_picture, read_picture_from};

/// Standard input, as it is named on the command line.
const STANDARD_INPUT: &str = "-";

/// Pictures by their names that no decoder here reads.
const FOREIGN: [&str; 7] = ["heic", "heif", "avif", "gif", "jxl", "jp2", "dng"];

/// One picture to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    StandardInput,
    File(PathBuf),
}

/// One picture that was read.
#[derive(Debug)]
pub struct Still {
    /// As it was named.
    pub path: String,
    /// The last part of the path.
    pub name: String,
    pub frame: Frame,
}

/// Every picture that the arguments stand for, each once, in their order; what stands for none says why.
pub fn expand(arguments: &[PathBuf]) -> Vec<Result<Input, String>> {
    let mut seen = HashSet::new();
    let mut inputs = Vec::new();
    for argument in arguments {
        if argument == Path::new(STANDARD_INPUT) {
            if seen.insert(argument.clone()) {
                inputs.push(Ok(Input::StandardInput));
            }
            continue;
        }
        match list(argument) {
            Ok(paths) => {
                let new = |path: &PathBuf| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone()));
                inputs.extend(paths.into_iter().filter(new).map(|path| Ok(Input::File(path))));
            }
            Err(why) => inputs.push(Err(why)),
        }
    }
    inputs
}

fn list(argument: &Path) -> Result<Vec<PathBuf>, String> {
    // A file whose name looks like a pattern, or is no UTF-8, is a file first of all.
    if argument.is_file() {
        return Ok(vec![argument.to_owned()]);
    }
    let pattern = argument.to_str().ok_or_else(|| format!("{}: not found", argument.display()))?;
    note_left_out(argument);
    list_pictures(pattern).map_err(|error| match error {
        SourceError::NotFound { .. } => format!("{pattern}: not found"),
        SourceError::Open { why, .. } => format!("{pattern}: {why}"),
        error => error.to_string(),
    })
}

/// A folder's pictures of kinds that cannot be read are no error, but nobody shall believe that they were looked at.
fn note_left_out(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let foreign = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        FOREIGN.contains(&extension.as_str())
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(foreign)
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    names.sort();
    if let Some(first) = names.first() {
        let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
        tell(&format!("note: {}: left out, for their kind cannot be read: {first}{more}", folder.display()));
    }
}

impl Input {
    /// As a person would name it.
    pub fn path(&self) -> String {
        match self {
            Self::StandardInput => STANDARD_INPUT.to_owned(),
            Self::File(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// The last part of the path.
    pub fn name(&self) -> String {
        match self {
            Self::StandardInput => "stdin".to_owned(),
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// Reads it; `index` is its place among all that were named, from 0.
    pub fn read(&self, index: usize) -> Result<Still, String> {
        let mut frame = Frame::empty();
        let mut modified = None;
        match self {
            Self::StandardInput => read_picture_from(std::io::stdin().lock(), &mut frame),
            Self::File(path) => {
                modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
                read_picture(path, &mut frame)
            }
        }
        .map_err(|error| match error {
            SourceError::NotFound { source_name } => format!("{source_name}: not found"),
            SourceError::Undecodable { source_name, why } => format!("{source_name}: {why}"),
            error => error.to_string(),
        })?;
        frame.id = index as u64 + 1;
        let mut still = Still { path: self.path(), name: self.name(), frame };
        still.dated(modified);
        Ok(still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_and_patterns_stand_for_pictures_each_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["10.jpg", "2.jpg", "a[1].png", "notes.txt", ".hidden.jpg"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let names = |arguments: &[PathBuf]| -> Vec<String> {
            let of = |input: Result<Input, String>| input.map_or_else(|why| why, |input| input.name());
            expand(arguments).into_iter().map(of).collect()
        };
        assert_eq!(names(&[folder.path().into()]), ["2.jpg", "10.jpg", "a[1].png"]);
        assert_eq!(names(&[at("*.jpg"), at("2.jpg"), at("a[1].png")]), [".hidden.jpg", "2.jpg", "10.jpg", "a[1].png"]);
        assert_eq!(names(&["-".into(), at("2.jpg"), "-".into()]), ["stdin", "2.jpg"]);
        let said = names(&[at("no.jpg"), at("*.gif"), at("10.jpg")]);
        assert!(said[0].ends_with("no.jpg: not found") && said[1].ends_with("no file matches"), "{said:?}");
        assert_eq!(said[2], "10.jpg");
    }
}
