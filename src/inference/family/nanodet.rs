//! NanoDet (v0) and NanoDet-Plus: class scores and, of each side of the box, a distribution of distances from the cell's
//! centre (generalised focal loss, arXiv 2006.04388). v0: scores `[1, cells, classes]` and bins `[1, cells, 32]`, a pair of
//! outputs for each of the strides 8, 16, 32; Plus: one output `[1, cells, classes + 32]` of the strides 8, 16, 32, 64.
//! Input: BGR, less the mean, by the deviation, warped to the centre of black.
//! Source: RangiLyu/nanodet, `gfl_head.py`, `nanodet_plus_head.py`, `data/transform/warp.py`, `config/`.

use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, are_scores, only_output, reaches, size};
use crate::inference::config::{Channels, Interpolation};
use crate::inference::output::values;

const STRIDES: [u32; 4] = [8, 16, 32, 64];
/// `reg_max` is 7 in every model of the project; what is left of a Plus row are its classes.
const BINS: usize = 8;
/// Columns of the box: a distribution a side.
const BOX: usize = 4 * BINS;

struct NanoDet {
    classes: usize,
    maps: Vec<Map>,
}

/// A feature map's cells, and where their values are.
struct Map {
    /// The output of scores and the output of distances; Plus has both in one.
    outputs: (usize, usize),
    /// Centre of each cell in pixels, and its stride.
    cells: Vec<(f32, f32, f32)>,
}

pub fn recognise(facts: &Facts) -> Recognised {
    if facts.outputs.len() == 1 { plus(facts) } else { pairs(facts) }
}

fn plus(facts: &Facts) -> Recognised {
    let [_, cells, columns] = only_output(facts)?;
    let wanted: usize = STRIDES.iter().map(|&stride| count(facts, stride)).sum();
    if size(cells) != wanted {
        let why = format!("it has a row for each of the {wanted} cells of the strides 8 to 64, this model has {cells}");
        return Err(if size(columns) > BOX && cells > columns { Miss::near(why) } else { Miss::far(why) });
    }
    let Some(classes) = size(columns).checked_sub(BOX).filter(|&classes| classes > 0) else {
        let why = format!("it has more than {BOX} columns ({BOX} of the box, and classes), this model has {columns}");
        return Err(Miss::near(why));
    };
    // YOLOX with four strides has the same rows; its columns but the first four are scores.
    let (mut scores, mut bins) = (true, false);
    for row in facts.outputs[0].values.chunks_exact(classes + BOX) {
        scores &= are_scores(&row[..classes]);
        bins |= !are_scores(&row[classes..]);
    }
    if !scores {
        return Err(Miss::near(format!(
            "its first columns are scores 0 to 1, the first {classes} of this model are not"
        )));
    }
    let blank = facts.outputs[0].values.iter().all(|&value| value == 0.0);
    if !bins && !blank {
        return Err(Miss::near(format!(
            "its last {BOX} columns are distributions, those of this model look like scores"
        )));
    }
    let cells = STRIDES.iter().flat_map(|&stride| layout(facts, stride, 0.0)).collect();
    Ok(Box::new(NanoDet { classes, maps: vec![Map { outputs: (0, 0), cells }] }))
}

fn pairs(facts: &Facts) -> Recognised {
    let mut maps = Vec::new();
    let mut classes = None;
    for &stride in &STRIDES[..facts.outputs.len().div_ceil(2).clamp(1, 4)] {
        let cells = count(facts, stride);
        let of_map = |shape: &[i64]| matches!(*shape, [1, n, _] if size(n) == cells);
        let found: Vec<usize> = (0..facts.outputs.len()).filter(|&at| of_map(&facts.outputs[at].shape)).collect();
        let &[a, b] = found.as_slice() else {
            let why = format!(
                "it has one output, or a pair [1, {cells}, classes] and [1, {cells}, {BOX}] for the stride {stride}, and so on"
            );
            return Err(if maps.is_empty() { Miss::far(why) } else { Miss::near(why) });
        };
        let columns = |at: usize| size(facts.outputs[at].shape[2]);
        // As exported, scores come first; with 32 classes only the order tells.
        let (scores, distances) = if columns(b) == BOX { (a, b) } else { (b, a) };
        if columns(distances) != BOX || *classes.get_or_insert(columns(scores)) != columns(scores) {
            return Err(Miss::near(format!(
                "of each stride it has as many classes and {BOX} columns of the box, this model has {} and {}",
                columns(a),
                columns(b)
            )));
        }
        if !are_scores(&facts.outputs[scores].values) {
            return Err(Miss::near(format!("its scores are 0 to 1, `{}` is not", facts.outputs[scores].name)));
        }
        maps.push(Map { outputs: (scores, distances), cells: layout(facts, stride, 0.5) });
    }
    match classes {
        Some(classes) if classes > 0 && facts.outputs.len() == 2 * maps.len() => {
            Ok(Box::new(NanoDet { classes, maps }))
        }
        _ => Err(Miss::far("it has one output, or a pair for each stride")),
    }
}

/// Cells of a stride; a last one that is cut counts.
fn count(facts: &Facts, stride: u32) -> usize {
    facts.width.div_ceil(stride) as usize * facts.height.div_ceil(stride) as usize
}

