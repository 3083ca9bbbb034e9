//! How fast one key, one application, one person, one tenant and one network address may ask: a token bucket for each, and 429 above it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use runtime::pace::Pace;
use runtime::{Actor, Runtime};
use types::{Code, Error, Id, kind};

use crate::access::{App, ClientAddress, Signed};
use crate::problem::Problem;

/// The buckets that are kept of each policy. Whoever finds no place shares one with all others who do not.
const BUCKETS_MAX: usize = 20_000;

/// How fast somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second over time, at least 1.
    pub per_second: u32,
    /// Requests at once, at least 1.
    pub burst: u32,
}

/// What is limited, and the name of its policy in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// One key, application or person.
    Default,
    /// All keys and people of a tenant together.
    Tenant,
    /// Everything from one network address.
    Address,
}

impl Policy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Tenant => "tenant",
            Self::Address => "address",
        }
    }

    /// Whose requests were too many, in words.
    const fn whose(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Tenant => " of the whole tenant",
            Self::Address => " from your network address",
        }
    }
}

/// The buckets of those who asked lately, by what is limited.
#[derive(Default)]
struct Limits {
    actors: Buckets,
    tenants: Buckets,
    addresses: Buckets,
}

#[derive(Default)]
struct Buckets {
    by_asker: HashMap<Asker, Bucket>,
    of_the_rest: Option<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    Key(Id<kind::Key>),
    Client(Id<kind::Client>),
    User(Id<kind::User>),
    Tenant(Id<kind::Tenant>),
    /// An address, of IPv6 its /64: so much one subscriber has.
    Address(IpAddr),
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
    policy: Policy,
    rate: Rate,
    left: u32,
    /// Until there is more: until the bucket is full, or, for who asked too fast, until the next request fits.
    wait_ms: u64,
}

/// Where a request's quotas are noted, so that its answer can tell them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Vec<Quota>>>);

/// Somebody asked too fast.
#[derive(Debug)]
pub(crate) struct TooFast(Quota);

fn rate(per_second: u32, burst: u32) -> Option<Rate> {
    (per_second > 0).then_some(Rate { per_second, burst })
}

