//! The transformers: RT-DETR, D-FINE, DEIM, RF-DETR, DETR, YOLOS and kin. No suppression: a query is an object or none. Forms:
//!
//! - `labels`, `boxes`, `scores`, the exporters' post-processing inside: corners in the sizes given as `orig_target_sizes`;
//! - logits `[1, queries, classes]` and boxes `[1, queries, 4]` as centre and size in fractions (Hugging Face's `logits` and
//!   `pred_boxes`, RF-DETR's `labels` and `dets`): a sigmoid of each class, or a softmax whose last class is "no object";
//! - `[1, 300, 4 + classes]`, the same with scores 0…1 (Ultralytics' RT-DETR).
//!
//! Input: RGB, stretched; 0…1, or by ImageNet's mean and deviation where the model's authors do so.
//! Sources: `tools/export_onnx.py` of lyuwenyu/RT-DETR, `export.py` of roboflow/rf-detr, the post-processing of Hugging Face's
//! `transformers`, Ultralytics' `RTDETRPredictor`.

use super::listed::{Listed, Lists};
use super::ultralytics::extras;
use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, best, reaches, sides, sigmoid, size};
use crate::inference::config::Interpolation;
use crate::inference::facts::TrialOutput;
use crate::inference::labels::COCO91;
use crate::inference::output::values;

/// More are cells of a grid, not queries.
const QUERIES: std::ops::RangeInclusive<i64> = 2..=1500;

/// Fewer in a single output are columns of something else.
const FEW: i64 = 50;

/// How a class's number becomes a score.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scores {
    /// It is one.
    Plain,
    /// Each class by itself; a query may be of several.
    Sigmoid,
    /// All of them together, with a last one for "no object".
    Softmax,
}

struct Queries {
    /// Places among the outputs; the same for the one-output form.
    boxes: usize,
    logits: usize,
    rows: usize,
    /// Numbers of a query in the output of the logits, and where its classes begin there.
    columns: usize,
    head: usize,
    classes: usize,
    scores: Scores,
    size: [f32; 2],
    preparation: Preparation,
}

pub fn recognise(facts: &Facts) -> Recognised {
    if let Some(listed) = processed(facts) {
        let preparation = smoothed(Preparation::STRETCHED);
        let lists = Lists { listed, classes: None, labels: None, from_one: false, preparation };
        return Ok(lists.boxed(facts));
    }
    if let [only] = facts.outputs.as_slice() {
        return one_output(facts, only);
    }
    let Some((logits_at, boxes_at)) = by_name(facts).or_else(|| by_shape(facts)) else {
        return Err(Miss::far("it has the outputs labels, boxes and scores, or logits and boxes"));
    };
    let (logits, boxes) = (&facts.outputs[logits_at], &facts.outputs[boxes_at]);
    let (&[1, queries, columns], &[1, rows, 4]) = (logits.shape.as_slice(), boxes.shape.as_slice()) else {
        return Err(Miss::near(format!(
            "its logits are [1, queries, classes] and its boxes [1, queries, 4], not {:?} and {:?}",
            logits.shape, boxes.shape
        )));
    };
    if queries != rows || !QUERIES.contains(&queries) || columns < 1 {
        return Err(Miss::near(format!(
            "it has as many logits as boxes, at most {}, this model has {queries} and {rows}",
            QUERIES.end()
        )));
    }
    let columns = size(columns);
    let scores = match columns {
        _ if within(&logits.values, 0.0, 1.0) => Scores::Plain,
        2.. if says_no_object(&logits.values, columns) => Scores::Softmax,
        _ => Scores::Sigmoid,
    };
    // DETR and its kin are trained on ImageNet's colours, RF-DETR too; RT-DETR, D-FINE and DEIM on plain ones.
    let masked = facts.inputs.iter().any(|input| input.name.eq_ignore_ascii_case("pixel_mask"));
    let imagenet = scores == Scores::Softmax || masked || boxes.name.eq_ignore_ascii_case("dets");
    Ok(Box::new(Queries {
        boxes: boxes_at,
        logits: logits_at,
        rows: size(queries),
        columns,
        head: 0,
        classes: if scores == Scores::Softmax { columns - 1 } else { columns },
        scores,
        size: sides(facts),
        preparation: smoothed(if imagenet { Preparation::IMAGENET } else { Preparation::STRETCHED }),
    }))
}

