//! YOLOv5 and YOLOv7: one output `[1, 3 * cells, 5 + classes]`, boxes as centre and size in input pixels, objectness and class
//! scores 0…1. YOLOv6 writes the same, a row a cell and every objectness 1. Input: RGB, 0…1, centred on grey 114.
//! Sources: `export.py` of ultralytics/yolov5 and of WongKinYiu/yolov7, `deploy/ONNX` of meituan/YOLOv6.

use super::ultralytics::{extras, only_extras_follow};
use super::yolox::decoded;
use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, best, size};
use crate::inference::output::values;

/// Anchors a cell.
const ANCHORS: i64 = 3;
const STRIDES: [&[u32]; 2] = [&[8, 16, 32], &[8, 16, 32, 64]];
/// Columns before the classes: the box and objectness.
const HEAD: usize = 5;

struct Yolov5 {
    rows: usize,
    columns: usize,
    classes: usize,
}

pub fn recognise(facts: &Facts) -> Recognised {
    let first = facts.outputs.first().ok_or_else(|| Miss::far("the model has no outputs"))?;
    if matches!(first.shape.as_slice(), [1, ANCHORS, _, _, _]) {
        return Err(Miss::near(
            "these are the raw maps `[1, 3, height, width, 5 + classes]`, which need the anchors \
             they were trained with; export the decoded rows (`export.py --grid` of YOLOv7, or a newer `export.py` of YOLOv5)",
        ));
    }
    let &[1, rows, columns] = first.shape.as_slice() else {
        return Err(Miss::far(format!(
            "its first output is [1, rows, 5 + classes], this one has {} sides",
            first.shape.len()
        )));
    };
    if columns < 6 {
        return Err(Miss::far(format!(
            "it has at least 6 columns (box, objectness, classes), this model has {columns}"
        )));
    }
    if !only_extras_follow(facts) {
        return Err(Miss::far("its other outputs are maps or masks"));
    }
    let cells = STRIDES.map(|strides| facts.cells(strides));
    let anchored = cells.iter().any(|cells| rows == ANCHORS * cells);
    let plain = cells.contains(&rows) && decoded(facts) && every_objectness_is_one(&first.values, size(columns));
    if !anchored && !plain {
        let why = format!(
            "it has {} rows (three for each of the {} cells of the strides 8, 16 and 32), this model has {rows}",
            ANCHORS * cells[0],
            cells[0]
        );
        return Err(if rows > 3 * columns { Miss::near(why) } else { Miss::far(why) });
    }
    let extras = extras(facts, HEAD, size(columns))?;
    Ok(Box::new(Yolov5 { rows: size(rows), columns: size(columns), classes: size(columns) - HEAD - extras }))
}

/// As YOLOv6 writes it, which has no objectness but keeps its place.
fn every_objectness_is_one(values: &[f32], columns: usize) -> bool {
    values.chunks_exact(columns).all(|row| (row[4] - 1.0).abs() < 1e-3)
}

impl Family for Yolov5 {
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
        for row in values(outputs, 0, self.rows * self.columns)?.chunks_exact(self.columns) {
            // Class scores are at most 1: most rows are done after one comparison.
            if row[4] < confidence {
                continue;
            }
            let (best, class) = best(&row[HEAD..HEAD + self.classes]);
            let score = row[4] * best;
            if score >= confidence {
                candidates.push(Candidate::centred([row[0], row[1], row[2], row[3]], score, class));
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
    fn objectness_times_the_best_class_is_the_score() {
        let mut family = recognise(&Facts::of(32, 32).with("output0", &[1, 63, 7])).unwrap();
        let mut values = vec![0.0f32; 63 * 7];
        values[21..28].copy_from_slice(&[16.0, 12.0, 8.0, 4.0, 0.5, 0.2, 0.9]);
        assert_eq!(decode(&mut *family, &[1, 63, 7], &values, 0.46), []);
        let found = decode(&mut *family, &[1, 63, 7], &values, 0.44);
        assert_eq!(found, [Candidate { x0: 12.0, y0: 10.0, x1: 20.0, y1: 14.0, score: 0.45, class: 1 }]);
    }

    #[test]
    fn raw_maps_beside_the_decoded_rows_are_left_alone() {
        let facts = Facts::of(64, 64).with("output", &[1, 252, 85]);
        let facts = facts.with("345", &[1, 3, 8, 8, 85]).with("403", &[1, 3, 4, 4, 85]);
        assert_eq!(recognise(&facts).unwrap().classes(), Some(80));
    }

    #[test]
    fn raw_maps_alone_are_refused_with_a_remedy() {
        let facts = Facts::of(64, 64).with("345", &[1, 3, 8, 8, 85]).with("403", &[1, 3, 4, 4, 85]);
        assert!(recognise(&facts).err().unwrap().why.contains("--grid"));
    }
}
