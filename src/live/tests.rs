//! The studio as the pipeline and the viewers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::domain::{BBox, Detection, Frame};
use crate::envelope::{ActualState, Reason};

/// Generous: it only ends a test that would fail anyway.
const PATIENCE: Duration = Duration::from_secs(20);

fn status(actual: ActualState) -> Status {
    let reason = (actual != ActualState::Running)
        .then(|| Reason { code: "source_unreachable".into(), message: "no route".into() });
    Status { actual, reason, since: Some(Timestamp::now()) }
}

fn running() -> Arc<Studio> {
    Studio::new("door".parse().unwrap(), VideoConfig::default(), Box::new(|| status(ActualState::Running)))
}

fn frame(id: u64, width: u32, height: u32) -> Frame {
    let bgr = vec![90; (width * height * 3) as usize];
    Frame { id, width, height, bgr, captured_at: Timestamp::now(), captured_instant: Instant::now(), ..Frame::empty() }
}

fn car() -> Detection {
    let bbox = BBox::clamped(0.25, 0.25, 0.75, 0.75);
    Detection { label: "car".into(), score: 0.9, bbox, class_id: 2, track_id: None }
}

/// Offers frames of this size from a thread of its own until dropped.
struct Source(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Source {
    fn start(studio: &Arc<Studio>, width: u32, height: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (studio, ends) = (studio.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            for id in 1.. {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let _spare = studio.take(frame(id, width, height), &[car()]);
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

#[test]
fn while_nobody_watches_a_frame_comes_straight_back() {
    let studio = running();
    let given = frame(1, 64, 48);
    let at = given.bgr.as_ptr();
    assert_eq!(studio.take(given, &[car()]).unwrap().bgr.as_ptr(), at);
    assert!(!studio.is_watched());
}

#[tokio::test]
async fn who_comes_to_a_slow_camera_sees_its_last_picture_unless_it_stopped() {
    let stopped = Arc::new(AtomicBool::new(false));
    let look = {
        let stopped = stopped.clone();
        move || {
            let actual = if stopped.load(Ordering::Relaxed) { ActualState::Stopped } else { ActualState::Running };
            Status { since: None, ..status(actual) }
        }
    };
    let studio = Studio::new("door".parse().unwrap(), VideoConfig::default(), Box::new(look));
    let _spare = studio.take(frame(7, 64, 48), &[car()]);
    let picture = async || soon(studio.jpegs(Way::Still).unwrap().next()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(picture().await.frame_id, 7, "no frame came since");
        while studio.is_watched() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stopped.store(true, Ordering::Relaxed);
    // The thread that showed it may still be there.
    let start = Instant::now();
    while picture().await.frame_id == 7 {
        assert!(start.elapsed() < PATIENCE, "a stopped camera's picture is shown as if it ran");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_viewer_sees_the_newest_picture_with_its_boxes_and_its_frame() {
    let studio = running();
    let mut viewer = studio.jpegs(Way::Mjpeg).unwrap();
    let _source = Source::start(&studio, 320, 240);
    let first = soon(viewer.next()).await.unwrap();
    let second = soon(viewer.next()).await.unwrap();
    assert!(first.jpeg.starts_with(&[0xff, 0xd8]) && second.frame_id > first.frame_id && first.frame_id > 0);
}

#[tokio::test]
async fn a_newcomer_sees_at_once_what_the_others_see() {
    let studio = running();
    let mut viewer = studio.jpegs(Way::Mjpeg).unwrap();
    let source = Source::start(&studio, 64, 48);
    let seen = soon(viewer.next()).await.unwrap();
    drop(source);
    let mut newcomer = studio.jpegs(Way::Still).unwrap();
    assert!(soon(newcomer.next()).await.unwrap().frame_id >= seen.frame_id);
}

#[tokio::test]
async fn the_video_begins_with_an_idr_picture_and_another_comes_when_asked_for() {
    let studio = running();
    let mut viewer = studio.h264(Way::Webrtc).unwrap();
    let _source = Source::start(&studio, 320, 240);
    let mut before: Option<Arc<AccessUnit>> = None;
    let mut idrs = 0;
    while idrs < 3 {
        let Some(Told::Unit(unit)) = soon(viewer.next()).await else { continue };
        if let Some(before) = &before {
            assert!(unit.captured_instant > before.captured_instant);
        } else {
            assert!(unit.idr, "a viewer cannot begin elsewhere");
        }
        if unit.idr {
            idrs += 1;
            studio.want_idr();
        }
        assert_eq!((unit.width, unit.height), (320, 240));
        before = Some(unit);
    }
}

#[tokio::test]
async fn another_size_of_the_source_begins_with_an_idr_picture_of_it() {
    let studio = running();
    let mut viewer = studio.h264(Way::Webrtc).unwrap();
    drop(Source::start(&studio, 320, 240));
    let _source = Source::start(&studio, 160, 120);
    loop {
        if let Some(Told::Unit(unit)) = soon(viewer.next()).await
            && unit.width == 160
        {
            assert!(unit.idr);
            break;
        }
    }
}

#[tokio::test]
async fn a_viewer_that_slept_is_told_how_much_it_missed_and_goes_on_with_an_idr_picture() {
    let studio = running();
    let mut awake = studio.h264(Way::Webrtc).unwrap();
    let mut asleep = studio.h264(Way::Webrtc).unwrap();
    let _source = Source::start(&studio, 64, 48);
    for _ in 0..100 {
        soon(awake.next()).await.unwrap();
    }
    let Some(Told::Missed(missed)) = soon(asleep.next()).await else { panic!("it slept through a hundred") };
    assert!(missed > 30, "{missed}");
    let Some(Told::Unit(unit)) = soon(asleep.next()).await else { panic!("the video goes on") };
    assert!(unit.idr);
}

#[tokio::test]
async fn a_camera_that_is_stopped_shows_a_slate_to_both_kinds_of_viewers() {
    let look = || status(ActualState::Stopped);
    let studio = Studio::new("door".parse().unwrap(), VideoConfig::default(), Box::new(look));
    let mut pictures = studio.jpegs(Way::Mjpeg).unwrap();
    let mut units = studio.h264(Way::Webrtc).unwrap();
    assert_eq!(soon(pictures.next()).await.unwrap().frame_id, 0);
    assert!(matches!(soon(units.next()).await, Some(Told::Unit(unit)) if unit.idr && unit.width == 640));
    assert_eq!(soon(pictures.next()).await.unwrap().frame_id, 0, "it is said again");
}

#[tokio::test]
async fn the_end_is_told_and_nobody_is_let_in_afterwards() {
    let studio = running();
    let (mut pictures, mut units) = (studio.jpegs(Way::Mjpeg).unwrap(), studio.h264(Way::Hls).unwrap());
    studio.shut();
    while soon(pictures.next()).await.is_some() {}
    while soon(units.next()).await.is_some() {}
    assert!(studio.jpegs(Way::Mjpeg).is_none() && studio.h264(Way::Hls).is_none());
}

#[tokio::test]
async fn the_thread_ends_after_the_last_viewer_and_begins_again_with_the_next() {
    let studio = running();
    for _ in 0..2 {
        let viewer = studio.jpegs(Way::Mjpeg).unwrap();
        assert!(studio.is_watched() && Arc::strong_count(&studio) == 3, "one of them is the thread's");
        drop(viewer);
        assert!(!studio.is_watched());
        let left = async {
            while Arc::strong_count(&studio) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(left).await;
    }
}

#[tokio::test]
async fn frames_that_come_faster_than_they_are_shown_cost_no_new_buffers() {
    let studio = running();
    let mut viewer = studio.jpegs(Way::Mjpeg).unwrap();
    let mut buffers = std::collections::HashSet::new();
    let mut own = Some(frame(0, 640, 480));
    for id in 1..60 {
        let mut next = own.take().unwrap_or_else(|| frame(id, 640, 480));
        (next.id, next.captured_instant) = (id, Instant::now());
        buffers.insert(next.bgr.as_ptr() as usize);
        own = studio.take(next, &[]);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(soon(viewer.next()).await.is_some());
    assert!(buffers.len() <= 5, "{} buffers went round", buffers.len());
}

#[tokio::test]
async fn a_frame_that_a_keyframe_takes_as_well_is_shown_all_the_same() {
    let studio = running();
    let mut viewer = studio.jpegs(Way::Mjpeg).unwrap();
    let shared = frame(9, 64, 48);
    studio.offer(&shared, &[car()]);
    assert_eq!(soon(viewer.next()).await.unwrap().frame_id, 9);
    assert!(shared.bgr.iter().all(|&level| level == 90), "the boxes are drawn on a copy");
}

#[tokio::test]
async fn a_picture_of_no_size_ends_the_viewers_and_not_the_studio() {
    let studio = running();
    let mut viewer = studio.jpegs(Way::Mjpeg).unwrap();
    let _spare = studio.take(Frame { bgr: vec![0; 5], ..frame(1, 4000, 3000) }, &[]);
    assert!(soon(viewer.next()).await.is_none());
    drop(viewer);
    let mut again = studio.jpegs(Way::Mjpeg).unwrap();
    let _source = Source::start(&studio, 64, 48);
    assert!(soon(again.next()).await.is_some());
}
