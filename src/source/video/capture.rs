//! One OpenCV capture: opening, grabbing, and a picture copied out as packed BGR.

use opencv::core::{CV_8UC1, CV_8UC3, CV_8UC4, Mat, MatTraitConst, MatTraitConstManual, Vec3b, Vector};
use opencv::imgproc::{self, COLOR_BGRA2BGR, COLOR_GRAY2BGR};
use opencv::videoio::{
    CAP_FFMPEG, CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, CAP_PROP_OPEN_TIMEOUT_MSEC, CAP_PROP_POS_MSEC,
    CAP_PROP_READ_TIMEOUT_MSEC, CAP_V4L2, VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst,
};

use super::super::OpenOptions;
use crate::domain::Frame;

/// The buffers of one open video. OpenCV says `false`, not why; the callers find out.
pub(super) struct Capture {
    video: VideoCapture,
    /// Rows and columns of the last picture; of the next one as well, unless the stream changes.
    size: Option<(i32, i32)>,
    /// As the backend hands it over, where it does not go straight into the frame.
    raw: Mat,
    /// Only used when `raw` is not BGR.
    converted: Mat,
}

impl Capture {
    /// A file or address through FFmpeg: only a named backend heeds the time-outs (opencv#23207). RTSP goes over TCP.
    pub(super) fn ffmpeg(address: &str, options: &OpenOptions) -> Option<Self> {
        let millis = |span: std::time::Duration| i32::try_from(span.as_millis()).unwrap_or(i32::MAX).max(1);
        let params = Vector::from_slice(&[
            CAP_PROP_OPEN_TIMEOUT_MSEC,
            millis(options.open_timeout),
            CAP_PROP_READ_TIMEOUT_MSEC,
            millis(options.read_timeout),
        ]);
        quiet();
        Self::opened(VideoCapture::from_file_with_params(address, CAP_FFMPEG, &params))
    }

    pub(super) fn webcam(index: u32) -> Option<Self> {
        quiet();
        Self::opened(VideoCapture::new(i32::try_from(index).ok()?, CAP_V4L2))
    }

    fn opened(video: opencv::Result<VideoCapture>) -> Option<Self> {
        let video = video.ok().filter(|video| video.is_opened().unwrap_or(false))?;
        Some(Self { video, size: None, raw: Mat::default(), converted: Mat::default() })
    }

    /// Moves on to the next picture; false at the end and on any failure.
    pub(super) fn grab(&mut self) -> bool {
        self.video.grab().unwrap_or(false)
    }

    /// Converts the grabbed picture into `frame`; false when there is none or it is of an unknown layout.
    pub(super) fn retrieve(&mut self, frame: &mut Frame) -> bool {
        let (direct, got) = match self.size {
            Some(size) => self.retrieve_straight(size, frame),
            None => (false, self.video.retrieve(&mut self.raw, 0).unwrap_or(false)),
        };
        let got = got && (direct || fill(&self.raw, &mut self.converted, frame).is_some());
        let side = |pixels| i32::try_from(pixels).ok().filter(|_| got);
        self.size = side(frame.height).zip(side(frame.width));
        got
    }

    /// The copy that OpenCV makes of its picture is made into the frame's own buffer: of a picture of 1080 lines that saves
    /// 6 MB of memory and of copying. Whether the picture is there, and whether there was one; one of another size or
    /// layout is in `raw` instead.
    fn retrieve_straight(&mut self, (rows, cols): (i32, i32), frame: &mut Frame) -> (bool, bool) {
        let pixels = usize::try_from(rows).unwrap_or(0) * usize::try_from(cols).unwrap_or(0);
        frame.bgr.resize(pixels * 3, 0);
        let place = frame.bgr.as_ptr();
        let Ok(mut picture) = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(rows, cols, &mut frame.bgr) else {
            return (false, self.video.retrieve(&mut self.raw, 0).unwrap_or(false));
        };
        if !self.video.retrieve(&mut picture, 0).unwrap_or(false) {
            return (false, false);
        }
        // OpenCV keeps to the buffer that it is given only when it fits exactly.
        if picture.data() == place {
            (frame.width, frame.height) = (cols.unsigned_abs(), rows.unsigned_abs());
            return (true, true);
        }
        (false, picture.copy_to(&mut self.raw).is_ok())
    }

    /// Seconds from the beginning of the stream, by the grabbed picture's timestamp.
    pub(super) fn position(&self) -> Option<f64> {
        self.property(CAP_PROP_POS_MSEC).map(|millis| millis / 1000.0)
    }

