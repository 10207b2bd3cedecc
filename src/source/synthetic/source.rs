//! The scene as a camera: paced like one, or as fast as it can be drawn.

use std::time::{Duration, Instant};

use super::{Scene, SceneParams, clock};
use crate::domain::{Frame, Timestamp, TimestampSource};
use crate::source::{FrameSource, OpenOptions, Pace, Read, SourceError};

/// Later than this, the schedule begins anew: a reader that was held up does not get a flood of frames.
const LATE: Duration = Duration::from_secs(1);

/// An endless camera, or one that ends after `SceneParams::frames` frames.
///
/// The n-th frame read, counted from 1, is the scene's index n - 1; with `looping` the index begins again at 0.
pub struct SyntheticSource {
    scene: Scene,
    options: OpenOptions,
    index: u64,
    interval: Duration,
    due: Option<Instant>,
}

impl SyntheticSource {
    /// Cannot fail: nothing outside the program is needed.
    #[must_use]
    pub fn open(params: SceneParams, options: OpenOptions) -> Self {
        let scene = Scene::new(params);
        // A rate so slow that its interval is no Duration waits for ever, until cancelled.
        let interval = Duration::try_from_secs_f64(1.0 / scene.params().fps).unwrap_or(Duration::MAX);
        Self { scene, options, index: 0, interval, due: None }
    }

    /// The true boxes of what it shows.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Waits until the next frame is due. The schedule is absolute: a late frame does not delay those after it.
    fn pace(&mut self) -> Result<(), SourceError> {
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        let cancelled = match self.options.pace {
            Pace::Realtime => self.options.cancel.wait(due.saturating_duration_since(now)),
            Pace::Asap => self.options.cancel.is_cancelled(),
        };
        if cancelled {
            return Err(SourceError::Cancelled);
        }
        let begin = if now.saturating_duration_since(due) > LATE { now } else { due };
        self.due = begin.checked_add(self.interval).or(Some(begin));
        Ok(())
    }
}

impl FrameSource for SyntheticSource {
    fn read(&mut self, frame: &mut Frame) -> Result<Read, SourceError> {
        let params = *self.scene.params();
        if params.frames > 0 && self.index >= params.frames {
            if !self.options.looping {
                return Ok(Read::End);
            }
            self.index = 0;
        }
        self.pace()?;
        frame.captured_at = Timestamp::now();
        frame.captured_instant = Instant::now();
        frame.timestamp_source = TimestampSource::Host;
        frame.width = params.width;
        frame.height = params.height;
        frame.yuv = None;
        self.scene.render(self.index, &mut frame.bgr);
        self.index += 1;
        if params.clock {
            clock::draw(&mut frame.bgr, params.width as usize, params.height as usize, frame.captured_at);
        }
        frame.ready_at = Instant::now();
        frame.decode = frame.ready_at.duration_since(frame.captured_instant);
        Ok(Read::Frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Cancel;

    fn params(frames: u64, fps: f64) -> SceneParams {
        SceneParams { width: 64, height: 48, frames, fps, ..SceneParams::default() }
    }

    fn asap(looping: bool) -> OpenOptions {
        OpenOptions { pace: Pace::Asap, looping, ..OpenOptions::default() }
    }

    #[test]
    fn a_finite_scene_ends_and_stays_ended() {
        let mut source = SyntheticSource::open(params(3, 15.0), asap(false));
        let mut frame = Frame::empty();
        for _ in 0..3 {
            assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
            assert_eq!(frame.bgr.len(), 64 * 48 * 3);
        }
        assert_eq!(source.read(&mut frame).unwrap(), Read::End);
        assert_eq!(source.read(&mut frame).unwrap(), Read::End);
    }

    #[test]
    fn a_looping_scene_shows_its_first_frame_again() {
        let mut source = SyntheticSource::open(params(2, 15.0), asap(true));
        let mut frame = Frame::empty();
        let pictures: Vec<_> = (0..3)
            .map(|_| {
                source.read(&mut frame).unwrap();
                frame.bgr.clone()
            })
            .collect();
        assert_eq!(pictures[0], pictures[2]);
        assert_ne!(pictures[0], pictures[1]);
    }

    #[test]
    fn a_realtime_scene_takes_its_time() {
        let mut source = SyntheticSource::open(params(0, 100.0), OpenOptions::default());
        let mut frame = Frame::empty();
        let begin = Instant::now();
        for _ in 0..11 {
            source.read(&mut frame).unwrap();
        }
        assert!(begin.elapsed() >= Duration::from_millis(100));
        assert_eq!(frame.timestamp_source, TimestampSource::Host);
    }

    #[test]
    fn a_cancelled_scene_stops_waiting() {
        let cancel = Cancel::default();
        let options = OpenOptions { cancel: cancel.clone(), ..OpenOptions::default() };
        let mut source = SyntheticSource::open(params(0, 0.000_1), options);
        let mut frame = Frame::empty();
        assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
        let stopper = std::thread::spawn(move || cancel.cancel());
        assert!(matches!(source.read(&mut frame), Err(SourceError::Cancelled)));
        stopper.join().unwrap();
    }
}
