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
    let why =
        better.map_or_else(|| why.clone(), |(name, _)| format!("{why}; it looks like `family: {}`", name.as_str()));
    Err(InferenceError::OtherFamily { model, asked: choice.as_str(), why, shape, known })
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

/// Width and height of the input.
#[expect(clippy::cast_precision_loss, reason = "sides are at most 8192")]
fn sides(facts: &Facts) -> [f32; 2] {
    [facts.width as f32, facts.height as f32]
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
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

/// Whether any of the scores is at least so much. Most rows have none, and this is many times quicker than to look for the best.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a way out in the middle processors compare several at a time"
)]
fn reaches(scores: &[f32], least: f32) -> bool {
    scores.iter().fold(false, |any, &score| any | (score >= least))
}

/// The best score of each place, of planes that hold one class of all places each. Plane by plane, so that memory is read in
/// order; which class it is, is asked where it matters ([`class_at`]).
fn best_of_planes(planes: &[f32], places: usize, found: &mut Vec<f32>) {
    found.clear();
    found.resize(places, f32::NEG_INFINITY);
    for plane in planes.chunks_exact(places.max(1)) {
        for (best, &score) in found.iter_mut().zip(plane) {
            *best = if score > *best { score } else { *best };
        }
    }
}

/// The class that has the best score of a place; the first of equals.
fn class_at(planes: &[f32], places: usize, place: usize, best: f32) -> u32 {
    let mut scores = (0u32..).zip(planes.chunks_exact(places.max(1)).filter_map(|plane| plane.get(place)));
    scores.find(|&(_, &score)| score == best).map_or(0, |(class, _)| class)
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
    fn the_best_of_planes_is_the_best_of_rows() {
        let mut random = fastrand::Rng::with_seed(11);
        let any = |random: &mut fastrand::Rng| [f32::NAN, 0.0, 0.25, 0.5, 0.75, -1.0][random.usize(..6)];
        for places in 1..40 {
            let classes = random.usize(1..9);
            let planes: Vec<f32> = std::iter::repeat_with(|| any(&mut random)).take(classes * places).collect();
            let mut found = Vec::new();
            best_of_planes(&planes, places, &mut found);
            for (place, &score) in found.iter().enumerate() {
                let row: Vec<f32> = planes.chunks_exact(places).map(|plane| plane[place]).collect();
                assert_eq!((score, class_at(&planes, places, place, score)), best(&row), "{row:?}");
                assert_eq!(reaches(&row, 0.5), score >= 0.5);
            }
        }
    }

    /// Outputs of every family, at 64x32.
    const KNOWN: [&[(&str, &[i64])]; 9] = [
        &[("output", &[1, 42, 7])],
        &[("output", &[1, 126, 7])],
        &[("output", &[1, 43, 34])],
        &[("c8", &[1, 32, 3]), ("c16", &[1, 8, 3]), ("d8", &[1, 32, 32]), ("d16", &[1, 8, 32])],
        &[("output", &[1, 7, 2, 4])],
        &[("scores", &[1, 119, 2]), ("boxes", &[1, 119, 4])],
        &[("logits", &[1, 100, 5]), ("pred_boxes", &[1, 100, 4])],
        &[("detection_boxes", &[1, 9, 4]), ("detection_scores", &[1, 9]), ("detection_classes", &[1, 9])],
        &[("num_dets", &[1, 1]), ("det_boxes", &[1, 9, 4]), ("det_scores", &[1, 9]), ("det_classes", &[1, 9])],
    ];

    /// Outputs as a family has them or nearly so, or of any shape; of any values, as a hostile file may have them.
    fn anything(random: &mut fastrand::Rng) -> Facts {
        const SIDES: [i64; 15] = [0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 32, 84, 252, 300];
        const SCORES: [f32; 4] = [0.0, 0.5, 1.0, 0.1];
        const VALUES: [f32; 9] = [0.0, 0.5, 1.0, 3.0, -2.0, 64.0, f32::NAN, f32::INFINITY, -1e30];
        let mut outputs: Vec<(&str, Vec<i64>)> = match random.usize(..12) {
            known if known < KNOWN.len() => KNOWN[known].iter().map(|(name, shape)| (*name, shape.to_vec())).collect(),
            _ => vec![("output0", vec![1, random.i64(1..9), random.i64(1..99)])],
        };
        while random.usize(..3) == 0 {
            let any = (0..random.usize(..5)).map(|_| SIDES[random.usize(..SIDES.len())]).collect();
            match random.usize(..3) {
                0 => outputs.push(("boxes", any)),
                1 => outputs.truncate(random.usize(..4)),
                _ => outputs
                    .iter_mut()
                    .for_each(|(_, shape)| shape.iter_mut().for_each(|side| *side += random.i64(-1..2).max(-*side))),
            }
        }
        let mut facts = Facts::of(64, [32, 32, 1][random.usize(..3)]);
        for (name, mut shape) in outputs {
            while shape.iter().product::<i64>() > 10_000 {
                shape.pop();
            }
            facts = facts.with(name, &shape);
            let from: &[f32] = if random.bool() { &SCORES } else { &VALUES };
            let values = &mut facts.outputs.last_mut().unwrap().values;
            values.fill_with(|| from[random.usize(..from.len())]);
        }
        if random.usize(..4) == 0 {
            let task = ["detect", "segment", "pose", "obb", "?"][random.usize(..5)];
            facts.metadata.insert("task".into(), task.into());
            facts.metadata.insert(
                "kpt_shape".into(),
                ["[17, 3]", "[4294967296, 4294967296]", "[4294967295, 4294967297]", "x"][random.usize(..4)].into(),
            );
        }
        facts
    }

    #[test]
    fn no_shape_and_no_value_makes_a_family_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut taken = std::collections::BTreeMap::new();
        for _ in 0..5000 {
            let facts = anything(&mut random);
            for (name, recognise) in FAMILIES {
                let Ok(mut family) = recognise(&facts) else { continue };
                *taken.entry(name.as_str()).or_insert(0) += 1;
                let (_, _, _) = (family.classes(), family.labels(), family.preparation());
                // The outputs it was recognised by, others' values in them, and fewer of them.
                let other = anything(&mut random);
                for outputs in [&facts.outputs[..], facts.outputs.get(1..).unwrap_or_default(), &other.outputs[..]] {
                    let views = outputs.iter().map(|o| Output { name: &o.name, shape: &o.shape, values: &o.values });
                    let mut found = Vec::new();
                    if family.decode(&views.collect::<Vec<_>>(), 0.3, &mut found).is_ok() {
                        assert!(found.iter().all(|c| c.score >= 0.3), "{} {facts}: {found:?}", name.as_str());
                    }
                }
            }
        }
        assert_eq!(taken.len(), FAMILIES.len(), "a family is not tried: {taken:?}");
    }

    #[test]
    fn a_family_asked_for_in_vain_says_why_and_names_the_right_one() {
        let facts = Facts::of(64, 64).with("output", &[1, 84, 7]);
        let error = recognise("m.onnx", FamilyChoice::Yolo, &facts).err().unwrap().to_string();
        assert!(error.contains("`family: yolo`") && error.contains("looks like `family: yolox`"), "{error}");
    }
}
