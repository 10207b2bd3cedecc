//! Pictures that are to be shown turned by quarters.

/// Clockwise, as the picture is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Rotation {
    /// From a display matrix (ISO/IEC 14496-12, section 8.3.2, as FFmpeg hands it over: nine 32-bit numbers of this machine's
    /// byte order). One that mirrors or skews is left alone.
    pub(super) fn by_matrix(bytes: &[u8]) -> Self {
        let numbers: Vec<i32> = bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_ne_bytes(*bytes)).collect();
        let [a, b, _, c, d, ..] = numbers[..] else { return Self::None };
        match (a.signum(), b.signum(), c.signum(), d.signum()) {
            (0, 1, -1, 0) => Self::Quarter,
            (-1, 0, 0, -1) => Self::Half,
            (0, -1, 1, 0) => Self::ThreeQuarters,
            _ => Self::None,
        }
    }

    /// Copies a BGR picture whose rows are `stride` bytes apart into `packed`, turned; gives the new width and height.
    pub(super) fn fill(
        self,
        rows: &[u8],
        stride: usize,
        (width, height): (u32, u32),
        packed: &mut Vec<u8>,
    ) -> (u32, u32) {
        let (w, h) = (width as usize, height as usize);
        let rows = || rows.chunks(stride.max(1)).take(h).map(|row| &row[..3 * w]);
        packed.clear();
        if self == Self::None {
            rows().for_each(|row| packed.extend_from_slice(row));
            return (width, height);
        }
        packed.resize(3 * w * h, 0);
        let pixels = packed.as_chunks_mut::<3>().0;
        for (y, row) in rows().enumerate() {
            for (x, pixel) in row.as_chunks::<3>().0.iter().enumerate() {
                let place = match self {
                    Self::Quarter => x * h + (h - 1 - y),
                    Self::ThreeQuarters => (w - 1 - x) * h + y,
                    Self::Half | Self::None => (h - 1 - y) * w + (w - 1 - x),
                };
                pixels[place] = *pixel;
            }
        }
        if self == Self::Half { (width, height) } else { (height, width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_turned_clockwise_and_rows_lose_their_padding() {
        // 2x3 pixels, each of one value, rows of eight bytes:  1 2 / 3 4 / 5 6
        let rows = [1, 1, 1, 2, 2, 2, 0, 0, 3, 3, 3, 4, 4, 4, 0, 0, 5, 5, 5, 6, 6, 6];
        for (rotation, size, pixels) in [
            (Rotation::None, (2, 3), [1, 2, 3, 4, 5, 6]),
            (Rotation::Quarter, (3, 2), [5, 3, 1, 6, 4, 2]),
            (Rotation::Half, (2, 3), [6, 5, 4, 3, 2, 1]),
            (Rotation::ThreeQuarters, (3, 2), [2, 4, 6, 1, 3, 5]),
        ] {
            let mut packed = vec![9; 2];
            assert_eq!(rotation.fill(&rows, 8, (2, 3), &mut packed), size, "{rotation:?}");
            assert_eq!(packed, pixels.map(|value| [value; 3]).concat(), "{rotation:?}");
        }
    }

    #[test]
    fn a_matrix_that_is_none_turns_nothing() {
        let bytes = |numbers: [i32; 9]| numbers.map(i32::to_ne_bytes).concat();
        let one = 1 << 16;
        assert_eq!(Rotation::by_matrix(&bytes([0, one, 0, -one, 0, 0, 0, 0, 1 << 30])), Rotation::Quarter);
        for matrix in [[one, 0, 0, 0, one, 0, 0, 0, 1 << 30], [-one, 0, 0, 0, one, 0, 0, 0, 1 << 30], [0; 9]] {
            assert_eq!(Rotation::by_matrix(&bytes(matrix)), Rotation::None);
        }
        assert_eq!(Rotation::by_matrix(&[1, 2, 3]), Rotation::None);
    }
}
