//! Pictures as video decoders leave them: a plane of luma, and two of chroma with half its sides (4:2:0), 8 bits.

use std::fmt;
use std::sync::Arc;

use yuv::{YuvChromaSubsampling, YuvPlanarImage, YuvRange, YuvStandardMatrix};

/// Whoever keeps a decoder's planes. They do not change while it does.
pub trait Planes: Send + Sync {
    /// The bytes of plane Y, U or V (0, 1, 2), and how far apart its rows begin.
    fn plane(&self, at: usize) -> (&[u8], usize);
}

/// How planes become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    pub matrix: Matrix,
    /// 0…255, as JPEG has it; otherwise luma is 16…235 and chroma 16…240.
    pub full_range: bool,
}

/// Recommendations ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    Bt601,
    Bt709,
    Bt2020,
}

impl Colours {
    /// What a blue, a green and a red of 0…255 are made of, before they are cut to that: how much of Y, U and V, and a constant.
    #[must_use]
    pub fn weights(self) -> [[f32; 4]; 3] {
        let shares = self.standard().get_kr_kb();
        let (red, blue) = (shares.kr, shares.kb);
        let green = 1.0 - red - blue;
        let (luma, chroma, black) =
            if self.full_range { (1.0, 1.0, 0.0) } else { (255.0 / 219.0, 255.0 / 224.0, 16.0) };
        let row = |u: f32, v: f32| [luma, u, v, -luma * black - 128.0 * (u + v)];
        let (u, v) = (2.0 * chroma * (1.0 - blue), 2.0 * chroma * (1.0 - red));
        [row(u, 0.0), row(-u * blue / green, -v * red / green), row(0.0, v)]
    }

    fn standard(self) -> YuvStandardMatrix {
        match self.matrix {
            Matrix::Bt601 => YuvStandardMatrix::Bt601,
            Matrix::Bt709 => YuvStandardMatrix::Bt709,
            Matrix::Bt2020 => YuvStandardMatrix::Bt2020,
        }
    }
}

/// A picture in planes. Cheap to clone: nothing is copied.
#[derive(Clone)]
pub struct Yuv {
    planes: Arc<dyn Planes>,
    width: u32,
    height: u32,
    colours: Colours,
}

impl fmt::Debug for Yuv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Yuv({}x{}, {:?})", self.width, self.height, self.colours)
    }
}

impl Yuv {
    /// None when the planes have fewer rows than the picture, or shorter ones.
    #[must_use]
    pub fn new(planes: Arc<dyn Planes>, (width, height): (u32, u32), colours: Colours) -> Option<Self> {
        let yuv = Self { planes, width, height, colours };
        let rows = [0, 1, 2].into_iter().all(|at| {
            let (bytes, stride, (_, height)) = yuv.plane(at);
            stride.checked_mul(height).is_some_and(|length| length <= bytes.len())
        });
        let whole = rows && yuv.image()?.check_constraints(YuvChromaSubsampling::Yuv420).is_ok();
        whole.then_some(yuv)
    }

    /// Of planes whose rows follow each other without padding.
    #[must_use]
    pub fn packed(planes: [Vec<u8>; 3], size: (u32, u32), colours: Colours) -> Option<Self> {
        Self::new(Arc::new(Packed { planes, width: size.0 as usize }), size, colours)
    }

    /// Width and height.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    #[must_use]
    pub fn colours(&self) -> Colours {
        self.colours
    }

    /// The bytes of plane Y, U or V (0, 1, 2), how far apart its rows begin, and the plane's width and height.
    #[must_use]
    pub fn plane(&self, at: usize) -> (&[u8], usize, (usize, usize)) {
        let (bytes, stride) = self.planes.plane(at);
        let half = u32::from(at > 0);
        let side = |side: u32| ((side + half) >> half) as usize;
        (bytes, stride, (side(self.width), side(self.height)))
    }

    /// Row `y` of plane Y, U or V, without padding.
    #[must_use]
    pub fn row(&self, plane: usize, y: usize) -> &[u8] {
        let (bytes, stride, (width, _)) = self.plane(plane);
        &bytes[y * stride..][..width]
    }

