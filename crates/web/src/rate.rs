//! How fast one key, application or person may ask: a token bucket for each, and 429 above it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::{Extensions, HeaderValue};
use axum::response::{IntoResponse, Response};
use runtime::Actor;
use runtime::pace::Pace;
use types::{Code, Error, Id, kind};

use crate::access::Signed;
use crate::problem::Problem;

/// The buckets that are kept. Whoever finds no place shares one with all others who do not.
const BUCKETS_MAX: usize = 20_000;

/// How fast somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second over time, at least 1.
    pub per_second: u32,
    /// Requests at once, at least 1.
    pub burst: u32,
}

/// The buckets of those who asked lately.
#[derive(Default)]
struct Buckets {
    by_actor: HashMap<Asker, Bucket>,
    of_the_rest: Option<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    Key(Id<kind::Key>),
    Client(Id<kind::Client>),
    User(Id<kind::User>),
}

struct Bucket {
    pace: Pace,
    rate: Rate,
    /// When the bucket is full again if nobody asks; then it says nothing that a new one does not.
    full_at_ms: i64,
}

/// How a quota stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    rate: Rate,
    left: u32,
    /// Until there is more: until the bucket is full, or, for who asked too fast, until the next request fits.
    wait_ms: u64,
}

/// Where a request's quota is noted, so that its answer can tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(Arc<OnceLock<Quota>>);

/// Somebody asked too fast.
#[derive(Debug)]
pub(crate) struct TooFast(Quota);

/// Takes one request from the bucket of whoever asks, where they or the configuration have a rate; of both the lower holds.
///
/// # Errors
/// When the bucket is empty.
pub(crate) fn take(signed: &Signed, extensions: &Extensions) -> Result<(), TooFast> {
    let scope = &signed.scope;
    let asker = match scope.actor() {
        Actor::Key(id) => Asker::Key(*id),
        Actor::Client(id) => Asker::Client(*id),
        Actor::User(id) | Actor::App { user: id, .. } => Asker::User(*id),
        Actor::Account(_) | Actor::System(_) => return Ok(()),
    };
    let limits = &scope.runtime().config.http;
    let general = Rate { per_second: limits.rate_per_second, burst: limits.rate_burst };
    let general = (general.per_second > 0).then_some(general);
    let Some(rate) = lower(general, signed.rate) else { return Ok(()) };
    let buckets = scope.runtime().kept(|_| Mutex::new(Buckets::default()));
    let now_ms = scope.now().unix_ms();
    let taken = buckets.lock().unwrap_or_else(PoisonError::into_inner).take(asker, rate, now_ms);
    let quota = taken.map_err(|wait_ms| TooFast(Quota { rate, left: 0, wait_ms }))?;
    if let Some(shown) = extensions.get::<Shown>() {
        // A request is counted once; a second extractor would tell the same.
        let _told = shown.0.set(quota);
    }
    Ok(())
}

fn lower(general: Option<Rate>, own: Option<Rate>) -> Option<Rate> {
    match (general, own) {
        (Some(general), Some(own)) => Some(Rate {
            per_second: general.per_second.min(own.per_second),
            burst: general.burst.min(own.burst),
        }),
        (general, own) => general.or(own),
    }
}

impl Buckets {
    /// What is left after one more request, or after how many milliseconds it fits.
    fn take(&mut self, asker: Asker, rate: Rate, now_ms: i64) -> Result<Quota, u64> {
        if self.by_actor.len() >= BUCKETS_MAX && !self.by_actor.contains_key(&asker) {
            self.by_actor.retain(|_, bucket| now_ms < bucket.full_at_ms);
        }
        let new = || Bucket { pace: Pace::new(rate.per_second, rate.burst), rate, full_at_ms: now_ms };
        let bucket = if self.by_actor.len() < BUCKETS_MAX || self.by_actor.contains_key(&asker) {
            self.by_actor.entry(asker).or_insert_with(new)
        } else {
            self.of_the_rest.get_or_insert_with(new)
        };
        if bucket.rate != rate {
            bucket.pace.set(now_ms, rate.per_second, rate.burst);
            bucket.rate = rate;
        }
        let taken = bucket.pace.take(now_ms, 1);
        let (left, wait_ms) = bucket.pace.left();
        bucket.full_at_ms = now_ms.saturating_add_unsigned(wait_ms);
        taken.map(|()| Quota { rate, left, wait_ms })
    }
}

