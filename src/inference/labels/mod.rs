//! Class names: from the model's metadata, a name, a file, or a list.

mod coco;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{InferenceError, LabelsConfig};
use crate::domain::Label;
pub use coco::{COCO, COCO91};

/// What a family says of its model's classes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Classes<'a> {
    /// How many there are, where the outputs tell it.
    pub count: Option<usize>,
    /// What they are called where nothing else says it.
    pub own: Option<&'a [&'a str]>,
    /// Whether they are counted from 1, so that labels are to begin with one for 0.
    pub from_one: bool,
}

/// The labels of a model's classes.
///
/// # Errors
/// When their number does not fit, the file cannot be read, or nothing says what the classes are called.
pub fn resolve(
    model: &str,
    config: Option<&LabelsConfig>,
    metadata: Option<&str>,
    classes: Classes<'_>,
) -> Result<Arc<[Label]>, InferenceError> {
    let count = classes.count;
    let own = classes.own.filter(|own| count.is_none_or(|count| count == own.len()));
    let (mut labels, from) = match config {
        Some(LabelsConfig::List(list)) => (list.clone(), "`labels:`".to_owned()),
        Some(LabelsConfig::Named(name)) if name == "coco" => (coco(&classes), "`labels: coco`".to_owned()),
        Some(LabelsConfig::Named(name)) if name == "coco91" => (owned(&COCO91), "`labels: coco91`".to_owned()),
        Some(LabelsConfig::Named(path)) => (read(model, Path::new(path))?, format!("labels file {path}")),
        None => match (metadata.and_then(parse_names), own) {
            (Some(names), _) => (names, "the model's metadata".to_owned()),
            (None, Some(own)) => (owned(own), "the family".to_owned()),
            // YOLOX and others export no names; 80 classes are COCO in practice, and so are 91.
            (None, None) if matches!(count, Some(80 | 91)) => (coco(&classes), "coco".to_owned()),
            (None, None) => {
                let Some(count) = count else { return Ok(numbered(model)) };
                return Err(InferenceError::NoLabels { model: model.into(), classes: counted(count) });
            }
        },
    };
    if classes.from_one && !labels.first().is_some_and(|first| NONE.contains(&first.as_str())) {
        labels.insert(0, NONE[0].into());
    }
    match count {
        Some(classes) if labels.len() != classes => {
            Err(InferenceError::LabelCount { model: model.into(), labels_from: from, labels: labels.len(), classes })
        }
        _ => Ok(labels.into_iter().map(Label::from).collect()),
    }
}

/// What lists call class 0 where classes are counted from 1.
const NONE: [&str; 4] = ["background", "__background__", "N/A", "BG"];

/// No labels: a model that lists what it found does not say how many classes there are, so no list can be held against it.
/// Its classes go by their numbers, which is no less right, and works at the first try.
fn numbered(model: &str) -> Arc<[Label]> {
    tracing::warn!(model, "its classes have no names and go by their numbers; set `labels:` (coco, a file, or a list)");
    Arc::default()
}

fn counted(classes: usize) -> String {
    if classes == 1 { "has 1 class".into() } else { format!("has {classes} classes") }
}

/// COCO in the model's own numbering.
fn coco(classes: &Classes<'_>) -> Vec<String> {
    if classes.from_one || classes.count == Some(COCO91.len()) { owned(&COCO91) } else { owned(&COCO) }
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(ToString::to_string).collect()
}

fn read(model: &str, path: &Path) -> Result<Vec<String>, InferenceError> {
    let fault = |why: String| InferenceError::LabelsFile { model: model.into(), path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        let remedy = "holds no list of labels, no object by their numbers, and no `id2label` with one";
        return from_json(&text).ok_or_else(|| fault(remedy.into()));
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// A list, an object by number, or Hugging Face's `config.json`, which has one as `id2label`.
fn from_json(text: &str) -> Option<Vec<String>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    parse_names(&value.get("id2label").unwrap_or(&value).to_string())
}

/// A JSON list or object; or, as Ultralytics writes `names`, a Python dict: `{0: 'person', 1: "driver's seat"}`.
fn parse_names(text: &str) -> Option<Vec<String>> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return Some(list);
    }
    // JSON by JSON's own rules: what is not ASCII stands there as `\u00e9`.
    let names = serde_json::from_str::<BTreeMap<usize, String>>(text).ok().or_else(|| python_dict(text))?;
    let whole = names.keys().enumerate().all(|(at, &index)| at == index);
    (whole && !names.is_empty()).then(|| names.into_values().collect())
}

