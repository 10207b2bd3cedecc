//! What Home Assistant is told so that cameras and nodes appear in it by themselves: MQTT discovery, from the configuration.
//!
//! `camera` and `node` say which entities there are, `device` how one is written, `ledger` what has to be published and what
//! has to be cleared, given what was published before. All of it is pure; the landlord publishes.

mod camera;
mod config;
mod device;
mod ledger;
mod node;
mod words;

pub use camera::{CameraFacts, CameraTopics, CountTopic, camera};
pub use config::{HomeAssistantConfig, Style};
pub use device::{Component, Device};
pub use ledger::{Document, Ledger, documents};
pub use node::{NodeFacts, NodeTopics, node};

/// A camera without `labels:` gets entities for the labels it has shown, at most for so many: a model of 80 classes must
/// not become 160 entities a camera.
pub const MOST_LABELS: usize = 16;

/// The labels that get entities: what the camera publishes; else what the section names; else what was seen, in that order.
/// What the model does not know is left out, where it is known what it knows.
#[must_use]
pub fn labels(
    published: Option<&[String]>,
    named: Option<&[String]>,
    seen: &[String],
    known: &[impl AsRef<str>],
) -> Vec<String> {
    let is_known = |label: &&String| known.is_empty() || known.iter().any(|known| known.as_ref() == label.as_str());
    let mut labels: Vec<String> = match (published, named) {
        (Some(published), Some(named)) => published.iter().filter(|label| named.contains(label)).cloned().collect(),
        (Some(labels), None) | (None, Some(labels)) => labels.to_vec(),
        (None, None) => seen.iter().take(MOST_LABELS).cloned().collect(),
    };
    labels.retain(|label| is_known(&label));
    let mut met = std::collections::BTreeSet::new();
    labels.retain(|label| met.insert(label.clone()));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).into()).collect()
    }

    #[test]
    fn entities_are_for_published_labels_else_for_named_ones_else_for_those_seen() {
        let (published, named, seen) =
            (list(&["person", "car"]), list(&["car", "dog", "unicorn"]), list(&["bus", "bus"]));
        let known = ["person", "car", "dog", "bus"];
        assert_eq!(labels(Some(&published), None, &seen, &known), published);
        assert_eq!(labels(Some(&published), Some(&named), &seen, &known), ["car"]);
        assert_eq!(labels(None, Some(&named), &seen, &known), ["car", "dog"]);
        assert_eq!(labels(None, None, &seen, &known), ["bus"]);
        assert_eq!(labels(None, Some(&named), &seen, &[] as &[&str]), named);
    }

    #[test]
    fn a_model_of_many_classes_does_not_become_hundreds_of_entities() {
        let seen: Vec<String> = (0..80).map(|n| format!("class {n}")).collect();
        assert_eq!(labels(None, None, &seen, &seen).len(), MOST_LABELS);
    }
}
