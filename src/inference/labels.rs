//! Class names: from the model's metadata, a name, a file, or a list.

use std::path::Path;
use std::sync::Arc;

use super::{InferenceError, LabelsConfig};
use crate::domain::Label;

/// The 80 classes of COCO (Lin et al., arXiv 1405.0312), in the order every detector trained on it uses.
pub const COCO: [&str; 80] = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
];

/// The labels of a model of `classes` classes, where its outputs tell their number; `own` are the family's.
///
/// # Errors
/// When their number does not fit, the file cannot be read, or nothing says what the classes are called.
pub fn resolve(
    model: &str,
    config: Option<&LabelsConfig>,
    metadata: Option<&str>,
    own: Option<&[&str]>,
    classes: Option<usize>,
) -> Result<Arc<[Label]>, InferenceError> {
    let own = own.filter(|own| classes.is_none_or(|classes| classes == own.len()));
    let (labels, from) = match config {
        Some(LabelsConfig::List(list)) => (list.clone(), "`labels:`".to_owned()),
        Some(LabelsConfig::Named(name)) if name == "coco" => (coco(), "`labels: coco`".to_owned()),
        Some(LabelsConfig::Named(path)) => (read(model, Path::new(path))?, format!("labels file {path}")),
        None => match (metadata.and_then(parse_names), own) {
            (Some(names), _) => (names, "the model's metadata".to_owned()),
            (None, Some(own)) => (own.iter().map(ToString::to_string).collect(), "the family".to_owned()),
            // YOLOX and others export no names; 80 classes are COCO in practice.
            (None, None) if classes == Some(COCO.len()) => (coco(), "coco".to_owned()),
            (None, None) => return Err(InferenceError::NoLabels { model: model.into(), classes: counted(classes) }),
        },
    };
    match classes {
        Some(classes) if labels.len() != classes => {
            Err(InferenceError::LabelCount { model: model.into(), labels_from: from, labels: labels.len(), classes })
        }
        _ => Ok(labels.into_iter().map(Label::from).collect()),
    }
}

fn counted(classes: Option<usize>) -> String {
    match classes {
        Some(1) => "has 1 class".into(),
        Some(classes) => format!("has {classes} classes"),
        None => "does not tell how many classes it has".into(),
    }
}

fn coco() -> Vec<String> {
    COCO.map(str::to_owned).to_vec()
}

fn read(model: &str, path: &Path) -> Result<Vec<String>, InferenceError> {
    let text = std::fs::read_to_string(path).map_err(|e| InferenceError::LabelsFile {
        model: model.into(),
        path: path.display().to_string(),
        why: e.to_string(),
    })?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Ultralytics writes `names` as a Python dict: `{0: 'person', 1: "driver's seat"}`; others as a JSON list or object.
fn parse_names(text: &str) -> Option<Vec<String>> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return Some(list);
    }
    let mut names: Vec<(usize, String)> = Vec::new();
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':')?;
        let index = key.trim().trim_matches(['\'', '"']).parse().ok()?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (name, tail) = quoted(&after[1..], quote)?;
        names.push((index, name));
        rest = tail.trim_start().trim_start_matches(',').trim_start();
    }
    names.sort_by_key(|(index, _)| *index);
    let whole = names.iter().enumerate().all(|(at, (index, _))| at == *index);
    (whole && !names.is_empty()).then(|| names.into_iter().map(|(_, name)| name).collect())
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
        assert_eq!(parse_names(r#"["a", "b"]"#).unwrap(), ["a", "b"]);
        for bad in ["", "{}", "{0 'a'}", "{1: 'a'}", "{0: 'a", "person"] {
            assert_eq!(parse_names(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_class_count_that_does_not_fit_is_said() {
        let list = LabelsConfig::List(vec!["a".into(), "b".into()]);
        let error = resolve("m.onnx", Some(&list), None, None, Some(80)).unwrap_err().to_string();
        assert!(error.contains("2 labels") && error.contains("80 classes"), "{error}");
        assert!(matches!(resolve("m.onnx", None, None, None, Some(3)), Err(InferenceError::NoLabels { .. })));
        assert_eq!(&*resolve("m.onnx", None, None, None, Some(80)).unwrap()[2], "car");
    }
}