/// v0 lays a cell's centre in its middle, Plus in its corner.
#[expect(clippy::cast_precision_loss, reason = "grids are small")]
fn layout(facts: &Facts, stride: u32, offset: f32) -> Vec<(f32, f32, f32)> {
    let (columns, rows, step) = (facts.width.div_ceil(stride), facts.height.div_ceil(stride), stride as f32);
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
    cells.map(|(column, row)| ((column as f32 + offset) * step, (row as f32 + offset) * step, step)).collect()
}

/// The distribution's expectation, after a softmax.
fn expectation(bins: &[f32]) -> f32 {
    let top = bins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted, mut place) = (0.0, 0.0, 0.0);
    for &bin in bins {
        let weight = (bin - top).exp();
        sum += weight;
        weighted += weight * place;
        place += 1.0;
    }
    weighted / sum
}

impl Family for NanoDet {
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn preparation(&self) -> Preparation {
        Preparation {
            pad: [0.0; 3],
            interpolation: Interpolation::Warp,
            channels: Channels::Bgr,
            mean: [103.53, 116.28, 123.675],
            std: [57.375, 57.12, 58.395],
            ..Preparation::YOLO
        }
    }

    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        for map in &self.maps {
            let (scores, distances) = map.outputs;
            let together = scores == distances;
            let columns = if together { self.classes + BOX } else { self.classes };
            let scores = values(outputs, scores, columns * map.cells.len())?;
            let distances = if together { scores } else { values(outputs, distances, BOX * map.cells.len())? };
            for (at, (row, &(x, y, stride))) in scores.chunks_exact(columns).zip(&map.cells).enumerate() {
                if !reaches(&row[..self.classes], confidence) {
                    continue;
                }
                let mut corners = None;
                // Every class stands for itself, as in the project's own suppression.
                for (class, &score) in (0u32..).zip(&row[..self.classes]) {
                    if score < confidence || score.is_nan() {
                        continue;
                    }
                    let bins = if together { &row[self.classes..] } else { &distances[at * BOX..(at + 1) * BOX] };
                    let [left, top, right, bottom] = *corners.get_or_insert_with(|| {
                        [0, 1, 2, 3].map(|side| stride * expectation(&bins[side * BINS..(side + 1) * BINS]))
                    });
                    let (x0, y0, x1, y1) = (x - left, y - top, x + right, y + bottom);
                    candidates.push(Candidate { x0, y0, x1, y1, score, class });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v0() -> Facts {
        let facts = Facts::of(64, 32);
        let facts = facts.with("cls_8", &[1, 32, 3]).with("cls_16", &[1, 8, 3]).with("cls_32", &[1, 2, 3]);
        facts.with("dis_8", &[1, 32, 32]).with("dis_16", &[1, 8, 32]).with("dis_32", &[1, 2, 32])
    }

    #[test]
    fn distributions_become_distances_from_the_cells_middle() {
        let facts = v0();
        let mut family = recognise(&facts).unwrap();
        let mut outputs: Vec<Vec<f32>> = facts.outputs.iter().map(|output| output.values.clone()).collect();
        // The second cell of stride 16 has its middle at (24, 8). One sure bin a side: 1, 0, 1, 0.5 strides away.
        outputs[1][3..6].copy_from_slice(&[0.1, 0.8, 0.6]);
        for (side, bins) in [[1, 1], [0, 0], [1, 1], [0, 1]].into_iter().enumerate() {
            for bin in bins {
                outputs[4][32 + 8 * side + bin] = 40.0;
            }
        }
        let views: Vec<Output<'_>> = facts
            .outputs
            .iter()
            .zip(&outputs)
            .map(|(output, values)| Output { name: &output.name, shape: &output.shape, values })
            .collect();
        let mut found = Vec::new();
        family.decode(&views, 0.5, &mut found).unwrap();
        let candidate = |score, class| Candidate { x0: 8.0, y0: 8.0, x1: 40.0, y1: 16.0, score, class };
        assert_eq!(found, [candidate(0.8, 1), candidate(0.6, 2)]);
    }

    #[test]
    fn plus_has_everything_in_a_row_and_centres_in_corners() {
        let cells = 32 + 8 + 2 + 1;
        let facts = Facts::of(64, 32).with("output", &[1, cells, 2 + 32]);
        let mut family = recognise(&facts).unwrap();
        let mut values = facts.outputs[0].values.clone();
        let row = &mut values[33 * 34..34 * 34];
        row[1] = 0.9;
        for side in 0..4 {
            row[2 + 8 * side + 1] = 40.0;
        }
        let found = super::super::tests::decode(&mut *family, &[1, cells, 34], &values, 0.5);
        assert_eq!(found, [Candidate { x0: 0.0, y0: -16.0, x1: 32.0, y1: 16.0, score: 0.9, class: 1 }]);
    }

    #[test]
    fn what_is_no_nanodet_is_told_by_values_too() {
        let mut facts = Facts::of(64, 32).with("output", &[1, 43, 2 + 32]);
        facts.outputs[0].values.fill(0.5);
        assert!(recognise(&facts).err().unwrap().why.contains("look like scores"));
        facts.outputs[0].values.fill(3.0);
        assert!(recognise(&facts).err().unwrap().why.contains("scores 0 to 1"));
        let mut facts = v0();
        facts.outputs.pop();
        assert!(recognise(&facts).is_err());
    }
}
