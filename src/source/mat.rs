//! OpenCV's pictures, as packed BGR.

use opencv::core::{CV_8UC1, CV_8UC3, CV_8UC4, Mat, MatTraitConst, MatTraitConstManual};
use opencv::imgproc::{self, COLOR_BGRA2BGR, COLOR_GRAY2BGR};

use crate::domain::Frame;

/// Copies `raw` (8 bit; grey, BGR or BGRA; rows may be padded) into the frame's buffer. None when it is anything else.
pub(super) fn fill(raw: &Mat, converted: &mut Mat, frame: &mut Frame) -> Option<()> {
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
    frame.yuv = None;
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
pub(super) fn quiet() {
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
