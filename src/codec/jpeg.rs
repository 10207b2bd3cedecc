//! Frames as JPEG, with the boxes drawn in if wanted.

use opencv::core::{Mat, MatTraitConst, Size, Vector};
use opencv::imgcodecs::{IMREAD_COLOR, IMWRITE_JPEG_QUALITY, imdecode, imencode};
use opencv::imgproc::{self, INTER_AREA};

use super::scale::{on_this_thread_alone, paint};
use super::{CodecError, Overlay};
use crate::domain::{Detection, Frame};

impl From<opencv::Error> for CodecError {
    fn from(error: opencv::Error) -> Self {
        Self::Jpeg(error.message)
    }
}

/// Keeps its buffers from picture to picture.
#[derive(Default)]
pub struct JpegEncoder {
    /// The picture as it will be encoded, when that is not the frame's own.
    canvas: Vec<u8>,
    encoded: Vector<u8>,
    overlay: Overlay,
}

impl JpegEncoder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the frame as JPEG into `out` (what was there is replaced); returns the picture's width and height.
    ///
    /// It is made smaller to `max_width` pixels (0 = as it is), never larger; `quality` is 1…100. The boxes of `overlay`
    /// are drawn with label, score and track id.
    ///
    /// # Errors
    /// When the frame holds no picture, or a side is above JPEG's 65535.
    pub fn encode(
        &mut self,
        frame: &Frame,
        max_width: u32,
        quality: u8,
        overlay: Option<&[Detection]>,
        out: &mut Vec<u8>,
    ) -> Result<(u32, u32), CodecError> {
        if !frame.is_whole() || frame.width.max(frame.height) > 65_535 {
            let (width, height, bytes) = (frame.width, frame.height, frame.bgr.len());
            return Err(CodecError::Jpeg(format!("{bytes} bytes are no BGR picture of {width}x{height} for it")));
        }
        let (width, height) = fit(frame.width, frame.height, max_width);
        let as_it_is = width == frame.width && overlay.is_none() && frame.yuv.is_none();
        if !as_it_is {
            paint(frame, (width, height), INTER_AREA, &mut self.canvas)?;
        }
        if let Some(detections) = overlay {
            self.overlay.draw(&mut self.canvas, width, height, detections);
        }
        on_this_thread_alone()?;
        let flat = Mat::from_slice(if as_it_is { &frame.bgr } else { &self.canvas })?;
        let params = Vector::from_slice(&[IMWRITE_JPEG_QUALITY, i32::from(quality.clamp(1, 100))]);
        let done = imencode(".jpg", &flat.reshape(3, pixels(height))?, &mut self.encoded, &params)?;
        if !done {
            return Err(CodecError::Jpeg("the encoder gave up".into()));
        }
        out.clear();
        out.extend_from_slice(self.encoded.as_slice());
        Ok((width, height))
    }
}

/// How a picture is made smaller, one step after the other: scale and quality. Coarser first: boxes and faces keep their pixels.
const STEPS: [(f64, i32); 8] =
    [(1.0, 70), (1.0, 50), (1.0, 35), (0.75, 50), (0.5, 50), (0.35, 45), (0.25, 40), (0.15, 35)];

/// The same picture in at most `limit` bytes, with its width and height.
///
/// # Errors
/// When it is no picture, or not even the smallest step fits.
pub fn shrink_jpeg(jpeg: &[u8], limit: usize) -> Result<(Vec<u8>, u32, u32), CodecError> {
    on_this_thread_alone()?;
    let picture = imdecode(&Mat::from_slice(jpeg)?, IMREAD_COLOR)?;
    if picture.empty() {
        return Err(CodecError::Jpeg("it cannot be read to make it smaller".into()));
    }
    let (mut canvas, mut encoded) = (Mat::default(), Vector::new());
    for (scale, quality) in STEPS {
        let params = Vector::from_slice(&[IMWRITE_JPEG_QUALITY, quality]);
        let made = if scale < 1.0 {
            imgproc::resize(&picture, &mut canvas, Size::default(), scale, scale, INTER_AREA)?;
            &canvas
        } else {
            &picture
        };
        if imencode(".jpg", made, &mut encoded, &params)? && encoded.len() <= limit {
            let size = made.size()?;
            return Ok((encoded.as_slice().to_vec(), size.width.unsigned_abs(), size.height.unsigned_abs()));
        }
    }
    Err(CodecError::Jpeg(format!("it does not fit into {limit} bytes")))
}

