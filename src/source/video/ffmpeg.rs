//! One video through FFmpeg's libraries: opening, grabbing, and a picture handed on as the decoder left it, or as packed BGR.
//!
//! What comes at its own pace is decoded on the reader's thread alone. With more of them FFmpeg hands a picture over only when
//! as many more have come as it has threads: a second late at 15 frames a second where a machine has sixteen cores, and each
//! thread keeps pictures of its own. A core decodes several cameras; more cameras use more cores.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::codec::{self, decoder, threading};
use ffmpeg_next::format::{self, Pixel, context::Input};
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::color::{Range, Space};
use ffmpeg_next::util::{error::EAGAIN, log};
use ffmpeg_next::{Dictionary, Error, Packet, Stream, frame, media};

use super::super::{Cancel, OpenOptions, Pace};
use super::rotate::Rotation;
use crate::domain::{Colours, Frame, Matrix, Planes, Yuv};

/// What FFmpeg is told of any address: RTSP over TCP and nothing else (over UDP a dead camera is only silent, and lost packets
/// are grey pictures), and no reading of twenty frames to guess a rate that nobody asks for.
const OPTIONS: [(&str, &str); 2] = [("rtsp_transport", "tcp"), ("fpsprobesize", "0")];
const AS_MANY_AS_CORES: usize = 0;
/// To say good-bye.
const PARTING: Duration = Duration::from_millis(500);

/// An open video. FFmpeg's reasons are poor (`Invalid data`): the callers find out more.
pub(super) struct Ffmpeg {
    decoder: decoder::Video,
    input: Input,
    /// Asked by FFmpeg while it waits for the network.
    watch: Arc<Watch>,
    read_timeout: Duration,
    stream: usize,
    time_base: f64,
    /// Where the stream's timestamps begin, in its own units.
    start: i64,
    fps: Option<f64>,
    promised: Option<f64>,
    rotation: Rotation,
    /// As FFmpeg has it, and as BGR with padded rows.
    picture: frame::Video,
    bgr: frame::Video,
    /// Of the picture that was grabbed last.
    timestamp: Option<i64>,
    arrived: Instant,
    /// Nothing comes any more; what the decoder still keeps is handed out.
    over: bool,
}

/// Until when FFmpeg may wait.
struct Watch {
    until: Mutex<(Instant, Cancel)>,
}

impl Watch {
    fn new(span: Duration, cancel: Cancel) -> Self {
        Self { until: Mutex::new((Instant::now() + span, cancel)) }
    }

    fn wait_at_most(&self, span: Duration) {
        self.lock().0 = Instant::now() + span;
    }

    /// A connection is parted from whether cancelled or not.
    fn part(&self) {
        *self.lock() = (Instant::now() + PARTING, Cancel::default());
    }

    fn is_over(&self) -> bool {
        let (until, cancel) = &*self.lock();
        Instant::now() >= *until || cancel.is_cancelled()
    }

    fn lock(&self) -> MutexGuard<'_, (Instant, Cancel)> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ffmpeg {
    /// A file or address, within the time-out for opening.
    pub(super) fn open(address: &str, options: &OpenOptions) -> Option<Self> {
        quiet();
        if address.contains('\0') {
            return None;
        }
        let watch = Arc::new(Watch::new(options.open_timeout, options.cancel.clone()));
        let asked = watch.clone();
        let dictionary: Dictionary<'_> = OPTIONS.into_iter().collect();
        let input = format::input_with_interrupt_and_dictionary(address, move || asked.is_over(), dictionary).ok()?;
        let stream = input.streams().best(media::Type::Video)?;
        let mut context = codec::Context::from_parameters(stream.parameters()).ok()?;
        let asap = options.pace == Pace::Asap;
        let (kind, count) = if asap { (threading::Type::Frame, AS_MANY_AS_CORES) } else { (threading::Type::None, 1) };
        context.set_threading(threading::Config { kind, count, ..threading::Config::default() });
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(stream.time_base());
        let fps = rate(&stream);
        Some(Self {
            decoder: decoder.video().ok()?,
            stream: stream.index(),
            time_base: f64::from(stream.time_base()),
            // Unknown is the least of all.
            start: Some(stream.start_time()).filter(|&start| start != i64::MIN).unwrap_or(0),
            promised: promised(&stream, fps),
            fps,
            rotation: rotation(&stream),
            input,
            watch,
            read_timeout: options.read_timeout,
            picture: frame::Video::empty(),
            bgr: frame::Video::empty(),
            timestamp: None,
            arrived: Instant::now(),
            over: false,
        })
    }

    /// Moves on to the next picture: when it had come whole, or `None` at the end and on any failure.
    pub(super) fn grab(&mut self) -> Option<Instant> {
        self.watch.wait_at_most(self.read_timeout);
        loop {
            match self.decoder.receive_frame(&mut self.picture) {
                Ok(()) => {
                    self.timestamp = self.picture.timestamp();
                    return Some(self.arrived);
                }
                Err(Error::Eof) => return None,
                // It wants more, or what it had was damaged.
                Err(_) if self.over => return None,
                Err(_) => self.feed()?,
            }
        }
    }

