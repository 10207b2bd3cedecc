//! YOLOv8, v9, 11, 12 as Ultralytics exports them: one output `[1, 4 + classes, anchors]`, boxes as centre and size in input
//! pixels, class scores 0…1, no objectness. Input: RGB, 0…1, centred on grey 114.
//! Source: Ultralytics' documentation of `export(format="onnx")` and its ONNX Runtime examples.

use super::{Candidate, Family, InputSpec, Padding, Shapes};

pub struct Yolo {
    width: u32,
    height: u32,
    classes: usize,
    anchors: usize,
    /// Best score and class of each anchor, reused.
    best: Vec<(f32, u32)>,
}

impl Yolo {
    pub fn recognise(shapes: &Shapes) -> Option<Self> {
        let [output] = shapes.outputs.as_slice() else { return None };
        let &[1, rows, anchors] = output.as_slice() else { return None };
        // Anchors outnumber rows by far in every export; `[1, 300, 6]` is another family.
        if rows < 5 || anchors <= rows {
            return None;
        }
        let (rows, anchors) = (usize::try_from(rows).ok()?, usize::try_from(anchors).ok()?);
        Some(Self { width: shapes.width, height: shapes.height, classes: rows - 4, anchors, best: Vec::new() })
    }
}

impl Family for Yolo {
    fn name(&self) -> &'static str {
        "yolo"
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            width: self.width,
            height: self.height,
            padding: Padding::Centred,
            rgb: true,
            pad: 114.0,
            subtract: 0.0,
            divisor: 255.0,
        }
    }

    fn decode(&mut self, outputs: &[&[f32]], confidence: f32, candidates: &mut Vec<Candidate>) {
        let n = self.anchors;
        let Some(values) = outputs.first().filter(|v| v.len() == (4 + self.classes) * n) else {
            return;
        };
        let (boxes, scores) = values.split_at(4 * n);
        // Row by row (a row is one class of all anchors), so that memory is read in order.
        self.best.clear();
        self.best.resize(n, (f32::NEG_INFINITY, 0));
        for (class, row) in (0u32..).zip(scores.chunks_exact(n)) {
            for (best, &score) in self.best.iter_mut().zip(row) {
                if score > best.0 {
                    *best = (score, class);
                }
            }
        }
        for (at, &(score, class)) in self.best.iter().enumerate() {
            if score >= confidence {
                let (cx, cy, w, h) = (boxes[at], boxes[n + at], boxes[2 * n + at] / 2.0, boxes[3 * n + at] / 2.0);
                candidates.push(Candidate { x0: cx - w, y0: cy - h, x1: cx + w, y1: cy + h, score, class });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transposed_layout_is_decoded() {
        let shapes = Shapes { width: 32, height: 32, outputs: vec![vec![1, 6, 8]] };
        let mut family = Yolo::recognise(&shapes).unwrap();
        let mut values = vec![0.0f32; 48];
        for (row, value) in [16.0, 12.0, 8.0, 4.0, 0.2, 0.9].into_iter().enumerate() {
            values[row * 8 + 3] = value;
        }
        let mut candidates = Vec::new();
        family.decode(&[&values], 0.5, &mut candidates);
        assert_eq!(candidates, [Candidate { x0: 12.0, y0: 10.0, x1: 20.0, y1: 14.0, score: 0.9, class: 1 }]);
    }

    #[test]
    fn other_layouts_are_not_taken_for_it() {
        for outputs in
            [vec![], vec![vec![1, 300, 6]], vec![vec![1, 4, 100]], vec![vec![2, 84, 8400]], vec![vec![1, 84, 8400]; 2]]
        {
            assert!(Yolo::recognise(&Shapes { width: 640, height: 640, outputs }).is_none());
        }
    }
}
