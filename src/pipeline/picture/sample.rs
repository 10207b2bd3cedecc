//! A few thousand points of a frame, and what they say.

use crate::domain::Frame;

const COLUMNS: usize = 64;
const ROWS: usize = 36;
/// Cameras write their clock into the uppermost and lowermost rows, where it runs on over a frozen picture.
const CLOCK: usize = 5;
/// The points that are compared from frame to frame.
pub(super) const COMPARED: usize = (ROWS - 2 * CLOCK) * COLUMNS;

/// A frame darker than this is asked how many of its pixels are lit: a lamp at night is detail, and smaller than the grid.
pub(super) const DARK: f32 = 34.0;
const LIT: u8 = 72;

/// Grey values of a grid of points. Made once a camera.
#[derive(Debug, Clone)]
pub struct Sample {
    grey: Box<[u8]>,
}

impl Default for Sample {
    fn default() -> Self {
        Self { grey: vec![0; COLUMNS * ROWS].into_boxed_slice() }
    }
}

/// What the points say. Grey values are 0…255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    pub width: u32,
    pub height: u32,
    pub mean: f32,
    /// Standard deviation.
    pub spread: f32,
    /// Mean step between neighbours: what blur and a cover take away.
    pub detail: f32,
    /// Lit pixels of a dark frame, up to a hundred or so; 0 in any other.
    pub lit: u32,
}

impl Sample {
    /// Reads the frame's points; `None` when the picture is too small for them to mean anything.
    #[expect(clippy::cast_precision_loss, reason = "sums of a few thousand bytes")]
    pub fn take(&mut self, frame: &Frame) -> Option<Facts> {
        let (width, height) = (frame.width as usize, frame.height as usize);
        if width < COLUMNS || height < ROWS || !frame.is_whole() {
            return None;
        }
        // The neighbour is further off in a larger picture, so that detail means about the same in all.
        let step = (width / 640).max(1);
        let (mut sum, mut squares, mut steps) = (0_u32, 0_u64, 0_u32);
        for (row, points) in self.grey.chunks_exact_mut(COLUMNS).enumerate() {
            let line = frame.greys((2 * row + 1) * height / (2 * ROWS));
            for (column, point) in points.iter_mut().enumerate() {
                // Each row begins elsewhere, so that no pattern in the picture keeps step with the grid.
                let at = ((row * 37 % COLUMNS + COLUMNS * column) * (width - step)) / (COLUMNS * COLUMNS);
                let (here, there) = (line.at(at), line.at(at + step));
                *point = here;
                sum += u32::from(here);
                squares += u64::from(here) * u64::from(here);
                steps += u32::from(here.abs_diff(there));
            }
        }
        let count = (COLUMNS * ROWS) as f32;
        let mean = sum as f32 / count;
        let spread = (squares as f32 / count - mean * mean).max(0.0).sqrt();
        let mut facts =
            Facts { width: frame.width, height: frame.height, mean, spread, detail: steps as f32 / count, lit: 0 };
        if facts.mean <= DARK {
            facts.lit = lit(frame);
        }
        Some(facts)
    }

    /// The points that are compared from frame to frame.
    pub(super) fn compared(&self) -> &[u8] {
        &self.grey[CLOCK * COLUMNS..(ROWS - CLOCK) * COLUMNS]
    }
}

/// Counts lit pixels, every one or every third of every third row in large pictures, up to a hundred.
fn lit(frame: &Frame) -> u32 {
    let dense = (frame.width as usize / 640).clamp(1, 3);
    let mut count = 0;
    for line in (0..frame.height as usize).step_by(dense).map(|y| frame.greys(y)) {
        let pixels = (0..frame.width as usize).step_by(dense);
        count += u32::try_from(pixels.filter(|&x| line.at(x) > LIT).count()).unwrap_or(0);
        if count >= 100 {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in super::super) fn painted(width: u32, height: u32, paint: impl Fn(u32, u32) -> u8) -> Frame {
        let mut frame = Frame { width, height, ..Frame::empty() };
        for y in 0..height {
            frame.bgr.extend((0..width).flat_map(|x| [paint(x, y); 3]));
        }
        frame
    }

    #[test]
    fn uniform_pictures_have_no_detail_and_checkered_ones_much() {
        let mut sample = Sample::default();
        let grey = sample.take(&painted(640, 360, |_, _| 120)).unwrap();
        assert_eq!((grey.mean, grey.spread, grey.detail, grey.lit), (120.0, 0.0, 0.0, 0));
        let checks = sample.take(&painted(1920, 1080, |x, y| if (x / 7 + y / 7) % 2 == 0 { 30 } else { 200 })).unwrap();
        assert!(checks.detail > 30.0 && checks.spread > 60.0, "{checks:?}");
    }

    #[test]
    fn a_lamp_at_night_is_seen_though_it_falls_between_the_points() {
        let mut sample = Sample::default();
        for (x, y) in [(3, 3), (700, 500), (1900, 1060)] {
            let lamp = |px: u32, py: u32| if (x..x + 12).contains(&px) && (y..y + 12).contains(&py) { 230 } else { 4 };
            let facts = sample.take(&painted(1920, 1080, lamp)).unwrap();
            assert!(facts.lit >= 8, "{facts:?}");
        }
        assert_eq!(sample.take(&painted(1920, 1080, |_, _| 4)).unwrap().lit, 0);
    }

    #[test]
    fn a_picture_that_is_too_small_or_cut_says_nothing() {
        let mut sample = Sample::default();
        assert!(sample.take(&painted(32, 32, |_, _| 9)).is_none());
        assert!(sample.take(&Frame { width: 640, height: 360, ..Frame::empty() }).is_none());
        assert!(sample.take(&painted(64, 36, |_, _| 9)).is_some());
    }
}
