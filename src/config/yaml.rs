//! YAML to a tree with places: one pass over the parser's events, without recursion, within limits.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::Value;

use super::problem::Problem;
use super::scalar::{Environment, Fault, interpolate, typed};
use super::tree::{Content, Entry, Node, Path, Place, Scalar};

/// Bytes of a configuration file.
pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;
/// Counted with what aliases repeat, so that a small file cannot grow without end.
const MAX_NODES: usize = 50_000;

/// The tree, and what is already known to be wrong.
#[derive(Debug)]
pub(super) struct Parsed {
    pub root: Node,
    pub problems: Vec<Problem>,
    /// Values with a problem of their own: nothing more is said about them.
    pub poisoned: Vec<Path>,
}

/// Reads one document.
///
/// # Errors
/// What keeps the rest from being read: bad syntax, a limit, a second document.
pub(super) fn parse(text: &str, environment: &Environment<'_>) -> Result<Parsed, Vec<Problem>> {
    let mut builder = Builder::new(environment);
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => {
                let place = Place { line: span.start.line().max(1), column: span.start.col() + 1 };
                builder.take(event, place)
            }
            Err(error) => {
                let place = Place { line: error.marker().line().max(1), column: error.marker().col() + 1 };
                Err(match error.info() {
                    info if info.contains("recursion limit") => too_deep(place),
                    info => Problem::new(place, &Path::default(), format!("this is not YAML: {info}")).fix(
                        "look at this line and the one before it: indent by spaces, a space after ':', quotes closed",
                    ),
                })
            }
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            return Err(builder.problems);
        }
    }
    let Builder { root, problems, poisoned, .. } = builder;
    match root {
        Some(root) => Ok(Parsed { root, problems, poisoned }),
        None => Err(vec![Problem::new(None, &Path::default(), "the file is empty").fix(super::SMALLEST)]),
    }
}

fn too_deep(place: Place) -> Problem {
    Problem::new(place, &Path::default(), format!("nested more than {MAX_DEPTH} levels deep"))
        .fix("a configuration needs about five: look for a bracket that was not closed")
}

struct Builder<'a> {
    environment: &'a Environment<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
    problems: Vec<Problem>,
    poisoned: Vec<Path>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    /// Nodes counted when it began, to know its size at the end.
    before: usize,
    inside: Inside,
}

enum Inside {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashMap<String, Place>, key: Option<Key> },
}

struct Key {
    text: String,
    place: Place,
    /// Said twice, or unusable: its value is read and let go.
    skip: bool,
}

