//! What a camera's samples mean over time. Pure: the time that has passed is an argument.

use std::fmt;
use std::time::Duration;

use super::frozen::Memory;
use super::sample::{DARK, Facts, Sample};

/// What is wrong with a picture that comes regularly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing is to be seen, no light and no outline.
    Black,
    /// Pictures come, but always the same.
    Frozen,
    /// Far less detail than this camera normally has, or none at all.
    Covered,
}

impl Condition {
    /// The worst first: of several, this is the one that is said.
    pub const ALL: [Self; 3] = [Self::Black, Self::Frozen, Self::Covered];

    /// The reason code of the camera's state, and the metric's label.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Black => "black_picture",
            Self::Frozen => "frozen_picture",
            Self::Covered => "covered_lens",
        }
    }

    /// For people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Black => "the picture is black: no light, lens cap, or the sensor is off",
            Self::Frozen => "the picture stands still although frames arrive: the camera itself hangs; restart it",
            Self::Covered => "hardly any detail is left in the picture: the lens is covered, dirty or out of focus",
        }
    }
}

/// After how long each is said; `None` = never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    pub frozen: Option<Duration>,
    pub black: Option<Duration>,
    pub covered: Option<Duration>,
}

impl Limits {
    #[must_use]
    pub fn any(&self) -> bool {
        self.frozen.or(self.black).or(self.covered).is_some()
    }
}

/// A pause in the stream is not a picture that stood still: between two samples no more than this counts.
const GAP: Duration = Duration::from_secs(2);
/// What was said is taken back after so long without it; sooner where it was said sooner.
const RECOVERY: Duration = Duration::from_secs(2);
/// So long a camera is looked at before its normal detail is known, and over so long the normal follows its scene.
const ACQUAINTED: Duration = Duration::from_secs(20);
const FOLLOWING: Duration = Duration::from_mins(10);
/// A scene with less than this (a bare wall) has nothing to lose.
const WORTH: f32 = 0.6;
/// Covered below this part of the normal detail, free again above that.
const LOST: f32 = 0.25;
const REGAINED: f32 = 0.4;
/// Darker than this, detail says nothing: at night or with the light off there is less of it.
const TOO_DARK: f32 = 32.0;
/// A defective pixel is no lamp.
const LAMP: u32 = 8;

pub struct Judge {
    limits: Limits,
    size: (u32, u32),
    memory: Memory,
    still: Still,
    black: Hold,
    covered: Hold,
    normal: Normal,
}

impl Judge {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            size: (0, 0),
            memory: Memory::new(),
            still: Still::default(),
            black: Hold::default(),
            covered: Hold::default(),
            normal: Normal::default(),
        }
    }

    /// Forgets all but the camera's normal detail.
    pub fn begin(&mut self) {
        self.memory.forget();
        (self.still, self.black, self.covered) = (Still::default(), Hold::default(), Hold::default());
    }

    /// What is wrong now.
    #[must_use]
    pub fn verdict(&self) -> Option<Condition> {
        let holds = |condition| match condition {
            Condition::Black => self.black.said,
            Condition::Frozen => self.still.said,
            Condition::Covered => self.covered.said,
        };
        Condition::ALL.into_iter().find(|&condition| holds(condition))
    }

    /// Takes in the sample made `passed` after the last one.
    pub fn see(&mut self, passed: Duration, facts: &Facts, sample: &Sample) {
        let passed = passed.min(GAP);
        if self.size != (facts.width, facts.height) {
            // Another picture size is another picture: detail is not comparable.
            self.size = (facts.width, facts.height);
            self.normal = Normal::default();
            self.memory.forget();
        }
        if let Some(after) = self.limits.frozen {
            let new = self.memory.is_new(sample.compared());
            self.still.see(passed, new, after);
        }
        if let Some(after) = self.limits.black {
            self.black.see(passed, is_black(facts), after);
        }
        if let Some(after) = self.limits.covered {
            let covered = self.normal.lost(facts);
            self.covered.see(passed, covered, after);
            // A cover must not become the normal.
            if !self.covered.said && covered != Some(true) && facts.mean >= TOO_DARK {
                self.normal.follow(passed, facts.detail);
            }
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { normal, still, black, covered, .. } = self;
        f.debug_struct("Judge")
            .field("verdict", &self.verdict())
            .field("normal", normal)
            .field("still", still)
            .field("black", black)
            .field("covered", covered)
            .finish_non_exhaustive()
    }
}

/// Yes, no, or in between.
fn is_black(facts: &Facts) -> Option<bool> {
    if facts.lit >= LAMP || facts.mean > DARK || facts.spread > 10.0 || facts.detail > 1.3 {
        Some(false)
    } else if facts.mean <= 28.0 && facts.spread <= 8.0 && facts.detail <= 1.0 {
        Some(true)
    } else {
        None
    }
}

/// Something that is said when it has lasted, and taken back when it has been gone for a while.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hold {
    said: bool,
    /// How long it has been otherwise than said, without a break.
    otherwise: Duration,
}

impl Hold {
    /// `seen`: whether it is there; `None` in between, which changes nothing and breaks every run.
    pub fn see(&mut self, passed: Duration, seen: Option<bool>, after: Duration) {
        if seen == Some(!self.said) {
            self.otherwise += passed;
        } else {
            self.otherwise = Duration::ZERO;
        }
        let needed = if self.said { RECOVERY.min(after) } else { after };
        if self.otherwise >= needed && seen == Some(!self.said) {
            (self.said, self.otherwise) = (!self.said, Duration::ZERO);
        }
    }

    #[must_use]
    pub fn is_said(self) -> bool {
        self.said
    }
}

/// How long nothing new has been seen. One new picture is not life yet: an encoder that changes its mind makes one, too.
#[derive(Debug, Clone, Copy, Default)]
struct Still {
    said: bool,
    since_last: Duration,
    /// Since the one before the last.
    since_second: Option<Duration>,
}

impl Still {
    fn see(&mut self, passed: Duration, new: bool, after: Duration) {
        self.since_last += passed;
        self.since_second = self.since_second.map(|since| since + passed);
        if new {
            self.since_second = Some(self.since_last);
            self.since_last = Duration::ZERO;
        }
        if self.since_last >= after {
            self.said = true;
        } else if self.since_second.is_some_and(|since| since < after) {
            self.said = false;
        }
    }
}

/// The detail that a camera normally has.
#[derive(Debug, Clone, Copy, Default)]
struct Normal {
    detail: f32,
    seen: Duration,
}

impl Normal {
    fn follow(&mut self, passed: Duration, detail: f32) {
        self.seen += passed;
        let over = self.seen.min(FOLLOWING).as_secs_f32().max(f32::EPSILON);
        self.detail += (detail - self.detail) * (passed.as_secs_f32() / over).min(1.0);
    }

    /// Whether the detail is gone: yes, no, or cannot be told.
    fn lost(&self, facts: &Facts) -> Option<bool> {
        if facts.mean < TOO_DARK {
            return None;
        }
        // One colour all over: no lens shows that.
        if facts.detail < 0.2 && facts.spread < 2.0 {
            return Some(true);
        }
        let known = self.seen >= ACQUAINTED && self.detail >= WORTH;
        if !known {
            return Some(false);
        }
        if facts.detail < LOST * self.detail {
            Some(true)
        } else {
            (facts.detail > REGAINED * self.detail).then_some(false)
        }
    }
}
