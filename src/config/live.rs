//! A change of a running camera's settings, held against the very types and bounds of the file, and explained in its words.

use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::explain::{Explainer, nearest};
use super::problem::Problem;
use super::schema::{Part, schema};
use super::tree::{Content, Entry, Node, Path, Place, Scalar};
use crate::domain::Label;
use crate::pipeline::{SkipStatic, Tuning};

/// What can be changed without a restart; of `skip_static`, `publish` and `keyframes` every key.
const LIVE: [&str; 6] = ["confidence", "max_fps", "labels", "skip_static", "publish", "keyframes"];

/// Why a change is refused; nothing of it was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChangeError {
    /// `unknown_key`, `not_live` or `bad_value`: of several, the first.
    pub code: &'static str,
    /// All that is wrong: key, value, what is allowed.
    pub message: String,
}

/// What a change is made to.
#[derive(Debug, Clone, Copy)]
pub struct Changeable<'a> {
    pub now: &'a Tuning,
    /// The model's own, for `confidence: null`.
    pub model_confidence: f32,
    /// What the model can find.
    pub labels: &'a [Label],
}

type Faults = Vec<(&'static str, String)>;

impl Changeable<'_> {
    /// The settings after the change: nested (`{"publish":{"when":…}}`) or dotted (`{"publish.when":…}`) keys of a camera in the
    /// file. `labels: null` = all, `keyframes: null` = none, `confidence: null` = the model's.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn change(&self, args: &Map<String, Value>) -> Result<Tuning, ChangeError> {
        let mut faults = Faults::new();
        let keys = nested(args, &mut faults);
        faults.extend(keys.keys().filter_map(|key| unchangeable(key)));
        let wanted: Map<String, Value> = keys.into_iter().filter(|(key, _)| LIVE.contains(&key.as_str())).collect();
        faults.extend(violations(&wanted));
        let mut next = self.now.clone();
        if faults.is_empty() {
            faults.extend(self.apply(&wanted, &mut next).err());
        }
        faults.extend(self.unknown_labels(&next));
        let Some(&(code, _)) = faults.first() else { return Ok(next) };
        let messages: Vec<String> = faults.into_iter().map(|(_, message)| message).collect();
        Err(ChangeError { code, message: messages.join("; ") })
    }

    /// The values fit their bounds; what the types still refuse is the error.
    fn apply(&self, wanted: &Map<String, Value>, next: &mut Tuning) -> Result<(), (&'static str, String)> {
        for (key, value) in wanted {
            let read = match key.as_str() {
                "confidence" if value.is_null() => {
                    next.confidence = self.model_confidence;
                    Ok(())
                }
                "confidence" => read(value).map(|confidence| next.confidence = confidence),
                "max_fps" => read(value).map(|max_fps| next.max_fps = max_fps),
                "labels" => read(value).map(|labels| next.labels = labels),
                "publish" => merged(&next.publish, value).map(|publish| next.publish = publish),
                // `true` on a gate that has rules leaves them as they are.
                "skip_static" if *value == Value::Bool(true) && !next.skip_static.is_off() => Ok(()),
                "skip_static" if value.is_object() => {
                    let before = next.skip_static.0.clone().unwrap_or_default();
                    merged(&before, value).map(|rules| next.skip_static = SkipStatic(Some(rules)))
                }
                "skip_static" => read(value).map(|skip| next.skip_static = skip),
                _ if value.is_null() => {
                    next.keyframes = None;
                    Ok(())
                }
                _ => {
                    let before = next.keyframes.clone().unwrap_or_default();
                    merged(&before, value).map(|keyframes| next.keyframes = Some(keyframes))
                }
            };
            read.map_err(|why| ("bad_value", format!("{key}{why}")))?;
        }
        Ok(())
    }

    /// In the file only a warning; who sends a command is there to correct it.
    fn unknown_labels(&self, next: &Tuning) -> Faults {
        if next.labels == self.now.labels {
            return Faults::new();
        }
        let known: Vec<&str> = self.labels.iter().map(|label| &**label).collect();
        let fault = |label: &String| {
            let near = nearest(label, &known).map_or(String::new(), |near| format!("; did you mean '{near}'?"));
            ("bad_value", format!("labels: the model has no label '{}'{near}", cut(label)))
        };
        let wanted = next.labels.iter().flatten();
        wanted.filter(|label| !known.contains(&label.as_str())).take(5).map(fault).collect()
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { format!(".{path}") };
        format!("{path}: {}", error.inner())
    })
}

/// The section with the keys that are given, the others as they were.
fn merged<T: Serialize + DeserializeOwned>(before: &T, given: &Value) -> Result<T, String> {
    let mut all = serde_json::to_value(before).map_err(|error| format!(": {error}"))?;
    if let (Value::Object(all), Value::Object(given)) = (&mut all, given) {
        all.extend(given.clone());
    }
    read(&all)
}

