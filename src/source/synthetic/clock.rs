//! The time of capture in the picture itself, for programs: how old is what a viewer sees?
//!
//! A strip at the top and the same strip at the bottom, each a sixteenth of the height, of [`CELLS`] cells side by side, black
//! or white: one white, one black, then 44 bits of milliseconds since the Unix epoch, the highest first, then the exclusive
//! or of their eleven groups of four bits. A cell's middle tells; what JPEG and H.264 leave of it is enough where a cell is
//! some eight pixels wide.

use crate::domain::Timestamp;

pub const CELLS: usize = 50;
const BITS: usize = 44;
/// A strip's part of the height.
const PART: usize = 16;
/// Within the range of video, so that no encoder clips it.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
/// A cell is so near to one of them and so near to grey, or something lies over it.
const NEAR: u8 = 75;
const GREY: u8 = 60;

/// Draws both strips into packed 8-bit BGR.
pub(super) fn draw(bgr: &mut [u8], width: usize, height: usize, at: Timestamp) {
    let cells = cells(at);
    let mut row = Vec::with_capacity(width * 3);
    for x in 0..width {
        row.extend([if cells[x * CELLS / width] { WHITE } else { BLACK }; 3]);
    }
    let strip = height.div_ceil(PART);
    for (y, line) in bgr.chunks_exact_mut(width * 3).enumerate() {
        if y < strip || y + strip >= height {
            line.copy_from_slice(&row);
        }
    }
}

/// The time in a picture, from the strip that is not hidden by something. None where both are.
#[must_use]
pub fn read_clock(bgr: &[u8], width: usize, height: usize) -> Option<Timestamp> {
    let middle = height.div_ceil(PART) / 2;
    [middle, height.checked_sub(middle + 1)?].into_iter().find_map(|y| {
        let line = bgr.get(y * width * 3..(y + 1) * width * 3)?;
        let white = |cell: usize| {
            let x = (2 * cell + 1) * width / (2 * CELLS);
            let pixel = line.get(3 * x..3 * x + 3)?;
            let (darkest, lightest) = (*pixel.iter().min()?, *pixel.iter().max()?);
            let white = darkest >= WHITE - NEAR;
            (lightest - darkest <= GREY && (white || lightest <= BLACK + NEAR)).then_some(white)
        };
        if !white(0)? || white(1)? {
            return None;
        }
        let bits = |from: usize, count: usize| {
            (from..from + count).try_fold(0u64, |value, cell| Some(value << 1 | u64::from(white(cell)?)))
        };
        let millis = bits(2, BITS)?;
        (bits(2 + BITS, 4)? == check(millis)).then(|| Timestamp::from_micros(millis.cast_signed() * 1000))
    })
}

fn cells(at: Timestamp) -> [bool; CELLS] {
    let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0) & ((1 << BITS) - 1);
    let value = 0b10 << (BITS + 4) | millis << 4 | check(millis);
    std::array::from_fn(|cell| value >> (CELLS - 1 - cell) & 1 == 1)
}

fn check(millis: u64) -> u64 {
    (0..BITS / 4).fold(0, |sum, group| sum ^ (millis >> (4 * group) & 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_reads_as_it_was_drawn_even_with_one_strip_hidden() {
        let at = Timestamp::from_micros(1_763_683_402_517_000);
        for (width, height) in [(200, 48), (640, 480), (1921, 1081)] {
            let mut bgr = vec![90; width * height * 3];
            draw(&mut bgr, width, height, at);
            assert_eq!(read_clock(&bgr, width, height), Some(at), "{width}x{height}");
            bgr[..width * 3 * height / 2].fill(0);
            assert_eq!(read_clock(&bgr, width, height), Some(at), "{width}x{height}, half of it black");
            bgr.fill(0);
            assert_eq!(read_clock(&bgr, width, height), None);
        }
        assert_eq!(read_clock(&[], 0, 0), None);
    }

    #[test]
    fn what_lies_over_a_strip_is_no_time() {
        let at = Timestamp::from_micros(1_763_683_402_517_000);
        // Whatever is hidden, and however the check comes out by chance.
        for (from, cells) in (2..40).flat_map(|from| [(from, 3), (from, 9)]) {
            for label in [[71, 107, 255], [132, 220, 61], [255, 167, 63], [49, 197, 255], [128, 128, 128]] {
                let mut bgr = vec![90; 640 * 480 * 3];
                draw(&mut bgr, 640, 480, at);
                for line in bgr.chunks_exact_mut(640 * 3) {
                    let hidden = &mut line[3 * (640 * from / CELLS)..3 * (640 * (from + cells) / CELLS)];
                    hidden.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&label));
                }
                assert_eq!(read_clock(&bgr, 640, 480), None, "{cells} cells from {from} on, {label:?}");
            }
        }
    }

    #[test]
    fn a_wrong_cell_is_noticed() {
        let at = Timestamp::from_micros(1_763_683_402_517_000);
        let mut bgr = vec![90; 640 * 480 * 3];
        draw(&mut bgr, 640, 480, at);
        for line in bgr.chunks_exact_mut(640 * 3) {
            let cell = &mut line[3 * (640 * 20 / CELLS)..3 * (640 * 21 / CELLS)];
            for level in cell {
                *level = 251 - *level;
            }
        }
        assert_eq!(read_clock(&bgr, 640, 480), None);
    }
}