/// Takes one request from the buckets of whoever asks and of their tenant, where they or the configuration have a rate; of
/// their own and the configuration's the lower holds.
///
/// # Errors
/// When one of them is empty.
pub(crate) fn take(signed: &Signed, extensions: &Extensions) -> Result<(), TooFast> {
    let scope = &signed.scope;
    let asker = match scope.actor() {
        Actor::Key(id) => Asker::Key(*id),
        Actor::Client(id) => Asker::Client(*id),
        Actor::User(id) | Actor::App { user: id, .. } | Actor::As { by: id, .. } => Asker::User(*id),
        Actor::Account(_) | Actor::System(_) => return Ok(()),
    };
    let limits = &scope.runtime().config.http;
    let own = lower(rate(limits.rate_per_second, limits.rate_burst), signed.rate);
    let all = rate(limits.tenant_rate_per_second, limits.tenant_rate_burst);
    let tenant = Asker::Tenant(scope.tenant());
    let shown = extensions.get::<Shown>();
    for (policy, rate, asker) in [(Policy::Default, own, asker), (Policy::Tenant, all, tenant)] {
        if let Some(rate) = rate {
            take_one(scope.runtime(), policy, rate, asker, shown)?;
        }
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

fn take_one(
    runtime: &Runtime,
    policy: Policy,
    rate: Rate,
    asker: Asker,
    shown: Option<&Shown>,
) -> Result<(), TooFast> {
    let limits = runtime.kept(|_| Mutex::new(Limits::default()));
    let now_ms = runtime.clock.now().unix_ms();
    let mut limits = limits.lock().unwrap_or_else(PoisonError::into_inner);
    let buckets = match policy {
        Policy::Default => &mut limits.actors,
        Policy::Tenant => &mut limits.tenants,
        Policy::Address => &mut limits.addresses,
    };
    let taken = buckets.take(asker, rate, now_ms);
    drop(limits);
    let stands = |(left, wait_ms)| Quota { policy, rate, left, wait_ms };
    let quota = taken.map(stands).map_err(|wait_ms| TooFast(stands((0, wait_ms))));
    if let (Some(shown), Ok(quota) | Err(TooFast(quota))) = (shown, &quota) {
        shown.note(*quota);
    }
    quota.map(|_| ())
}

/// Takes one request from the bucket of the address that it comes from, before anything else is looked at. Whoever watches
/// whether the server lives is not asked.
pub(crate) async fn from_address(State(app): State<App>, request: Request, next: Next) -> Response {
    let limits = &app.runtime.config.http;
    let watched = ["/health", "/ready", "/metrics"].contains(&request.uri().path());
    let from = request.extensions().get::<ClientAddress>().copied();
    let rate = rate(limits.address_rate_per_second, limits.address_rate_burst);
    if let (Some(rate), Some(ClientAddress(from)), false) = (rate, from, watched) {
        let (asker, shown) = (Asker::Address(network(from)), request.extensions().get::<Shown>());
        if let Err(refused) = take_one(&app.runtime, Policy::Address, rate, asker, shown) {
            return refused.into_response();
        }
    }
    next.run(request).await
}

/// What of an address is one subscriber's.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

impl Buckets {
    /// What is left after one more request and when the bucket is full again, or after how many milliseconds one fits.
    fn take(&mut self, asker: Asker, rate: Rate, now_ms: i64) -> Result<(u32, u64), u64> {
        if self.by_asker.len() >= BUCKETS_MAX && !self.by_asker.contains_key(&asker) {
            self.by_asker.retain(|_, bucket| now_ms < bucket.full_at_ms);
        }
        let new = || Bucket { pace: Pace::new(rate.per_second, rate.burst), rate, full_at_ms: now_ms };
        let bucket = if self.by_asker.len() < BUCKETS_MAX || self.by_asker.contains_key(&asker) {
            self.by_asker.entry(asker).or_insert_with(new)
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
        taken.map(|()| (left, wait_ms))
    }
}

impl Quota {
    fn wait_s(&self) -> u32 {
        u32::try_from(self.wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
    }

    fn policy(&self) -> String {
        let Rate { per_second, burst } = self.rate;
        format!("\"{}\";q={burst};w={}", self.policy.as_str(), burst.div_ceil(per_second.max(1)).max(1))
    }

    fn rest(&self) -> String {
        format!("\"{}\";r={};t={}", self.policy.as_str(), self.left, self.wait_s())
    }
}

impl Shown {
    /// A request is counted once; a second extractor would tell the same.
    fn note(&self, quota: Quota) {
        let mut quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if quotas.iter().all(|noted| noted.policy != quota.policy) {
            quotas.push(quota);
        }
    }

    /// Tells in the answer how the quotas stand, where there are any: `RateLimit-Policy` and `RateLimit` (IETF httpapi,
    /// RateLimit header fields), an item for each policy.
    pub(crate) fn put_into(&self, response: &mut Response) {
        let quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if quotas.is_empty() {
            return;
        }
        let joined = |one: fn(&Quota) -> String| quotas.iter().map(one).collect::<Vec<_>>().join(", ");
        for (name, value) in [("RateLimit-Policy", joined(Quota::policy)), ("RateLimit", joined(Quota::rest))]
        {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}

impl IntoResponse for TooFast {
    /// 429 with `Retry-After`; how the quotas stand is told around it.
    fn into_response(self) -> Response {
        let Self(quota) = self;
        let said = format!("more than {} requests per second{}", quota.rate.per_second, quota.policy.whose());
        Problem(Error::new(Code::TooManyRequests, said).retry_after_s(quota.wait_s())).into_response()
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

    fn left(taken: Result<(u32, u64), u64>) -> Result<u32, u64> {
        taken.map(|(left, _)| left)
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
        assert_eq!(buckets.by_asker.len(), BUCKETS_MAX);
        assert_eq!(left(buckets.take(key(-2), rate, 5_000)), Ok(0));
        assert_eq!(buckets.by_asker.len(), 1);
    }

    #[test]
    fn an_answer_tells_every_quota_and_a_refusal_when_to_come_again() {
        let quota = |policy, left, wait_ms| Quota { policy, rate: rate(10, 25), left, wait_ms };
        let shown = Shown::default();
        shown.note(quota(Policy::Address, 7, 1_800));
        shown.note(quota(Policy::Default, 0, 1_200));
        shown.note(quota(Policy::Default, 24, 100));
        let mut response = TooFast(quota(Policy::Default, 0, 1_200)).into_response();
        shown.put_into(&mut response);
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(header("Retry-After"), "2");
        assert_eq!(header("RateLimit-Policy"), "\"address\";q=25;w=3, \"default\";q=25;w=3");
        assert_eq!(header("RateLimit"), "\"address\";r=7;t=2, \"default\";r=0;t=2");
    }

    #[test]
    fn a_subscribers_network_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::9"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
