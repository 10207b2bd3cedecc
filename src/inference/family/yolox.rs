//! YOLOX (arXiv 2107.08430): one output `[1, cells, 5 + classes]` of raw grid values: centre offsets and log sizes by cell,
//! objectness and class scores 0…1. Input: BGR, 0…255 as it is, in the top left corner on grey 114.
//! Source: `demo/ONNXRuntime` of Megvii's YOLOX.

use super::{Candidate, Family, InputSpec, Padding, Shapes, grid_cells};

const STRIDES: [&[u32]; 2] = [&[8, 16, 32], &[8, 16, 32, 64]];

pub struct Yolox {
    width: u32,
    height: u32,
    classes: usize,
    /// Column, row and stride of each cell.
    cells: Vec<(f32, f32, f32)>,
}

impl Yolox {
    pub fn recognise(shapes: &Shapes) -> Option<Self> {
        let [output] = shapes.outputs.as_slice() else { return None };
        let &[1, cells, columns] = output.as_slice() else { return None };
        let strides = STRIDES.iter().find(|s| grid_cells(shapes.width, shapes.height, s) == cells)?;
        let classes = usize::try_from(columns).ok()?.checked_sub(5).filter(|&c| c > 0)?;
        Some(Self {
            width: shapes.width,
            height: shapes.height,
            classes,
            cells: layout(shapes.width, shapes.height, strides),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "grids are small")]
fn layout(width: u32, height: u32, strides: &[u32]) -> Vec<(f32, f32, f32)> {
    let mut cells = Vec::new();
    for &stride in strides {
        for row in 0..height / stride {
            cells.extend((0..width / stride).map(|column| (column as f32, row as f32, stride as f32)));
        }
    }
    cells
}

impl Family for Yolox {
    fn name(&self) -> &'static str {
        "yolox"
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            width: self.width,
            height: self.height,
            padding: Padding::TopLeft,
            rgb: false,
            pad: 114.0,
            subtract: 0.0,
            divisor: 1.0,
        }
    }

    fn decode(&mut self, outputs: &[&[f32]], confidence: f32, candidates: &mut Vec<Candidate>) {
        let row = 5 + self.classes;
        let Some(values) = outputs.first().filter(|v| v.len() == row * self.cells.len()) else {
            return;
        };
        for (values, &(column, line, stride)) in values.chunks_exact(row).zip(&self.cells) {
            let objectness = values[4];
            // Class scores are at most 1: most cells are done after one comparison.
            if objectness < confidence {
                continue;
            }
            let (mut best, mut class) = (f32::NEG_INFINITY, 0);
            for (index, &score) in (0u32..).zip(&values[5..]) {
                if score > best {
                    (best, class) = (score, index);
                }
            }
            let score = objectness * best;
            if score >= confidence {
                let (cx, cy) = ((values[0] + column) * stride, (values[1] + line) * stride);
                let (w, h) = (values[2].exp() * stride / 2.0, values[3].exp() * stride / 2.0);
                candidates.push(Candidate { x0: cx - w, y0: cy - h, x1: cx + w, y1: cy + h, score, class });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_decoded() {
        let shapes = Shapes { width: 64, height: 32, outputs: vec![vec![1, 42, 7]] };
        let mut family = Yolox::recognise(&shapes).unwrap();
        let mut values = vec![0.0f32; 42 * 7];
        // Cell 33 is the second of the stride-16 map (4 x 2 cells after 32 cells of stride 8).
        values[33 * 7..34 * 7].copy_from_slice(&[0.5, 0.25, 0.0, 2.0f32.ln(), 0.9, 0.1, 0.8]);
        let mut candidates = Vec::new();
        family.decode(&[&values], 0.5, &mut candidates);
        assert_eq!(candidates.len(), 1);
        let c = candidates[0];
        assert_eq!((c.x0, c.x1, c.class), (16.0, 32.0, 1));
        assert!((c.y0 - -12.0).abs() < 1e-3 && (c.y1 - 20.0).abs() < 1e-3 && (c.score - 0.72).abs() < 1e-6);
    }

    #[test]
    fn a_cell_count_that_fits_no_grid_is_refused() {
        assert!(Yolox::recognise(&Shapes { width: 416, height: 416, outputs: vec![vec![1, 3550, 85]] }).is_none());
    }
}
