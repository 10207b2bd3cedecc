//! FastestDet: one output `[1, 5 + classes, rows, columns]`, of each cell an objectness, the centre's offset (tanh), the size
//! (sigmoid, in fractions) and the class scores; one stride, 16. Input: BGR, 0…1, stretched (`INTER_AREA`).
//! Source: dog-qiuqiu/FastestDet, `example/onnx-runtime/runtime.py`, `utils/tool.py`.

use super::{
    Candidate, Facts, Family, Miss, Output, Preparation, Recognised, are_scores, best_of_planes, class_at, sigmoid,
    size,
};
use crate::inference::config::{Channels, Interpolation};
use crate::inference::output::values;

const STRIDE: i64 = 16;

struct FastestDet {
    classes: usize,
    rows: usize,
    columns: usize,
    width: f32,
    height: f32,
    /// Best score and class of each cell, reused.
    best: Vec<f32>,
}

#[expect(clippy::cast_precision_loss, reason = "an input's sides are small")]
pub fn recognise(facts: &Facts) -> Recognised {
    let [&[1, channels, rows, columns]] = *facts.shapes().as_slice() else {
        return Err(Miss::far("it has one output [1, 5 + classes, rows, columns]"));
    };
    let (width, height) = (i64::from(facts.width), i64::from(facts.height));
    if (rows, columns) != (height / STRIDE, width / STRIDE) || rows * columns == 0 {
        let wanted = format!("{} rows and {} columns", height / STRIDE, width / STRIDE);
        return Err(Miss::near(format!("at {width}x{height} it has {wanted}, this model has {rows} and {columns}")));
    }
    if channels < 6 {
        return Err(Miss::near(format!(
            "it has at least 6 channels (box, objectness, classes), this model has {channels}"
        )));
    }
    let cells = size(rows) * size(columns);
    let values = &facts.outputs[0].values;
    if !are_scores(&values[..cells]) || !are_scores(&values[5 * cells..]) {
        return Err(Miss::near(
            "its first channel and those from the sixth on are scores 0 to 1, this model's are not",
        ));
    }
    Ok(Box::new(FastestDet {
        classes: size(channels) - 5,
        rows: size(rows),
        columns: size(columns),
        width: facts.width as f32,
        height: facts.height as f32,
        best: Vec::new(),
    }))
}

impl Family for FastestDet {
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn preparation(&self) -> Preparation {
        Preparation { interpolation: Interpolation::Area, channels: Channels::Bgr, ..Preparation::STRETCHED }
    }

    #[expect(clippy::cast_precision_loss, reason = "grids are small")]
    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let cells = self.rows * self.columns;
        let values = values(outputs, 0, (5 + self.classes) * cells)?;
        let scores = &values[5 * cells..];
        best_of_planes(scores, cells, &mut self.best);
        let of = |plane: usize, cell: usize| values[plane * cells + cell];
        for (cell, &best) in self.best.iter().enumerate() {
            let score = of(0, cell) * best;
            if score >= confidence {
                let class = class_at(scores, cells, cell, best);
                let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
                let cx = (column + of(1, cell).tanh()) / self.columns as f32 * self.width;
                let cy = (row + of(2, cell).tanh()) / self.rows as f32 * self.height;
                let (w, h) = (sigmoid(of(3, cell)) * self.width / 2.0, sigmoid(of(4, cell)) * self.height / 2.0);
                candidates.push(Candidate { x0: cx - w, y0: cy - h, x1: cx + w, y1: cy + h, score, class });
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
    fn a_cell_is_decoded() {
        let facts = Facts::of(64, 32).with("output", &[1, 7, 2, 4]);
        let mut family = recognise(&facts).unwrap();
        let mut values = facts.outputs[0].values.clone();
        // The third cell of the second row: nothing added to its corner, a half of the picture each way.
        for (plane, value) in [0.9, 0.0, 0.0, 0.0, 0.0, 0.2, 0.8].into_iter().enumerate() {
            values[plane * 8 + 6] = value;
        }
        let found = decode(&mut *family, &[1, 7, 2, 4], &values, 0.5);
        assert_eq!(found, [Candidate { x0: 16.0, y0: 8.0, x1: 48.0, y1: 24.0, score: 0.9 * 0.8, class: 1 }]);
    }

    #[test]
    fn a_map_of_another_stride_or_of_no_scores_is_refused() {
        assert!(recognise(&Facts::of(64, 64).with("output", &[1, 7, 2, 4])).err().unwrap().why.contains("4 rows"));
        let mut facts = Facts::of(64, 32).with("output", &[1, 7, 2, 4]);
        facts.outputs[0].values.fill(-2.0);
        assert!(recognise(&facts).err().unwrap().why.contains("scores"));
    }
}
