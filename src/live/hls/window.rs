//! The segments there are, and the playlist that names them. Pure.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::domain::Timestamp;

/// So much is listed at least, once there is so much.
const LISTED: Duration = Duration::from_secs(6);
/// What has left the list may still be fetched for so long.
const KEPT: Duration = Duration::from_secs(12);
/// Of one camera, whatever its bit rate.
const MOST_BYTES: usize = 32 << 20;
/// Seconds: a player looks so often, and stays three of them behind unless told otherwise.
const TARGET: u64 = 1;
/// Unix seconds of 2020: numbers begin with the quarter seconds since then.
const YEAR_2020: u64 = 1_577_836_800;

pub(super) struct Segment {
    /// Which head belongs to it.
    pub head: u64,
    /// It does not go on where the one before ended.
    pub apart: bool,
    pub at: Timestamp,
    pub duration: Duration,
    pub data: Bytes,
}

pub(super) struct Window {
    segments: VecDeque<Numbered>,
    heads: VecDeque<(u64, Bytes)>,
    next: u64,
    breaks: u64,
    target: u64,
}

struct Numbered {
    segment: Segment,
    number: u64,
    /// Discontinuities up to this one.
    breaks: u64,
}

impl Window {
    /// Numbers of segments and breaks begin above those of a window that was there before `now`, be it of another life of the
    /// node: a player that watches over a restart goes on, and takes no old segment for a new one. Less than four of them
    /// come in a second, and they stay below 2^31 until 2037.
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
        let first = 4 * seconds.saturating_sub(YEAR_2020);
        Self { segments: VecDeque::new(), heads: VecDeque::new(), next: first, breaks: first, target: 0 }
    }

    /// The number that the next segment will have.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// A head for the segments that come; it has the number of the first of them.
    pub fn head(&mut self, data: Vec<u8>) -> u64 {
        // One that no segment belongs to was never named.
        self.heads.retain(|(number, _)| *number != self.next);
        self.heads.push_back((self.next, data.into()));
        self.next
    }

    pub fn push(&mut self, segment: Segment) {
        self.breaks += u64::from(segment.apart);
        // To be rounded is what the specification asks for: 1.4 s is within 1.
        let whole = (segment.duration + Duration::from_millis(500)).as_secs();
        self.target = self.target.max(whole);
        self.segments.push_back(Numbered { segment, number: self.next, breaks: self.breaks });
        self.next += 1;
        while self.segments.len() > 1 && (self.span(1) >= KEPT || self.bytes() > MOST_BYTES) {
            self.segments.pop_front();
        }
        let oldest = self.segments.front().map_or(0, |first| first.segment.head);
        self.heads.retain(|(number, _)| *number >= oldest);
    }

    /// Nobody watches any more. Numbers go on.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.target = 0;
        while self.heads.len() > 1 {
            self.heads.pop_front();
        }
    }

    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|numbered| numbered.segment.data.len()).sum()
    }

    pub fn segment(&self, number: u64) -> Option<Bytes> {
        Some(self.segments.iter().find(|numbered| numbered.number == number)?.segment.data.clone())
    }

    pub fn head_of(&self, number: u64) -> Option<Bytes> {
        Some(self.heads.iter().find(|(head, _)| *head == number)?.1.clone())
    }

    /// The playlist. None while there is no segment yet.
    pub fn playlist(&self) -> Option<String> {
        let skipped = (0..self.segments.len()).rev().find(|&from| self.span(from) >= LISTED).unwrap_or(0);
        let listed: Vec<&Numbered> = self.segments.iter().skip(skipped).collect();
        let first = listed.first()?;
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
            self.target.max(TARGET),
            first.number,
            first.breaks - u64::from(first.segment.apart),
        );
        let mut head = None;
        for Numbered { segment, number, .. } in listed {
            if segment.apart {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            if head != Some(segment.head) {
                head = Some(segment.head);
                let _never_fails = writeln!(text, "#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.head);
            }
            let _never_fails = write!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{:.5},\nsegment-{number}.m4s\n",
                clock(segment.at),
                segment.duration.as_secs_f64()
            );
        }
        Some(text)
    }

    /// The time from segment `from` on.
    fn span(&self, from: usize) -> Duration {
        self.segments.iter().skip(from).map(|numbered| numbered.segment.duration).sum()
    }
}