fn python_dict(text: &str) -> Option<BTreeMap<usize, String>> {
    let mut names = BTreeMap::new();
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':')?;
        let index = key.trim().trim_matches(['\'', '"']).parse().ok()?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (name, tail) = quoted(&after[1..], quote)?;
        names.insert(index, name);
        rest = tail.trim_start().trim_start_matches(',').trim_start();
    }
    Some(names)
}

/// The text up to the closing quote, escapes undone, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            c if c == quote => return Some((name, &text[at + c.len_utf8()..])),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ultralytics_names_are_read() {
        assert_eq!(
            parse_names("{0: 'person', 1: \"driver's seat\", 2: 'a, b'}").unwrap(),
            ["person", "driver's seat", "a, b"]
        );
        assert_eq!(parse_names(r#"{"0": "a", "1": "b"}"#).unwrap(), ["a", "b"]);
        assert_eq!(parse_names(r#"{"1": "a \"b\"", "0": "caf\u00e9"}"#).unwrap(), ["caf\u{e9}", "a \"b\""]);
        assert_eq!(parse_names(r#"["a", "b"]"#).unwrap(), ["a", "b"]);
        for bad in ["", "{}", "{0 'a'}", "{1: 'a'}", "{0: 'a", "person"] {
            assert_eq!(parse_names(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_class_count_that_does_not_fit_is_said() {
        let list = LabelsConfig::List(vec!["a".into(), "b".into()]);
        let of = |count| Classes { count: Some(count), ..Classes::default() };
        let error = resolve("m.onnx", Some(&list), None, of(80)).unwrap_err().to_string();
        assert!(error.contains("2 labels") && error.contains("80 classes"), "{error}");
        assert!(matches!(resolve("m.onnx", None, None, of(3)), Err(InferenceError::NoLabels { .. })));
        assert_eq!(&*resolve("m.onnx", None, None, of(80)).unwrap()[2], "car");
    }

    #[test]
    fn classes_of_unknown_number_and_name_go_by_their_numbers() {
        assert_eq!(resolve("m.onnx", None, None, Classes::default()).unwrap().len(), 0);
        assert_eq!(resolve("m.onnx", None, Some("['a']"), Classes::default()).unwrap().len(), 0);
        assert_eq!(resolve("m.onnx", None, Some(r#"["a"]"#), Classes::default()).unwrap().len(), 1);
    }

    #[test]
    fn classes_counted_from_one_begin_with_one_for_none() {
        let from_one = Classes { from_one: true, ..Classes::default() };
        let list = LabelsConfig::List(vec!["a".into(), "b".into()]);
        assert_eq!(&*resolve("m.onnx", Some(&list), None, from_one).unwrap()[1], "a");
        let coco = LabelsConfig::Named("coco".into());
        let labels = resolve("m.onnx", Some(&coco), None, from_one).unwrap();
        assert_eq!((labels.len(), &*labels[1], &*labels[18], &*labels[90]), (91, "person", "dog", "toothbrush"));
    }

    #[test]
    fn a_hugging_face_configuration_is_a_labels_file() {
        let text = r#"{"model_type": "d_fine", "id2label": {"0": "cat", "10": "k", "1": "b", "2": "c", "3": "d", "4": "e",
            "5": "f", "6": "g", "7": "h", "8": "i", "9": "j"}}"#;
        assert_eq!(from_json(text).unwrap().join(""), "catbcdefghijk");
        assert_eq!(from_json(r#"["a", "b"]"#).unwrap(), ["a", "b"]);
        assert_eq!(from_json(r#"{"id2label": 3}"#), None);
    }
}
