//! From checked values to the types, section by section, so that one bad camera does not hide another's problem.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::Config;
use super::explain::{Located, shown};
use super::problem::Problem;
use super::resolve;
use super::tree::{Node, Path, Step};
use crate::bus::BusesConfig;
use crate::domain::{Name, redact_text};

/// Reads sections of one file.
pub(super) struct Sections<'a> {
    pub root: &'a Node,
    pub value: &'a Value,
    /// Folder that relative paths begin at.
    pub folder: &'a std::path::Path,
    /// What is known to be wrong: sections that hold any of it are not read.
    pub spoiled: Vec<Path>,
    pub problems: Vec<Problem>,
}

impl Sections<'_> {
    /// Everything that can be read; what cannot is left at its default or out, and named in `problems`.
    pub(super) fn read(&mut self) -> Config {
        Config {
            node: self.section(&Path::of(["node"])),
            state_dir: self.section(&Path::of(["state_dir"])),
            buses: BusesConfig {
                mqtt: self.section(&Path::of(["buses", "mqtt"])),
                nats: self.section(&Path::of(["buses", "nats"])),
            },
            models: self.named("models"),
            cameras: self.named("cameras"),
            http: self.section(&Path::of(["http"])).unwrap_or_default(),
        }
    }

    fn named<T: DeserializeOwned>(&mut self, of: &str) -> BTreeMap<Name, T> {
        let names: Vec<Name> =
            self.value[of].as_object().into_iter().flatten().filter_map(|(name, _)| name.parse().ok()).collect();
        let read = |name: Name| self.section(&Path::of([of, name.as_str()])).map(|section| (name, section));
        names.into_iter().filter_map(read).collect()
    }

    fn section<T: DeserializeOwned>(&mut self, path: &Path) -> Option<T> {
        let mut value = path.0.iter().try_fold(self.value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })?;
        if self.spoiled.iter().any(|bad| bad.starts_with(path)) {
            // Without what is wrong the rest can still be looked at: all problems at once.
            let mut rest = value.clone();
            for bad in self.spoiled.iter().filter(|bad| bad.starts_with(path)) {
                remove(&mut rest, &bad.0[path.0.len()..]);
            }
            return match serde_path_to_error::deserialize(self.moved(rest)) {
                Ok(section) => Some(section),
                Err(error) => {
                    let (at, problem) = self.explain(path, &error);
                    // That something is missing now has been said with the reason.
                    if at != *path && !self.spoiled.iter().any(|bad| bad.starts_with(&at)) {
                        self.problems.push(problem);
                    }
                    None
                }
            };
        }
        let moved;
        if value.get("source").is_some() {
            moved = self.moved(value.clone());
            value = &moved;
        }
        match serde_path_to_error::deserialize(value) {
            Ok(section) => Some(section),
            Err(error) => {
                let (path, problem) = self.explain(path, &error);
                self.spoiled.push(path);
                self.problems.push(problem);
                None
            }
        }
    }

    /// A camera's section with its source beginning at the configuration's folder.
    fn moved(&self, mut section: Value) -> Value {
        if let Some(source) = section.get_mut("source")
            && let Some(text) = source.as_str()
        {
            *source = resolve::source(self.folder, text).into();
        }
        section
    }

    fn explain(&self, section: &Path, error: &serde_path_to_error::Error<serde_json::Error>) -> Located {
        let steps = error.path().iter().filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            _ => None,
        });
        let path = Path(section.0.iter().cloned().chain(steps).collect());
        let place = self.root.place_of(&path);
        let scalar = self.root.at(&path).and_then(Node::scalar);
        if path == Path::of(["http", "listen"]) {
            let raw = scalar.map_or("the value".into(), |scalar| shown(&path, &scalar.raw));
            let problem = Problem::new(place, &path, format!("{raw} is not an address and a port"))
                .fix("write an IP address and a port, such as 127.0.0.1:8720 or [::1]:8720");
            return (path, problem);
        }
        // The types' own words may quote the value: what the environment put in goes out again.
        let hidden = scalar.map(|scalar| scalar.hidden.as_slice()).unwrap_or_default();
        let message = hidden
            .iter()
            .filter(|value| !value.is_empty())
            .fold(error.inner().to_string(), |message, value| message.replace(value.as_str(), "***"));
        let problem = Problem::new(place, &path, redact_text(&message));
        (path, problem)
    }
}

/// Takes one value out of a section; an item of a list takes the list with it.
fn remove(section: &mut Value, way: &[Step]) {
    match way {
        [Step::Key(key)] => {
            section.as_object_mut().and_then(|map| map.remove(key));
        }
        [Step::Key(key), Step::Index(_), ..] => remove(section, &[Step::Key(key.clone())]),
        [Step::Key(key), rest @ ..] => {
            if let Some(inner) = section.get_mut(key) {
                remove(inner, rest);
            }
        }
        [] | [Step::Index(_), ..] => *section = Value::Null,
    }
}