fn pixels(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn fit(width: u32, height: u32, max_width: u32) -> (u32, u32) {
    if max_width == 0 || width <= max_width {
        return (width, height);
    }
    let scaled = (u64::from(height) * u64::from(max_width) + u64::from(width) / 2) / u64::from(width);
    (max_width, u32::try_from(scaled).unwrap_or(height).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BBox, Colours, Matrix, Yuv};
    use opencv::core::{MatTraitConst, MatTraitConstManual};
    use opencv::imgcodecs::{IMREAD_COLOR, imdecode};

    fn grey(width: u32, height: u32) -> Frame {
        let bgr = vec![90; (width * height * 3) as usize];
        Frame { width, height, bgr, ..Frame::empty() }
    }

    fn detection(label: &str, bbox: [f32; 4]) -> Detection {
        Detection { label: label.into(), score: 0.87, bbox: bbox.into(), class_id: 2, track_id: Some(12) }
    }

    fn decode(jpeg: &[u8]) -> Mat {
        imdecode(&Mat::from_slice(jpeg).unwrap(), IMREAD_COLOR).unwrap()
    }

    #[test]
    fn a_frame_becomes_a_jpeg_of_its_size_or_smaller() {
        let (mut encoder, mut out) = (JpegEncoder::new(), vec![1, 2, 3]);
        for (max_width, wanted) in [(0, (64, 48)), (1000, (64, 48)), (32, (32, 24)), (1, (1, 1))] {
            assert_eq!(encoder.encode(&grey(64, 48), max_width, 80, None, &mut out).unwrap(), wanted);
            let size = decode(&out).size().unwrap();
            assert_eq!((size.width, size.height), (pixels(wanted.0), pixels(wanted.1)));
        }
    }

    #[test]
    fn the_overlay_paints_the_canvas_and_leaves_the_frame_alone() {
        let (frame, mut out) = (grey(320, 240), Vec::new());
        JpegEncoder::new().encode(&frame, 0, 95, Some(&[detection("car", [0.2, 0.4, 0.8, 0.9])]), &mut out).unwrap();
        assert!(frame.bgr.iter().all(|&byte| byte == 90));
        let painted = decode(&out).data_bytes().unwrap().iter().filter(|&&byte| byte.abs_diff(90) > 30).count();
        assert!(painted > 1000, "{painted}");
    }

    #[test]
    fn a_videos_picture_is_a_jpeg_as_well() {
        let colours = Colours { matrix: Matrix::Bt601, full_range: true };
        let yuv = Yuv::packed([vec![90; 64 * 48], vec![128; 32 * 24], vec![128; 32 * 24]], (64, 48), colours);
        let frame = Frame { width: 64, height: 48, yuv, ..Frame::empty() };
        let (mut encoder, mut out) = (JpegEncoder::new(), Vec::new());
        for (max_width, wanted, boxes) in [(0, (64, 48), None), (32, (32, 24), None), (21, (21, 16), Some(&[][..]))] {
            assert_eq!(encoder.encode(&frame, max_width, 90, boxes, &mut out).unwrap(), wanted);
            assert!(decode(&out).data_bytes().unwrap().iter().all(|&byte| byte.abs_diff(90) <= 1));
        }
    }

    #[test]
    fn odd_boxes_and_labels_do_no_harm() {
        let (mut encoder, mut out) = (JpegEncoder::new(), Vec::new());
        let odd = [
            detection("", [0.0, 0.0, 0.0, 0.0]),
            detection("人\n\0", [1.0, 1.0, 1.0, 1.0]),
            detection(&"long ".repeat(100), [0.9, 0.0, 1.0, 0.02]),
            Detection {
                score: f32::NAN,
                bbox: BBox { x_min: f32::NAN, ..BBox::default() },
                ..detection("n", [0.0; 4])
            },
        ];
        for (width, height) in [(1, 1), (16, 16), (3, 500), (640, 360)] {
            encoder.encode(&grey(width, height), 0, 0, Some(&odd), &mut out).unwrap();
        }
    }

    #[test]
    fn a_frame_without_a_picture_is_an_error() {
        assert!(JpegEncoder::new().encode(&Frame::empty(), 0, 80, None, &mut Vec::new()).is_err());
        let short = Frame { bgr: vec![0; 5], ..grey(2, 2) };
        assert!(JpegEncoder::new().encode(&short, 0, 80, None, &mut Vec::new()).is_err());
    }
}