impl Quota {
    fn wait_s(&self) -> u32 {
        u32::try_from(self.wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
    }

    /// `RateLimit-Policy` and `RateLimit` (IETF httpapi, RateLimit header fields).
    fn headers(&self) -> [(&'static str, String); 2] {
        let Rate { per_second, burst } = self.rate;
        let policy = format!("\"default\";q={burst};w={}", burst.div_ceil(per_second.max(1)).max(1));
        let rest = format!("\"default\";r={};t={}", self.left, self.wait_s());
        [("RateLimit-Policy", policy), ("RateLimit", rest)]
    }
}

impl Shown {
    /// Tells in the answer how the quota stands, where there is one.
    pub(crate) fn put_into(&self, response: &mut Response) {
        let Some(quota) = self.0.get() else { return };
        for (name, value) in quota.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}

impl IntoResponse for TooFast {
    /// 429 with `Retry-After` and how the quota stands.
    fn into_response(self) -> Response {
        let Self(quota) = self;
        let per_second = quota.rate.per_second;
        let error = Error::new(Code::TooManyRequests, format!("more than {per_second} requests per second"));
        (quota.headers(), Problem(error.retry_after_s(quota.wait_s()))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate { per_second, burst }
    }

    fn key(raw: i64) -> Asker {
        Asker::Key(Id::from_raw(raw))
    }

    fn left(taken: Result<Quota, u64>) -> Result<u32, u64> {
        taken.map(|quota| quota.left)
    }

    #[test]
    fn each_has_a_bucket_of_its_own() {
        let (mut buckets, rate) = (Buckets::default(), rate(10, 2));
        assert_eq!([0, 0, 0].map(|at| left(buckets.take(key(1), rate, at))), [Ok(1), Ok(0), Err(100)]);
        assert_eq!(left(buckets.take(key(2), rate, 0)), Ok(1));
        assert_eq!(left(buckets.take(Asker::User(Id::from_raw(1)), rate, 0)), Ok(1));
        assert_eq!(left(buckets.take(Asker::Client(Id::from_raw(1)), rate, 0)), Ok(1));
        assert_eq!(left(buckets.take(key(1), rate, 100)), Ok(0));
    }

    #[test]
    fn a_changed_rate_counts_at_once_and_the_lower_of_two_holds() {
        let mut buckets = Buckets::default();
        assert_eq!(left(buckets.take(key(1), rate(10, 5), 0)), Ok(4));
        assert_eq!(left(buckets.take(key(1), rate(10, 1), 0)), Ok(0));
        assert_eq!(left(buckets.take(key(1), rate(1, 1), 0)), Err(1_000));
        assert_eq!(lower(Some(rate(5, 50)), Some(rate(10, 20))), Some(rate(5, 20)));
        assert_eq!((lower(None, Some(rate(1, 2))), lower(None, None)), (Some(rate(1, 2)), None));
    }

    #[test]
    fn the_buckets_are_bounded_and_make_room_in_time() {
        let (mut buckets, rate) = (Buckets::default(), rate(1, 1));
        for raw in 0..BUCKETS_MAX as i64 {
            assert_eq!(left(buckets.take(key(raw), rate, 0)), Ok(0));
        }
        assert_eq!(left(buckets.take(key(-1), rate, 0)), Ok(0), "the one that the rest shares");
        assert!(buckets.take(key(-2), rate, 0).is_err());
        assert_eq!(buckets.by_actor.len(), BUCKETS_MAX);
        assert_eq!(left(buckets.take(key(-2), rate, 5_000)), Ok(0));
        assert_eq!(buckets.by_actor.len(), 1);
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let response = TooFast(Quota { rate: rate(10, 25), left: 0, wait_ms: 1_200 }).into_response();
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(header("Retry-After"), "2");
        assert_eq!(header("RateLimit-Policy"), "\"default\";q=25;w=3");
        assert_eq!(header("RateLimit"), "\"default\";r=0;t=2");
    }
}