    pub(super) fn fps(&self) -> Option<f64> {
        self.property(CAP_PROP_FPS).filter(|&fps| fps > 0.0 && fps <= 1000.0)
    }

    /// Pictures the container promises; many containers only let it be estimated.
    pub(super) fn promised_frames(&self) -> Option<f64> {
        self.property(CAP_PROP_FRAME_COUNT).filter(|&count| count >= 1.0)
    }

    fn property(&self, property: i32) -> Option<f64> {
        self.video.get(property).ok().filter(|value| value.is_finite())
    }
}

/// Copies `raw` (8 bit; grey, BGR or BGRA; rows may be padded) into the frame's buffer. None when it is anything else.
pub(in super::super) fn fill(raw: &Mat, converted: &mut Mat, frame: &mut Frame) -> Option<()> {
    let bgr = match raw.typ() {
        CV_8UC3 => raw,
        kind @ (CV_8UC1 | CV_8UC4) => {
            let code = if kind == CV_8UC1 { COLOR_GRAY2BGR } else { COLOR_BGRA2BGR };
            imgproc::cvt_color_def(raw, converted, code).ok()?;
            &*converted
        }
        _ => return None,
    };
    let (width, height) = (u32::try_from(bgr.cols()).ok()?, u32::try_from(bgr.rows()).ok()?);
    if width == 0 || height == 0 {
        return None;
    }
    frame.bgr.clear();
    if bgr.is_continuous() {
        frame.bgr.extend_from_slice(bgr.data_bytes().ok()?);
    } else {
        for row in 0..bgr.rows() {
            frame.bgr.extend(bgr.at_row::<opencv::core::Vec3b>(row).ok()?.iter().flat_map(|pixel| pixel.0));
        }
    }
    (frame.width, frame.height) = (width, height);
    Some(())
}

/// OpenCV's own log would repeat addresses with their passwords on stderr; what went wrong is said by our errors.
pub(in super::super) fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _old = opencv::core::set_log_level(opencv::core::LogLevel::LOG_LEVEL_SILENT);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencv::core::{MatTraitConst, Rect, Scalar};

    #[test]
    fn a_picture_of_another_size_than_the_last_one_comes_whole_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("red.mp4");
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "color=c=red:s=64x48:r=10:d=1", "-c:v", "libx264"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let mut capture = Capture::ffmpeg(path.to_str().unwrap(), &OpenOptions::default()).unwrap();
        let mut frame = Frame::empty();
        for last in [None, Some((48, 64)), Some((10, 10)), Some((100, 100)), Some((64, 48))] {
            capture.size = last;
            assert!(capture.grab() && capture.retrieve(&mut frame), "{last:?}");
            assert_eq!((frame.width, frame.height, frame.bgr.len()), (64, 48, 64 * 48 * 3), "{last:?}");
            assert!(frame.bgr.chunks_exact(3).all(|pixel| pixel[2] > 150 && pixel[0] < 90), "{last:?}: not red");
            assert_eq!(capture.size, Some((48, 64)));
        }
    }

    #[test]
    fn grey_transparent_and_padded_pictures_become_packed_bgr() {
        let mut frame = Frame::empty();
        let mut spare = Mat::default();
        let grey = Mat::new_rows_cols_with_default(2, 3, CV_8UC1, Scalar::all(7.0)).unwrap();
        fill(&grey, &mut spare, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height, frame.bgr.as_slice()), (3, 2, [7; 18].as_slice()));

        let bgra = Mat::new_rows_cols_with_default(1, 2, CV_8UC4, Scalar::new(1.0, 2.0, 3.0, 4.0)).unwrap();
        fill(&bgra, &mut spare, &mut frame).unwrap();
        assert_eq!(frame.bgr, [1, 2, 3, 1, 2, 3]);

        let wide = Mat::new_rows_cols_with_default(4, 5, CV_8UC3, Scalar::new(1.0, 2.0, 3.0, 0.0)).unwrap();
        let window = Mat::roi(&wide, Rect::new(1, 1, 3, 2)).unwrap();
        let mut padded = Mat::default();
        window.assign_to_def(&mut padded).unwrap();
        fill(&padded, &mut spare, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height, frame.bgr.len()), (3, 2, 18));
        assert_eq!(frame.bgr[..6], [1, 2, 3, 1, 2, 3]);

        let deep = Mat::new_rows_cols_with_default(2, 2, opencv::core::CV_16UC1, Scalar::all(1.0)).unwrap();
        assert!(fill(&deep, &mut spare, &mut frame).is_none());
    }
}
