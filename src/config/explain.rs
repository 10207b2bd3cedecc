//! What the schema says is wrong, in plain words.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::problem::Problem;
use super::schema::Part;
use super::tree::{Content, Node, Path, Step};
use crate::domain::redact;

/// The file and the schema it is measured by.
pub(super) struct Explainer<'a> {
    pub root: &'a Node,
    pub schema: &'a Value,
    pub poisoned: &'a [Path],
}

/// A problem and the path it spoils.
pub(super) type Located = (Path, Problem);

impl Explainer<'_> {
    pub(super) fn explain(&self, error: &ValidationError<'_>) -> Vec<Located> {
        let path = path_of(error);
        if self.poisoned.contains(&path) {
            return Vec::new();
        }
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                unexpected.iter().map(|key| self.unknown_key(&path, key)).collect()
            }
            Kind::Required { property } => {
                let path = path.key(property.as_str().unwrap_or_default());
                if self.poisoned.contains(&path) { Vec::new() } else { vec![self.missing(path)] }
            }
            // Of several forms, the one that fits so far: a list with a wrong item is about the item.
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let empty = |inner: &&ValidationError<'_>| {
                    matches!(inner.kind(), Kind::MinItems { .. } | Kind::MaxItems { .. } | Kind::MinLength { .. })
                        && path_of(inner) == path
                };
                if let Some(inner) = context.iter().flatten().find(empty) {
                    return self.explain(inner);
                }
                let deeper = context.iter().find(|branch| {
                    !branch.is_empty() && branch.iter().all(|inner| path_of(inner).0.len() > path.0.len())
                });
                match deeper {
                    Some(branch) => branch.iter().flat_map(|inner| self.explain(inner)).collect(),
                    None => vec![self.wrong_value(path, error)],
                }
            }
            _ => vec![self.wrong_value(path, error)],
        }
    }

    fn unknown_key(&self, parent: &Path, key: &str) -> Located {
        let path = parent.key(key);
        let place = self.root.key_place(&path);
        let part = Part::at(self.schema, parent);
        if part.is_some_and(Part::has_named_entries) {
            let problem = Problem::new(place, &path, format!("'{key}' is not a name")).fix(
                "use 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit (it becomes a topic word)",
            );
            return (path, problem);
        }
        let known = part.map(Part::keys).unwrap_or_default();
        let problem = Problem::new(place, &path, "there is no such key");
        let list = format!("known here: {}", known.join(", "));
        let fix = nearest(key, &known).map_or(list.clone(), |near| format!("did you mean '{near}'? {list}"));
        (path, problem.fix(fix))
    }

    fn missing(&self, path: Path) -> Located {
        let parent = Path(path.0[..path.0.len() - 1].to_vec());
        let mut problem = Problem::new(self.root.key_place(&parent), &path, "is missing");
        if let Some(description) = Part::at(self.schema, &path).and_then(Part::description) {
            problem = problem.why(description);
        }
        let fix = match path.to_string().as_str() {
            "models" | "cameras" => super::SMALLEST.into(),
            _ => format!("add '{}: …'", path.last_key().unwrap_or_default()),
        };
        (path, problem.fix(fix))
    }

    fn wrong_value(&self, path: Path, error: &ValidationError<'_>) -> Located {
        let place = self.root.place_of(&path);
        let shown = self.shown(&path);
        let part = Part::at(self.schema, &path);
        let choices = part.map(Part::choices).unwrap_or_default();
        let text = self.root.at(&path).and_then(Node::scalar).map(|scalar| scalar.raw.as_str());
        let mut problem = match error.kind() {
            Kind::Minimum { limit } => {
                Problem::new(place, &path, format!("{shown} is too small: at least {}", number(limit)))
            }
            Kind::Maximum { limit } => {
                Problem::new(place, &path, format!("{shown} is too large: at most {}", number(limit)))
            }
            Kind::MinLength { .. } => Problem::new(place, &path, "is empty").fix("give it a value, or remove the key"),
            Kind::MinItems { limit: 1 } => {
                Problem::new(place, &path, "the list is empty").fix("name at least one, or remove the key")
            }
            Kind::MinItems { limit } => Problem::new(place, &path, "the list is too short")
                .fix(format!("give as many as {limit}, or remove the key")),
            Kind::MaxItems { limit } => Problem::new(place, &path, "the list is too long")
                .fix(format!("give as many as {limit}, or remove the key")),
            Kind::Pattern { .. } => {
                let form = part.and_then(Part::type_description).unwrap_or("another form");
                Problem::new(place, &path, format!("{shown} does not fit")).fix(format!("write {form}"))
            }
            Kind::Type { .. } | Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } | Kind::Enum { .. } => {
                if let Some(text) = text.filter(|_| !choices.is_empty()) {
                    let list = format!("one of: {}", choices.join(", "));
                    let fix =
                        nearest(text, &choices).map_or(list.clone(), |near| format!("did you mean '{near}'? {list}"));
                    Problem::new(place, &path, format!("{shown} is not known here")).fix(fix)
                } else {
                    let wanted = part.map(wanted).unwrap_or_default();
                    Problem::new(place, &path, format!("{shown} is {}, not {wanted}", self.kind(&path)))
                        .fix(format!("write {}", part.map_or_else(|| wanted.clone(), example)))
                }
            }
            // The value itself is left out: it may be a secret.
            _ => Problem::new(place, &path, error.masked_with("the value").to_string()),
        };
        if let Some(description) = part.and_then(Part::description).filter(|_| !is_pattern(error)) {
            problem = problem.why(description);
        }
        (path, problem)
    }

    /// A value as errors may show it: what the environment gave is shown as its variable, a secret not at all.
    fn shown(&self, path: &Path) -> String {
        match self.root.at(path).map(|node| &node.content) {
            Some(Content::Scalar(scalar)) => shown(path, &scalar.raw),
            Some(Content::Sequence(_) | Content::Mapping(_)) => "this".into(),
            None => "the value".into(),
        }
    }

    fn kind(&self, path: &Path) -> &'static str {
        match self.root.at(path).map(|node| &node.content) {
            Some(Content::Sequence(_)) => "a list",
            Some(Content::Mapping(_)) => "a mapping",
            Some(Content::Scalar(scalar)) => match scalar.value {
                Value::Null => "nothing",
                Value::Bool(_) => "true or false",
                Value::Number(ref number) if number.is_f64() => "a fraction",
                Value::Number(_) => "a number",
                _ => "text",
            },
            None => "absent",
        }
    }
}

