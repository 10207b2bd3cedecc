//! A frame in little: the mean grey of 64 by 36 blocks, from a few points of each.

use crate::domain::{BBox, Frame};

pub(super) const COLUMNS: usize = 64;
pub(super) const ROWS: usize = 36;
/// Points of a block, across and down: enough that a sensor's noise averages out.
const ACROSS: usize = 4;
const DOWN: usize = 4;
/// What a block's value is to a grey level: its sixteen points are added up, in quarters.
pub(super) const LEVEL: i32 = 4 * 16;
const _: () = assert!(ACROSS * DOWN == 16);

/// Made once a camera; nothing is allocated a frame.
#[derive(Debug, Clone)]
pub(super) struct Thumbnail {
    size: (u32, u32),
    blocks: Box<[i32]>,
    /// Where in a row of this width the points lie.
    points: Box<[usize]>,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self { size: (0, 0), blocks: vec![0; COLUMNS * ROWS].into(), points: vec![0; COLUMNS * ACROSS].into() }
    }
}

impl Thumbnail {
    /// Reads the frame's points; false when there is no picture, or one too small for blocks.
    pub(super) fn take(&mut self, frame: &Frame) -> bool {
        let (width, height) = (frame.width as usize, frame.height as usize);
        if width < COLUMNS || height < ROWS || !frame.is_whole() {
            return false;
        }
        if self.size.0 != frame.width {
            for (at, point) in self.points.iter_mut().enumerate() {
                *point = spread(at, COLUMNS * ACROSS, width);
            }
        }
        self.size = (frame.width, frame.height);
        for (row, blocks) in self.blocks.chunks_exact_mut(COLUMNS).enumerate() {
            blocks.fill(0);
            for down in 0..DOWN {
                let y = spread(row * DOWN + down, ROWS * DOWN, height);
                let line = frame.greys(y);
                for (block, points) in blocks.iter_mut().zip(self.points.chunks_exact(ACROSS)) {
                    for &point in points {
                        *block += 4 * i32::from(line.at(point));
                    }
                }
            }
        }
        true
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    pub(super) fn blocks(&self) -> &[i32] {
        &self.blocks
    }
}

/// The middle of the `at`th of `count` equal parts of a side.
fn spread(at: usize, count: usize, side: usize) -> usize {
    (2 * at + 1) * side / (2 * count)
}

/// Whether block `at` lies in one of the boxes, if only in part.
#[expect(clippy::cast_precision_loss, reason = "64 by 36")]
pub(super) fn is_within(at: usize, boxes: &[BBox]) -> bool {
    let (x, y) = ((at % COLUMNS) as f32, (at / COLUMNS) as f32);
    let (columns, rows) = (COLUMNS as f32, ROWS as f32);
    let covers = |b: &BBox| {
        b.x_min * columns < x + 1.0 && b.x_max * columns > x && b.y_min * rows < y + 1.0 && b.y_max * rows > y
    };
    boxes.iter().any(covers)
}
