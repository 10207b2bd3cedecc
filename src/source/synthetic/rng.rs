//! `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): small, and ours, so that a seed means the same pictures for ever.

/// A stream of numbers that its seed alone decides.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// A stream of its own for each key under one seed.
    pub(super) fn keyed(seed: u64, key: [u64; 2]) -> Self {
        let mut state = seed;
        for word in key {
            state = Self(state ^ word.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next();
        }
        Self(state)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 up to, not including, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// 0 up to, not including, `n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        // Multiply-shift: no division, and the bias of 2^-60 matters to no picture.
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_splitmix64() {
        // First outputs for seed 1234567, as printed by the reference implementation.
        let mut rng = Rng(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
