//! The configuration's JSON Schema, generated from the types, and questions to it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;
use super::tree::{Path, Step};

/// The schema of `sightwire.yaml` (draft 2020-12), as in `schemas/config.schema.json`; editors complete and check by it.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut root = generator.into_root_schema_for::<Config>();
    root.insert("title".into(), "sightwire config".into());
    let mut schema = root.into();
    drop_null(&mut schema);
    schema
}

/// A key is set or absent; that an `Option` also takes `null` is Rust's affair.
fn drop_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(object) => {
            object.values_mut().for_each(drop_null);
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
                branches.retain(|branch| branch["type"] != "null");
                if branches.len() == 1
                    && let Some(Value::Object(only)) = branches.pop()
                {
                    object.remove("anyOf");
                    // What stands at the key itself says more than what stands at its type.
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
        }
        _ => {}
    }
}

/// The part of a schema that speaks of one place, before its `$ref` is followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    root: &'a Value,
    here: &'a Value,
}

impl<'a> Part<'a> {
    pub(super) fn at(root: &'a Value, path: &Path) -> Option<Self> {
        path.0.iter().try_fold(Self { root, here: root }, Self::child)
    }

    fn child(self, step: &Step) -> Option<Self> {
        self.branches().into_iter().find_map(|part| {
            let schema = part.here;
            let here = match step {
                Step::Key(key) => schema["properties"].get(key).or_else(|| {
                    let named = schema["patternProperties"].as_object().and_then(|map| map.values().next());
                    named.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))
                }),
                Step::Index(_) => schema.get("items"),
            };
            here.map(|here| Self { here, ..part })
        })
    }

    fn resolved(self) -> Self {
        let target = self.here["$ref"].as_str().and_then(|name| self.root.pointer(name.strip_prefix('#')?));
        Self { here: target.unwrap_or(self.here), ..self }
    }

    /// Itself with references followed, or what it is any of.
    fn branches(self) -> Vec<Self> {
        let part = self.resolved();
        match part.here["anyOf"].as_array().or_else(|| part.here["oneOf"].as_array()) {
            Some(branches) => branches.iter().flat_map(|here| Self { here, ..part }.branches()).collect(),
            None => vec![part],
        }
    }

    pub(super) fn description(self) -> Option<&'a str> {
        self.here["description"].as_str().or_else(|| self.resolved().here["description"].as_str())
    }

    /// What the type behind the key says of itself (a pattern in words, say).
    pub(super) fn type_description(self) -> Option<&'a str> {
        self.resolved().here["description"].as_str()
    }

    pub(super) fn keys(self) -> Vec<&'a str> {
        let keys = |part: Self| part.here["properties"].as_object().map(|map| map.keys().map(String::as_str));
        self.branches().into_iter().filter_map(keys).flatten().collect()
    }

    /// Whether its keys are names that the user gives.
    pub(super) fn has_named_entries(self) -> bool {
        self.branches().iter().any(|part| part.here.get("patternProperties").is_some())
    }

    /// The words to choose from, where there are.
    pub(super) fn choices(self) -> Vec<&'a str> {
        self.branches()
            .into_iter()
            .flat_map(|part| {
                let one = part.here.get("const").into_iter();
                one.chain(part.here["enum"].as_array().into_iter().flatten()).filter_map(Value::as_str)
            })
            .collect()
    }

    /// JSON types it takes.
    pub(super) fn types(self) -> Vec<&'a str> {
        let mut types: Vec<_> = self.branches().into_iter().filter_map(|part| part.here["type"].as_str()).collect();
        types.dedup();
        types
    }

    /// Of a number: the least and the greatest, as far as there are.
    pub(super) fn bounds(self) -> (Option<&'a Value>, Option<&'a Value>) {
        let of = |name| self.here.get(name).or_else(|| self.resolved().here.get(name));
        (of("minimum"), of("maximum"))
    }
}
