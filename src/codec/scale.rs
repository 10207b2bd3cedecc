//! Frames made smaller for people to look at, and into the planes a video encoder takes.

use std::sync::Once;

use opencv::core::{Mat, MatTrait, MatTraitConst, MatTraitConstManual, Rect, Size, ToInputArray, set_num_threads};
use opencv::imgproc::{self, COLOR_BGR2YUV_I420, INTER_AREA, INTER_LINEAR};

use super::CodecError;
use crate::domain::{Frame, Yuv};

/// The largest picture the H.264 encoder takes, long and short side (its level 5.2).
const LONGEST: u32 = 3840;
const SHORTEST: u32 = 2160;
/// No side is smaller: encoders work in blocks of 16.
const LEAST: u32 = 16;

/// The size of a picture as it is shown: at most `max_width` (0 = as it is), in its proportions, both sides even.
#[must_use]
pub fn shown_size(width: u32, height: u32, max_width: u32) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let (widest, highest) = if width >= height { (LONGEST, SHORTEST) } else { (SHORTEST, LONGEST) };
    let widest = if max_width == 0 { widest } else { widest.min(max_width) };
    // The tighter of the two bounds decides; products are compared so that nothing is rounded twice.
    let mut size = (width, height);
    if size.0 > u64::from(widest) {
        size = (u64::from(widest), (height * u64::from(widest) + width / 2) / width);
    }
    if size.1 > u64::from(highest) {
        size = ((width * u64::from(highest) + height / 2) / height, u64::from(highest));
    }
    let even = |side: u64| u32::try_from(side & !1).unwrap_or(LONGEST).max(LEAST);
    (even(size.0), even(size.1))
}

/// OpenCV would take every core there is for a picture of a viewer's, from those who detect, and keep its threads awake for a
/// while in case another one comes.
pub(super) fn on_this_thread_alone() -> Result<(), CodecError> {
    static ONCE: Once = Once::new();
    let mut done = Ok(());
    ONCE.call_once(|| done = set_num_threads(1));
    Ok(done?)
}

/// Fills `into` with the frame's picture in another size, as BGR; everything else of the frame is copied.
///
/// # Errors
/// When the frame holds no picture.
pub fn scale(frame: &Frame, width: u32, height: u32, into: &mut Frame) -> Result<(), CodecError> {
    // Averaging over areas is slow, and only needed where pixels would be passed over.
    let filter = if frame.width > 2 * width { INTER_AREA } else { INTER_LINEAR };
    paint(frame, (width, height), filter, &mut into.bgr)?;
    (into.yuv, into.width, into.height) = (None, width, height);
    (into.id, into.captured_at, into.timestamp_source) = (frame.id, frame.captured_at, frame.timestamp_source);
    (into.captured_instant, into.ready_at, into.decode) = (frame.captured_instant, frame.ready_at, frame.decode);
    Ok(())
}

/// Makes packed BGR of the frame's picture, in that size.
pub(super) fn paint(
    frame: &Frame,
    (width, height): (u32, u32),
    filter: i32,
    bgr: &mut Vec<u8>,
) -> Result<(), CodecError> {
    on_this_thread_alone()?;
    match &frame.yuv {
        Some(yuv) if yuv.size() == (width, height) => yuv.to_bgr(bgr),
        Some(yuv) => scaled(yuv, (width, height), filter)?.to_bgr(bgr),
        None => {
            let flat = whole(frame)?;
            bgr.resize(3 * width as usize * height as usize, 0);
            resize(&flat.reshape(3, side(frame.height))?, bgr, (3, width, height), filter)?;
        }
    }
    Ok(())
}

/// Into packed rows of so many channels a pixel.
fn resize(
    picture: &impl ToInputArray,
    into: &mut [u8],
    (channels, width, height): (i32, u32, u32),
    filter: i32,
) -> Result<(), CodecError> {
    let mut flat = Mat::from_slice_mut(into)?;
    let mut target = flat.reshape_mut(channels, side(height))?;
    Ok(imgproc::resize(picture, &mut target, Size::new(side(width), side(height)), 0.0, 0.0, filter)?)
}