/// A value as errors may show it.
pub(super) fn shown(path: &Path, raw: &str) -> String {
    let key = path.last_key().unwrap_or_default();
    if ["password", "token", "secret"].contains(&key) {
        return "the value".into();
    }
    let text = redact(raw);
    if text.chars().count() <= 60 {
        return format!("'{text}'");
    }
    format!("'{}…'", text.chars().take(57).collect::<String>())
}

/// The nearest of `known`, if any is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: String = word.chars().take(80).collect::<String>().to_lowercase().replace('-', "_");
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&word, &known.replace('-', "_"));
    let best = known.iter().map(|known| (likeness(known), *known)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.6).then_some(best.1)
}

fn is_pattern(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Pattern { .. })
}

fn wanted(part: Part<'_>) -> String {
    let mut words: Vec<_> = part.types().into_iter().map(in_words).collect();
    words.dedup();
    words.join(" or ")
}

fn in_words(json_type: &str) -> &'static str {
    match json_type {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "something else",
    }
}

/// A bound without `.0`.
fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string())
}

fn example(part: Part<'_>) -> String {
    let (least, most) = part.bounds();
    let wanted = wanted(part);
    match (part.types().as_slice(), least, most) {
        (["integer" | "number"], Some(least), Some(most)) => {
            format!("{wanted} from {} to {}", number(least), number(most))
        }
        (["array"], ..) => "a list: '[a, b]'".into(),
        (["object"], ..) if part.has_named_entries() => {
            "a name for each, and its settings under it: 'NAME: { … }'".into()
        }
        (["object"], ..) => format!("a mapping with the keys {}", part.keys().join(", ")),
        _ => wanted,
    }
}

pub(super) fn path_of(error: &ValidationError<'_>) -> Path {
    let step = |segment: LocationSegment<'_>| match segment {
        LocationSegment::Property(key) => Step::Key(key.to_string()),
        LocationSegment::Index(index) => Step::Index(index),
    };
    Path(error.instance_path().segments().map(step).collect())
}