/// Dotted keys laid into each other.
fn nested(args: &Map<String, Value>, faults: &mut Faults) -> Map<String, Value> {
    let mut all = Map::new();
    for (key, value) in args {
        let added = match key.split_once('.') {
            None => match (all.get_mut(key), value) {
                (None, _) => {
                    all.insert(key.clone(), value.clone());
                    Ok(())
                }
                (Some(Value::Object(before)), Value::Object(more)) => {
                    more.iter().try_for_each(|(key, value)| add(before, key, value))
                }
                (Some(_), _) => Err(()),
            },
            Some((section, part)) => {
                let section = all.entry(section).or_insert_with(|| Map::new().into());
                section.as_object_mut().ok_or(()).and_then(|section| add(section, part, value))
            }
        };
        if added.is_err() {
            faults.push(("bad_value", format!("{}: is given twice; give it once", cut(key))));
        }
    }
    all
}

fn add(section: &mut Map<String, Value>, key: &str, value: &Value) -> Result<(), ()> {
    section.insert(key.into(), value.clone()).map_or(Ok(()), |_before| Err(()))
}

/// Why a key cannot be changed; none where it can.
fn unchangeable(key: &str) -> Option<(&'static str, String)> {
    if LIVE.contains(&key) {
        return None;
    }
    let camera = Part::at(live_schema(), &Path::default()).map(Part::keys).unwrap_or_default();
    if camera.contains(&key) {
        let what = format!("{key}: cannot be changed while the camera runs; change it in the file and send `reload`");
        return Some(("not_live", what));
    }
    let model = model_keys();
    if model.contains(&key) {
        let what =
            format!("{key}: is the model's and holds for all its cameras; change it in the file and send `reload`");
        return Some(("not_live", what));
    }
    let near = nearest(key, &[&LIVE[..], &camera[..]].concat());
    let near = near.map_or(String::new(), |near| format!("did you mean '{near}'? "));
    let what = format!("{}: there is no such key ({near}can be set: {})", cut(key), LIVE.join(", "));
    Some(("unknown_key", what))
}

/// Said of one command: an answer is to be read, and goes to each target.
const MOST_FAULTS: usize = 20;

fn violations(wanted: &Map<String, Value>) -> Faults {
    static VALIDATOR: OnceLock<Option<jsonschema::Validator>> = OnceLock::new();
    // What null means there is said apart: the file knows no null.
    let nullable = |key: &str| matches!(key, "confidence" | "labels" | "keyframes");
    let given = wanted.iter().filter(|(key, value)| !(value.is_null() && nullable(key)));
    let value = Value::Object(given.map(|(key, value)| (key.clone(), value.clone())).collect());
    let Some(validator) = VALIDATOR.get_or_init(|| jsonschema::validator_for(live_schema()).ok()) else {
        return Faults::new();
    };
    let root = tree(&value);
    let explainer = Explainer { root: &root, schema: live_schema(), poisoned: &[] };
    validator
        .iter_errors(&value)
        .take(MOST_FAULTS)
        .flat_map(|error| explainer.explain(&error))
        .map(|(_, problem)| said(&problem))
        .collect()
}

fn said(problem: &Problem) -> (&'static str, String) {
    let code = if problem.what == "there is no such key" { "unknown_key" } else { "bad_value" };
    let fix = problem.fix.as_ref().map_or(String::new(), |fix| format!(" ({fix})"));
    (code, format!("{}: {}{fix}", problem.path, problem.what))
}

/// A camera's part of the file's schema, no key of it required.
fn live_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let whole = schema();
        let mut camera = whole["$defs"]["CameraConfig"].clone();
        if let Some(camera) = camera.as_object_mut() {
            camera.remove("required");
            camera.insert("$schema".into(), whole["$schema"].clone());
            camera.insert("$defs".into(), whole["$defs"].clone());
        }
        camera
    })
}

fn model_keys() -> Vec<&'static str> {
    let model = live_schema()["$defs"]["ModelConfig"]["properties"].as_object();
    model.map(|keys| keys.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// A value as if it had been read from a file, for the explainer.
fn tree(value: &Value) -> Node {
    let content = match value {
        Value::Array(items) => Content::Sequence(items.iter().map(tree).collect()),
        Value::Object(keys) => {
            let entry = |(key, value): (&String, &Value)| Entry { key: key.clone(), place: PLACE, value: tree(value) };
            Content::Mapping(keys.iter().map(entry).collect())
        }
        scalar => {
            let text = scalar.as_str().map_or_else(|| scalar.to_string(), str::to_owned);
            Content::Scalar(Scalar { raw: text.clone(), text, value: scalar.clone(), hidden: Vec::new() })
        }
    };
    Node { place: PLACE, content }
}

const PLACE: Place = Place { line: 1, column: 1 };

/// Somebody else's text in a message of ours.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests;
