//! Guessing is slow: an address has a few wrong tokens free, then one a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens in a row before an address has to wait.
const BURST: u32 = 10;
const EVERY: Duration = Duration::from_secs(1);
/// Addresses remembered.
const MOST: usize = 4096;

/// For each address, until when its wrong tokens count.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, Instant>>);

impl Throttle {
    /// Whether a token of this address is looked at; else how long it has to wait.
    pub fn admits(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let until = self.lock().get(&network(address)).copied().unwrap_or(now);
        let debt = until.saturating_duration_since(now);
        match debt.saturating_sub(EVERY * (BURST - 1)) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    pub fn failed(&self, address: IpAddr, now: Instant) {
        let mut debts = self.lock();
        if debts.len() >= MOST {
            debts.retain(|_, until| *until > now);
        }
        if debts.len() >= MOST
            && let Some(least) = debts.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address)
        {
            debts.remove(&least);
        }
        let until = debts.entry(network(address)).or_insert(now);
        *until = (*until).max(now) + EVERY;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One machine has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn after_a_few_wrong_ones_an_address_waits_and_others_do_not() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..BURST {
            assert!(throttle.admits(ip("10.0.0.1"), now).is_ok());
            throttle.failed(ip("10.0.0.1"), now);
        }
        let wait = throttle.admits(ip("10.0.0.1"), now).unwrap_err();
        assert_eq!(wait, EVERY);
        assert!(throttle.admits(ip("10.0.0.2"), now).is_ok());
        assert!(throttle.admits(ip("10.0.0.1"), now + wait).is_ok());
        assert!(throttle.admits(ip("::ffff:10.0.0.1"), now).is_err(), "the same machine");
    }

    #[test]
    fn addresses_are_remembered_up_to_a_bound() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..10_000_u32 {
            throttle.failed(IpAddr::from(n.to_be_bytes()), now);
            throttle.failed(IpAddr::from([0x2001, 0xdb8, 0, u16::try_from(n).unwrap(), 1, 2, 3, 4]), now);
        }
        assert!(throttle.lock().len() <= MOST);
    }
}
