//! One camera's studio: where frames are handed in, and viewers take their seats.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};

use super::easel::Easel;
use super::hls::Hls;
use super::kept::Kept;
use super::viewer::Seat;
use super::{AccessUnit, Picture, Pictures, Units, VideoConfig, Way};
use crate::domain::{Detection, Frame, Name, Timestamp};
use crate::envelope::{ActualState, Reason};
use crate::telemetry::{Courtesy, VideoFormat, VideoMetrics, VideoOutcome, step_back};

/// Units that a viewer may lie behind before it misses some: two seconds of them.
const BEHIND: usize = 64;
/// So often the thread looks how the camera is when no frame comes.
const LOOK: Duration = Duration::from_millis(100);

/// How the camera is, for a picture that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub actual: ActualState,
    pub reason: Option<Reason>,
    /// When it became so; None: as the node started.
    pub since: Option<Timestamp>,
}

type Look = Box<dyn Fn() -> Status + Send + Sync>;

pub struct Studio {
    camera: Name,
    config: VideoConfig,
    look: Look,
    pub metrics: VideoMetrics,
    /// All that the detection path reads while nobody watches.
    watched: AtomicBool,
    desk: Mutex<Desk>,
    kept: Mutex<Kept>,
    changed: Condvar,
    pub(super) hls: Arc<Hls>,
    me: Weak<Self>,
}

/// A frame to be shown, with what was found in it.
pub(super) struct Job {
    pub frame: Frame,
    pub detections: Vec<Detection>,
}

struct Desk {
    job: Option<Job>,
    /// A buffer that was shown; the next frame's taker gets it.
    spare: Option<Frame>,
    /// When the last frame that was taken was captured.
    taken: Option<Instant>,
    seats: [u32; 4],
    pictures: watch::Sender<Option<Arc<Picture>>>,
    units: broadcast::Sender<Arc<AccessUnit>>,
    idr_wanted: bool,
    at_work: bool,
    shut: bool,
}

/// Who watches, and how: what is worth encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    pub jpeg: Want,
    pub h264: bool,
    /// Somebody cuts the video into segments, which begin with IDR pictures.
    pub segments: bool,
    pub idr: bool,
}

/// What is wanted of JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Nothing,
    /// The next frame.
    Next,
    /// Somebody waits for a first picture: what is there now will do.
    Now,
}

/// What the studio's thread is to do next.
pub(super) enum Next {
    Show(Job, Demand),
    /// No frame came.
    Look(Demand),
    Over,
}

impl Studio {
    /// `look` tells how the camera is; it is asked only while somebody watches.
    #[must_use]
    pub fn new(camera: Name, config: VideoConfig, look: Look) -> Arc<Self> {
        let metrics = VideoMetrics::new(camera.as_str());
        let desk = Desk {
            job: None,
            spare: None,
            taken: None,
            seats: [0; 4],
            pictures: watch::Sender::new(None),
            units: broadcast::Sender::new(BEHIND),
            idr_wanted: false,
            at_work: false,
            shut: false,
        };
        Arc::new_cyclic(|me| Self {
            camera,
            config,
            look,
            metrics,
            watched: AtomicBool::new(false),
            desk: Mutex::new(desk),
            kept: Mutex::default(),
            changed: Condvar::new(),
            hls: Hls::new(),
            me: me.clone(),
        })
    }

    /// Whether a frame is worth handing in. One atomic load.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Shows the frame, and gives a buffer back for another one where there is one. Never waits for the encoder.
    pub fn take(&self, frame: Frame, detections: &[Detection]) -> Option<Frame> {
        self.keep(&frame, detections);
        if !self.is_watched() {
            return Some(frame);
        }
        let mut desk = self.lock();
        if !desk.wants(&frame, &self.config) {
            return Some(frame);
        }
        let spare = desk.spare.take();
        let buffer = self.put(&mut desk, Job { frame, detections: detections.to_vec() }).or(spare);
        drop(desk);
        self.changed.notify_one();
        buffer
    }

    /// As [`Studio::take`], for a frame that somebody else needs as well: it is copied, into a buffer that was used before.
    pub fn offer(&self, frame: &Frame, detections: &[Detection]) {
        self.keep(frame, detections);
        if !self.is_watched() {
            return;
        }
        let mut desk = self.lock();
        if !desk.wants(frame, &self.config) {
            return;
        }
        let spare = desk.spare.take();
        drop(desk);
        let copy = frame.copy(spare.map_or_else(Vec::new, |spare| spare.bgr));
        let mut desk = self.lock();
        if let Some(buffer) = self.put(&mut desk, Job { frame: copy, detections: detections.to_vec() }) {
            desk.spare = Some(buffer);
        }
        drop(desk);
        self.changed.notify_one();
    }

    /// The newest picture with its boxes, as JPEG.
    pub fn jpegs(&self, way: Way) -> Option<Pictures> {
        let seat = self.enter(way)?;
        let mut newest = self.lock().pictures.subscribe();
        // What others see now, the newcomer sees at once.
        newest.mark_changed();
        Some(Pictures { newest, _seat: seat })
    }

    /// The video from its next IDR picture on, which is asked for. None: the camera is gone.
    pub fn h264(&self, way: Way) -> Option<Units> {
        let seat = self.enter(way)?;
        let stream = self.lock().units.subscribe();
        self.want_idr();
        Some(Units { stream, whole: false, seat })
    }

    /// Somebody cannot go on without an IDR picture. They are made at most twice a second, whoever asks.
    pub fn want_idr(&self) {
        self.lock().idr_wanted = true;
    }

    /// The camera goes: viewers see the end.
    pub fn shut(&self) {
        let mut desk = self.lock();
        desk.shut = true;
        desk.end_pictures();
        desk.end_units();
        drop(desk);
        self.changed.notify_one();
    }

