//! Packed BGR that rounded shapes and letters are blended into, with smooth edges.

use super::palette::Colour;
use crate::domain::BBox;

/// Whole pixels, `x1` and `y1` beyond the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub x0: i32,
    pub y0: i32,
    pub x1: i32,
    pub y1: i32,
}

impl Rect {
    /// The pixels of a box in fractions of the picture: one at least, whatever the numbers are.
    pub fn of(bbox: BBox, picture: Self) -> Self {
        let bbox = BBox::clamped(bbox.x_min, bbox.y_min, bbox.x_max, bbox.y_max);
        let place = |fraction: f32, side: i32| whole(fraction * to_f32(side)).min(side);
        let (width, height) = (picture.width(), picture.height());
        let (x0, y0) = (place(bbox.x_min, width).min(width - 1), place(bbox.y_min, height).min(height - 1));
        Self { x0, y0, x1: place(bbox.x_max, width).max(x0 + 1), y1: place(bbox.y_max, height).max(y0 + 1) }
    }

    pub fn width(self) -> i32 {
        self.x1 - self.x0
    }

    pub fn height(self) -> i32 {
        self.y1 - self.y0
    }

    pub fn area(self) -> i64 {
        i64::from(self.width().max(0)) * i64::from(self.height().max(0))
    }

    pub fn grown(self, by: i32) -> Self {
        Self { x0: self.x0 - by, y0: self.y0 - by, x1: self.x1 + by, y1: self.y1 + by }
    }

    pub fn within(self, other: Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }
}

pub(super) struct Canvas<'a> {
    bgr: &'a mut [u8],
    width: i32,
    height: i32,
}

impl<'a> Canvas<'a> {
    /// None when the buffer is not of this size, or holds no pixel.
    pub fn new(bgr: &'a mut [u8], width: u32, height: u32) -> Option<Self> {
        let (width, height) = (i32::try_from(width).ok()?, i32::try_from(height).ok()?);
        let pixels = usize::try_from(i64::from(width) * i64::from(height)).ok()?;
        (pixels > 0 && bgr.len() == pixels.checked_mul(3)?).then_some(Self { bgr, width, height })
    }

    pub fn bounds(&self) -> Rect {
        Rect { x0: 0, y0: 0, x1: self.width, y1: self.height }
    }

    /// A filled shape with round corners.
    pub fn fill(&mut self, rect: Rect, radius: i32, colour: Colour, alpha: f32) {
        self.ring(rect, radius, rect.width().max(rect.height()), colour, alpha);
    }

    /// The line of a box with round corners: `line` pixels inwards from `rect`.
    pub fn ring(&mut self, rect: Rect, radius: i32, line: i32, colour: Colour, alpha: f32) {
        let (width, height) = (rect.width(), rect.height());
        if width <= 0 || height <= 0 || line <= 0 {
            return;
        }
        let radius = radius.clamp(0, width.min(height) / 2);
        let line = line.min((width.min(height) + 1) / 2);
        let corners = Corners { rect, radius, line };
        for y in rect.y0.max(0)..rect.y1.min(self.height) {
            let from_edge = (y - rect.y0).min(rect.y1 - 1 - y);
            let round = from_edge < radius;
            if from_edge < line && !round {
                self.span(rect.x0, rect.x1, y, colour, alpha);
                continue;
            }
            // The two ends of the row; between them it is plain, or empty.
            let reach = if round { radius.max(line) } else { line };
            let left = (rect.x0 + reach).min(rect.x1);
            let right = (rect.x1 - reach).max(left);
            if round {
                for x in (rect.x0..left).chain(right..rect.x1) {
                    self.blend(x, y, colour, alpha * corners.coverage(x, y));
                }
                if from_edge < line {
                    self.span(left, right, y, colour, alpha);
                }
            } else {
                self.span(rect.x0, left, y, colour, alpha);
                self.span(right, rect.x1, y, colour, alpha);
            }
        }
    }

    fn span(&mut self, x0: i32, x1: i32, y: i32, colour: Colour, alpha: f32) {
        let (x0, x1) = (x0.max(0), x1.min(self.width));
        if y < 0 || y >= self.height || x0 >= x1 {
            return;
        }
        let row = self.at(x0, y)..self.at(x1, y);
        let (Some(row), part) = (self.bgr.get_mut(row), part(alpha)) else { return };
        for pixel in row.as_chunks_mut::<3>().0 {
            lay(pixel, colour, part);
        }
    }

    /// Lays a colour over one pixel; nothing happens outside the picture.
    pub fn blend(&mut self, x: i32, y: i32, colour: Colour, alpha: f32) {
        if x >= 0 && y >= 0 && x < self.width && y < self.height && alpha > 0.0 {
            let at = self.at(x, y);
            if let Some(pixel) = self.bgr[at..].first_chunk_mut::<3>() {
                lay(pixel, colour, part(alpha));
            }
        }
    }

    #[expect(clippy::cast_sign_loss, reason = "the callers have clipped")]
    fn at(&self, x: i32, y: i32) -> usize {
        3 * (y as usize * self.width as usize + x as usize)
    }
}

/// 256 is all of the colour.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 256")]
fn part(alpha: f32) -> u32 {
    (alpha.clamp(0.0, 1.0) * 256.0) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a mean of bytes")]
fn lay(pixel: &mut Colour, colour: Colour, part: u32) {
    for (value, wanted) in pixel.iter_mut().zip(colour) {
        *value = ((u32::from(*value) * (256 - part) + u32::from(wanted) * part + 128) >> 8) as u8;
    }
}

/// The shape between two rounded rectangles.
struct Corners {
    rect: Rect,
    radius: i32,
    line: i32,
}

impl Corners {
    /// How much of the pixel the shape covers, 0…1.
    fn coverage(&self, x: i32, y: i32) -> f32 {
        let inner = self.rect.grown(-self.line);
        let inside = cover(self.rect, self.radius, x, y);
        if inner.area() == 0 { inside } else { inside - cover(inner, (self.radius - self.line).max(0), x, y) }
    }
}

/// By the distance of the pixel's centre from the outline of the rounded rectangle.
fn cover(rect: Rect, radius: i32, x: i32, y: i32) -> f32 {
    let far = |v: i32, low: i32, high: i32| {
        let centre = to_f32(v) + 0.5;
        let (low, high) = (to_f32(low + radius), to_f32(high - radius));
        if centre < low { low - centre } else { (centre - high).max(0.0) }
    };
    if x < rect.x0 || y < rect.y0 || x >= rect.x1 || y >= rect.y1 {
        return 0.0;
    }
    let (dx, dy) = (far(x, rect.x0, rect.x1), far(y, rect.y0, rect.y1));
    if dx == 0.0 || dy == 0.0 { 1.0 } else { (to_f32(radius) + 0.5 - dx.hypot(dy)).clamp(0.0, 1.0) }
}

#[expect(clippy::cast_precision_loss, reason = "a picture's side")]
pub(super) fn to_f32(pixels: i32) -> f32 {
    pixels as f32
}

/// The nearest whole number of pixels; none below zero.
#[expect(clippy::cast_possible_truncation, reason = "a picture's side")]
pub(super) fn whole(value: f32) -> i32 {
    value.round().max(0.0) as i32
}
