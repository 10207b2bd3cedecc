//! SSD and other detectors that list what they found, boxes, classes and scores apart. Forms:
//!
//! - TensorFlow's object detection API, through tf2onnx: `detection_boxes` `[y0, x0, y1, x1]` in fractions, `detection_classes`
//!   from 1, `detection_scores`, `num_detections`; or the same unnamed, as `Identity`, `Identity_1`, …. Input: RGB, 0…255, the
//!   model scales itself;
//! - torchvision: `boxes` in input pixels, `labels` from 1, `scores`, without a batch. Input: RGB, 0…1;
//! - the ONNX model zoo's SSD: `bboxes` in fractions, `labels` from 1, `scores`. Input: RGB by ImageNet's mean and deviation;
//! - `scores` `[1, N, 1 + classes]` and `boxes` `[1, N, 4]` in fractions, not suppressed (qfgaohao/pytorch-ssd). Input: RGB,
//!   (value - 127) / 128.
//!
//! All of them stretch the picture.

use super::listed::{Listed, Lists};
use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, best, reaches, sides, size};
use crate::inference::labels::COCO;
use crate::inference::output::values;

/// Scores and boxes of every anchor.
struct Anchors {
    boxes: usize,
    scores: usize,
    rows: usize,
    columns: usize,
    size: [f32; 2],
}

pub fn recognise(facts: &Facts) -> Recognised {
    if let Some(lists) =
        tensorflow(facts).or_else(|| unnamed(facts)).or_else(|| onnx_zoo(facts)).or_else(|| torchvision(facts))
    {
        return Ok(lists.boxed(facts));
    }
    let (Some((scores_at, scores)), Some((boxes_at, boxes))) = (facts.output(&["scores"]), facts.output(&["boxes"]))
    else {
        return Err(Miss::far(
            "it has the outputs detection_boxes, detection_classes and detection_scores, or boxes, labels and scores",
        ));
    };
    match (scores.shape.as_slice(), boxes.shape.as_slice()) {
        (&[1, rows, columns], &[1, n, 4]) if rows == n && columns >= 2 && rows >= ANCHORS => Ok(Box::new(Anchors {
            boxes: boxes_at,
            scores: scores_at,
            rows: size(rows),
            columns: size(columns),
            size: sides(facts),
        })),
        (scores, boxes) => Err(Miss::near(format!(
            "its boxes are [N, 4] and its scores [N], or {ANCHORS} and more anchors have [1, N, 4] and [1, N, 1 + classes]; \
             not {boxes:?} and {scores:?}"
        ))),
    }
}

/// By the names of the API, whatever converter put a `:0` behind them.
fn tensorflow(facts: &Facts) -> Option<Lists> {
    let named = |name: &str| {
        facts.outputs.iter().position(|o| o.name.split(':').next().is_some_and(|n| n.eq_ignore_ascii_case(name)))
    };
    let listed = Listed {
        boxes: named("detection_boxes")?,
        classes: named("detection_classes")?,
        scores: named("detection_scores")?,
        count: named("num_detections"),
        upright: true,
        scale: sides(facts),
        first_class: 0,
    };
    let classes = named("detection_multiclass_scores").and_then(|at| facts.outputs[at].shape.last().copied()).map(size);
    Some(Lists { listed, classes, labels: None, from_one: true, preparation: BYTES })
}

/// TensorFlow 2 calls outputs `Identity`, and sorts them by the names they had: anchor indices, boxes, classes, multiclass
/// scores, scores, count.
fn unnamed(facts: &Facts) -> Option<Lists> {
    if !facts.outputs.iter().all(|o| o.name.starts_with("Identity") || o.name.starts_with("StatefulPartitionedCall")) {
        return None;
    }
    let shapes = facts.shapes();
    let at = shapes.iter().position(|shape| matches!(shape, [1, _, 4]))?;
    let rows = shapes[at][1];
    let lists: Vec<usize> = (0..shapes.len()).filter(|&i| shapes[i] == [1, rows]).collect();
    let (&[.., classes, scores], true) = (lists.as_slice(), at < *lists.last()?) else { return None };
    let multiclass = shapes.iter().enumerate().find_map(|(i, shape)| match **shape {
        [1, n, count] if n == rows && i != at => Some(size(count)),
        _ => None,
    });
    let count = shapes.iter().position(|shape| *shape == [1]);
    let listed = Listed { boxes: at, classes, scores, count, upright: true, scale: sides(facts), first_class: 0 };
    Some(Lists { listed, classes: multiclass, labels: None, from_one: true, preparation: BYTES })
}

