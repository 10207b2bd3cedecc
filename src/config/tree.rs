//! The file as a tree that remembers where everything was written.

use std::fmt;

use serde_json::{Map, Value};

/// Where something begins, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Path(pub Vec<Step>);

impl Path {
    pub(super) fn of<const N: usize>(keys: [&str; N]) -> Self {
        Self(keys.into_iter().map(|key| Step::Key(key.into())).collect())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        let mut longer = self.clone();
        longer.0.push(Step::Key(key.into()));
        longer
    }

    pub(super) fn index(&self, index: usize) -> Self {
        let mut longer = self.clone();
        longer.0.push(Step::Index(index));
        longer
    }

    pub(super) fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    pub(super) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    /// `cameras.front-door.labels[1]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if n == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// As written, variables unresolved: this is what errors show.
    pub raw: String,
    /// With variables resolved.
    pub text: String,
    /// `text` typed: a quoted one stays a string.
    pub value: Value,
    /// What the environment put in: never shown.
    pub hidden: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    pub(super) fn is_empty_mapping(&self) -> bool {
        matches!(&self.content, Content::Mapping(entries) if entries.is_empty())
    }

    pub(super) fn at(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, Self::child)
    }

    fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.content, step) {
            (Content::Mapping(entries), Step::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
            }
            (Content::Sequence(items), Step::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    /// Where the value stands; of what is not there, where the nearest thing around it stands.
    pub(super) fn place_of(&self, path: &Path) -> Place {
        let mut node = self;
        for step in &path.0 {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.place
    }

    /// Where the key (or list item) that leads to the value stands.
    pub(super) fn key_place(&self, path: &Path) -> Place {
        let Some((Step::Key(last), parents)) = path.0.split_last() else { return self.place_of(path) };
        match self.at(&Path(parents.to_vec())).map(|node| &node.content) {
            Some(Content::Mapping(entries)) => {
                entries.iter().find(|entry| entry.key == *last).map_or_else(|| self.place_of(path), |entry| entry.place)
            }
            _ => self.place_of(path),
        }
    }

    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// As JSON. A key whose value is null is left out: it is not set.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(scalar) => scalar.value.clone(),
            Content::Sequence(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Mapping(entries) => {
                let set = |entry: &Entry| {
                    let value = entry.value.to_value();
                    (!value.is_null()).then(|| (entry.key.clone(), value))
                };
                Value::Object(entries.iter().filter_map(set).collect::<Map<_, _>>())
            }
        }
    }
}
