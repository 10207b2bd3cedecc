//! What is shown when there is no picture of now, so that a frozen one never looks healthy.

use std::time::{Duration, SystemTime};

use super::studio::Status;
use crate::codec::Overlay;
use crate::domain::{Frame, Timestamp};
use crate::envelope::ActualState;

/// Of a camera that never showed anything.
const SIZE: (u32, u32) = (640, 360);
const GREY: u8 = 72;
/// A reason is cut here.
const LONGEST: usize = 200;

/// What the slate says; `age` is that of the last frame, which was captured at `captured_at`.
pub(super) fn words(status: &Status, age: Option<Duration>, captured_at: Timestamp) -> Vec<String> {
    if status.actual == ActualState::Running {
        return match age {
            Some(age) => {
                vec!["no new picture".into(), format!("this one is of {}, {} s ago", clock(captured_at), age.as_secs())]
            }
            None => vec!["waiting for a picture".into()],
        };
    }
    let mut words = vec![status.actual.as_str().to_owned()];
    words.extend(status.since.map(|since| format!("since {}", clock(since))));
    words.extend(status.reason.as_ref().map(|reason| reason.message.chars().take(LONGEST).collect()));
    words
}

/// Draws the words over what was shown last, darkened (`dim`) or as it is, or over grey.
pub(super) fn draw(last: &Frame, words: &[String], dim: bool, overlay: &mut Overlay, into: &mut Frame) {
    into.bgr.clear();
    if last.bgr.is_empty() {
        (into.width, into.height) = SIZE;
        into.bgr.resize(SIZE.0 as usize * SIZE.1 as usize * 3, GREY);
    } else {
        (into.width, into.height) = (last.width, last.height);
        into.bgr.extend(last.bgr.iter().map(|&level| if dim { level / 3 } else { level }));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    overlay.sign(&mut into.bgr, into.width, into.height, &words);
}

/// `2026-11-21 14:03:22 UTC`.
fn clock(at: Timestamp) -> String {
    let since = u64::try_from(at.as_micros()).unwrap_or(0);
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(since);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Reason;

    #[test]
    fn a_slate_says_how_the_camera_is_since_when_and_why() {
        let since = Timestamp::from_micros(1_763_683_402_500_000);
        let reason = Some(Reason { code: "source_unreachable".into(), message: "no route to the camera".into() });
        let failed = Status { actual: ActualState::Failed, reason, since: Some(since) };
        assert_eq!(words(&failed, None, since), ["failed", "since 2025-11-21 00:03:22 UTC", "no route to the camera"]);
        let runs = Status { actual: ActualState::Running, reason: None, since: None };
        assert_eq!(words(&runs, None, since), ["waiting for a picture"]);
        let old = words(&runs, Some(Duration::from_secs(9)), since);
        assert_eq!(old, ["no new picture", "this one is of 2025-11-21 00:03:22 UTC, 9 s ago"]);
    }

    #[test]
    fn the_last_picture_is_darkened_under_the_words() {
        let last = Frame { width: 64, height: 64, bgr: vec![210; 64 * 64 * 3], ..Frame::empty() };
        let mut slate = Frame::empty();
        draw(&last, &["stopped".into()], true, &mut Overlay::new(), &mut slate);
        assert_eq!((slate.width, slate.height, &slate.bgr[..3]), (64, 64, &[70, 70, 70][..]));
        draw(&Frame::empty(), &["stopped".into()], true, &mut Overlay::new(), &mut slate);
        assert_eq!((slate.width, slate.height), SIZE);
    }
}