impl<'a> Builder<'a> {
    fn new(environment: &'a Environment<'a>) -> Self {
        Self {
            environment,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
            problems: Vec::new(),
            poisoned: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Problem> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::new(place, &Path::default(), "a second document begins here ('---')")
                        .fix("one file is one configuration: remove it"));
                }
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(place, anchor, tag.as_deref(), Inside::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let inside = Inside::Mapping { entries: Vec::new(), seen: HashMap::new(), key: None };
                self.begin(place, anchor, tag.as_deref(), inside)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, place)?;
                if self.wants_key() {
                    self.key(&text, style, place);
                    return Ok(());
                }
                let node = self.scalar(text.into_owned(), style, tag.as_deref(), place);
                self.finish(node, anchor, 1);
                Ok(())
            }
            Event::Alias(anchor) => {
                let path = self.path();
                if self.wants_key() {
                    return Err(Problem::new(place, &path, "an alias cannot be a key here").fix("write the key out"));
                }
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::new(place, &path, "this alias stands inside its own anchor")
                        .fix("write the value out"));
                };
                self.count(size, place)?;
                self.finish(node, 0, size);
                Ok(())
            }
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, tag: Option<&Tag>, inside: Inside) -> Result<(), Problem> {
        self.count(1, place)?;
        if self.wants_key() {
            return Err(Problem::new(place, &self.path(), "a key must be plain text, not a list or mapping")
                .fix("if this is a value with braces, put it in quotes"));
        }
        self.check_tag(tag, place);
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.open.push(Open { place, anchor, before: self.nodes - 1, inside });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        // The parser balances its events.
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.inside {
            Inside::Sequence(items) => Content::Sequence(items),
            Inside::Mapping { entries, .. } => Content::Mapping(entries),
        };
        let size = self.nodes - open.before;
        self.finish(Node { place: open.place, content }, open.anchor, size);
        Ok(())
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::Sequence(items)) => items.push(node),
            Some(Inside::Mapping { entries, key, .. }) => {
                if let Some(key) = key.take().filter(|key| !key.skip) {
                    entries.push(Entry { key: key.text, place: key.place, value: node });
                }
            }
        }
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) {
        let path = self.path();
        let Some(Open { inside: Inside::Mapping { seen, key, .. }, .. }) = self.open.last_mut() else { return };
        let first = seen.get(text).copied();
        let merge = text == "<<" && style == ScalarStyle::Plain;
        *key = Some(Key { text: text.into(), place, skip: first.is_some() || merge });
        seen.entry(text.into()).or_insert(place);
        if merge {
            let problem = Problem::new(place, &path, "'<<' (merge) is not part of YAML 1.2");
            self.problems.push(problem.fix("write the keys out, or alias a whole value: 'publish: *name'"));
        } else if let Some(first) = first {
            let line = first.line;
            let what = match path.to_string().as_str() {
                "cameras" => format!("two cameras are named '{text}': the first is in line {line}"),
                "models" => format!("two models are named '{text}': the first is in line {line}"),
                _ => format!("the key is there twice: the first is in line {line}"),
            };
            self.problems.push(Problem::new(place, &path.key(text), what).fix("rename or remove one of them"));
        }
    }

    fn scalar(&mut self, raw: String, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Node {
        self.check_tag(tag, place);
        let (text, hidden) = match interpolate(&raw, self.environment) {
            Ok(resolved) => (resolved.text, resolved.values),
            Err(faults) => {
                let path = self.path();
                for fault in faults {
                    self.problems.push(explain(&fault, place, &path));
                }
                self.poisoned.push(path);
                (raw.clone(), Vec::new())
            }
        };
        let is_string = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        let value = if style == ScalarStyle::Plain && !is_string { typed(&text) } else { Value::String(text.clone()) };
        if raw.is_empty() && value.is_null() && !self.open.is_empty() {
            let path = self.path();
            let problem = Problem::new(place, &path, "there is no value after the key");
            self.problems.push(problem.fix("give it a value, or remove the key; '{}' is a section with every default"));
            self.poisoned.push(path);
        }
        Node { place, content: Content::Scalar(Scalar { raw, text, value, hidden }) }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, place: Place) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema() && !tag.suffix.is_empty()) {
            let problem = Problem::new(place, &self.path(), format!("the tag '{tag}' means nothing here"));
            self.problems.push(problem.fix("remove it; a value that begins with '!' belongs in quotes"));
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Mapping { key: None, .. }, .. }))
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let what = format!("more than {MAX_NODES} values, counting what aliases repeat");
        Err(Problem::new(place, &Path::default(), what)
            .fix("use fewer aliases, or split the cameras over several nodes"))
    }

    /// Where the next value belongs.
    fn path(&self) -> Path {
        self.open.iter().fold(Path::default(), |path, open| match &open.inside {
            Inside::Sequence(items) => path.index(items.len()),
            Inside::Mapping { key: Some(key), .. } => path.key(&key.text),
            Inside::Mapping { key: None, .. } => path,
        })
    }
}

fn explain(fault: &Fault, place: Place, path: &Path) -> Problem {
    match fault {
        Fault::Absent(name) => Problem::new(place, path, format!("the environment variable {name} is not set"))
            .fix(format!("set it before starting ('export {name}=…'), or give a default: '${{{name}:-…}}'")),
        Fault::Malformed => Problem::new(place, path, "'${' is not followed by a variable's name and '}'")
            .fix("write '${NAME}' or '${NAME:-default}'; a '$' itself is written '$$'"),
    }
}