fn clock(at: Timestamp) -> String {
    let since = Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0));
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the turn of the year: numbers begin with 0.
    fn window() -> Window {
        Window::new(Timestamp::from_micros(1_577_836_800_900_000))
    }

    fn segment(head: u64, apart: bool, bytes: usize) -> Segment {
        let at = Timestamp::from_micros(1_763_683_200_123_456);
        Segment { head, apart, at, duration: Duration::from_millis(1066), data: vec![0; bytes].into() }
    }

    fn listed(window: &Window) -> Vec<String> {
        window.playlist().unwrap().lines().filter(|line| line.starts_with("segment-")).map(str::to_owned).collect()
    }

    #[test]
    fn a_playlist_says_when_how_long_and_with_which_head() {
        let mut window = window();
        assert_eq!(window.playlist(), None);
        let head = window.head(vec![1]);
        window.push(segment(head, true, 9));
        let wanted = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-0.mp4\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2025-11-21T00:00:00.123Z\n#EXTINF:1.06600,\nsegment-0.m4s\n";
        assert_eq!(window.playlist().unwrap(), wanted);
    }

    #[test]
    fn old_segments_leave_the_list_then_the_memory() {
        let mut window = window();
        let head = window.head(vec![1]);
        (0..100).for_each(|_| window.push(segment(head, false, 9)));
        assert_eq!(listed(&window).first().unwrap(), "segment-94.m4s");
        assert_eq!(listed(&window).last().unwrap(), "segment-99.m4s");
        assert!(window.segment(90).is_some() && window.segment(80).is_none() && window.bytes() < 9 * 14);
        (0..10).for_each(|_| window.push(segment(head, false, 5 << 20)));
        assert!(window.bytes() <= MOST_BYTES);
    }

    #[test]
    fn another_head_is_a_discontinuity_that_is_counted_once_it_has_left_the_list() {
        let mut window = window();
        let first = window.head(vec![1]);
        window.push(segment(first, false, 9));
        let second = window.head(vec![2]);
        window.push(segment(second, true, 9));
        let playlist = window.playlist().unwrap();
        let at = playlist.find("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"").unwrap();
        assert!(playlist[at..].contains("segment-1.m4s") && playlist.contains("DISCONTINUITY-SEQUENCE:0"));
        (0..5).for_each(|_| window.push(segment(second, false, 9)));
        assert!(window.playlist().unwrap().contains("DISCONTINUITY-SEQUENCE:0\n"), "the break itself is still listed");
        (0..20).for_each(|_| window.push(segment(second, false, 9)));
        assert!(window.playlist().unwrap().contains("DISCONTINUITY-SEQUENCE:1\n"));
        assert!(window.head_of(first).is_none() && window.head_of(second).is_some());
    }

    #[test]
    fn after_a_rest_numbers_go_on_behind_a_discontinuity() {
        let mut window = window();
        let head = window.head(vec![1]);
        (0..3).for_each(|_| window.push(segment(head, false, 9)));
        window.clear();
        assert_eq!(window.playlist(), None);
        let head = window.head(vec![2]);
        window.push(segment(head, true, 9));
        let playlist = window.playlist().unwrap();
        assert!(playlist.contains("MEDIA-SEQUENCE:3\n") && playlist.contains("#EXT-X-DISCONTINUITY\n"));
    }

    #[test]
    fn a_window_that_is_opened_later_counts_on_from_above_the_one_before() {
        let opened = |seconds: i64| Window::new(Timestamp::from_micros((1_795_000_000 + seconds) * 1_000_000));
        let mut before = opened(0);
        (0..30).for_each(|_| before.push(segment(0, true, 9)));
        let after = opened(10);
        assert!(after.next() > before.next() && after.breaks > before.breaks);
        assert!(opened(300_000_000).next() < 1 << 31, "as long as players count with 31 bits");
    }

    #[test]
    fn a_segment_that_came_out_long_raises_the_target() {
        let mut window = window();
        let head = window.head(vec![1]);
        window.push(Segment { duration: Duration::from_millis(2600), ..segment(head, false, 9) });
        assert!(window.playlist().unwrap().contains("TARGETDURATION:3\n"));
    }
}
