//! Draws and encodes: the work of a studio's thread.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::slate;
use super::studio::{Demand, Job, Status, Studio, Want};
use super::{AccessUnit, Picture, VideoConfig};
use crate::codec::{self, CodecError, H264Encoder, JpegEncoder, Overlay};
use crate::domain::{Frame, Timestamp};
use crate::envelope::ActualState;
use crate::telemetry::{VideoFormat, VideoOutcome};

/// Between two IDR pictures at least, whoever asks for them.
const IDR_APART: Duration = Duration::from_millis(500);
/// Segments begin so far apart. With [`BEAT`] and the thread's look they stay under 1.5 s, which rounds to 1.
const SEGMENT: Duration = Duration::from_millis(950);
/// A picture that stays is encoded again so often: the video's clock goes on.
const BEAT: Duration = Duration::from_millis(400);
/// A slate is shown again so often.
const SLATE: Duration = Duration::from_secs(1);
/// A camera that runs is given so long for its first picture.
const FIRST: Duration = Duration::from_secs(1);
/// A camera that is not said to run may still have frames on their way.
const LATE: Duration = Duration::from_millis(300);
/// After so long without a frame a picture is said to be old; at cameras that are slower by nature, three of their intervals.
pub(super) const OLD: Duration = Duration::from_secs(5);

pub(super) struct Easel {
    config: VideoConfig,
    overlay: Overlay,
    jpeg: JpegEncoder,
    h264: Option<H264Encoder>,
    /// The last frame as it was shown, with its boxes.
    canvas: Frame,
    slate: Frame,
    /// When the last frame was shown.
    shown: Option<Instant>,
    /// The slate that is shown, and since when.
    said: Option<(Vec<String>, Instant)>,
    /// The video's time begins here.
    begin: Instant,
    /// Time of the last unit that was made, and of the last that is an IDR picture.
    last_unit: Option<Instant>,
    /// When it was made; what it shows may have been captured long before.
    made: Option<Instant>,
    last_idr: Option<Instant>,
    idr_wanted: bool,
    encoded: Vec<u8>,
}

/// A picture's place in time.
#[derive(Clone, Copy)]
struct Moment {
    at: Timestamp,
    instant: Instant,
    frame_id: u64,
}

impl Moment {
    fn now() -> Self {
        Self { at: Timestamp::now(), instant: Instant::now(), frame_id: 0 }
    }
}

impl Easel {
    pub(super) fn new(config: VideoConfig) -> Self {
        Self {
            config,
            overlay: Overlay::new(),
            jpeg: JpegEncoder::new(),
            h264: None,
            canvas: Frame::empty(),
            slate: Frame::empty(),
            shown: None,
            said: None,
            begin: Instant::now(),
            last_unit: None,
            made: None,
            last_idr: None,
            idr_wanted: true,
            encoded: Vec::new(),
        }
    }

    /// Shows a frame; gives back a buffer that is free now.
    pub(super) fn show(&mut self, studio: &Studio, job: Job, demand: Demand) -> Frame {
        let Job { frame, detections } = job;
        let moment = Moment { at: frame.captured_at, instant: frame.captured_instant, frame_id: frame.id };
        let (width, height) = codec::shown_size(frame.width, frame.height, self.config.max_width);
        let drawn = codec::scale(&frame, width, height, &mut self.canvas);
        let buffer = Frame { yuv: None, ..frame };
        if let Err(error) = drawn {
            fail(studio, VideoFormat::Jpeg, &error);
            fail(studio, VideoFormat::H264, &error);
            return buffer;
        }
        self.overlay.draw(&mut self.canvas.bgr, width, height, &detections);
        self.shown = Some(Instant::now());
        self.said = None;
        let canvas = std::mem::replace(&mut self.canvas, Frame::empty());
        self.encode(studio, &canvas, moment, demand);
        self.canvas = canvas;
        buffer
    }

    /// No frame came: says why when it is time to, else keeps the video's clock going.
    pub(super) fn look(&mut self, studio: &Studio, status: &Status, demand: Demand) {
        let age = self.shown.map(|shown| shown.elapsed());
        let runs = status.actual == ActualState::Running;
        match age {
            None if runs && self.begin.elapsed() < FIRST => {}
            Some(age) if !runs && age < LATE => {}
            Some(age) if runs && age < OLD.max(3 * studio.every()) => self.beat(studio, demand),
            _ => self.say(studio, &slate::words(status, age, self.canvas.captured_at), demand, !runs),
        }
    }

    /// The picture that stays, for viewers who have just come and for the video.
    fn beat(&mut self, studio: &Studio, demand: Demand) {
        self.idr_wanted |= demand.idr;
        // A wish for an IDR waits for the next frame, or for this: an old picture is not worth it.
        let due = self.made.is_none_or(|made| made.elapsed() >= BEAT);
        let h264 = demand.h264 && due;
        let jpeg = if demand.jpeg == Want::Now { Want::Now } else { Want::Nothing };
        let canvas = std::mem::replace(&mut self.canvas, Frame::empty());
        // On the cameras' own clock, so that the next frame, captured a moment ago, still comes later.
        let stays = self.shown.map_or(Duration::ZERO, |shown| shown.elapsed());
        let instant = canvas.captured_instant + stays;
        let moment = Moment { at: canvas.captured_at, instant, frame_id: canvas.id };
        self.encode(studio, &canvas, moment, Demand { jpeg, h264, ..demand });
        self.canvas = canvas;
    }