fn onnx_zoo(facts: &Facts) -> Option<Lists> {
    let (boxes, b) = facts.output(&["bboxes"])?;
    let (classes, c) = facts.output(&["labels"])?;
    let (scores, s) = facts.output(&["scores"])?;
    if !matches!((b.shape.as_slice(), s.shape.as_slice()), (&[1, n, 4], &[1, m]) if n == m) || c.shape != s.shape {
        return None;
    }
    // Fractions, or pixels where the export scaled them; classes 1 to 80, without the gaps of COCO's own numbers.
    let scale = if b.values.iter().any(|&v| v > 2.0) { [1.0; 2] } else { sides(facts) };
    let listed = Listed { boxes, classes, scores, count: None, upright: false, scale, first_class: 1 };
    Some(Lists { listed, classes: None, labels: Some(&COCO), from_one: false, preparation: Preparation::IMAGENET })
}

fn torchvision(facts: &Facts) -> Option<Lists> {
    let (boxes, b) = facts.output(&["boxes"])?;
    let (classes, c) = facts.output(&["labels"])?;
    let (scores, s) = facts.output(&["scores"])?;
    if !matches!((b.shape.as_slice(), s.shape.as_slice()), (&[n, 4], &[m]) if n == m) || c.shape != s.shape {
        return None;
    }
    let listed = Listed { boxes, classes, scores, count: None, upright: false, scale: [1.0; 2], first_class: 0 };
    Some(Lists { listed, classes: None, labels: None, from_one: true, preparation: Preparation::STRETCHED })
}

/// Fewer rows are no grid of anchors.
const ANCHORS: i64 = 400;

/// Values as they are: the graph prepares them itself.
const BYTES: Preparation = Preparation { std: [1.0; 3], ..Preparation::STRETCHED };

impl Family for Anchors {
    fn classes(&self) -> Option<usize> {
        Some(self.columns - 1)
    }

    fn preparation(&self) -> Preparation {
        Preparation { mean: [127.0; 3], std: [128.0; 3], ..Preparation::STRETCHED }
    }

    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let boxes = values(outputs, self.boxes, self.rows * 4)?.chunks_exact(4);
        let scores = values(outputs, self.scores, self.rows * self.columns)?.chunks_exact(self.columns);
        let [w, h] = self.size;
        for (corners, scores) in boxes.zip(scores) {
            if !reaches(&scores[1..], confidence) {
                continue;
            }
            let (score, class) = best(&scores[1..]);
            if score >= confidence {
                let [x0, y0, x1, y1] = [corners[0] * w, corners[1] * h, corners[2] * w, corners[3] * h];
                candidates.push(Candidate { x0, y0, x1, y1, score, class });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensorflow_writes_y_before_x_and_says_how_many_rows_are_meant() {
        let facts = Facts::of(100, 200).with("num_detections:0", &[1]).with("detection_boxes:0", &[1, 2, 4]);
        let facts = facts.with("detection_scores:0", &[1, 2]).with("detection_classes:0", &[1, 2]);
        let mut family = recognise(&facts).unwrap();
        let output = |name, shape, values| Output { name, shape, values };
        let outputs = [
            output("num_detections:0", &[1], &[1.0]),
            output("detection_boxes:0", &[1, 2, 4], &[0.125, 0.25, 0.25, 0.5, 0.0, 0.0, 1.0, 1.0]),
            output("detection_scores:0", &[1, 2], &[0.9, 0.8]),
            output("detection_classes:0", &[1, 2], &[3.0, 1.0]),
        ];
        let mut found = Vec::new();
        family.decode(&outputs, 0.5, &mut found).unwrap();
        assert_eq!(found, [Candidate { x0: 25.0, y0: 25.0, x1: 50.0, y1: 50.0, score: 0.9, class: 3 }]);
    }

    #[test]
    fn lists_that_differ_in_length_are_an_error() {
        let facts = Facts::of(64, 64).with("boxes", &[0, 4]).with("labels", &[0]).with("scores", &[0]);
        let mut family = recognise(&facts).unwrap();
        let output = |name, values| Output { name, shape: &[], values };
        let outputs = [output("boxes", &[0.0; 8]), output("labels", &[1.0]), output("scores", &[0.5, 0.5])];
        assert!(family.decode(&outputs, 0.1, &mut Vec::new()).unwrap_err().contains("not of one length"));
    }
}