    fn enter(&self, way: Way) -> Option<Seat> {
        let me = self.me.upgrade()?;
        let begins = !self.lock().at_work;
        let status = begins.then(|| (self.look)());
        let last = status.and_then(|status| self.kept().last(&status));
        let mut desk = self.lock();
        if desk.shut {
            return None;
        }
        if !desk.at_work {
            let studio = me.clone();
            let thread = std::thread::Builder::new().name(format!("video {}", self.camera));
            if let Err(error) = thread.spawn(move || studio.run()) {
                tracing::error!(camera = %self.camera, "no thread for the video: {error}");
                return None;
            }
            (desk.at_work, desk.job) = (true, last);
        }
        desk.seats[way as usize] += 1;
        self.metrics.viewers(way, desk.seats[way as usize]);
        self.watched.store(true, Ordering::Relaxed);
        Some(Seat::new(me, way))
    }

    /// Two frames of a camera are so far apart.
    pub(super) fn every(&self) -> Duration {
        self.kept().every()
    }

    fn keep(&self, frame: &Frame, detections: &[Detection]) {
        // Whoever has it copies a frame: detection does not wait for that.
        if let Ok(mut kept) = self.kept.try_lock() {
            kept.came(frame, detections);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leave(&self, way: Way) {
        let mut desk = self.lock();
        desk.seats[way as usize] -= 1;
        self.metrics.viewers(way, desk.seats[way as usize]);
        if !desk.sees_pictures() {
            // Whoever comes later must not be shown it as new.
            desk.pictures.send_replace(None);
        }
        if desk.seats == [0; 4] {
            self.watched.store(false, Ordering::Relaxed);
            drop(desk);
            self.changed.notify_one();
        }
    }

    /// The thread's life. A fault of the program's own ends the video, never the camera.
    fn run(&self) {
        // Who looks on must not take the cores from detection.
        step_back(Courtesy::Humble);
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            tracing::error!(camera = %self.camera, "the video ends for its viewers: a fault of the program's own; please report it");
            self.metrics.frame(VideoFormat::Jpeg, VideoOutcome::Failed);
            self.metrics.frame(VideoFormat::H264, VideoOutcome::Failed);
            let mut desk = self.lock();
            desk.end_pictures();
            desk.end_units();
            desk.rest();
        }
    }

    /// Until the last viewer has left.
    fn work(&self) {
        let mut easel = Easel::new(self.config);
        loop {
            match self.next() {
                Next::Show(job, demand) => {
                    let spare = easel.show(self, job, demand);
                    self.lock().spare = Some(spare);
                }
                Next::Look(demand) => easel.look(self, &(self.look)(), demand),
                Next::Over => return,
            }
        }
    }

    fn next(&self) -> Next {
        let until = Instant::now() + LOOK;
        let mut desk = self.lock();
        loop {
            if desk.shut || desk.seats == [0; 4] {
                desk.rest();
                return Next::Over;
            }
            let demand = desk.demand();
            if let Some(job) = desk.job.take() {
                desk.idr_wanted = false;
                return Next::Show(job, demand);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                desk.idr_wanted = false;
                return Next::Look(demand);
            }
            desk = self.changed.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn camera(&self) -> &Name {
        &self.camera
    }

    pub(super) fn say_picture(&self, picture: Picture) {
        // Not under the lock: waking a hundred viewers must not hold up who hands frames in.
        let pictures = self.lock().pictures.clone();
        pictures.send_replace(Some(Arc::new(picture)));
    }

    pub(super) fn say_unit(&self, unit: AccessUnit) {
        let units = self.lock().units.clone();
        // Nobody listens: the last viewer has just left.
        let _nobody = units.send(Arc::new(unit));
    }

    pub(super) fn end_pictures(&self) {
        self.lock().end_pictures();
    }

    pub(super) fn end_units(&self) {
        self.lock().end_units();
    }

    /// Gives the buffer of a job back that was not begun.
    fn put(&self, desk: &mut Desk, job: Job) -> Option<Frame> {
        desk.taken = Some(job.frame.captured_instant);
        let old = desk.job.replace(job)?;
        self.metrics.superseded();
        Some(old.frame)
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        // Nothing that can panic runs under it.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Whether the frame's time has come. A frame that is a little early counts: sources are not exact.
    fn wants(&self, frame: &Frame, config: &VideoConfig) -> bool {
        let apart = Duration::from_secs(1).mul_f64(0.8 / f64::from(config.max_fps.max(1)));
        !self.shut && self.taken.is_none_or(|taken| frame.captured_instant.saturating_duration_since(taken) >= apart)
    }

    fn sees_pictures(&self) -> bool {
        self.seats[Way::Mjpeg as usize] + self.seats[Way::Still as usize] > 0
    }

    fn demand(&self) -> Demand {
        let seats = |way: Way| self.seats[way as usize] > 0;
        let jpeg = match (self.sees_pictures(), self.pictures.borrow().is_none()) {
            (false, _) => Want::Nothing,
            (true, false) => Want::Next,
            (true, true) => Want::Now,
        };
        Demand { jpeg, h264: seats(Way::Hls) || seats(Way::Webrtc), segments: seats(Way::Hls), idr: self.idr_wanted }
    }

    /// Nobody watches: buffers go, and whoever comes next sees nothing of today.
    fn rest(&mut self) {
        (self.job, self.spare, self.taken) = (None, None, None);
        self.idr_wanted = false;
        self.at_work = false;
        self.pictures.send_replace(None);
    }

    fn end_pictures(&mut self) {
        self.pictures = watch::Sender::new(None);
    }

    fn end_units(&mut self) {
        self.units = broadcast::Sender::new(BEHIND);
    }
}
