//! How fast one key or one person may ask: a token bucket for each, and 429 above it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use runtime::config;
use runtime::pace::Pace;
use runtime::{Actor, Scope};
use types::{Code, Error, Id, kind};

use crate::problem::Problem;

/// The buckets that are kept. Whoever finds no place shares one with all others who do not.
const BUCKETS_MAX: usize = 20_000;

/// The buckets of those who asked lately.
#[derive(Default)]
struct Buckets {
    by_actor: HashMap<Asker, Bucket>,
    of_the_rest: Option<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    Key(Id<kind::Key>),
    User(Id<kind::User>),
}

struct Bucket {
    pace: Pace,
    asked_ms: i64,
}

/// Somebody asked too fast.
#[derive(Debug)]
pub(crate) struct TooFast {
    per_second: u32,
    burst: u32,
    wait_ms: u64,
}

/// Takes one request from the bucket of whoever asks, where the configuration sets a rate.
///
/// # Errors
/// When the bucket is empty.
pub(crate) fn take(scope: &Scope) -> Result<(), TooFast> {
    let limits = &scope.runtime().config.http;
    let asker = match scope.actor() {
        Actor::Key(id) => Asker::Key(*id),
        Actor::User(id) => Asker::User(*id),
        Actor::Account(_) | Actor::System(_) => return Ok(()),
    };
    if limits.rate_per_second == 0 {
        return Ok(());
    }
    let buckets = scope.runtime().kept(|_| Mutex::new(Buckets::default()));
    let now_ms = scope.now().unix_ms();
    let taken = buckets.lock().unwrap_or_else(PoisonError::into_inner).take(asker, limits, now_ms);
    taken.map_err(|wait_ms| TooFast { per_second: limits.rate_per_second, burst: limits.rate_burst, wait_ms })
}

impl Buckets {
    /// Whether one more request fits, or after how many milliseconds it does.
    fn take(&mut self, asker: Asker, limits: &config::Http, now_ms: i64) -> Result<(), u64> {
        if self.by_actor.len() >= BUCKETS_MAX && !self.by_actor.contains_key(&asker) {
            // A bucket that is full again says nothing that a new one does not.
            let full_after_ms = i64::from(limits.rate_burst) * 1_000 / i64::from(limits.rate_per_second) + 1;
            self.by_actor.retain(|_, bucket| now_ms - bucket.asked_ms < full_after_ms);
        }
        let new = || Bucket { pace: Pace::new(limits.rate_per_second, limits.rate_burst), asked_ms: now_ms };
        let bucket = if self.by_actor.len() < BUCKETS_MAX || self.by_actor.contains_key(&asker) {
            self.by_actor.entry(asker).or_insert_with(new)
        } else {
            self.of_the_rest.get_or_insert_with(new)
        };
        bucket.asked_ms = now_ms;
        bucket.pace.take(now_ms, 1)
    }
}

impl IntoResponse for TooFast {
    /// 429 with `Retry-After`, and the quota as `RateLimit-Policy` and `RateLimit` (IETF httpapi, RateLimit header
    /// fields).
    fn into_response(self) -> Response {
        let Self { per_second, burst, wait_ms } = self;
        let wait_s = u32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        let error = Error::new(Code::TooManyRequests, format!("more than {per_second} requests per second"));
        let policy = format!("\"default\";q={burst};w={}", burst.div_ceil(per_second.max(1)).max(1));
        let rest = format!("\"default\";r=0;t={wait_s}");
        let headers = [("RateLimit-Policy", policy), ("RateLimit", rest)];
        (headers, Problem(error.retry_after_s(wait_s))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate_per_second: u32, rate_burst: u32) -> config::Http {
        config::Http { rate_per_second, rate_burst, ..runtime::Config::for_tests("/tmp/x").http }
    }

    fn key(raw: i64) -> Asker {
        Asker::Key(Id::from_raw(raw))
    }

    #[test]
    fn each_has_a_bucket_of_its_own() {
        let (mut buckets, limits) = (Buckets::default(), limits(10, 2));
        assert_eq!([0, 0, 0].map(|at| buckets.take(key(1), &limits, at)), [Ok(()), Ok(()), Err(100)]);
        assert_eq!(buckets.take(key(2), &limits, 0), Ok(()));
        assert_eq!(buckets.take(Asker::User(Id::from_raw(1)), &limits, 0), Ok(()));
        assert_eq!(buckets.take(key(1), &limits, 100), Ok(()));
    }

    #[test]
    fn the_buckets_are_bounded_and_make_room_in_time() {
        let (mut buckets, limits) = (Buckets::default(), limits(1, 1));
        for raw in 0..BUCKETS_MAX as i64 {
            assert_eq!(buckets.take(key(raw), &limits, 0), Ok(()));
        }
        assert_eq!(buckets.take(key(-1), &limits, 0), Ok(()), "the one that the rest shares");
        assert!(buckets.take(key(-2), &limits, 0).is_err());
        assert_eq!(buckets.by_actor.len(), BUCKETS_MAX);
        assert_eq!(buckets.take(key(-2), &limits, 5_000), Ok(()));
        assert_eq!(buckets.by_actor.len(), 1);
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let response = TooFast { per_second: 10, burst: 25, wait_ms: 1_200 }.into_response();
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(header("Retry-After"), "2");
        assert_eq!(header("RateLimit-Policy"), "\"default\";q=25;w=3");
        assert_eq!(header("RateLimit"), "\"default\";r=0;t=2");
    }
}
