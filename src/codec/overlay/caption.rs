//! What a label says: `car 0.94 #17`, or less where there is little room.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::text::Line;
use crate::domain::Detection;

/// Letters of a label's name that are set at most.
const LONGEST: usize = 60;

/// Which of name, score and track id are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    name: bool,
    score: bool,
}

pub(super) const FULL: Words = Words { name: true, score: true };
pub(super) const SHORT: Words = Words { name: true, score: false };
/// The track id alone; without a tracker the score, for the colour already tells the class.
pub(super) const LEAST: Words = Words { name: false, score: true };

/// The words set in a line that fits into `room` pixels, the name cut with `…` if need be. None when nothing fits.
pub(super) fn fitting(
    detection: &Detection,
    words: Words,
    room: f32,
    mut set: impl FnMut(&str) -> Line,
) -> Option<Line> {
    let name = if words.name { plain(&detection.label) } else { String::new() };
    let rest = rest(detection, words);
    let whole = set(join(&name, &rest).trim());
    if whole.width <= room {
        return (whole.width > 0.0).then_some(whole);
    }
    // As many letters of the name as fit; then the name goes, then all of it.
    let letters: Vec<char> = name.chars().collect();
    let cut = |kept: usize| {
        let head: String = letters.iter().take(kept).collect();
        join(&format!("{}…", head.trim_end()), &rest)
    };
    let (mut low, mut high) = (0, letters.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        if set(&cut(middle)).width <= room { low = middle } else { high = middle - 1 }
    }
    let line = if low > 0 { set(&cut(low)) } else { set(&rest) };
    (line.width > 0.0 && line.width <= room).then_some(line)
}

/// Letters with their accents in one, nothing that breaks a line.
fn plain(label: &str) -> String {
    let label: String = label.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(label.trim()).into_owned()
}

fn rest(detection: &Detection, words: Words) -> String {
    let score = detection.score.clamp(0.0, 1.0);
    let track = detection.track_id.map(|id| format!("#{id}"));
    let told = words.score && (words.name || track.is_none()) && !score.is_nan();
    let score = told.then(|| format!("{score:.2}"));
    score.into_iter().chain(track).collect::<Vec<_>>().join(" ")
}

fn join(name: &str, rest: &str) -> String {
    if name.is_empty() || rest.is_empty() { format!("{name}{rest}") } else { format!("{name} {rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(label: &str, track_id: Option<u64>) -> Detection {
        Detection { label: label.into(), score: 0.94, bbox: [0.0; 4].into(), class_id: 2, track_id }
    }

    /// What is set when every letter is one pixel wide.
    fn said(detection: &Detection, words: Words, room: f32) -> Option<String> {
        let mut last = String::new();
        let line = fitting(detection, words, room, |text| {
            last = text.to_owned();
            let mut line = Line::default();
            line.width = text.chars().map(|_| 1.0).sum();
            line
        });
        line.map(|_| last)
    }

    #[test]
    fn a_label_says_name_score_and_track() {
        let car = detection("car", Some(17));
        assert_eq!(said(&car, FULL, 99.0).unwrap(), "car 0.94 #17");
        assert_eq!(said(&car, SHORT, 99.0).unwrap(), "car #17");
        assert_eq!(said(&car, LEAST, 99.0).unwrap(), "#17");
        let still = detection("car", None);
        assert_eq!(said(&still, FULL, 99.0).unwrap(), "car 0.94");
        assert_eq!(said(&still, SHORT, 99.0).unwrap(), "car");
        assert_eq!(said(&still, LEAST, 99.0).unwrap(), "0.94");
    }

    #[test]
    fn a_long_name_is_cut_before_the_numbers_are() {
        let long = detection("a very long name", Some(1));
        assert_eq!(said(&long, FULL, 16.0).unwrap(), "a very… 0.94 #1");
        assert_eq!(said(&long, FULL, 8.0).unwrap(), "0.94 #1");
        assert_eq!(said(&long, FULL, 3.0), None);
    }

    #[test]
    fn odd_labels_and_scores_are_said_as_well_as_can_be() {
        assert_eq!(said(&detection("cafe\u{301}\n\0", None), FULL, 99.0).unwrap(), "caf\u{e9} 0.94");
        assert_eq!(said(&Detection { score: f32::NAN, ..detection("", None) }, FULL, 99.0), None);
        assert_eq!(said(&Detection { score: f32::NAN, ..detection("n", None) }, FULL, 99.0).unwrap(), "n");
    }
}
