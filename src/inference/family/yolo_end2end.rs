//! YOLO exports with the suppression inside. Three forms, all in input pixels, RGB, 0…1, centred on grey 114:
//!
//! - `[1, N, 6]`: corners, score, class (YOLOv10, YOLO26, Ultralytics' `nms=True`), mask coefficients or key points after them;
//! - `[N, 7]`: number in the batch, corners, class, score (YOLOv7 `--end2end`, YOLOv6 for ONNX Runtime);
//! - `num_dets`, `det_boxes`, `det_scores`, `det_classes` (YOLOv6 and v7 for TensorRT).
//!
//! Sources: Ultralytics' documentation of `export`, `export.py` of WongKinYiu/yolov7, `deploy/ONNX` of meituan/YOLOv6.

use super::listed::{Listed, Lists, coco_by_trial, whole};
use super::ultralytics::{extras, only_extras_follow};
use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, size};

/// Corners, score, class.
const HEAD: usize = 6;

/// With mask coefficients or key points; more are anchors.
const COLUMNS: std::ops::RangeInclusive<i64> = 6..=300;

enum Form {
    /// Columns of a row; the first six are read.
    Rows(usize),
    /// With the number in the batch before, and the class before the score.
    Batched,
}

struct EndToEnd {
    form: Form,
    labels: Option<&'static [&'static str]>,
}

impl EndToEnd {
    fn boxed(form: Form, classes: impl Iterator<Item = f32>) -> Box<dyn Family> {
        Box::new(Self { form, labels: coco_by_trial(classes, false) })
    }
}

pub fn recognise(facts: &Facts) -> Recognised {
    if let Some(listed) = apart(facts) {
        let preparation = Preparation::YOLO;
        let lists = Lists { listed, classes: None, labels: None, from_one: false, preparation };
        return Ok(lists.boxed(facts));
    }
    let first = facts.outputs.first().ok_or_else(|| Miss::far("the model has no outputs"))?;
    match *first.shape.as_slice() {
        [_, 7] if facts.outputs.len() == 1 => {
            Ok(EndToEnd::boxed(Form::Batched, first.values.chunks_exact(7).map(|row| row[5])))
        }
        [1, rows, columns] if COLUMNS.contains(&columns) && rows > 1 && only_extras_follow(facts) => {
            if rows > 1000 {
                return Err(Miss::far(format!("it lists at most 1000 boxes, this model has {rows} rows")));
            }
            let extras = extras(facts, HEAD - 1, size(columns))?;
            if size(columns) != HEAD + extras {
                let why = format!("a box has 6 values (corners, score, class), in this model {columns}");
                return Err(if columns < 10 { Miss::near(why) } else { Miss::far(why) });
            }
            if fractions(&first.values, size(columns)) {
                return Err(Miss::near("its boxes are pixels of the input, those of this model lie between 0 and 1"));
            }
            let classes = first.values.chunks_exact(size(columns)).map(|row| row[5]);
            Ok(EndToEnd::boxed(Form::Rows(size(columns)), classes))
        }
        _ => Err(Miss::far("it has an output [1, N, 6] or [N, 7], or num_dets, det_boxes, det_scores and det_classes")),
    }
}

fn apart(facts: &Facts) -> Option<Listed> {
    Some(Listed {
        boxes: facts.output(&["det_boxes"])?.0,
        classes: facts.output(&["det_classes"])?.0,
        scores: facts.output(&["det_scores"])?.0,
        count: facts.output(&["num_dets"]).map(|(at, _)| at),
        upright: false,
        scale: [1.0; 2],
        first_class: 0,
    })
}

/// Whether there are boxes, and all of them within 1: a transformer's two classes look like score and class.
fn fractions(values: &[f32], columns: usize) -> bool {
    let mut boxes = values.chunks_exact(columns).map(|row| &row[..4]);
    boxes.clone().any(|corners| corners.iter().any(|&v| v > 0.0))
        && boxes.all(|corners| corners.iter().all(|&v| (-0.5..=1.5).contains(&v)))
}

impl Family for EndToEnd {
    fn classes(&self) -> Option<usize> {
        None
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        self.labels
    }

    fn preparation(&self) -> Preparation {
        Preparation::YOLO
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
        let columns = match &self.form {
            Form::Rows(columns) => *columns,
            Form::Batched => 7,
        };
        // How many rows there are may change from run to run, to none.
        let output = outputs.first().ok_or("output 0 is missing")?;
        if output.values.len() % columns != 0 {
            return Err(format!("{} has {} values, no rows of {columns}", output.name, output.values.len()));
        }
        for row in output.values.chunks_exact(columns) {
            let (corners, score, class) = match self.form {
                Form::Batched if row[0] >= 0.5 => continue,
                Form::Batched => (&row[1..5], row[6], row[5]),
                Form::Rows(_) => (&row[..4], row[4], row[5]),
            };
            if score >= confidence && class >= 0.0 {
                let [x0, y0, x1, y1] = [corners[0], corners[1], corners[2], corners[3]];
                candidates.push(Candidate { x0, y0, x1, y1, score, class: whole(class) });
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
    fn corners_score_and_class_are_read_in_the_order_of_each_form() {
        let wanted = [Candidate { x0: 1.0, y0: 2.0, x1: 30.0, y1: 40.0, score: 0.75, class: 5 }];
        let mut family = recognise(&Facts::of(64, 64).with("output0", &[1, 300, 6])).unwrap();
        let row = [1.0, 2.0, 30.0, 40.0, 0.75, 5.0];
        assert_eq!(decode(&mut *family, &[1, 1, 6], &row, 0.5), wanted);
        let mut family = recognise(&Facts::of(64, 64).with("output", &[0, 7])).unwrap();
        let rows = [0.0, 1.0, 2.0, 30.0, 40.0, 5.0, 0.75, 1.0, 1.0, 2.0, 30.0, 40.0, 5.0, 0.75];
        assert_eq!(decode(&mut *family, &[2, 7], &rows, 0.5), wanted, "the second picture of the batch is none");
        assert_eq!(decode(&mut *family, &[0, 7], &[], 0.5), []);
    }

    #[test]
    fn what_ends_otherwise_is_refused() {
        for shape in [&[1, 300, 5][..], &[1, 300, 7], &[1, 300, 84], &[1, 8400, 6], &[100, 6]] {
            assert!(recognise(&Facts::of(640, 640).with("output0", shape)).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn fractions_are_taken_for_a_transformer_with_two_classes() {
        let mut facts = Facts::of(640, 640).with("output0", &[1, 300, 6]);
        facts.outputs[0].values.fill(0.4);
        assert!(recognise(&facts).is_err());
    }
}
