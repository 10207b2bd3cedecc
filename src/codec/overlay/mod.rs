//! Boxes and labels over a picture: the one drawing code of keyframes, `detect` and the live page.
//!
//! A line in the class's colour between two thin dark edges is seen on light and on dark. Large boxes are drawn first and
//! small ones last; all labels lie above all lines. Every measure grows with the picture, more slowly than its sides do.

mod canvas;
mod caption;
mod fallback;
mod palette;
mod place;
mod sign;
mod text;

use canvas::{Canvas, Rect};
use palette::Colour;
use place::{Plate, Table};
use text::Typesetter;

use crate::domain::Detection;

/// Above this many, nobody could tell labels apart.
const MOST_LABELS: usize = 300;
const EDGE: Colour = [16, 16, 16];
const EDGE_ALPHA: f32 = 0.7;

/// Draws detections. Keeps the letters it has drawn from picture to picture.
#[derive(Default)]
pub struct Overlay {
    typesetter: Typesetter,
}

impl Overlay {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws into packed 8-bit BGR, rows without padding. A buffer of any other size is left as it is.
    pub fn draw(&mut self, bgr: &mut [u8], width: u32, height: u32, detections: &[Detection]) {
        let Some(mut canvas) = Canvas::new(bgr, width, height) else { return };
        let style = Style::of(&canvas, detections.len());
        let mut shapes: Vec<Shape<'_>> = detections.iter().map(|d| Shape::of(d, &canvas, &style)).collect();
        shapes.sort_by_key(|shape| std::cmp::Reverse(shape.bounds.area()));
        for shape in &shapes {
            shape.draw(&mut canvas, &style);
        }
        for label in self.labels(&shapes, &canvas, &style) {
            label.draw(&mut canvas, &style, &mut self.typesetter);
        }
    }

    /// Where each label lies, the last on top. The smallest boxes choose first, for they have the least room; in a crowd
    /// the best-scored do.
    fn labels(&mut self, shapes: &[Shape<'_>], canvas: &Canvas<'_>, style: &Style) -> Vec<Label> {
        let mut table = Table::new(canvas.bounds(), shapes.iter().map(|shape| shape.bounds).collect());
        let mut order: Vec<&Shape<'_>> = shapes.iter().rev().collect();
        if style.crowded {
            order.sort_by(|a, b| b.detection.score.total_cmp(&a.detection.score));
        }
        let mut labels: Vec<Label> =
            order.into_iter().take(MOST_LABELS).filter_map(|shape| self.label(shape, &mut table, style)).collect();
        labels.reverse();
        labels
    }

    /// The fullest label that finds a place: first in full, then smaller, then in fewer words.
    fn label(&mut self, shape: &Shape<'_>, table: &mut Table, style: &Style) -> Option<Label> {
        let size = style.font_for(shape.bounds);
        let smaller = text::crisp((size * 0.8).max(style.least_font));
        let tries =
            [(caption::FULL, size), (caption::FULL, smaller), (caption::SHORT, smaller), (caption::LEAST, smaller)];
        let mut best = None;
        for (words, size) in tries {
            let Some(plate) = self.fit(shape.detection, words, size, table.picture()) else { continue };
            let (rect, cost) = table.best(shape.bounds, shape.line, plate.width, plate.height);
            if best.as_ref().is_none_or(|(_, _, least)| cost < least - 0.15) {
                best = Some((plate, rect, cost));
            }
            if cost <= place::FREE {
                break;
            }
        }
        let (plate, rect, cost) = best?;
        if cost > if style.crowded { place::CROWDED } else { place::BURIED } {
            return None;
        }
        table.take(rect);
        Some(Label { plate, rect, colour: shape.colour })
    }

    /// The words set in this size, cut where the picture is too narrow for them; nothing where not even that helps.
    fn fit(&mut self, detection: &Detection, words: caption::Words, size: f32, picture: Rect) -> Option<Plate> {
        let pad = (size * 0.42).round().max(2.0);
        let room = canvas::to_f32(picture.width()) - 2.0 * pad;
        let line = caption::fitting(detection, words, room, |text| self.typesetter.set(text, size))?;
        let plate = Plate::around(line, size, pad);
        // A label as high as half the picture would hide what it speaks of.
        (plate.height * 2 <= picture.height()).then_some(plate)
    }
}

/// Measures in pixels, by the size of the picture.
struct Style {
    line: i32,
    edge: i32,
    font: f32,
    least_font: f32,
    /// All labels in full would hide the picture.
    crowded: bool,
}

impl Style {
    fn of(canvas: &Canvas<'_>, boxes: usize) -> Self {
        let bounds = canvas.bounds();
        let side = (canvas::to_f32(bounds.width()) * canvas::to_f32(bounds.height())).sqrt();
        let font = text::crisp(7.5 + side / 100.0);
        // A label of usual length is some nine squares of its letters' size.
        let covered = 9.0 * font * font * canvas::to_f32(i32::try_from(boxes).unwrap_or(i32::MAX));
        Self {
            line: canvas::whole(1.2 + side / 560.0),
            edge: canvas::whole(0.6 + side / 1400.0),
            font,
            crowded: covered > 0.15 * side * side,
            // On a small picture small letters are all there is; on a large one nobody could read them.
            least_font: text::crisp((6.0 + side / 130.0).max(8.0)),
        }
    }

