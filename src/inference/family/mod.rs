//! Model families: how a model's input is prepared and its outputs are read. One file each, the same shape each; how to
//! write the next one stands in `docs/families.md`.
//!
//! A family recognises its models by what a trial run shows (so that models with open sides are recognised too), says how
//! it wants its picture, and turns outputs into candidates.

mod detr;
mod fastestdet;
mod listed;
mod nanodet;
mod ssd;
mod ultraface;
mod ultralytics;
mod yolo;
mod yolo_end2end;
mod yolov5;
mod yolox;

use super::facts::Facts;
use super::nms::Candidate;
use super::output::Output;
use super::spec::Preparation;
use super::{FamilyChoice, InferenceError};

/// Reads one model's outputs.
pub trait Family: Send {
    /// How many classes there are; `None` when the outputs do not tell.
    fn classes(&self) -> Option<usize>;

    /// What the classes are called where neither the configuration nor the model's metadata says it.
    fn labels(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether classes are counted from 1, as in TensorFlow's label maps: labels are to begin with one for 0 then.
    fn counts_from_one(&self) -> bool {
        false
    }

    fn preparation(&self) -> Preparation;

    /// Whether the model's boxes overlap and are to be thinned out; end-to-end models have done it themselves.
    fn overlaps(&self) -> bool {
        true
    }

    /// Adds every candidate whose score is at least `confidence`, in pixels of the model's input.
    ///
    /// # Errors
    /// When the outputs are not what the model was recognised by: what differs.
    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String>;
}

/// Why a model is not of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// It nearly is: the kind of outputs is right, a size or a value is not.
    near: bool,
    why: String,
}

impl Miss {
    pub fn near(why: impl Into<String>) -> Self {
        Self { near: true, why: why.into() }
    }

    pub fn far(why: impl Into<String>) -> Self {
        Self { near: false, why: why.into() }
    }
}

type Recognised = Result<Box<dyn Family>, Miss>;
type Recognise = fn(&Facts) -> Recognised;

/// Every family, the more particular first: in doubt the first that recognises a model has it.
const FAMILIES: &[(FamilyChoice, Recognise)] = &[
    (FamilyChoice::Nanodet, nanodet::recognise),
    (FamilyChoice::Ultraface, ultraface::recognise),
    (FamilyChoice::Fastestdet, fastestdet::recognise),
    (FamilyChoice::Yolov5, yolov5::recognise),
    (FamilyChoice::Yolox, yolox::recognise),
    (FamilyChoice::YoloEnd2end, yolo_end2end::recognise),
    (FamilyChoice::Detr, detr::recognise),
    (FamilyChoice::Ssd, ssd::recognise),
    (FamilyChoice::Yolo, yolo::recognise),
];

/// The family asked for, or the first that recognises the model; with its name.
///
/// # Errors
/// [`InferenceError::UnknownOutputs`], with the model's inputs and outputs, and what it comes closest to.
pub fn recognise(
    model: &str,
    choice: FamilyChoice,
    facts: &Facts,
) -> Result<(&'static str, Box<dyn Family>), InferenceError> {
    let mut misses = Vec::new();
    for &(name, recognise) in FAMILIES.iter().filter(|(name, _)| choice == FamilyChoice::Auto || choice == *name) {
        match recognise(facts) {
            Ok(family) => return Ok((name.as_str(), family)),
            Err(miss) => misses.push((name, miss)),
        }
    }
    let known = FAMILIES.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let (model, shape) = (model.to_owned(), facts.to_string());
    if choice == FamilyChoice::Auto {
        return Err(InferenceError::UnknownOutputs { model, closest: closest(&misses), shape, known });
    }
    let why = misses.pop().map(|(_, miss)| miss.why).unwrap_or_default();
    let better = FAMILIES.iter().find(|(_, recognise)| recognise(facts).is_ok());
    let better = better.map_or_else(String::new, |(name, _)| format!("; it looks like `family: {}`", name.as_str()));
    Err(InferenceError::OtherFamily { model, asked: choice.as_str(), why, better, shape, known })
}

/// The families that nearly fit, and why they do not; else all of them.
fn closest(misses: &[(FamilyChoice, Miss)]) -> String {
    let line = |(name, miss): &(FamilyChoice, Miss)| format!("  not {}: {}", name.as_str(), miss.why);
    let near: Vec<String> = misses.iter().filter(|(_, miss)| miss.near).map(line).collect();
    let lines = if near.is_empty() { misses.iter().map(line).collect() } else { near };
    lines.join("\n")
}

/// The only output's shape, of three sides, for one picture.
///
/// # Errors
/// The reason why not, as most one-output families would say it.
fn only_output(facts: &Facts) -> Result<[i64; 3], Miss> {
    match *facts.shapes().as_slice() {
        [&[1, a, b]] => Ok([1, a, b]),
        [shape] => Err(Miss::far(format!("it has one output [1, a, b], this one has {} sides", shape.len()))),
        [] => Err(Miss::far("the model has no outputs")),
        ref several => Err(Miss::far(format!("it has one output, this model has {}", several.len()))),
    }
}

/// A side as a size.
fn size(side: i64) -> usize {
    usize::try_from(side).unwrap_or_default()
}

/// Whether these can be scores: 0 to 1, as far as numbers are exact.
fn are_scores(values: &[f32]) -> bool {
    values.iter().all(|value| (-1e-4..=1.0001).contains(value))
}

/// The greatest of the scores and its place; the first of equals.
fn best(scores: &[f32]) -> (f32, u32) {
    let mut best = (f32::NEG_INFINITY, 0);
    for (class, &score) in (0u32..).zip(scores) {
        if score > best.0 {
            best = (score, class);
        }
    }
    best
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::inference::output::Output;

    /// What a family makes of one output of these values.
    pub fn decode(family: &mut dyn Family, shape: &[i64], values: &[f32], confidence: f32) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        family.decode(&[Output { name: "output", shape, values }], confidence, &mut candidates).unwrap();
        candidates
    }

    #[test]
    fn every_family_refuses_outputs_of_no_kind_with_a_reason() {
        for facts in [
            Facts::of(64, 64),
            Facts::of(64, 64).with("a", &[]),
            Facts::of(64, 64).with("a", &[0]),
            Facts::of(64, 64).with("a", &[1, 1000]),
            Facts::of(64, 64).with("a", &[1, 0, 0]).with("b", &[1, 0]),
            Facts::of(1, 1).with("a", &[1, 1, 1]),
        ] {
            for (name, recognise) in FAMILIES {
                let miss = recognise(&facts).err().unwrap_or_else(|| panic!("{} takes {facts}", name.as_str()));
                assert!(!miss.why.is_empty());
            }
        }
    }

    #[test]
    fn a_family_asked_for_in_vain_says_why_and_names_the_right_one() {
        let facts = Facts::of(64, 64).with("output", &[1, 84, 7]);
        let error = recognise("m.onnx", FamilyChoice::Yolo, &facts).err().unwrap().to_string();
        assert!(error.contains("`family: yolo`") && error.contains("looks like `family: yolox`"), "{error}");
    }
}
