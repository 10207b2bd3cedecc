//! Where a label lies: at its box, in the picture, and over no other label where that can be helped.

use super::canvas::{Rect, to_f32, whole};
use super::text::Line;

/// Up to this cost a place is as good as free.
pub(super) const FREE: f32 = 0.3;
/// Above this cost two labels would hide each other: then the box has none.
pub(super) const BURIED: f32 = 1.6;
/// In a crowd this is enough: an unreadable label is worse than none.
pub(super) const CROWDED: f32 = 0.75;
/// What covering a box that is hardly larger than the label costs, beside covering another label.
const OVER_BOX: f32 = 0.35;
/// Boxes that are looked at one by one; in a larger crowd the rest is not spared.
const MOST_BOXES: usize = 600;

/// The words of a label on their ground.
pub(super) struct Plate {
    pub line: Line,
    pub size: f32,
    pub pad: f32,
    /// From the top of the plate.
    pub baseline: i32,
    pub width: i32,
    pub height: i32,
}

impl Plate {
    pub fn around(line: Line, size: f32, pad: f32) -> Self {
        // Room for accents above capitals and for the descenders below.
        let height = whole(size * 1.48);
        // The capitals, 0.727 of the size, lie in the middle.
        let baseline = whole(f32::midpoint(to_f32(height), size * 0.727));
        let width = whole((line.width + 2.0 * pad).ceil());
        Self { line, size, pad, baseline, width, height }
    }
}

/// What has been laid already.
pub(super) struct Table {
    picture: Rect,
    boxes: Vec<Rect>,
    taken: Vec<Rect>,
}

impl Table {
    /// `boxes`: the largest first.
    pub fn new(picture: Rect, mut boxes: Vec<Rect>) -> Self {
        boxes.drain(..boxes.len().saturating_sub(MOST_BOXES));
        Self { picture, boxes, taken: Vec::new() }
    }

    pub fn picture(&self) -> Rect {
        self.picture
    }

    pub fn take(&mut self, rect: Rect) {
        self.taken.push(rect);
    }

    /// The best place for a label of this size at a box, and its cost.
    pub fn best(&self, at: Rect, line: i32, width: i32, height: i32) -> (Rect, f32) {
        let mut best = (self.moved_in(at.x0, at.y0, width, height), f32::INFINITY);
        // The plate lies on the line, whose colour it has: the two are one shape.
        let (above, below) = (at.y0 + line - height, at.y1 - line);
        let right = at.x1 - width;
        let roomy = at.width() >= width && at.height() >= 3 * height;
        let places = [
            (at.x0, above, 0.0),
            (at.x0, at.y0, if roomy { 0.05 } else { 0.5 }),
            (right, above, 0.1),
            (at.x0, below, 0.15),
            (right, below, 0.2),
            (right, at.y0, if roomy { 0.2 } else { 0.6 }),
            (at.x0, at.y1 - height, if roomy { 0.25 } else { 0.7 }),
            (at.x1 - line, at.y0, 0.28),
            (at.x0 + line - width, at.y0, 0.29),
        ];
        for (x, y, inconvenience) in places {
            if y < self.picture.y0 || y + height > self.picture.y1 {
                continue;
            }
            let rect = self.moved_in(x, y, width, height);
            // A label that had to be moved along is farther from its box's corner.
            let moved = to_f32((rect.x0 - x).abs()) / to_f32(width.max(1));
            let least = inconvenience + 0.5 * moved;
            if least >= best.1 {
                continue;
            }
            let cost = least + self.cost(rect, at);
            if cost < best.1 {
                best = (rect, cost);
            }
        }
        best
    }

    fn moved_in(&self, x: i32, y: i32, width: i32, height: i32) -> Rect {
        let x0 = x.min(self.picture.x1 - width).max(self.picture.x0);
        let y0 = y.min(self.picture.y1 - height).max(self.picture.y0);
        Rect { x0, y0, x1: x0 + width, y1: y0 + height }
    }

    fn cost(&self, rect: Rect, own: Rect) -> f32 {
        let taken: f32 = self.taken.iter().map(|other| 3.0 * part(rect, *other)).sum();
        let small = |other: &&Rect| **other != own && other.area() < 6 * rect.area();
        let boxes: f32 = self.boxes.iter().filter(small).map(|other| OVER_BOX * part(*other, rect)).sum();
        taken + boxes
    }
}

/// The part of `a`, 0…1, that `b` covers.
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn part(a: Rect, b: Rect) -> f32 {
    let common = a.within(b);
    if common.width() <= 0 || common.height() <= 0 { 0.0 } else { common.area() as f32 / a.area() as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Rect = Rect { x0: 0, y0: 0, x1: 400, y1: 300 };

    fn rect(x0: i32, y0: i32, x1: i32, y1: i32) -> Rect {
        Rect { x0, y0, x1, y1 }
    }

    #[test]
    fn a_label_lies_above_its_box_or_inside_where_there_is_no_room() {
        let table = Table::new(PICTURE, Vec::new());
        assert_eq!(table.best(rect(50, 100, 200, 250), 2, 80, 20).0, rect(50, 82, 130, 102));
        assert_eq!(table.best(rect(50, 5, 200, 250), 2, 80, 20).0, rect(50, 5, 130, 25));
        // At the right edge it is moved into the picture.
        assert_eq!(table.best(rect(390, 100, 400, 110), 2, 80, 20).0.x1, 400);
    }

    #[test]
    fn labels_of_one_crowd_do_not_lie_over_each_other() {
        let boxes: Vec<Rect> = (0..12)
            .map(|i| rect(40 + 30 * (i % 4), 60 + 70 * (i / 4), 90 + 30 * (i % 4), 120 + 70 * (i / 4)))
            .collect();
        let mut table = Table::new(PICTURE, boxes.clone());
        for at in boxes {
            let (place, cost) = table.best(at, 2, 34, 12);
            if cost < FREE {
                assert!(table.taken.iter().all(|other| part(place, *other) < 0.1));
                table.take(place);
            }
        }
        assert!(table.taken.len() >= 9, "{}", table.taken.len());
    }
}