/// The planes of a picture, each scaled by itself.
fn scaled(yuv: &Yuv, (width, height): (u32, u32), filter: i32) -> Result<Yuv, CodecError> {
    let plane = |at: usize, width: u32, height: u32| -> Result<_, CodecError> {
        let (bytes, stride, (w, h)) = yuv.plane(at);
        let length = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
        let rows = Mat::from_slice(&bytes[..stride * h])?;
        let rows = rows.reshape(1, length(h))?;
        let mut scaled = vec![0; width as usize * height as usize];
        let unpadded = Mat::roi(&rows, Rect::new(0, 0, length(w), length(h)))?;
        resize(&unpadded, &mut scaled, (1, width, height), filter)?;
        Ok(scaled)
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let (y, u) = (plane(0, width, height)?, plane(1, half_width, half_height)?);
    Yuv::packed([y, u, plane(2, half_width, half_height)?], (width, height), yuv.colours())
        .ok_or_else(|| CodecError::Video(format!("no picture of {width}x{height} can be made")))
}

/// Luma, and two planes of chroma of half its sides.
pub(super) type Three<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Makes planes as ITU-R BT.601 has them, 16…235. Keeps its buffer from picture to picture.
#[derive(Default)]
pub(super) struct I420(Mat);

impl I420 {
    /// Converts the frame, both of whose sides are even; gives the planes Y, U and V without padding.
    pub fn convert(&mut self, frame: &Frame) -> Result<Three<'_>, CodecError> {
        on_this_thread_alone()?;
        let flat = whole(frame)?;
        let picture = flat.reshape(3, side(frame.height))?;
        imgproc::cvt_color(&picture, &mut self.0, COLOR_BGR2YUV_I420, 0)?;
        let planes = self.0.data_bytes()?;
        let luma = frame.width as usize * frame.height as usize;
        let (y, chroma) = planes.split_at_checked(luma).ok_or_else(|| odd(frame))?;
        let (u, v) = chroma.split_at_checked(luma / 4).ok_or_else(|| odd(frame))?;
        Ok((y, u, v))
    }
}

fn whole(frame: &Frame) -> Result<opencv::boxed_ref::BoxedRef<'_, Mat>, CodecError> {
    if !frame.is_whole() {
        return Err(odd(frame));
    }
    Ok(Mat::from_slice(&frame.bgr)?)
}

fn odd(frame: &Frame) -> CodecError {
    CodecError::Video(format!(
        "{} bytes are no BGR picture of {}x{} for it",
        frame.bgr.len(),
        frame.width,
        frame.height
    ))
}

fn side(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Colours, Matrix};

    #[test]
    fn a_shown_picture_keeps_its_proportions_and_has_even_sides() {
        for ((width, height, most), shown) in [
            ((640, 480, 1280), (640, 480)),
            ((641, 481, 1280), (640, 480)),
            ((1920, 1080, 1280), (1280, 720)),
            ((1080, 1920, 1280), (1080, 1920)),
            ((7680, 4320, 0), (3840, 2160)),
            ((3000, 3000, 0), (2160, 2160)),
            ((4000, 8000, 0), (1920, 3840)),
            ((1, 1, 1280), (16, 16)),
        ] {
            assert_eq!(shown_size(width, height, most), shown, "{width}x{height} at most {most}");
        }
    }

    #[test]
    fn scaling_keeps_colours_and_the_time_of_capture() {
        let frame = Frame { id: 7, width: 64, height: 32, bgr: [10, 90, 200].repeat(64 * 32), ..Frame::empty() };
        let mut small = Frame::empty();
        scale(&frame, 16, 16, &mut small).unwrap();
        assert_eq!((small.id, small.width, small.height), (7, 16, 16));
        assert_eq!(small.bgr, [10, 90, 200].repeat(16 * 16));
        assert!(scale(&Frame::empty(), 16, 16, &mut small).is_err());
    }

    #[test]
    fn a_videos_planes_become_bgr_of_any_size() {
        // Left half red, right half grey, by BT.601; its sides are odd.
        let half = |width: usize, height: usize, left: u8, right: u8| {
            (0..width * height).map(|at| if at % width < width.div_ceil(2) { left } else { right }).collect::<Vec<u8>>()
        };
        let planes = [half(63, 33, 81, 126), half(32, 17, 90, 128), half(32, 17, 240, 128)];
        let colours = Colours { matrix: Matrix::Bt601, full_range: false };
        let yuv = Yuv::packed(planes, (63, 33), colours);
        let frame = Frame { id: 7, width: 63, height: 33, yuv, ..Frame::empty() };
        let mut into = frame.clone();
        for (width, height) in [(63, 33), (62, 32), (16, 16), (200, 100), (31, 21)] {
            scale(&frame, width, height, &mut into).unwrap();
            assert_eq!((into.id, into.width, into.height, into.yuv.is_none()), (7, width, height, true));
            assert!(into.is_whole());
            for (x, wanted) in [(1, [0, 0, 255]), (width - 2, [128, 128, 128])] {
                let at = 3 * (height / 2 * width + x) as usize;
                let got = &into.bgr[at..at + 3];
                assert!(got.iter().zip(wanted).all(|(&a, b)| a.abs_diff(b) <= 4), "{width}x{height}, {x}: {got:?}");
            }
        }
    }

    #[test]
    fn white_and_black_become_the_ends_of_the_video_range() {
        let mut planes = I420::default();
        for (level, luma) in [(255, 235), (0, 16)] {
            let frame = Frame { width: 16, height: 16, bgr: vec![level; 16 * 16 * 3], ..Frame::empty() };
            let (y, u, v) = planes.convert(&frame).unwrap();
            assert!(y.len() == 256 && u.len() == 64 && v.len() == 64);
            assert!(y.iter().all(|&y| y == luma) && u.iter().chain(v).all(|&c| c == 128));
        }
    }
}