/// Places of logits and boxes.
fn by_name(facts: &Facts) -> Option<(usize, usize)> {
    let logits = facts.output(&["logits", "pred_logits"]).or_else(|| {
        // RF-DETR calls its logits labels.
        facts.output(&["labels"]).filter(|(_, output)| output.shape.len() == 3)
    });
    Some((logits?.0, facts.output(&["pred_boxes", "boxes", "dets"])?.0))
}

/// Two outputs of as many rows, whatever they are called: one of four fractions a row, the other of its classes.
fn by_shape(facts: &Facts) -> Option<(usize, usize)> {
    let (boxes, logits) = match *facts.shapes().as_slice() {
        [&[1, a, 4], &[1, b, _]] if a == b => (0, 1),
        [&[1, a, _], &[1, b, 4]] if a == b => (1, 0),
        _ => return None,
    };
    let rows = facts.outputs[boxes].shape[1];
    let few = (FEW..=1000).contains(&rows) && facts.cells(&[8, 16, 32]) != rows;
    (few && within(&facts.outputs[boxes].values, -0.5, 1.5)).then_some((logits, boxes))
}

/// Whether all values lie there, and say something at all.
fn within(values: &[f32], low: f32, high: f32) -> bool {
    values.iter().any(|&v| v != 0.0) && values.iter().all(|&v| (low..=high).contains(&v))
}

/// `labels`, `boxes`, `scores` of one picture each.
fn processed(facts: &Facts) -> Option<Listed> {
    let (scores, s) = facts.output(&["scores"])?;
    let (classes, c) = facts.output(&["labels"])?;
    let (boxes, b) = facts.output(&["boxes"])?;
    let [1, n] = *s.shape.as_slice() else { return None };
    if c.shape != s.shape || b.shape != [1, n, 4] {
        return None;
    }
    // With the input for them, boxes come in the sizes that are fed: the input's own. Without it, they show their units.
    let sized = facts.inputs.len() > 1;
    let pixels = sized || b.values.iter().any(|&v| v > 2.0);
    let scale = if pixels { [1.0; 2] } else { sides(facts) };
    Some(Listed { boxes, classes, scores, count: None, upright: false, scale, first_class: 0 })
}

fn one_output(facts: &Facts, only: &TrialOutput) -> Recognised {
    let &[1, queries, columns] = only.shape.as_slice() else {
        return Err(Miss::far("its one output is [1, queries, 4 + classes]"));
    };
    if !QUERIES.contains(&queries) || queries < FEW || columns < 5 {
        return Err(Miss::far(format!(
            "its one output is [1, queries, 4 + classes] of {FEW} to {} queries, this one is [1, {queries}, {columns}]",
            QUERIES.end()
        )));
    }
    extras(facts, 4, size(columns))?;
    if !within(&only.values, -0.5, 1.5) {
        return Err(Miss::near("its boxes and scores are fractions, those of this model are not"));
    }
    Ok(Box::new(Queries {
        boxes: 0,
        logits: 0,
        rows: size(queries),
        columns: size(columns),
        head: 4,
        classes: size(columns) - 4,
        scores: Scores::Plain,
        size: sides(facts),
        preparation: Preparation::STRETCHED,
    }))
}

/// Whether most queries of the trial picture, which is plain grey, say by their last class that they are no object. A class
/// under a sigmoid says the same by a number below zero.
fn says_no_object(logits: &[f32], columns: usize) -> bool {
    let none = |row: &&[f32]| row[columns - 1] > 0.0 && best(row).1 as usize == columns - 1;
    let rows = logits.len() / columns;
    2 * logits.chunks_exact(columns).filter(none).count() > rows
}

/// Scaled by PIL, as the authors' code has it; Ultralytics' by OpenCV.
const fn smoothed(how: Preparation) -> Preparation {
    Preparation { interpolation: Interpolation::Antialias, ..how }
}

