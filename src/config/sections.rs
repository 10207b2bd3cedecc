//! From checked values to the types, section by section, so that one bad camera does not hide another's problem.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::Config;
use super::explain::{Located, shown};
use super::problem::Problem;
use super::tree::{Node, Path, Step};
use crate::bus::BusesConfig;
use crate::domain::{Name, redact_text};

/// Reads sections of one file.
pub(super) struct Sections<'a> {
    pub root: &'a Node,
    pub value: &'a Value,
    /// What is known to be wrong.
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
            spool: self.section(&Path::of(["spool"])).unwrap_or_default(),
            models: self.named("models"),
            cameras: self.named("cameras"),
            control: self.section(&Path::of(["control"])).unwrap_or_default(),
            http: self.section(&Path::of(["http"])).unwrap_or_default(),
            homeassistant: self.section(&Path::of(["homeassistant"])),
            frigate: self.section(&Path::of(["frigate"])).unwrap_or_default(),
            telemetry: self.section(&Path::of(["telemetry"])).unwrap_or_default(),
        }
    }

    fn named<T: DeserializeOwned>(&mut self, of: &str) -> BTreeMap<Name, T> {
        let names: Vec<Name> =
            self.value[of].as_object().into_iter().flatten().filter_map(|(name, _)| name.parse().ok()).collect();
        let read = |name: Name| self.section(&Path::of([of, name.as_str()])).map(|section| (name, section));
        names.into_iter().filter_map(read).collect()
    }

    /// A section without what is wrong in it: a key with a problem must not hide its neighbours' problems.
    fn section<T: DeserializeOwned>(&mut self, path: &Path) -> Option<T> {
        let found = path.0.iter().try_fold(self.value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        });
        let mut value = found?.clone();
        for bad in self.spoiled.iter().filter(|bad| bad.starts_with(path)) {
            prune(&mut value, &bad.0[path.0.len()..])?;
        }
        loop {
            let error = match serde_path_to_error::deserialize(&value) {
                Ok(section) => return Some(section),
                Err(error) => error,
            };
            let (bad, problem) = self.explain(path, &error);
            // What is missing because it was taken out has been said.
            if self.spoiled.iter().any(|spoiled| spoiled.starts_with(&bad)) {
                return None;
            }
            let pruned = prune(&mut value, &bad.0[path.0.len()..]);
            self.spoiled.push(bad);
            self.problems.push(problem);
            pruned?;
        }
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
        if path == Path::of(["http", "listen"]) || path == Path::of(["http", "webrtc", "listen"]) {
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

/// Takes the key that `steps` lead to out of `value`; of a list, the whole list. None when that is `value` itself.
fn prune(value: &mut Value, steps: &[Step]) -> Option<()> {
    let keys = steps.iter().map_while(|step| match step {
        Step::Key(key) => Some(key),
        Step::Index(_) => None,
    });
    let keys: Vec<&String> = keys.collect();
    let (last, parents) = keys.split_last()?;
    let parent = parents.iter().try_fold(value, |value, key| value.get_mut(key.as_str()));
    if let Some(Value::Object(parent)) = parent {
        parent.remove(last.as_str());
    }
    Some(())
}
