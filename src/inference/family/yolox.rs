//! YOLOX (arXiv 2107.08430): one output `[1, cells, 5 + classes]` of raw grid values: centre offsets and log sizes by cell,
//! objectness and class scores 0…1; exported with `--decode_in_inference`, centre and size in input pixels. Input: BGR, 0…255 as it is, in the top left corner on grey 114.
//! Source: `demo/ONNXRuntime` of Megvii's YOLOX.

use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, best, only_output, size};
use crate::inference::config::{Channels, Padding};
use crate::inference::output::values;

const STRIDES: [&[u32]; 2] = [&[8, 16, 32], &[8, 16, 32, 64]];

struct Yolox {
    classes: usize,
    /// Column, row and stride of each cell.
    cells: Vec<(f32, f32, f32)>,
    /// The grid is undone in the model.
    decoded: bool,
}

/// Whether the rows of a grid hold pixels: their centres lie all over the picture then, while raw offsets lie around 0.
#[expect(clippy::cast_precision_loss, reason = "sides and cells are few")]
pub fn decoded(facts: &Facts) -> bool {
    let Some(output) = facts.outputs.first() else { return false };
    let columns = output.shape.last().map_or(1, |&columns| size(columns).max(1));
    let centres: Vec<f32> = output.values.chunks_exact(columns).map(|row| row[0]).collect();
    centres.iter().sum::<f32>() / centres.len().max(1) as f32 > facts.width as f32 / 8.0
}

pub fn recognise(facts: &Facts) -> Recognised {
    let [_, cells, columns] = only_output(facts)?;
    let Some(strides) = STRIDES.iter().find(|strides| facts.cells(strides) == cells) else {
        let wanted = facts.cells(STRIDES[0]);
        let why =
            format!("it has a row for each of the {wanted} cells of the strides 8, 16 and 32, this model has {cells}");
        return Err(if columns > 5 && cells > columns { Miss::near(why) } else { Miss::far(why) });
    };
    if columns < 6 {
        return Err(Miss::near(format!(
            "it has at least 6 columns (box, objectness, classes), this model has {columns}"
        )));
    }
    Ok(Box::new(Yolox {
        classes: size(columns) - 5,
        cells: layout(facts.width, facts.height, strides),
        decoded: decoded(facts),
    }))
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
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn preparation(&self) -> Preparation {
        Preparation {
            cut: true,
            padding: Padding::TopLeft,
            channels: Channels::Bgr,
            std: [1.0; 3],
            ..Preparation::YOLO
        }
    }

    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let row = 5 + self.classes;
        let values = values(outputs, 0, row * self.cells.len())?;
        for (values, &(column, line, stride)) in values.chunks_exact(row).zip(&self.cells) {
            let objectness = values[4];
            // Class scores are at most 1: most cells are done after one comparison.
            if objectness < confidence {
                continue;
            }
            let (best, class) = best(&values[5..]);
            let score = objectness * best;
            if score >= confidence {
                let at = if self.decoded {
                    [values[0], values[1], values[2], values[3]]
                } else {
                    let (cx, cy) = ((values[0] + column) * stride, (values[1] + line) * stride);
                    [cx, cy, values[2].exp() * stride, values[3].exp() * stride]
                };
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
    fn the_grid_is_decoded() {
        let mut family = recognise(&Facts::of(64, 32).with("output", &[1, 42, 7])).unwrap();
        let mut values = vec![0.0f32; 42 * 7];
        // Cell 33 is the second of the stride-16 map (4 x 2 cells after 32 cells of stride 8).
        values[33 * 7..34 * 7].copy_from_slice(&[0.5, 0.25, 0.0, 2.0f32.ln(), 0.9, 0.1, 0.8]);
        let found = decode(&mut *family, &[1, 42, 7], &values, 0.5);
        assert_eq!(found.len(), 1);
        let c = found[0];
        assert_eq!((c.x0, c.x1, c.class), (16.0, 32.0, 1));
        assert!((c.y0 - -12.0).abs() < 1e-3 && (c.y1 - 20.0).abs() < 1e-3 && (c.score - 0.72).abs() < 1e-6);
    }

    #[test]
    fn a_grid_that_was_decoded_in_the_model_is_told_by_the_trial() {
        let mut facts = Facts::of(64, 32).with("output", &[1, 42, 7]);
        facts.outputs[0].values.chunks_exact_mut(7).for_each(|row| row[0] = 30.0);
        let mut values = vec![0.0f32; 42 * 7];
        values[33 * 7..34 * 7].copy_from_slice(&[24.0, 4.0, 16.0, 32.0, 0.9, 0.1, 0.8]);
        let found = decode(&mut *recognise(&facts).unwrap(), &[1, 42, 7], &values, 0.5);
        assert_eq!((found[0].x0, found[0].x1, found[0].y0, found[0].y1), (16.0, 32.0, -12.0, 20.0));
    }

    #[test]
    fn a_cell_count_that_fits_no_grid_is_refused() {
        assert!(recognise(&Facts::of(416, 416).with("output", &[1, 3550, 85])).is_err());
    }
}