    /// What grey of 0…255 each luma is.
    #[must_use]
    pub fn greys(&self) -> &'static [u8; 256] {
        const FULL: [u8; 256] = greys(true);
        const LIMITED: [u8; 256] = greys(false);
        if self.colours.full_range { &FULL } else { &LIMITED }
    }

    /// The picture as packed BGR, in the place of what `bgr` held.
    pub fn to_bgr(&self, bgr: &mut Vec<u8>) {
        bgr.resize(3 * self.width as usize * self.height as usize, 0);
        let range = if self.colours.full_range { YuvRange::Full } else { YuvRange::Limited };
        if let Some(image) = self.image() {
            // The sides were looked at when it was made.
            let _fits = yuv::yuv420_to_bgr(&image, bgr, 3 * self.width, range, self.colours.standard());
        }
    }

    fn image(&self) -> Option<YuvPlanarImage<'_, u8>> {
        let [(y_plane, y), (u_plane, u), (v_plane, v)] = [0, 1, 2].map(|at| self.planes.plane(at));
        let stride = |stride: usize| u32::try_from(stride).ok();
        Some(YuvPlanarImage {
            y_plane,
            y_stride: stride(y)?,
            u_plane,
            u_stride: stride(u)?,
            v_plane,
            v_stride: stride(v)?,
            width: self.width,
            height: self.height,
        })
    }
}

struct Packed {
    planes: [Vec<u8>; 3],
    width: usize,
}

impl Planes for Packed {
    fn plane(&self, at: usize) -> (&[u8], usize) {
        (&self.planes[at], if at == 0 { self.width } else { self.width.div_ceil(2) })
    }
}

const fn greys(full_range: bool) -> [u8; 256] {
    let mut greys = [0; 256];
    let mut at = 0_usize;
    while at < 256 {
        let grey = if full_range { at } else { (at.saturating_sub(16) * 255 + 109) / 219 };
        greys[at] = if grey > 255 { 255 } else { grey.to_le_bytes()[0] };
        at += 1;
    }
    greys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes(yuv: [u8; 3]) -> [Vec<u8>; 3] {
        [vec![yuv[0]; 8 * 4], vec![yuv[1]; 4 * 2], vec![yuv[2]; 4 * 2]]
    }

    const LIMITED: Colours = Colours { matrix: Matrix::Bt601, full_range: false };

    fn plain(yuv: [u8; 3], colours: Colours) -> Yuv {
        Yuv::new(Arc::new(Packed { planes: planes(yuv), width: 8 }), (7, 3), colours).unwrap()
    }

    /// Of BT.601 and BT.709: what a pure red, a green and white are in 8 bits.
    #[test]
    fn planes_become_the_colours_that_the_recommendations_say() {
        let hd = Colours { matrix: Matrix::Bt709, ..LIMITED };
        let full = Colours { full_range: true, ..LIMITED };
        for (colours, yuv, wanted) in [
            (LIMITED, [81, 90, 240], [0, 0, 255]),
            (LIMITED, [145, 54, 34], [0, 255, 0]),
            (LIMITED, [235, 128, 128], [255, 255, 255]),
            (LIMITED, [16, 128, 128], [0, 0, 0]),
            (hd, [63, 102, 240], [0, 0, 255]),
            (hd, [173, 42, 26], [0, 255, 0]),
            (full, [76, 85, 255], [0, 0, 254]),
            (full, [200, 128, 128], [200, 200, 200]),
        ] {
            let picture = plain(yuv, colours);
            let mut bgr = vec![1; 3];
            picture.to_bgr(&mut bgr);
            assert_eq!(bgr.len(), 3 * 7 * 3);
            let near = |got: f32, wanted: u8| (got - f32::from(wanted)).abs() <= 3.0;
            for pixel in bgr.chunks(3) {
                assert!(pixel.iter().zip(wanted).all(|(&got, wanted)| near(got.into(), wanted)), "{yuv:?}: {pixel:?}");
            }
            let [y, u, v] = yuv.map(f32::from);
            for (weights, wanted) in colours.weights().into_iter().zip(wanted) {
                let got = weights[0] * y + weights[1] * u + weights[2] * v + weights[3];
                assert!(near(got.clamp(0.0, 255.0), wanted), "{yuv:?}: {got} instead of {wanted}");
            }
        }
        assert_eq!([0, 16, 126, 235, 255].map(|y| plain([0; 3], LIMITED).greys()[y]), [0, 0, 128, 255, 255]);
        assert_eq!([0, 16, 255].map(|y| plain([0; 3], full).greys()[y]), [0, 16, 255]);
    }

    #[test]
    fn planes_that_are_too_small_are_no_picture() {
        let made = |size, stride| {
            let planes = Packed { planes: planes([0; 3]), width: stride };
            Yuv::new(Arc::new(planes), size, LIMITED).map(|yuv| yuv.size())
        };
        assert_eq!(made((8, 4), 8), Some((8, 4)));
        assert_eq!(Yuv::packed(planes([9; 3]), (8, 4), LIMITED).unwrap().row(2, 1), [9; 4]);
        for (size, stride) in [((9, 4), 8), ((8, 5), 8), ((0, 4), 8), ((8, 0), 8), ((8, 4), 6), ((8, 4), 1 << 40)] {
            assert_eq!(made(size, stride), None, "{size:?}");
        }
    }
}
