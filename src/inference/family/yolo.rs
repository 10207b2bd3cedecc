//! YOLOv8, v9, 11, 12 as Ultralytics exports them: one output `[1, 4 + classes, anchors]`, boxes as centre and size in input
//! pixels, class scores 0…1, no objectness; mask coefficients or key points after the classes are left unread. Input: RGB, 0…1, centred on grey 114.
//! Source: Ultralytics' documentation of `export(format="onnx")` and its ONNX Runtime examples.

use super::ultralytics::{extras, only_extras_follow};
use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, best_of_planes, class_at, size};
use crate::inference::output::values;

/// Rows of the box.
const HEAD: usize = 4;

struct Yolo {
    classes: usize,
    /// Rows after those of the classes.
    extras: usize,
    anchors: usize,
    /// Best score of each anchor, reused.
    best: Vec<f32>,
}

pub fn recognise(facts: &Facts) -> Recognised {
    let Some(&[1, rows, anchors]) = facts.outputs.first().map(|output| output.shape.as_slice()) else {
        // A classifier's metadata says what it is.
        extras(facts, HEAD, usize::MAX)?;
        return Err(Miss::far("its first output is [1, 4 + classes, anchors]"));
    };
    if !only_extras_follow(facts) {
        return Err(Miss::far(format!(
            "beside its one output it has masks at most, this model has {} outputs",
            facts.outputs.len()
        )));
    }
    if rows < 5 {
        let why = format!("it has at least 5 rows (4 of the box, and classes), this model has {rows}");
        return Err(if rows == 4 && anchors > 5 { Miss::near(why) } else { Miss::far(why) });
    }
    // Anchors outnumber rows by far in every export; `[1, 300, 6]` is another family.
    if anchors <= rows {
        return Err(Miss::near(format!("it has more anchors than rows, this model has {anchors} and {rows}")));
    }
    let extras = extras(facts, HEAD, size(rows))?;
    Ok(Box::new(Yolo { classes: size(rows) - HEAD - extras, extras, anchors: size(anchors), best: Vec::new() }))
}

impl Family for Yolo {
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn preparation(&self) -> Preparation {
        Preparation::YOLO
    }

    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let n = self.anchors;
        let (boxes, scores) = values(outputs, 0, (HEAD + self.classes + self.extras) * n)?.split_at(HEAD * n);
        let scores = &scores[..self.classes * n];
        best_of_planes(scores, n, &mut self.best);
        for (at, &score) in self.best.iter().enumerate() {
            if score >= confidence {
                let class = class_at(scores, n, at, score);
                let at = [boxes[at], boxes[n + at], boxes[2 * n + at], boxes[3 * n + at]];
                candidates.push(Candidate::centred(at, score, class));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode;
    use super::*;

    #[test]
    fn the_transposed_layout_is_decoded() {
        let mut family = recognise(&Facts::of(32, 32).with("output0", &[1, 6, 8])).unwrap();
        let mut values = vec![0.0f32; 48];
        for (row, value) in [16.0, 12.0, 8.0, 4.0, 0.2, 0.9].into_iter().enumerate() {
            values[row * 8 + 3] = value;
        }
        let found = decode(&mut *family, &[1, 6, 8], &values, 0.5);
        assert_eq!(found, [Candidate { x0: 12.0, y0: 10.0, x1: 20.0, y1: 14.0, score: 0.9, class: 1 }]);
    }

    #[test]
    fn other_layouts_are_not_taken_for_it() {
        for shape in [[1, 300, 6], [1, 4, 100], [2, 84, 8400]] {
            assert!(recognise(&Facts::of(640, 640).with("output0", &shape)).is_err());
        }
        let two = Facts::of(640, 640).with("a", &[1, 84, 8400]).with("b", &[1, 84, 8400]);
        assert!(recognise(&two).is_err());
    }

    #[test]
    fn outputs_of_another_size_than_at_first_are_an_error() {
        let mut family = recognise(&Facts::of(32, 32).with("output0", &[1, 6, 8])).unwrap();
        let output = Output { name: "output0", shape: &[1, 6, 0], values: &[] };
        let why = family.decode(&[output], 0.5, &mut Vec::new()).unwrap_err();
        assert!(why.contains("output0 has 0 values now, 48"), "{why}");
    }
}