    fn say(&mut self, studio: &Studio, words: &[String], demand: Demand, dim: bool) {
        self.idr_wanted |= demand.idr;
        let due = match &self.said {
            Some((said, at)) => said != words || at.elapsed() >= SLATE,
            None => true,
        };
        let begins = demand.h264 && self.idr_due(Instant::now(), demand);
        if !(due || begins || demand.jpeg == Want::Now) {
            return;
        }
        slate::draw(&self.canvas, words, dim, &mut self.overlay, &mut self.slate);
        self.said = Some((words.to_vec(), Instant::now()));
        let slate = std::mem::replace(&mut self.slate, Frame::empty());
        self.encode(studio, &slate, Moment::now(), demand);
        self.slate = slate;
    }

    fn encode(&mut self, studio: &Studio, frame: &Frame, moment: Moment, demand: Demand) {
        if demand.jpeg != Want::Nothing
            && let Err(error) = self.jpeg(studio, frame, moment)
        {
            fail(studio, VideoFormat::Jpeg, &error);
        }
        if demand.h264
            && let Err(error) = self.unit(studio, frame, moment, demand)
        {
            self.h264 = None;
            fail(studio, VideoFormat::H264, &error);
        }
        if !demand.h264 && self.made.is_some_and(|made| made.elapsed() > SLATE) {
            // Whoever comes next begins with a new encoder; the memory of this one is not small.
            (self.h264, self.last_unit, self.last_idr, self.made) = (None, None, None, None);
        }
    }

    fn jpeg(&mut self, studio: &Studio, frame: &Frame, moment: Moment) -> Result<(), CodecError> {
        let begin = Instant::now();
        self.jpeg.encode(frame, 0, self.config.quality, None, &mut self.encoded)?;
        studio.metrics.encode(VideoFormat::Jpeg, begin.elapsed());
        studio.metrics.frame(VideoFormat::Jpeg, VideoOutcome::Encoded);
        let jpeg = Bytes::copy_from_slice(&self.encoded);
        studio.say_picture(Picture::new(jpeg, moment.at, moment.frame_id));
        Ok(())
    }

    fn unit(&mut self, studio: &Studio, frame: &Frame, moment: Moment, demand: Demand) -> Result<(), CodecError> {
        let begin = Instant::now();
        let size = (frame.width, frame.height);
        let encoder = if let Some(encoder) = self.h264.take().filter(|encoder| encoder.size() == size) {
            encoder
        } else {
            let bits = self.config.bits_per_second(size.0, size.1);
            (self.last_idr, self.idr_wanted) = (None, true);
            H264Encoder::new(size.0, size.1, bits, self.config.max_fps)?
        };
        let encoder = self.h264.insert(encoder);
        // A slate drawn now is followed by a frame captured a moment ago.
        let next = self.last_unit.map_or(self.begin, |last| last + Duration::from_millis(1));
        let instant = moment.instant.max(next);
        self.idr_wanted |= demand.idr;
        let idr = idr_due(self.idr_wanted, self.last_idr, instant, demand);
        let picture = encoder.encode(frame, instant - self.begin, idr)?;
        studio.metrics.encode(VideoFormat::H264, begin.elapsed());
        (self.last_unit, self.made) = (Some(instant), Some(Instant::now()));
        let Some(picture) = picture else {
            studio.metrics.frame(VideoFormat::H264, VideoOutcome::Skipped);
            return Ok(());
        };
        studio.metrics.frame(VideoFormat::H264, VideoOutcome::Encoded);
        if picture.idr {
            (self.last_idr, self.idr_wanted) = (Some(instant), false);
        }
        studio.say_unit(AccessUnit {
            data: picture.data.into(),
            idr: picture.idr,
            captured_at: moment.at,
            captured_instant: instant,
            width: size.0,
            height: size.1,
        });
        Ok(())
    }

    fn idr_due(&self, now: Instant, demand: Demand) -> bool {
        idr_due(self.idr_wanted, self.last_idr, now, demand)
    }
}

fn idr_due(wanted: bool, last: Option<Instant>, now: Instant, demand: Demand) -> bool {
    last.is_none_or(|last| {
        let since = now.saturating_duration_since(last);
        (wanted && since >= IDR_APART) || (demand.segments && since >= SEGMENT)
    })
}

/// Viewers of this format see the end; whoever comes again gets another try.
fn fail(studio: &Studio, format: VideoFormat, error: &CodecError) {
    studio.metrics.frame(format, VideoOutcome::Failed);
    match format {
        VideoFormat::Jpeg => studio.end_pictures(),
        VideoFormat::H264 => studio.end_units(),
    }
    tracing::error!(camera = %studio.camera(), "the video ends for its viewers: {error}");
}
