//! The metrics page, read as Prometheus reads it (text format 0.0.4).

use std::collections::{BTreeMap, HashMap};

#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A page without a mistake in it.
#[derive(Debug, Default)]
pub struct Page {
    pub samples: Vec<Sample>,
    pub types: HashMap<String, String>,
    pub helps: HashMap<String, String>,
}

impl Page {
    /// Fails on anything that is not the format, and on samples whose type was not said before.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("TYPE name kind");
                assert!(page.types.insert(name.into(), kind.into()).is_none(), "TYPE said twice: {line}");
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("HELP name text");
                page.helps.insert(name.into(), help.into());
            } else if !line.starts_with('#') {
                let sample = sample(line);
                assert!(page.types.contains_key(page.family(&sample.name)), "no TYPE before: {line}");
                page.samples.push(sample);
            }
        }
        page
    }

    /// The metric a sample belongs to: `_bucket`, `_sum` and `_count` belong to a histogram.
    pub fn family<'a>(&self, name: &'a str) -> &'a str {
        ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|base| self.types.get(*base).is_some_and(|kind| kind == "histogram" || kind == "summary"))
            .unwrap_or(name)
    }

    /// The samples of this name with these labels, whatever others they have.
    pub fn find<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        })
    }

    /// Their sum; 0 when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).map(|sample| sample.value).sum()
    }
}

/// `name{key="value",…} 1.5`
fn sample(line: &str) -> Sample {
    let broken = || panic!("no sample: {line}");
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(broken);
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("no sample: {line}"))),
        None => (series, ""),
    };
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'), "odd name: {line}");
    let pair = |text: &str| {
        let (key, value) = text.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        (key.to_owned(), value.strip_suffix('"').unwrap_or_else(|| panic!("no label: {line}")).to_owned())
    };
    // No label value of ours holds a comma.
    let labels = labels.split(',').filter(|text| !text.is_empty()).map(pair).collect();
    Sample { name: name.into(), labels, value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")) }
}