    /// Letters for a box: smaller when the box is small, for there are often many of those.
    fn font_for(&self, bounds: Rect) -> f32 {
        if self.crowded {
            return self.least_font;
        }
        let side = (canvas::to_f32(bounds.width()) * canvas::to_f32(bounds.height())).sqrt();
        let part = 0.7 + 0.3 * (side / (8.0 * self.font)).min(1.0);
        text::crisp((self.font * part).max(self.least_font))
    }
}

/// One box on this picture.
struct Shape<'a> {
    detection: &'a Detection,
    /// The outer edge of its line.
    bounds: Rect,
    line: i32,
    colour: Colour,
}

impl<'a> Shape<'a> {
    fn of(detection: &'a Detection, canvas: &Canvas<'_>, style: &Style) -> Self {
        let picture = canvas.bounds();
        let inner = Rect::of(detection.bbox, picture);
        let short = inner.width().min(inner.height());
        // The line of a tiny object lies around it, not over it, and is thinner.
        let line = style.line.min(1 + short / 8).max(1);
        let out = if short < 6 * style.line { line } else { line / 2 };
        let bounds = inner.grown(out).within(picture);
        Self { detection, bounds, line, colour: palette::colour(detection.class_id) }
    }

    fn draw(&self, canvas: &mut Canvas<'_>, style: &Style) {
        let edge = style.edge.min(self.line);
        let radius = (2 * self.line).min(self.bounds.width().min(self.bounds.height()) / 4);
        canvas.ring(self.bounds.grown(edge), radius + edge, self.line + 2 * edge, EDGE, EDGE_ALPHA);
        canvas.ring(self.bounds, radius, self.line, self.colour, 1.0);
    }
}

/// A plate with its words, laid.
struct Label {
    plate: Plate,
    rect: Rect,
    colour: Colour,
}

impl Label {
    fn draw(&self, canvas: &mut Canvas<'_>, style: &Style, typesetter: &mut Typesetter) {
        let radius = canvas::whole(self.plate.size * 0.22);
        canvas.fill(self.rect.grown(style.edge), radius + style.edge, EDGE, EDGE_ALPHA);
        canvas.fill(self.rect, radius, self.colour, 1.0);
        let ink = palette::ink(self.colour);
        let at = (canvas::to_f32(self.rect.x0) + self.plate.pad, self.rect.y0 + self.plate.baseline);
        typesetter.draw(canvas, &self.plate.line, at, ink);
    }
}

#[cfg(test)]
mod tests;
