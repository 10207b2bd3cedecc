//! Whether a picture has been seen before.
//!
//! A frozen picture is not bit by bit the same: the camera encodes it again and again, better with each frame, and anew
//! with each key frame. But after a while only pictures come that were there before, to within a level or two. A living
//! scene, however still, brings a new one at least with every key frame: the sensor's noise is never the same twice.

use super::sample::COMPARED;

/// Pictures that are remembered.
const KEPT: usize = 8;
/// The same picture, when no point differs by more and all of them by no more on average. Measured: a frozen picture by x264
/// at any rate control stays within it after at most 20 s, a still scene with noise of ±1 level never for longer than
/// a group of pictures.
const LEVELS: u8 = 3;
#[expect(clippy::cast_possible_truncation, reason = "a few hundred")]
const QUARTER_LEVEL: u32 = (COMPARED / 4) as u32;

/// The last few pictures that differed from each other.
pub(super) struct Memory {
    pictures: Box<[[u8; COMPARED]; KEPT]>,
    used: usize,
    next: usize,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { pictures: Box::new([[0; COMPARED]; KEPT]), used: 0, next: 0 }
    }

    pub(super) fn forget(&mut self) {
        (self.used, self.next) = (0, 0);
    }

    /// Whether the picture is none of those remembered; then it is remembered instead of the oldest.
    pub(super) fn is_new(&mut self, points: &[u8]) -> bool {
        if self.pictures[..self.used].iter().any(|known| same(known, points)) {
            return false;
        }
        if let Ok(points) = points.try_into() {
            self.pictures[self.next] = points;
        }
        self.next = (self.next + 1) % KEPT;
        self.used = (self.used + 1).min(KEPT);
        true
    }
}

fn same(known: &[u8; COMPARED], points: &[u8]) -> bool {
    let (mut sum, mut most) = (0_u32, 0_u8);
    for (a, b) in known.iter().zip(points) {
        let apart = a.abs_diff(*b);
        sum += u32::from(apart);
        most = most.max(apart);
    }
    most <= LEVELS && sum <= QUARTER_LEVEL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_again_to_within_a_level_or_two_and_only_for_a_while() {
        let mut memory = Memory::new();
        let picture = |n: u8| [n; COMPARED];
        assert!(memory.is_new(&picture(10)));
        assert!(!memory.is_new(&picture(10)));
        let mut nearly = picture(10);
        nearly[100..200].fill(13);
        assert!(!memory.is_new(&nearly));
        nearly[300] = 14;
        assert!(memory.is_new(&nearly), "one point that differs by four levels");
        assert!(memory.is_new(&picture(11)), "all points by one level");
        for n in 0..KEPT {
            assert!(memory.is_new(&picture(u8::try_from(50 + n * 10).unwrap())));
        }
        assert!(memory.is_new(&picture(10)), "too long ago");
        memory.forget();
        assert!(memory.is_new(&picture(10)));
    }
}