impl Family for Queries {
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        // Trained on COCO by its own numbers, as DETR and RF-DETR are.
        (self.classes == COCO91.len()).then_some(&COCO91)
    }

    fn preparation(&self) -> Preparation {
        self.preparation
    }

    fn overlaps(&self) -> bool {
        false
    }

    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let width = if self.head == 0 { 4 } else { self.columns };
        let boxes = values(outputs, self.boxes, self.rows * width)?.chunks_exact(width);
        let logits = values(outputs, self.logits, self.rows * self.columns)?.chunks_exact(self.columns);
        let [w, h] = self.size;
        // A hair less than what the confidence is a sigmoid of.
        let least = ((confidence / (1.0 - confidence)).ln() - 1e-3).min(15.0);
        for (corners, logits) in boxes.zip(logits) {
            let all = &logits[self.head..];
            let at = [corners[0] * w, corners[1] * h, corners[2] * w, corners[3] * h];
            match self.scores {
                Scores::Plain => {
                    let (score, class) = best(all);
                    if score >= confidence {
                        candidates.push(Candidate::centred(at, score, class));
                    }
                }
                // Its inverse needs no exponent for every class of every query.
                Scores::Sigmoid if !reaches(all, least) => {}
                Scores::Sigmoid => {
                    // As the authors' code does it: the best pairs of query and class, not the best class of each query.
                    for (class, score) in (0u32..).zip(all.iter().map(|&x| sigmoid(x))) {
                        if score >= confidence {
                            candidates.push(Candidate::centred(at, score, class));
                        }
                    }
                }
                Scores::Softmax => {
                    let (top, class) = best(&all[..self.classes]);
                    let greatest = all.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let sum: f32 = all.iter().map(|&x| (x - greatest).exp()).sum();
                    let score = (top - greatest).exp() / sum;
                    if score >= confidence {
                        candidates.push(Candidate::centred(at, score, class));
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(family: &mut dyn Family, outputs: &[(&str, &[i64], &[f32])]) -> Vec<Candidate> {
        let outputs: Vec<_> = outputs.iter().map(|&(name, shape, values)| Output { name, shape, values }).collect();
        let mut found = Vec::new();
        family.decode(&outputs, 0.5, &mut found).unwrap();
        found
    }

    #[test]
    fn a_query_under_a_sigmoid_may_be_of_two_classes() {
        let facts = Facts::of(100, 200).with("logits", &[1, 2, 3]).with("pred_boxes", &[1, 2, 4]);
        let mut family = recognise(&facts).unwrap();
        let found = run(
            &mut *family,
            &[
                ("logits", &[1, 2, 3], &[1.0, -9.0, 2.0, -9.0, -9.0, -9.0]),
                ("pred_boxes", &[1, 2, 4], &[0.5, 0.5, 0.2, 0.2, 0.0, 0.0, 0.0, 0.0]),
            ],
        );
        assert_eq!(found.iter().map(|c| c.class).collect::<Vec<_>>(), [0, 2]);
        assert!((found[1].score - 0.8808).abs() < 1e-4 && (found[1].y0 - 80.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn a_last_class_that_grey_is_made_of_is_no_object() {
        let mut facts = Facts::of(100, 100).with("logits", &[1, 2, 3]).with("pred_boxes", &[1, 2, 4]);
        facts.outputs[0].values.copy_from_slice(&[-3.0, -2.0, 6.0, -3.0, -2.0, 6.0]);
        let mut family = recognise(&facts).unwrap();
        assert_eq!((family.classes(), family.preparation()), (Some(2), smoothed(Preparation::IMAGENET)));
        let boxes = ("pred_boxes", &[1, 2, 4][..], &[0.5; 8][..]);
        let found = run(&mut *family, &[("logits", &[1, 2, 3], &[0.0, 2.0, 0.0, 0.0, 0.0, 9.0]), boxes]);
        assert_eq!(found.len(), 1);
        assert!(found[0].class == 1 && (found[0].score - 0.7870).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn lists_of_other_lengths_than_the_scores_are_refused() {
        let facts = Facts::of(64, 64).with("labels", &[1, 30]).with("boxes", &[1, 31, 4]).with("scores", &[1, 30]);
        assert!(recognise(&facts).is_err());
        let grid = Facts::of(64, 64).with("scores", &[1, 4420, 2]).with("boxes", &[1, 4420, 4]);
        assert!(recognise(&grid).is_err(), "no transformer has so many queries");
    }
}
