//! Non-maximum suppression: greedy, by class unless asked otherwise.

use crate::domain::BBox;

/// One box before suppression, in pixels of the model's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
    pub score: f32,
    pub class: u32,
}

impl Candidate {
    /// Of centre, width and height.
    #[must_use]
    pub fn centred([cx, cy, w, h]: [f32; 4], score: f32, class: u32) -> Self {
        let (w, h) = (w / 2.0, h / 2.0);
        Self { x0: cx - w, y0: cy - h, x1: cx + w, y1: cy + h, score, class }
    }

    /// Overlap knows no unit: pixels do as well as fractions.
    fn iou(&self, other: &Self) -> f32 {
        let corners = |c: &Self| BBox::from([c.x0, c.y0, c.x1, c.y1]);
        corners(self).iou(&corners(other))
    }
}

#[derive(Debug, Clone, Copy)]
pub struct NmsConfig {
    pub iou: f32,
    pub class_agnostic: bool,
    pub max_candidates: usize,
    pub max_detections: usize,
}

/// Leaves in `candidates` what survives, best score first. Boxes that are not finite are dropped.
pub fn suppress(candidates: &mut Vec<Candidate>, config: &NmsConfig) {
    rank(candidates, config.max_candidates);
    // Survivors gather at the front: everything before `kept` stays, in order.
    let mut kept = 0;
    for at in 0..candidates.len() {
        let candidate = candidates[at];
        let suppressed = candidates[..kept]
            .iter()
            .any(|k| (config.class_agnostic || k.class == candidate.class) && k.iou(&candidate) > config.iou);
        if !suppressed {
            candidates[kept] = candidate;
            kept += 1;
            if kept == config.max_detections {
                break;
            }
        }
    }
    candidates.truncate(kept);
}

/// The best `limit`, best score first, of boxes that do not overlap by their making. Boxes that are not finite are dropped.
pub fn rank(candidates: &mut Vec<Candidate>, limit: usize) {
    candidates.retain(|c| [c.x0, c.y0, c.x1, c.y1, c.score].iter().all(|v| v.is_finite()));
    if candidates.len() > limit {
        candidates.select_nth_unstable_by(limit - 1, |a, b| b.score.total_cmp(&a.score));
        candidates.truncate(limit);
    }
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: NmsConfig = NmsConfig { iou: 0.5, class_agnostic: false, max_candidates: 100, max_detections: 100 };

    fn candidate(x: f32, score: f32, class: u32) -> Candidate {
        Candidate { x0: x, y0: 0.0, x1: x + 10.0, y1: 10.0, score, class }
    }

    #[test]
    fn the_better_of_two_overlapping_boxes_of_a_class_stays() {
        let mut boxes =
            vec![candidate(0.0, 0.6, 1), candidate(1.0, 0.9, 1), candidate(1.0, 0.7, 2), candidate(50.0, 0.5, 1)];
        suppress(&mut boxes, &CONFIG);
        assert_eq!(boxes.iter().map(|b| b.score).collect::<Vec<_>>(), [0.9, 0.7, 0.5]);
    }

    #[test]
    fn class_agnostic_suppression_crosses_classes() {
        let mut boxes = vec![candidate(1.0, 0.9, 1), candidate(1.0, 0.7, 2)];
        suppress(&mut boxes, &NmsConfig { class_agnostic: true, ..CONFIG });
        assert_eq!(boxes.len(), 1);
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn thousands_of_boxes_are_cut_to_the_best() {
        let mut boxes: Vec<_> = (0..5000).map(|i| candidate(i as f32 * 20.0, i as f32 / 5000.0, 0)).collect();
        suppress(&mut boxes, &NmsConfig { max_candidates: 50, max_detections: 7, ..CONFIG });
        assert_eq!(boxes.len(), 7);
        assert!(boxes.iter().all(|b| b.score > 0.99));
    }

    #[test]
    fn boxes_that_are_not_numbers_disappear() {
        let mut boxes = vec![candidate(f32::NAN, 0.9, 1), candidate(0.0, f32::INFINITY, 1), candidate(0.0, 0.5, 1)];
        suppress(&mut boxes, &CONFIG);
        assert_eq!(boxes.len(), 1);
    }
}
