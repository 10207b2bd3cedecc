//! One histogram series: classic buckets that people read, and native ones that are precise, of the same samples.

use std::sync::{Mutex, PoisonError};

use metrics::HistogramFn;

use super::names::BUCKETS;

/// Native buckets grow by 2^(1/8): 9 %, so that a quantile is off by less than 5 %.
pub const SCHEMA: i32 = 3;
const PER_OCTAVE: usize = 1 << SCHEMA;
/// 2^-20, nearly a microsecond: what took less is as good as nothing.
pub const ZERO_THRESHOLD: f64 = 9.536_743_164_062_5e-7;
const ZERO_OCTAVES: usize = 20;
/// A day and a half: what a spool kept through a long outage. What took longer is in the last bucket.
const TOP_OCTAVES: usize = 17;
const SPAN: usize = (ZERO_OCTAVES + TOP_OCTAVES) * PER_OCTAVE;
/// The upper bounds of an octave's buckets but the last, as fractions of its end.
const FRACTIONS: [f64; PER_OCTAVE] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_5,
    0.917_004_043_204_671_2,
];

/// A lock, not atomics: whoever reads sees sum and buckets of the same samples, which native histograms need. Nobody waits in
/// practice, since a series is recorded by one thread, and a reader copies and goes.
#[derive(Debug, Default)]
pub struct Cell(Mutex<Counts>);

/// What was recorded, of one moment.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// By bound; the last is what was above all of them.
    classic: [u64; BUCKETS.len() + 1],
    sum: f64,
    zero: u64,
    /// None before the first sample: many series never have one.
    native: Option<Box<[u64; SPAN]>>,
}

impl Cell {
    pub fn read(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        if value.is_finite() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).record(value.max(0.0));
        }
    }
}

impl Counts {
    fn record(&mut self, value: f64) {
        self.classic[BUCKETS.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
        match slot(value) {
            Some(slot) => self.native.get_or_insert_with(|| Box::new([0; SPAN]))[slot] += 1,
            None => self.zero += 1,
        }
    }

    pub fn count(&self) -> u64 {
        self.classic.iter().sum()
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Samples too short to be told from nothing.
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// How many samples were not above each bound.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        BUCKETS.iter().zip(&self.classic).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }

    /// The native buckets that hold something: their index, of which bucket 0 ends at one second, and how many.
    pub fn native(&self) -> impl Iterator<Item = (i32, u64)> {
        let counts = self.native.iter().flat_map(|counts| counts.iter());
        (FIRST_INDEX..).zip(counts).filter(|(_, count)| **count > 0).map(|(index, count)| (index, *count))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a small number")]
const FIRST_INDEX: i32 = 1 - (ZERO_OCTAVES * PER_OCTAVE) as i32;

/// The place of the bucket that holds the value: the first whose upper bound is not below it.
fn slot(value: f64) -> Option<usize> {
    if value <= ZERO_THRESHOLD {
        return None;
    }
    // value = fraction * 2^exponent with a fraction from a half up to one, read off the number's bits.
    let bits = value.to_bits();
    let fraction = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1022 << 52));
    let octave = usize::try_from(bits >> 52).unwrap_or(usize::MAX).saturating_sub(1022 + 1 - ZERO_OCTAVES);
    let within = FRACTIONS.partition_point(|bound| *bound < fraction);
    Some((octave * PER_OCTAVE + within).saturating_sub(1).min(SPAN - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Counts {
        let cell = Cell::default();
        for value in values {
            cell.record(*value);
        }
        cell.read()
    }

    #[test]
    fn a_sample_is_in_the_native_bucket_that_its_bounds_say() {
        let bound = |index: i32| 2_f64.powf(f64::from(index) / 8.0);
        let mut value = 1.1e-6;
        while value < 1e5 {
            let (index, count) = of(&[value]).native().next().unwrap();
            assert!(count == 1 && bound(index - 1) < value && value <= bound(index), "{value} in bucket {index}");
            value *= 1.013;
        }
        for exact in [-19, -3, 0, 4, 16] {
            assert_eq!(of(&[2_f64.powi(exact)]).native().next(), Some((exact * 8, 1)), "a bound belongs to its bucket");
        }
        assert_eq!(ZERO_THRESHOLD, 0.5_f64.powi(20));
        assert_eq!(of(&[1e9]).native().next(), Some((17 * 8, 1)), "no bucket is above the last");
        assert_eq!((of(&[0.0, 1e-7, -1.0]).zero(), of(&[0.0]).native().count()), (3, 0));
    }

    #[test]
    fn classic_and_native_buckets_hold_the_same_samples() {
        let counts = of(&[0.0, 0.0001, 0.000_100_1, 0.04, 0.04, 11.0, f64::NAN, f64::INFINITY]);
        let native: u64 = counts.native().map(|(_, count)| count).sum();
        assert_eq!((counts.count(), native + counts.zero()), (6, 6));
        assert!((counts.sum() - 11.0802).abs() < 1e-3, "{}", counts.sum());
        let at = |bound: f64| counts.cumulative().find(|(b, _)| *b == bound).unwrap().1;
        assert_eq!([at(0.0001), at(0.0002), at(0.03), at(0.05), at(10.0)], [2, 3, 3, 5, 5]);
    }

    #[test]
    fn the_bounds_resolve_a_tenth_of_a_millisecond_to_ten_seconds() {
        assert_eq!((BUCKETS[0], BUCKETS[BUCKETS.len() - 1]), (0.0001, 10.0));
        assert!(BUCKETS.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] * 2.000_001));
    }
}
