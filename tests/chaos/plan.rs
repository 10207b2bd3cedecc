//! How long and how hard, and the dice.

use std::sync::OnceLock;
use std::time::Duration;

use fastrand::Rng;

pub struct Plan {
    pub seed: u64,
    pub full: bool,
    seconds: Option<u64>,
}

/// Said once a run, so that it can be repeated.
pub fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
        };
        let seed = number("SIGHTWIRE_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
        let full = std::env::var("SIGHTWIRE_CHAOS").is_ok_and(|form| form == "full");
        println!("chaos: SIGHTWIRE_CHAOS_SEED={seed}");
        Plan { seed, full, seconds: number("SIGHTWIRE_CHAOS_SECONDS") }
    })
}

impl Plan {
    /// How long the faults go on; `SIGHTWIRE_CHAOS_SECONDS` sets it.
    pub fn storm(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.full { 300 } else { 4 }))
    }

    /// So many of the same at once: a link that lost its session waits before it comes back, longer each time, so hundreds of
    /// faults on live sessions need many links.
    pub fn links(&self, full: usize) -> usize {
        if self.full { full } else { 3 }
    }

    /// Of its own for each user, so that one more user changes nobody else's.
    pub fn dice(&self, user: &str, index: usize) -> Rng {
        let salt = user.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Rng::with_seed(salt.wrapping_add(index as u64))
    }
}

/// Between the two, evenly.
pub fn between(dice: &mut Rng, from: Duration, to: Duration) -> Duration {
    from + to.saturating_sub(from).mul_f64(dice.f64())
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