    /// Gives the decoder what comes next.
    fn feed(&mut self) -> Option<()> {
        // Noise may come for ever, of which no picture is made.
        while !self.watch.is_over() {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream => {
                    self.arrived = Instant::now();
                    // A damaged packet is passed over, as players do.
                    let _damaged = self.decoder.send_packet(&packet);
                    return Some(());
                }
                Ok(()) => {}
                Err(Error::Other { errno: EAGAIN }) => std::thread::sleep(Duration::from_millis(5)),
                Err(Error::Exit) => return None,
                Err(_) => {
                    self.over = true;
                    return self.decoder.send_eof().ok();
                }
            }
        }
        None
    }

    /// Puts the grabbed picture into `frame`; false when it is of a layout that cannot be converted.
    pub(super) fn retrieve(&mut self, frame: &mut Frame) -> bool {
        frame.yuv = self.planes();
        if let Some(yuv) = &frame.yuv {
            (frame.width, frame.height) = yuv.size();
            return true;
        }
        self.convert().is_some_and(|(width, height)| {
            (frame.width, frame.height) =
                self.rotation.fill(self.bgr.data(0), self.bgr.stride(0), (width, height), &mut frame.bgr);
            true
        })
    }

    /// What nearly every camera sends goes on without a copy; the decoder fills other planes meanwhile.
    fn planes(&mut self) -> Option<Yuv> {
        let format = self.picture.format();
        if self.rotation != Rotation::None || !matches!(format, Pixel::YUV420P | Pixel::YUVJ420P) {
            return None;
        }
        let matrix = match self.picture.color_space() {
            Space::BT709 => Matrix::Bt709,
            Space::BT2020NCL => Matrix::Bt2020,
            // Who says nothing means this one, as FFmpeg's and OpenCV's conversions have it.
            _ => Matrix::Bt601,
        };
        let full_range = format == Pixel::YUVJ420P || self.picture.color_range() == Range::JPEG;
        let size = (self.picture.width(), self.picture.height());
        // Rows from the bottom up have a step below nothing.
        let upright = (0..self.picture.planes()).all(|at| i32::try_from(self.picture.stride(at)).is_ok());
        if self.picture.planes() != 3 || !upright {
            return None;
        }
        let kept = Arc::new(Kept(std::mem::replace(&mut self.picture, frame::Video::empty())));
        Yuv::new(kept, size, Colours { matrix, full_range })
    }

    fn convert(&mut self) -> Option<(u32, u32)> {
        thread_local! {
            /// It may not change threads; a source may, for a benchmark opens it here and reads it there.
            static CONVERTER: RefCell<Option<scaling::Context>> = const { RefCell::new(None) };
        }
        let (format, width, height) = (self.picture.format(), self.picture.width(), self.picture.height());
        if width == 0 || height == 0 {
            return None;
        }
        CONVERTER.with_borrow_mut(|kept| {
            let from = scaling::context::Definition { format, width, height };
            if (self.bgr.width(), self.bgr.height()) != (width, height) {
                self.bgr = frame::Video::empty();
            }
            let converter = match kept.take() {
                Some(last) if *last.input() == from => kept.insert(last),
                _ => kept.insert(converter(from)?),
            };
            converter.run(&self.picture, &mut self.bgr).ok()
        })?;
        Some((width, height))
    }

    /// Seconds from the beginning of the stream, by the grabbed picture's timestamp.
    #[expect(clippy::cast_precision_loss, reason = "a recording of years in microseconds fits")]
    pub(super) fn position(&self) -> Option<f64> {
        let at = self.timestamp?;
        Some(at.saturating_sub(self.start) as f64 * self.time_base)
    }

    pub(super) fn fps(&self) -> Option<f64> {
        self.fps
    }

    /// Pictures the container promises; many containers only let it be estimated.
    pub(super) fn promised_frames(&self) -> Option<f64> {
        self.promised
    }
}

/// A picture of the decoder's, which goes back to it when nobody needs it any more.
struct Kept(frame::Video);

impl Planes for Kept {
    fn plane(&self, at: usize) -> (&[u8], usize) {
        (self.0.data(at), self.0.stride(at))
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        self.watch.part();
    }
}

fn converter(from: scaling::context::Definition) -> Option<scaling::Context> {
    let (width, height) = (from.width, from.height);
    scaling::Context::get(from.format, width, height, Pixel::BGR24, width, height, scaling::Flags::BICUBIC).ok()
}

fn rate(stream: &Stream<'_>) -> Option<f64> {
    let rates = [stream.avg_frame_rate(), stream.rate()];
    rates.into_iter().filter(|rate| rate.denominator() > 0).map(f64::from).find(|&fps| fps > 0.0 && fps <= 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn promised(stream: &Stream<'_>, fps: Option<f64>) -> Option<f64> {
    if stream.frames() > 0 {
        return Some(stream.frames() as f64);
    }
    let seconds = stream.duration() as f64 * f64::from(stream.time_base());
    fps.map(|fps| fps * seconds).filter(|&count| count >= 1.0)
}

/// As phones write it: they turn no pixels, but say how the picture is to be shown.
fn rotation(stream: &Stream<'_>) -> Rotation {
    let mut matrices = stream.side_data().filter(|data| data.kind() == side_data::Type::DisplayMatrix);
    matrices.next().map_or(Rotation::None, |matrix| Rotation::by_matrix(matrix.data()))
}

/// FFmpeg's own log would repeat addresses with their passwords on stderr; what went wrong is said by our errors.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_level(log::Level::Quiet));
}
