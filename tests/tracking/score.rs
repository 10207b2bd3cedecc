//! How good tracks are where the truth is known: MOTA and ID switches (CLEAR MOT, Bernardin and Stiefelhagen 2008) and
//! IDF1 (Ristani and others 2016), counted as the Python package `motmetrics` does.

use std::collections::{BTreeMap, BTreeSet};

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;
use sightwire::domain::BBox;

/// Boxes with an identity, frame by frame.
pub type Film = Vec<Vec<(u64, BBox)>>;

#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub mota: f64,
    pub idf1: f64,
    pub switches: usize,
    pub identities: usize,
}

/// A pair overlaps by half at least.
const OVERLAP: f32 = 0.5;

pub fn measure(truth: &Film, said: &Film) -> Figures {
    let count = |film: &Film| film.iter().map(Vec::len).sum::<usize>();
    let (objects, boxes) = (count(truth), count(said));
    let mut partner: BTreeMap<u64, u64> = BTreeMap::new();
    let mut together: BTreeMap<(u64, u64), i64> = BTreeMap::new();
    let (mut matches, mut switches) = (0, 0);
    for (truth, said) in truth.iter().zip(said) {
        for (object, a) in truth {
            for (id, _) in said.iter().filter(|(_, b)| a.iou(b) >= OVERLAP) {
                *together.entry((*object, *id)).or_default() += 1;
            }
        }
        for (object, id) in pairs(truth, said, &partner) {
            matches += 1;
            switches += usize::from(partner.insert(object, id).is_some_and(|before| before != id));
        }
    }
    let wrong = (objects - matches) + (boxes - matches) + switches;
    Figures {
        mota: 1.0 - wrong as f64 / objects as f64,
        idf1: 2.0 * same_all_along(&together) as f64 / (objects + boxes) as f64,
        switches,
        identities: said.iter().flatten().map(|(id, _)| id).collect::<BTreeSet<_>>().len(),
    }
}

/// Who is whom in a frame: partners of before stay together while they may, the others are matched by overlap.
fn pairs(truth: &[(u64, BBox)], said: &[(u64, BBox)], partner: &BTreeMap<u64, u64>) -> Vec<(u64, u64)> {
    let mut pairs = Vec::new();
    for (object, a) in truth {
        let before = partner.get(object);
        if let Some((id, _)) = said.iter().find(|(id, b)| Some(id) == before && a.iou(b) >= OVERLAP)
            && !pairs.iter().any(|(_, taken)| taken == id)
        {
            pairs.push((*object, *id));
        }
    }
    let objects: Vec<_> = truth.iter().filter(|(object, _)| !pairs.iter().any(|p| p.0 == *object)).collect();
    let ids: Vec<_> = said.iter().filter(|(id, _)| !pairs.iter().any(|p| p.1 == *id)).collect();
    // As many as possible, then by overlap.
    let gain = |i: usize, j: usize| {
        let iou = objects[i].1.iou(&ids[j].1);
        if iou >= OVERLAP { 1_000_000 + (iou * 1000.0) as i64 } else { 0 }
    };
    let chosen = best(objects.len(), ids.len(), gain);
    pairs.extend(chosen.into_iter().map(|(i, j)| (objects[i].0, ids[j].0)));
    pairs
}

/// Frames that agree when each object may have one identity for good, and each identity one object.
fn same_all_along(together: &BTreeMap<(u64, u64), i64>) -> i64 {
    let objects: Vec<u64> = together.keys().map(|pair| pair.0).collect::<BTreeSet<_>>().into_iter().collect();
    let ids: Vec<u64> = together.keys().map(|pair| pair.1).collect::<BTreeSet<_>>().into_iter().collect();
    let gain = |i: usize, j: usize| together.get(&(objects[i], ids[j])).copied().unwrap_or(0);
    best(objects.len(), ids.len(), gain).into_iter().map(|(i, j)| gain(i, j)).sum()
}

/// The pairs with the highest sum, those without gain left out.
fn best(rows: usize, columns: usize, gain: impl Fn(usize, usize) -> i64) -> Vec<(usize, usize)> {
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    let wide = rows <= columns;
    let (short, long) = (rows.min(columns), rows.max(columns));
    let at = |i: usize, j: usize| if wide { gain(i, j) } else { gain(j, i) };
    let (_, chosen) = kuhn_munkres(&Matrix::from_fn(short, long, |(i, j)| at(i, j)));
    let pairs = chosen.into_iter().enumerate().filter(|&(i, j)| at(i, j) > 0);
    pairs.map(|(i, j)| if wide { (i, j) } else { (j, i) }).collect()
}

fn square(x: f32) -> BBox {
    BBox::from([x, 0.0, x + 0.1, 0.1])
}

#[test]
fn perfect_tracks_score_one_and_a_switch_costs() {
    let truth: Film = (0..10).map(|_| vec![(1, square(0.0)), (2, square(0.5))]).collect();
    let perfect = measure(&truth, &truth);
    assert_eq!((perfect.mota, perfect.idf1, perfect.switches, perfect.identities), (1.0, 1.0, 0, 2));
    // From the fifth frame on the first goes by another name.
    let said: Film = (0..10).map(|i| vec![(if i < 5 { 7 } else { 9 }, square(0.0)), (8, square(0.5))]).collect();
    let switched = measure(&truth, &said);
    assert_eq!((switched.switches, switched.identities), (1, 3));
    assert!((switched.mota - 19.0 / 20.0).abs() < 1e-9 && (switched.idf1 - 15.0 / 20.0).abs() < 1e-9, "{switched:?}");
    // One object is never found, and half the other's finds are far off: five right, five wrong, fifteen missed.
    let said: Film = (0..10).map(|i| vec![(7, square(if i < 5 { 0.0 } else { 0.8 }))]).collect();
    let poor = measure(&truth, &said);
    assert!((poor.mota - (1.0 - 20.0 / 20.0)).abs() < 1e-9 && (poor.idf1 - 10.0 / 30.0).abs() < 1e-9, "{poor:?}");
}
