//! Logins of browsers: a random word in a cookie stands for the token, so that the token itself stays out of the browser.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// Browsers at once; one more takes the place of the one that was away longest.
const MOST: usize = 256;
const COOKIE: &str = "sightwire_session";

/// Kept in memory alone: a restart ends them.
pub struct Sessions {
    lasts: Duration,
    open: Mutex<HashMap<String, Session>>,
}

#[derive(Clone, Copy)]
struct Session {
    until: Instant,
    used: Instant,
}

impl Sessions {
    pub fn new(lasts: Duration) -> Self {
        Self { lasts, open: Mutex::default() }
    }

    /// A new session's word; `None` when the machine has no random numbers.
    pub fn begin(&self, now: Instant) -> Option<String> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let word = URL_SAFE_NO_PAD.encode(bytes);
        let mut open = self.lock();
        open.retain(|_, session| session.until > now);
        if open.len() >= MOST {
            let idle = open.iter().min_by_key(|(_, session)| session.used).map(|(word, _)| word.clone());
            idle.and_then(|word| open.remove(&word));
        }
        open.insert(word.clone(), Session { until: now + self.lasts, used: now });
        Some(word)
    }

    /// Whether the request's cookie is that of an open session.
    pub fn admits(&self, headers: &HeaderMap, now: Instant) -> bool {
        let mut open = self.lock();
        words(headers).any(|word| {
            open.get_mut(word).filter(|session| session.until > now).map(|session| session.used = now).is_some()
        })
    }

    pub fn end(&self, headers: &HeaderMap) {
        let mut open = self.lock();
        for word in words(headers) {
            open.remove(word);
        }
    }

    /// For `Set-Cookie`. Scripts never see it, other sites' requests never carry it.
    pub fn cookie(&self, word: &str, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        format!("{COOKIE}={word}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", self.lasts.as_secs())
    }

    pub fn no_cookie(secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0{secure}")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every value of our cookie. Cookies know no port, so another node of this host may have set one as well.
fn words(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrying(word: &str) -> HeaderMap {
        [(header::COOKIE, format!("theme=dark; {COOKIE}={word}; x=y").parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_session_lasts_until_its_end_or_a_logout() {
        let sessions = Sessions::new(Duration::from_mins(1));
        let now = Instant::now();
        let (a, b) = (sessions.begin(now).unwrap(), sessions.begin(now).unwrap());
        assert!(a != b && a.len() == 43);
        assert!(sessions.admits(&carrying(&a), now + Duration::from_secs(59)));
        assert!(!sessions.admits(&carrying(&a), now + Duration::from_mins(1)));
        sessions.end(&carrying(&b));
        assert!(!sessions.admits(&carrying(&b), now) && sessions.admits(&carrying(&a), now));
        assert!(!sessions.admits(&carrying(""), now) && !sessions.admits(&HeaderMap::new(), now));
    }

    #[test]
    fn a_flood_of_logins_holds_no_more_than_so_many() {
        let sessions = Sessions::new(Duration::from_mins(1));
        let now = Instant::now();
        let first = sessions.begin(now).unwrap();
        let at = |n: u64| now + Duration::from_millis(n);
        let second = sessions.begin(at(1)).unwrap();
        assert!(sessions.admits(&carrying(&first), at(2)), "used later than the second");
        for n in 0..(MOST as u64 - 1) {
            sessions.begin(at(3 + n)).unwrap();
        }
        assert_eq!(sessions.lock().len(), MOST);
        assert!(!sessions.admits(&carrying(&second), at(999)) && sessions.admits(&carrying(&first), at(999)));
    }
}
