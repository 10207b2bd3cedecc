//! Frames as H.264: constrained baseline without reordering, which every browser decodes at once.

use std::time::Duration;

use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;
use openh264::{OpenH264API, Timestamp};

use super::CodecError;
use super::scale::I420;
use crate::domain::Frame;

impl From<openh264::Error> for CodecError {
    fn from(error: openh264::Error) -> Self {
        Self::Video(error.to_string())
    }
}

/// Encodes pictures of one size. Another size needs another encoder.
pub struct H264Encoder {
    encoder: Encoder,
    planes: I420,
    size: (u32, u32),
    begun: bool,
}

/// One encoded picture.
pub struct H264Picture {
    /// Annex B: NAL units after start codes; SPS and PPS lie before an IDR picture.
    pub data: Vec<u8>,
    /// It can be decoded without those before it.
    pub idr: bool,
}

impl H264Encoder {
    /// `bits_per_second` is kept on the average by the pictures' own times; `max_fps` is what is expected at most.
    ///
    /// # Errors
    /// When the encoder cannot be built.
    pub fn new(width: u32, height: u32, bits_per_second: u32, max_fps: u16) -> Result<Self, CodecError> {
        let config = EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Timestamp)
            .bitrate(BitRate::from_bps(bits_per_second))
            .max_frame_rate(FrameRate::from_hz(f32::from(max_fps)))
            .profile(Profile::Baseline)
            .complexity(Complexity::Low)
            // Whole pictures to begin at are made when someone needs one, not by the clock.
            .intra_frame_period(IntraFramePeriod::auto())
            .scene_change_detect(false)
            // One thread: it is a guest on the cores that detect.
            .num_threads(1)
            .vui(VuiConfig::bt601());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config)?;
        Ok(Self { encoder, planes: I420::default(), size: (width, height), begun: false })
    }

    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// `at` is the picture's time on a clock of the caller's, later than that of the one before. None: the rate control
    /// skips this picture. The first picture, and one with `idr`, can be decoded without those before.
    ///
    /// # Errors
    /// When the frame is of another size or the encoder fails.
    pub fn encode(&mut self, frame: &Frame, at: Duration, idr: bool) -> Result<Option<H264Picture>, CodecError> {
        if (frame.width, frame.height) != self.size {
            let (width, height) = self.size;
            return Err(CodecError::Video(format!(
                "a frame of {}x{} for an encoder of {width}x{height}",
                frame.width, frame.height
            )));
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let planes = self.planes.convert(frame)?;
        let picture = YUVSlices::new(planes, (width, height), (width, width / 2, width / 2));
        if idr && self.begun {
            self.encoder.force_intra_frame();
        }
        self.begun = true;
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let encoded = self.encoder.encode_at(&picture, Timestamp::from_millis(millis))?;
        let idr = encoded.frame_type() == FrameType::IDR;
        let data = encoded.to_vec();
        Ok((!data.is_empty()).then_some(H264Picture { data, idr }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(index: u32) -> Frame {
        let bgr = (0..320 * 240 * 3u32).map(|i| ((i / 7 + index * 3) % 251) as u8).collect();
        Frame { width: 320, height: 240, bgr, ..Frame::empty() }
    }

    /// The types of the NAL units of an Annex B stream.
    fn nal_types(data: &[u8]) -> Vec<u8> {
        data.windows(4).filter(|w| w[..3] == [0, 0, 1]).map(|w| w[3] & 31).collect()
    }

    #[test]
    fn the_first_picture_and_a_wanted_one_begin_with_their_parameters() {
        let mut encoder = H264Encoder::new(320, 240, 500_000, 30).unwrap();
        let mut told = Vec::new();
        for index in 0..10u32 {
            let at = Duration::from_millis(u64::from(index) * 66);
            let picture = encoder.encode(&frame(index), at, index == 5).unwrap().unwrap();
            assert_eq!(nal_types(&picture.data), if picture.idr { vec![7, 8, 5] } else { vec![1] });
            if picture.idr {
                // Baseline that keeps to the constraints of sets 0 and 1: constrained baseline.
                let sps = picture.data.windows(4).position(|w| w == [0, 0, 1, 0x67]).unwrap();
                assert_eq!((picture.data[sps + 4], picture.data[sps + 5] & 0xc0), (66, 0xc0));
                told.push(index);
            }
        }
        assert_eq!(told, [0, 5]);
    }

    #[test]
    fn encoders_that_come_and_go_leave_little_behind() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/statm").unwrap();
            status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
        };
        let one = || H264Encoder::new(320, 240, 500_000, 30).unwrap().encode(&frame(0), Duration::ZERO, false).unwrap();
        (0..20).for_each(|_| drop(one()));
        let grown = || {
            let before = resident();
            (0..200).for_each(|_| drop(one()));
            resident().saturating_sub(before)
        };
        // The process is that of many tests at once: what they take is seen here as well, but a leak shows each time.
        let grown: Vec<usize> = (0..5).map(|_| grown()).take_while(|grown| *grown >= 8 << 20).collect();
        assert!(grown.len() < 5, "200 encoders leave {grown:?} bytes");
    }

    #[test]
    fn a_frame_of_another_size_is_an_error_and_no_crash() {
        let mut encoder = H264Encoder::new(320, 240, 500_000, 30).unwrap();
        let other = Frame { width: 16, height: 16, bgr: vec![0; 768], ..Frame::empty() };
        assert!(encoder.encode(&other, Duration::ZERO, false).is_err());
        assert!(encoder.encode(&frame(0), Duration::ZERO, false).unwrap().unwrap().idr);
    }
}
