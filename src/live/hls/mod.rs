//! HLS: the video cut into segments of about a second, in memory, for as long as somebody asks for them.

mod mp4;
mod nal;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use self::mp4::{Sample, TIMESCALE};
use self::nal::Parameters;
use self::window::{Segment, Window};
use super::{AccessUnit, Studio, Told, Units, Way};
use crate::domain::Timestamp;

/// Nobody asked for so long: nobody watches.
const IDLE: Duration = Duration::from_secs(10);
/// For the first segment to be there.
const FIRST: Duration = Duration::from_secs(8);

pub const PLAYLIST: &str = "application/vnd.apple.mpegurl";
pub const HEAD: &str = "video/mp4";
pub const SEGMENT: &str = "video/iso.segment";

/// One camera's segments.
pub(super) struct Hls {
    state: Mutex<State>,
    /// A segment was added, or there will be none.
    changed: Notify,
    /// The track's time begins here, over all rests.
    begin: Instant,
}

struct State {
    window: Window,
    at_work: bool,
    asked: Instant,
}

impl Hls {
    pub(super) fn new() -> Arc<Self> {
        let state = State { window: Window::new(Timestamp::now()), at_work: false, asked: Instant::now() };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), begin: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first segment, but not for ever. None: there is no video.
    async fn playlist(&self) -> Option<String> {
        let first = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Before the look, so that nothing is missed between the two.
                changed.as_mut().enable();
                let (playlist, at_work) = {
                    let state = self.lock();
                    (state.window.playlist(), state.at_work)
                };
                if playlist.is_some() || !at_work {
                    return playlist;
                }
                changed.await;
            }
        };
        tokio::time::timeout(FIRST, first).await.ok()?
    }

    fn idle(&self) -> bool {
        self.lock().asked.elapsed() > IDLE
    }
}

/// The studio's doors to it.
impl Studio {
    /// The playlist; the first who asks has the video cut, and waits for the first segment.
    pub async fn hls_playlist(&self) -> Option<String> {
        self.cut_video()?;
        self.hls.playlist().await
    }

    /// What the playlist names, with its content type. None: it is not there any more, or never was.
    pub fn hls_file(&self, name: &str) -> Option<(Bytes, &'static str)> {
        let between = |from: &str, to: &str| name.strip_prefix(from)?.strip_suffix(to);
        let mut state = self.hls.lock();
        state.asked = Instant::now();
        if let Some(number) = between("init-", ".mp4") {
            return Some((state.window.head_of(number.parse().ok()?)?, HEAD));
        }
        let number = between("segment-", ".m4s")?;
        Some((state.window.segment(number.parse().ok()?)?, SEGMENT))
    }

    fn cut_video(&self) -> Option<()> {
        let mut state = self.hls.lock();
        state.asked = Instant::now();
        if !state.at_work {
            let units = self.h264(Way::Hls)?;
            state.at_work = true;
            drop(state);
            let rest = Rest(self.hls.clone());
            tokio::spawn(async move { Cutter::new(&rest.0).cut(units).await });
        }
        Some(())
    }
}

/// However the cutting ends, the next who asks begins it anew.
struct Rest(Arc<Hls>);

impl Drop for Rest {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.at_work = false;
        state.window.clear();
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// Makes segments of units.
struct Cutter<'a> {
    hls: &'a Hls,
    /// The head in use, and of what it was made.
    head: Option<(u64, Parameters)>,
    /// The pictures of the segment that is not complete.
    open: Vec<(Instant, Sample)>,
    at: Timestamp,
    apart: bool,
}

impl<'a> Cutter<'a> {
    fn new(hls: &'a Hls) -> Self {
        Self { hls, head: None, open: Vec::new(), at: Timestamp::UNIX_EPOCH, apart: true }
    }

    /// Until nobody asks any more or the video ends.
    async fn cut(mut self, mut units: Units) {
        while !self.hls.idle() {
            match units.next().await {
                Some(Told::Unit(unit)) => self.unit(&unit),
                Some(Told::Missed(_)) => {
                    // How long the last picture lasted is not known: what there is goes, and the time leaps.
                    self.open.clear();
                    self.apart = true;
                }
                None => return,
            }
        }
    }

    fn unit(&mut self, unit: &AccessUnit) {
        if unit.idr {
            self.close(unit.captured_instant);
            self.at = unit.captured_at;
            let Some(parameters) = Parameters::of(&unit.data) else { return };
            if self.head.as_ref().is_none_or(|(_, known)| *known != parameters) {
                let head = mp4::head(unit.width, unit.height, &parameters);
                self.apart = true;
                self.head = Some((self.hls.lock().window.head(head), parameters));
            }
        }
        if self.head.is_some() && (unit.idr || !self.open.is_empty()) {
            let sample = Sample { data: nal::sample(&unit.data), duration: 0, idr: unit.idr };
            self.open.push((unit.captured_instant, sample));
        }
    }

    /// The segment is complete: its last picture lasts until `end`.
    fn close(&mut self, end: Instant) {
        let Some((head, _)) = &self.head else { return };
        let Some((start, _)) = self.open.first() else { return };
        let (start, head) = (*start, *head);
        let ticks: Vec<u64> = self.open.iter().map(|(at, _)| *at).chain([end]).map(|at| self.ticks(at)).collect();
        let mut samples: Vec<Sample> = self.open.drain(..).map(|(_, sample)| sample).collect();
        for (sample, pair) in samples.iter_mut().zip(ticks.windows(2)) {
            sample.duration = u32::try_from(pair[1] - pair[0]).unwrap_or(u32::MAX);
        }
        let mut state = self.hls.lock();
        let data = mp4::fragment(state.window.next(), ticks[0], &samples).into();
        let duration = end - start;
        state.window.push(Segment { head, apart: std::mem::take(&mut self.apart), at: self.at, duration, data });
        drop(state);
        self.hls.changed.notify_waiters();
    }

    fn ticks(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.hls.begin).as_nanos();
        u64::try_from(nanos * u128::from(TIMESCALE) / 1_000_000_000).unwrap_or(u64::MAX)
    }
}
