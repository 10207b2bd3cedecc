//! Who is who: the matching of tracks and detections that gains most over all, by the Hungarian algorithm.

use std::collections::BTreeMap;

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;
use pathfinding::undirected::connected_components::separate_components;

/// The algorithm counts in whole numbers.
const SCALE: f32 = 1e6;

/// Lists that are kept from frame to frame.
#[derive(Debug, Clone, Default)]
pub(super) struct Assigner {
    gains: Vec<(usize, usize, i64)>,
    /// How many gains a row and a column has.
    rows: Vec<u32>,
    columns: Vec<u32>,
    pairs: Vec<(usize, usize)>,
}

impl Assigner {
    /// Pairs (row, column), each row and each column at most once, with the highest sum of `gain(row, column)`. A pair
    /// without gain (`None`, or not above 0) is never made.
    pub(super) fn assign(
        &mut self,
        rows: usize,
        columns: usize,
        gain: impl Fn(usize, usize) -> Option<f32>,
    ) -> &[(usize, usize)] {
        let Self { gains, rows: of_rows, columns: of_columns, pairs } = self;
        gains.clear();
        pairs.clear();
        of_rows.clear();
        of_rows.resize(rows, 0);
        of_columns.clear();
        of_columns.resize(columns, 0);
        for (row, of_row) in of_rows.iter_mut().enumerate() {
            for (column, of_column) in of_columns.iter_mut().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "gains are 0 to 1")]
                let gain = gain(row, column).map_or(0, |gain| (gain * SCALE) as i64);
                if gain > 0 {
                    gains.push((row, column, gain));
                    *of_row += 1;
                    *of_column += 1;
                }
            }
        }
        // Two that have nobody but each other need no algorithm: on most frames, that is everyone.
        gains.retain(|&(row, column, _)| {
            let alone = of_rows[row] == 1 && of_columns[column] == 1;
            if alone {
                pairs.push((row, column));
            }
            !alone
        });
        if !gains.is_empty() {
            pairs.extend(crowded(rows, gains));
        }
        pairs
    }
}

/// The pairs of those who have a choice. The time grows with the cube: crowds that share nobody are matched apart.
fn crowded(rows: usize, gains: &[(usize, usize, i64)]) -> impl Iterator<Item = (usize, usize)> {
    let ends: Vec<Vec<usize>> = gains.iter().map(|&(row, column, _)| vec![row, rows + column]).collect();
    let (_, crowds) = separate_components(&ends);
    let mut by_crowd: BTreeMap<usize, Vec<(usize, usize, i64)>> = BTreeMap::new();
    for (crowd, &gain) in crowds.into_iter().zip(gains) {
        by_crowd.entry(crowd).or_default().push(gain);
    }
    by_crowd.into_values().flat_map(|gains| matched(&gains))
}

fn matched(gains: &[(usize, usize, i64)]) -> Vec<(usize, usize)> {
    let used = |ids: &mut dyn Iterator<Item = usize>| {
        let mut ids: Vec<usize> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let rows = used(&mut gains.iter().map(|pair| pair.0));
    let columns = used(&mut gains.iter().map(|pair| pair.1));
    // It wants at least as many columns as rows, and gives every row a column: pairs without gain are undone after.
    let wide = rows.len() <= columns.len();
    let (short, long) = if wide { (&rows, &columns) } else { (&columns, &rows) };
    let mut matrix = Matrix::new(short.len(), long.len(), 0i64);
    for &(row, column, gain) in gains {
        let (a, b) = if wide { (row, column) } else { (column, row) };
        if let (Ok(i), Ok(j)) = (short.binary_search(&a), long.binary_search(&b)) {
            matrix[(i, j)] = gain;
        }
    }
    let (_, chosen) = kuhn_munkres(&matrix);
    chosen
        .into_iter()
        .enumerate()
        .filter(|&(i, j)| matrix[(i, j)] > 0)
        .map(|(i, j)| if wide { (short[i], long[j]) } else { (long[j], short[i]) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(rows: usize, columns: usize, gain: impl Fn(usize, usize) -> Option<f32>) -> Vec<(usize, usize)> {
        let mut pairs = Assigner::default().assign(rows, columns, gain).to_vec();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn the_sum_decides_and_not_the_first_come() {
        let gains = [[0.9, 0.8], [0.85, 0.1]];
        assert_eq!(sorted(2, 2, |i, j| Some(gains[i][j])), [(0, 1), (1, 0)]);
    }

    #[test]
    fn a_forbidden_pair_is_never_made() {
        assert_eq!(sorted(2, 1, |i, _| (i == 1).then_some(0.5)), [(1, 0)]);
        assert_eq!(sorted(3, 2, |i, j| (i == j).then_some(0.5)), [(0, 0), (1, 1)]);
        assert!(sorted(2, 3, |_, _| None).is_empty());
        assert!(sorted(0, 3, |_, _| Some(1.0)).is_empty());
        assert!(sorted(1, 1, |_, _| Some(f32::NAN)).is_empty());
    }

    #[test]
    fn crowds_that_share_nobody_are_matched_as_one_would_be_and_thousands_of_them_take_no_time() {
        // Pairs of pairs: row 2n and 2n + 1 with column 2n and 2n + 1, the sum deciding in each.
        let gains = [[0.9, 0.8], [0.85, 0.1]];
        let gain = |i: usize, j: usize| (i / 2 == j / 2).then(|| gains[i % 2][j % 2]);
        let wanted: Vec<_> = (0..2000).map(|i| (i, i ^ 1)).collect();
        assert_eq!(sorted(2000, 2000, gain), wanted);
    }
}
