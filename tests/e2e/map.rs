//! Mean average precision, as detection benchmarks count it: all-point interpolation, the mean over the classes.

use std::collections::{BTreeMap, HashMap, HashSet};

use sightwire::domain::BBox;

/// A box in a picture; `class` by its name.
#[derive(Debug, Clone)]
pub struct Labelled {
    pub picture: u64,
    pub class: String,
    pub bbox: BBox,
    /// 1 for the truth.
    pub score: f32,
}

/// 0…1, over the classes that the truth holds. A box is right when it covers a true one of its class in its picture, not
/// yet taken by a better one, by at least `iou`.
pub fn mean_average_precision(found: &[Labelled], truth: &[Labelled], iou: f32) -> f64 {
    let mut classes: BTreeMap<&str, Vec<&Labelled>> = BTreeMap::new();
    for object in truth {
        classes.entry(&object.class).or_default().push(object);
    }
    let precisions = classes.iter().map(|(class, truth)| {
        let found = found.iter().filter(|object| object.class == *class).collect();
        average_precision(found, truth, iou)
    });
    precisions.sum::<f64>() / count(classes.len())
}

/// The area under the curve of precision over recall, the precision at each recall being the best at it or beyond.
fn average_precision(mut found: Vec<&Labelled>, truth: &[&Labelled], iou: f32) -> f64 {
    let mut pictures: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, object) in truth.iter().enumerate() {
        pictures.entry(object.picture).or_default().push(index);
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut taken = HashSet::new();
    let mut right = 0;
    let mut curve = Vec::new();
    for (rank, object) in found.iter().enumerate() {
        let here = pictures.get(&object.picture).into_iter().flatten();
        let best = here
            .map(|&index| (index, overlap(object.bbox, truth[index].bbox)))
            .filter(|(_, overlap)| *overlap >= iou)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if best.is_some_and(|(index, _)| taken.insert(index)) {
            right += 1;
        }
        curve.push((count(right) / count(truth.len()), count(right) / count(rank + 1)));
    }
    let (mut area, mut recall_before) = (0.0, 0.0);
    for at in 0..curve.len() {
        let (recall, _) = curve[at];
        let best_beyond = curve[at..].iter().map(|(_, precision)| *precision).fold(0.0, f64::max);
        if recall > recall_before {
            area += (recall - recall_before) * best_beyond;
            recall_before = recall;
        }
    }
    area
}

fn overlap(a: BBox, b: BBox) -> f32 {
    let side = |min: f32, max: f32| (max - min).max(0.0);
    let shared = side(a.x_min.max(b.x_min), a.x_max.min(b.x_max)) * side(a.y_min.max(b.y_min), a.y_max.min(b.y_max));
    let area = |r: BBox| side(r.x_min, r.x_max) * side(r.y_min, r.y_max);
    let all = area(a) + area(b) - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand boxes")]
fn count(n: usize) -> f64 {
    n as f64
}

fn labelled(picture: u64, class: &str, score: f32, left: f32) -> Labelled {
    Labelled { picture, class: class.into(), bbox: BBox::clamped(left, 0.0, left + 0.2, 0.2), score }
}

#[test]
fn precision_is_one_for_the_truth_itself_and_falls_with_what_is_wrong_missed_or_doubled() {
    let truth = [labelled(1, "a", 1.0, 0.0), labelled(2, "a", 1.0, 0.5), labelled(1, "b", 1.0, 0.5)];
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    close(mean_average_precision(&truth, &truth, 0.5), 1.0);
    close(mean_average_precision(&[], &truth, 0.5), 0.0);
    // Class b is missed.
    close(mean_average_precision(&truth[..2], &truth, 0.5), 0.5);
    // Of class a the best is wrong (nothing there in that picture), the others are right: 1/2 and 2/3, and what is best beyond.
    let wrong = [
        labelled(3, "a", 0.9, 0.0),
        labelled(1, "a", 0.8, 0.01),
        labelled(2, "a", 0.7, 0.5),
        labelled(1, "b", 0.9, 0.5),
    ];
    close(mean_average_precision(&wrong, &truth, 0.5), f64::midpoint(2.0 / 3.0, 1.0));
    // A second box on the same object is wrong, but comes after all is found.
    let doubled = [truth[0].clone(), truth[1].clone(), truth[2].clone(), labelled(1, "a", 0.3, 0.0)];
    close(mean_average_precision(&doubled, &truth, 0.5), 1.0);
    // Far too wide of the mark.
    close(mean_average_precision(&[labelled(1, "b", 0.9, 0.65)], &truth[2..], 0.5), 0.0);
}
