//! The way from a file to a configuration, every problem gathered on it.

use std::io::Read;
use std::path::{Path as FilePath, PathBuf};

use serde_json::Value;

use super::check::Check;
use super::explain::{Explainer, Located};
use super::problem::{ConfigError, Problem};
use super::scalar::Environment;
use super::schema::{Part, schema};
use super::sections::Sections;
use super::tree::{Content, Node, Path};
use super::yaml::{self, MAX_BYTES};
use super::{Config, DEFAULT_FILE, SMALLEST, resolve};
use crate::domain::Name;

/// A configuration that holds together: types read, paths resolved, defaults of this machine filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The file it came from.
    pub file: PathBuf,
    pub config: Config,
    /// `config.node`, or the host's name.
    pub node: Name,
    /// `config.state_dir`, or the default. It may not exist yet.
    pub state_dir: PathBuf,
    /// What is likely not meant so, but can be run.
    pub warnings: Vec<Problem>,
}

/// Reads `path`, or `sightwire.yaml` in the current folder. Opens nothing but the file itself.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: Option<&FilePath>) -> Result<Loaded, ConfigError> {
    // A variable that is not UTF-8 counts as absent: no setting could use it.
    load_with(path, &|name| std::env::var(name).ok())
}

/// [`load`] with an environment of the caller's choice.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: Option<&FilePath>, environment: &Environment<'_>) -> Result<Loaded, ConfigError> {
    let file = path.unwrap_or(FilePath::new(DEFAULT_FILE));
    let text = read(file).map_err(|problem| ConfigError::new(file.into(), vec![problem]))?;
    load_text(&text, file, environment)
}

/// [`load`] of a text; `file` names it in errors, and its folder is where relative paths begin.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, file: &FilePath, environment: &Environment<'_>) -> Result<Loaded, ConfigError> {
    let error = |problems| ConfigError::new(file.into(), problems);
    let parsed = yaml::parse(text, environment).map_err(error)?;
    let mut root = parsed.root;
    let mut problems = parsed.problems;
    if !matches!(root.content, Content::Mapping(_)) {
        let problem = Problem::new(root.place, &Path::default(), "the file is not a mapping of keys to values");
        problems.push(problem.fix(SMALLEST));
        return Err(error(problems));
    }

    let schema = schema();
    texts_where_texts_are_wanted(&mut root, &Path::default(), &schema);
    let value = root.to_value();
    let located = violations(&root, &value, &schema, &parsed.poisoned);
    let mut spoiled = parsed.poisoned;
    for (path, problem) in located {
        spoiled.push(path);
        problems.push(problem);
    }

    let mut sections = Sections { root: &root, value: &value, spoiled, problems };
    let mut config = sections.read();
    let Sections { problems, spoiled, .. } = sections;
    resolve::paths(&mut config, file.parent().unwrap_or(FilePath::new("")));

    let mut check = Check { root: &root, config: &config, spoiled: &spoiled, problems, warnings: Vec::new() };
    check.run();
    let Check { mut problems, mut warnings, .. } = check;

    let state_dir = config.state_dir.clone().or_else(|| resolve::state_dir(environment));
    if state_dir.is_none() {
        let what = "there is no place for remembered switches: neither XDG_STATE_HOME nor HOME is set";
        problems.push(Problem::new(None, &Path::of(["state_dir"]), what).fix("set 'state_dir: /var/lib/sightwire'"));
    }
    match state_dir {
        Some(state_dir) if problems.is_empty() => {
            warnings.sort_by_key(|warning| warning.place);
            let node = config.node.clone().unwrap_or_else(|| resolve::host_name(environment));
            Ok(Loaded { file: file.into(), config, node, state_dir, warnings })
        }
        _ => Err(error(problems)),
    }
}

fn read(file: &FilePath) -> Result<String, Problem> {
    let nowhere = Path::default();
    let unreadable = |error: std::io::Error| {
        let problem = Problem::new(None, &nowhere, format!("the configuration cannot be read: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => Problem { what: "there is no such file".into(), ..problem }.fix(format!(
                "name yours with '-c FILE', write one ({SMALLEST}), or see it work without: 'sightwire demo'"
            )),
            _ => problem.fix("'-c FILE' names a file this user may read"),
        }
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        let what = format!("the file is larger than {} KiB: this is no configuration", MAX_BYTES / 1024);
        return Err(Problem::new(None, &nowhere, what).fix("name the YAML file with '-c FILE'"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let last = good.rsplit('\n').next().unwrap_or_default();
        let place = super::Place { line: good.split('\n').count(), column: last.chars().count() + 1 };
        Problem::new(place, &nowhere, "this is not UTF-8 text").fix("save the file as UTF-8")
    })
}

/// A password of digits is a text all the same: where the schema takes text only, a plain scalar is one.
fn texts_where_texts_are_wanted(node: &mut Node, path: &Path, schema: &Value) {
    match &mut node.content {
        Content::Scalar(scalar) => {
            if scalar.value.is_number() || scalar.value.is_boolean() {
                let types = Part::at(schema, path).map(Part::types).unwrap_or_default();
                let fits = |name: &&str| matches!(*name, "number" | "integer" | "boolean");
                if types.contains(&"string") && !types.iter().any(fits) {
                    scalar.value = Value::String(scalar.text.clone());
                }
            }
        }
        Content::Sequence(items) => {
            for (n, item) in items.iter_mut().enumerate() {
                texts_where_texts_are_wanted(item, &path.index(n), schema);
            }
        }
        Content::Mapping(entries) => {
            for entry in entries {
                texts_where_texts_are_wanted(&mut entry.value, &path.key(&entry.key), schema);
            }
        }
    }
}

fn violations(root: &Node, value: &Value, schema: &Value, poisoned: &[Path]) -> Vec<Located> {
    match jsonschema::validator_for(schema) {
        Ok(validator) => {
            let explainer = Explainer { root, schema, poisoned };
            validator.iter_errors(value).flat_map(|error| explainer.explain(&error)).collect()
        }
        // A test holds the schema valid; without it the types still refuse what they cannot read.
        Err(_) => Vec::new(),
    }
}
