//! Frames as JPEG, with the boxes drawn in if wanted.

use opencv::core::{Mat, MatTraitConst, Point, Rect, Scalar, Size, Vector};
use opencv::imgcodecs::{IMREAD_COLOR, IMWRITE_JPEG_QUALITY, imdecode, imencode};
use opencv::imgproc::{self, FILLED, FONT_HERSHEY_SIMPLEX, INTER_AREA, LINE_8, LINE_AA};

use super::CodecError;
use crate::domain::{Detection, Frame};

impl From<opencv::Error> for CodecError {
    fn from(error: opencv::Error) -> Self {
        Self::Jpeg(error.message)
    }
}

/// Class colours, BGR: far apart in hue and lightness; a class keeps its colour everywhere.
const PALETTE: [[u8; 3]; 17] = [
    [75, 25, 230],
    [75, 180, 60],
    [25, 225, 255],
    [216, 99, 67],
    [49, 130, 245],
    [180, 30, 145],
    [240, 240, 70],
    [230, 50, 240],
    [60, 245, 210],
    [190, 190, 250],
    [128, 128, 0],
    [255, 190, 220],
    [36, 99, 170],
    [195, 255, 170],
    [0, 0, 128],
    [180, 216, 255],
    [235, 235, 235],
];

/// Keeps its buffers from picture to picture.
#[derive(Default)]
pub struct JpegEncoder {
    /// The picture as it will be encoded, when that is not the frame itself.
    canvas: Mat,
    encoded: Vector<u8>,
}

impl JpegEncoder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the frame as JPEG into `out` (what was there is replaced); returns the picture's width and height.
    ///
    /// It is made smaller to `max_width` pixels (0 = as it is), never larger; `quality` is 1…100. The boxes of `overlay`
    /// are drawn with label, score and track id; letters beyond ASCII appear as '?'.
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
        let expected = u64::from(frame.width) * u64::from(frame.height) * 3;
        if expected == 0 || frame.bgr.len() as u64 != expected || frame.width.max(frame.height) > 65_535 {
            let (width, height, bytes) = (frame.width, frame.height, frame.bgr.len());
            return Err(CodecError::Jpeg(format!("{bytes} bytes are no BGR picture of {width}x{height} for it")));
        }
        let flat = Mat::from_slice(&frame.bgr)?;
        let picture = flat.reshape(3, pixels(frame.height))?;
        let (width, height) = fit(frame.width, frame.height, max_width);
        let resized = width != frame.width;
        if resized {
            let size = Size::new(pixels(width), pixels(height));
            imgproc::resize(&picture, &mut self.canvas, size, 0.0, 0.0, INTER_AREA)?;
        } else if overlay.is_some() {
            picture.copy_to(&mut self.canvas)?;
        }
        if let Some(detections) = overlay {
            draw(&mut self.canvas, detections)?;
        }
        let params = Vector::from_slice(&[IMWRITE_JPEG_QUALITY, i32::from(quality.clamp(1, 100))]);
        let done = if resized || overlay.is_some() {
            imencode(".jpg", &self.canvas, &mut self.encoded, &params)?
        } else {
            imencode(".jpg", &picture, &mut self.encoded, &params)?
        };
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

/// Measures of the drawing, in pixels; they grow with the picture.
struct Style {
    line: i32,
    font: f64,
    stroke: i32,
    pad: i32,
}

#[expect(clippy::cast_possible_truncation, reason = "a few pixels")]
fn style(canvas: Size) -> Style {
    let unit = (f64::from(canvas.width) * f64::from(canvas.height)).sqrt() / 720.0;
    let whole = |value: f64| value.round() as i32;
    let font = (0.55 * unit).clamp(0.4, 3.0);
    Style {
        line: whole(2.0 * unit).clamp(2, 12),
        font,
        stroke: whole(1.6 * font).clamp(1, 6),
        pad: whole(8.0 * font).max(3),
    }
}

/// All boxes first, then all plates, so that no box runs through a label.
fn draw(canvas: &mut Mat, detections: &[Detection]) -> Result<(), CodecError> {
    let size = canvas.size()?;
    let style = style(size);
    for detection in detections {
        let rect = rect(detection, size);
        let [b, g, r] = colour(detection.class_id);
        // A dark edge on both sides keeps a light colour visible on a light ground.
        imgproc::rectangle(canvas, rect, dark(), style.line + 2, LINE_8, 0)?;
        imgproc::rectangle(canvas, rect, Scalar::new(b, g, r, 0.0), style.line, LINE_8, 0)?;
    }
    for detection in detections {
        plate(canvas, detection, size, &style)?;
    }
    Ok(())
}

fn plate(canvas: &mut Mat, detection: &Detection, size: Size, style: &Style) -> Result<(), CodecError> {
    let text = caption(detection);
    let mut baseline = 0;
    let letters = imgproc::get_text_size(&text, FONT_HERSHEY_SIMPLEX, style.font, style.stroke, &mut baseline)?;
    let (width, height) = (letters.width + 2 * style.pad, letters.height + baseline + style.pad);
    let rect = rect(detection, size);
    // Above the box; inside it where there is no room above; in the picture in any case.
    let above = rect.y - height - style.line / 2;
    let y = if above >= 0 { above } else { rect.y + style.line };
    let x = (rect.x - style.line / 2).min(size.width - width).max(0);
    let y = y.min(size.height - height).max(0);
    let ground = Rect::new(x, y, width, height);
    let [b, g, r] = colour(detection.class_id);
    imgproc::rectangle(canvas, ground, Scalar::new(b, g, r, 0.0), FILLED, LINE_8, 0)?;
    imgproc::rectangle(canvas, ground, dark(), 1, LINE_8, 0)?;
    // ITU-R BT.601 luma decides between black and white letters.
    let ink = if 0.114 * b + 0.587 * g + 0.299 * r > 140.0 { dark() } else { Scalar::all(255.0) };
    let at = Point::new(x + style.pad, y + style.pad / 2 + letters.height);
    imgproc::put_text(canvas, &text, at, FONT_HERSHEY_SIMPLEX, style.font, ink, style.stroke, LINE_AA, false)?;
    Ok(())
}

/// `person 87% #12`
fn caption(detection: &Detection) -> String {
    // The font knows ASCII only and would draw a '?' for every byte.
    let plain = |c: char| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
    let label: String = detection.label.chars().take(40).map(plain).collect();
    let score = detection.score.clamp(0.0, 1.0) * 100.0;
    let track = detection.track_id.map_or_else(String::new, |id| format!(" #{id}"));
    format!("{label} {score:.0}%{track}")
}

#[expect(clippy::cast_possible_truncation, reason = "fractions of a picture's side")]
fn rect(detection: &Detection, size: Size) -> Rect {
    let place = |fraction: f32, side: i32| (f64::from(fraction) * f64::from(side)).round() as i32;
    let bbox = detection.bbox;
    let x0 = place(bbox.x_min, size.width).clamp(0, size.width - 1);
    let y0 = place(bbox.y_min, size.height).clamp(0, size.height - 1);
    let x1 = place(bbox.x_max, size.width).clamp(x0 + 1, size.width);
    let y1 = place(bbox.y_max, size.height).clamp(y0 + 1, size.height);
    Rect::new(x0, y0, x1 - x0, y1 - y0)
}

fn colour(class_id: u32) -> [f64; 3] {
    PALETTE[class_id as usize % PALETTE.len()].map(f64::from)
}

fn dark() -> Scalar {
    Scalar::new(20.0, 20.0, 20.0, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BBox;
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
