//! How often somebody may guess.
//!
//! Attempts are counted for the user that is tried and for the network address they come from. Beyond the configured number
//! each further one must wait twice as long as the one before. The counts are in memory: a restart forgives, and no
//! guesser can make the database grow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use runtime::Parts;
use types::{Code, Error, Result, Timestamp};

/// The counts that are kept; beyond them the one that rested longest is forgotten.
const COUNTS_MAX: usize = 20_000;
/// The first wait; each further failure doubles it.
const WAIT_FIRST_MS: i64 = 5_000;

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    last: Timestamp,
}

/// The counts of one server.
#[derive(Debug)]
pub struct Attempts {
    free: u32,
    window_ms: i64,
    counts: Mutex<HashMap<String, Count>>,
}

impl Attempts {
    /// No attempt yet, with the configuration's bounds.
    pub fn new(parts: &Parts) -> Self {
        let security = &parts.config.security;
        Self::with(security.login_attempts_max, i64::from(security.login_window_s) * 1_000)
    }

    fn with(free: u32, window_ms: i64) -> Self {
        Self { free, window_ms, counts: Mutex::default() }
    }

    /// Counts an attempt before it is made, so that many at once are counted too. [`Attempts::forgive`] takes back one that
    /// was right.
    ///
    /// # Errors
    /// [`Code::TooManyRequests`] with the seconds to wait; such an attempt is not counted.
    pub fn admit(&self, user: &str, address: Option<&str>, now: Timestamp) -> Result<()> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names(user, address);
        let wait =
            names.iter().filter_map(|name| counts.get(name)).map(|count| self.wait_ms(count, now)).max();
        if let Some(wait) = wait.filter(|wait| *wait > 0) {
            let seconds = u32::try_from(wait.div_euclid(1_000) + 1).unwrap_or(u32::MAX);
            return Err(Error::new(Code::TooManyRequests, "too many failed attempts").retry_after_s(seconds));
        }
        for name in names {
            if counts.len() >= COUNTS_MAX && !counts.contains_key(&name) {
                self.make_room(&mut counts, now);
            }
            let count = counts.entry(name).or_insert(Count { failures: 0, last: now });
            if now.since_ms(count.last) > self.window_ms {
                count.failures = 0;
            }
            *count = Count { failures: count.failures.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// Takes back an attempt that was right: the user's failures are forgotten, the address's become one less.
    pub fn forgive(&self, user: &str, address: Option<&str>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let [user, rest @ ..] = &names(user, address)[..] else { return };
        counts.remove(user);
        for name in rest {
            if let Some(count) = counts.get_mut(name) {
                count.failures = count.failures.saturating_sub(1);
            }
        }
    }

    fn wait_ms(&self, count: &Count, now: Timestamp) -> i64 {
        if count.failures < self.free {
            return 0;
        }
        let doublings = (count.failures - self.free).min(30);
        let wait = (WAIT_FIRST_MS << doublings).min(self.window_ms);
        wait - now.since_ms(count.last)
    }

    fn make_room(&self, counts: &mut HashMap<String, Count>, now: Timestamp) {
        counts.retain(|_, count| now.since_ms(count.last) <= self.window_ms);
        if counts.len() >= COUNTS_MAX {
            let oldest = counts.iter().min_by_key(|(_, count)| count.last).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                counts.remove(&oldest);
            }
        }
    }
}

/// The user's count and the address's.
fn names(user: &str, address: Option<&str>) -> Vec<String> {
    let mut names = vec![format!("user {user}")];
    names.extend(address.map(|address| format!("from {}", network(address))));
    names
}

/// One subscriber of IPv6 has a whole /64 (RFC 6177 §2), so that network counts as one address.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1_000)
    }

    #[test]
    fn beyond_the_free_ones_each_waits_twice_as_long() {
        let attempts = Attempts::with(3, 60_000);
        for _ in 0..3 {
            attempts.admit("ana", Some("10.0.0.1"), at(0)).unwrap();
        }
        let refused = attempts.admit("ana", Some("10.0.0.1"), at(1)).unwrap_err();
        assert_eq!((refused.code(), refused.retry_after()), (Code::TooManyRequests, Some(5)));
        attempts.admit("ana", Some("10.0.0.2"), at(6)).unwrap();
        assert_eq!(attempts.admit("ana", None, at(7)).unwrap_err().retry_after(), Some(10));
        attempts.admit("bob", Some("10.0.0.3"), at(7)).unwrap();
        assert!(attempts.admit("bob", Some("10.0.0.1"), at(2)).is_err(), "the address waits too");
        attempts.admit("ana", None, at(100)).unwrap();
        attempts.admit("ana", None, at(100)).unwrap();
    }

    #[test]
    fn a_right_one_is_forgiven() {
        let attempts = Attempts::with(2, 60_000);
        for _ in 0..50 {
            attempts.admit("ana", Some("10.0.0.1"), at(0)).unwrap();
            attempts.forgive("ana", Some("10.0.0.1"));
        }
    }

    #[test]
    fn a_subscribers_network_counts_as_one() {
        assert_eq!(network("2001:db8:1:2::9"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::9"), network("2001:db8:1:3::9"));
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn the_memory_has_a_bound() {
        let attempts = Attempts::with(2, 60_000);
        for n in 0..COUNTS_MAX + 50 {
            attempts.admit(&n.to_string(), None, at(n as i64 / 1_000)).unwrap();
        }
        assert_eq!(attempts.counts.lock().unwrap().len(), COUNTS_MAX);
    }
}
