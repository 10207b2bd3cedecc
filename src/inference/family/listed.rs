//! Detections that a model has listed itself: boxes, classes and scores in outputs of their own, a row a detection. Several
//! families end so; each says where they stand and in which units.

use super::{Candidate, Facts, Family, Output, Preparation};
use crate::inference::labels::{COCO, COCO91};

/// Where a family's boxes, classes and scores stand, and what they mean.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// Places among the outputs.
    pub boxes: usize,
    pub classes: usize,
    pub scores: usize,
    /// How many rows are meant, where the model says it.
    pub count: Option<usize>,
    /// `[y0, x0, y1, x1]`, as TensorFlow writes corners; else `[x0, y0, x1, y1]`.
    pub upright: bool,
    /// What a box is multiplied by to come out in the input's pixels.
    pub scale: [f32; 2],
    /// The number of the first class, which the labels begin with.
    pub first_class: u32,
}

impl Listed {
    /// Adds the rows whose score is at least `confidence`. Their number may change from run to run.
    ///
    /// # Errors
    /// When the outputs are not of one length.
    pub fn decode(
        &self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let of = |at: usize| outputs.get(at).ok_or_else(|| format!("output {at} is missing"));
        let (boxes, classes, scores) = (of(self.boxes)?, of(self.classes)?, of(self.scores)?);
        let rows = scores.values.len();
        if boxes.values.len() != 4 * rows || classes.values.len() != rows {
            return Err(format!(
                "{} has {} values, {} {} and {} {rows}: they are not of one length",
                boxes.name,
                boxes.values.len(),
                classes.name,
                classes.values.len(),
                scores.name
            ));
        }
        let count = self.count.and_then(|at| outputs.get(at)).and_then(|output| output.values.first());
        let meant = count.map_or(rows, |&count| whole(count) as usize);
        let each = boxes.values.chunks_exact(4).zip(classes.values).zip(scores.values).take(meant);
        for ((corners, &class), &score) in each {
            if score >= confidence && class >= 0.0 {
                let [sx, sy] = self.scale;
                let [x0, y0, x1, y1] = if self.upright {
                    [corners[1], corners[0], corners[3], corners[2]]
                } else {
                    [corners[0], corners[1], corners[2], corners[3]]
                };
                let Some(class) = whole(class).checked_sub(self.first_class) else { continue };
                candidates.push(Candidate { x0: x0 * sx, y0: y0 * sy, x1: x1 * sx, y1: y1 * sy, score, class });
            }
        }
        Ok(())
    }
}

/// The family of a model that lists boxes, classes and scores apart, suppressed already.
pub struct Lists {
    pub listed: Listed,
    /// How many there are, where an output tells it.
    pub classes: Option<usize>,
    /// What they are called, where the form is of one data set only.
    pub labels: Option<&'static [&'static str]>,
    pub from_one: bool,
    pub preparation: Preparation,
}

impl Lists {
    /// Done, with COCO's names where the trial speaks for them.
    pub fn boxed(mut self, facts: &Facts) -> Box<dyn Family> {
        let classes = facts.outputs[self.listed.classes].values.iter().copied();
        self.labels = self.labels.or_else(|| coco_by_trial(classes, self.from_one));
        Box::new(self)
    }
}

impl Family for Lists {
    fn classes(&self) -> Option<usize> {
        self.classes
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        self.labels
    }

    fn counts_from_one(&self) -> bool {
        self.from_one
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
        self.listed.decode(outputs, confidence, candidates)
    }
}

/// COCO's names, where the classes that the trial picture brought up are COCO's by all appearance: a list does not say how many
/// classes there are, but the best of hundreds of guesses on plain grey tend to reach far up its list.
pub fn coco_by_trial(classes: impl Iterator<Item = f32>, from_one: bool) -> Option<&'static [&'static str]> {
    match (classes.fold(0.0, f32::max), from_one) {
        (60.0..80.0, false) => Some(&COCO),
        (60.0..91.0, true) => Some(&COCO91),
        _ => None,
    }
}

/// A class or a count that a model gives as a number with a point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates; classes are few")]
pub fn whole(value: f32) -> u32 {
    value.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_up_to_nearly_eighty_are_cocos() {
        let named = |last: f32, from_one| coco_by_trial([0.0, last, 3.0].into_iter(), from_one).map(<[_]>::len);
        assert_eq!((named(79.0, false), named(64.0, false), named(90.0, true)), (Some(80), Some(80), Some(91)));
        assert_eq!(
            (named(80.0, false), named(2.0, false), named(91.0, true), named(f32::NAN, true)),
            (None, None, None, None)
        );
    }
}
