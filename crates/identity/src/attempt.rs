//! How often somebody may guess.
//!
//! Attempts are counted for the user that is tried and for the network address they come from. Beyond the configured number
//! each further one must wait twice as long as the one before. The counts are in memory, so that many at once are counted
//! and no guesser can make the database grow; those of users who exist are also kept in one row each, so that a restart
//! forgives nobody, and an administrator can lift them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use db::{Tx, args, record, sql};
use runtime::{Parts, Runtime, Scope};
use serde::Serialize;
use types::event::Access;
use types::{Code, Error, Event, Permission, Result, TenantId, Timestamp, UserId};

use crate::factor::{self, Security};
use crate::journal::{self, Kind};
use crate::{name, user};

/// The counts that are kept; beyond them the one that rested longest is forgotten.
const COUNTS_MAX: usize = 20_000;
/// The first wait; each further failure doubles it.
const WAIT_FIRST_MS: i64 = 5_000;

/// Which step of signing in is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The password.
    First,
    /// The code behind it.
    Second,
}

impl Step {
    /// The name that rows hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }

    fn name(self, user: &str) -> String {
        format!("{} {user}", self.as_str())
    }
}

/// Failures in a row, and the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub failures: u32,
    /// When the last was.
    pub last: Timestamp,
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

    /// Counts an attempt before it is made, so that many at once are counted too, and gives the user's failures with this
    /// one. [`Attempts::forgive`] takes back one that was right. `kept` is what the database has of the user, for the first
    /// attempt after a restart.
    ///
    /// # Errors
    /// [`Code::TooManyRequests`] with the seconds to wait; such an attempt is not counted.
    pub fn admit(
        &self,
        step: Step,
        user: &str,
        address: Option<&str>,
        now: Timestamp,
        kept: Option<Count>,
    ) -> Result<u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names(step, user, address);
        if let (Some(kept), Some(user)) = (kept, names.first())
            && !counts.contains_key(user)
        {
            counts.insert(user.clone(), kept);
        }
        let wait =
            names.iter().filter_map(|name| counts.get(name)).map(|count| self.wait_ms(count, now)).max();
        if let Some(wait) = wait.filter(|wait| *wait > 0) {
            let seconds = u32::try_from(wait.div_euclid(1_000) + 1).unwrap_or(u32::MAX);
            return Err(Error::new(Code::TooManyRequests, "too many failed attempts").retry_after_s(seconds));
        }
        let mut of_user = 0;
        for (at, name) in names.into_iter().enumerate() {
            if counts.len() >= COUNTS_MAX && !counts.contains_key(&name) {
                self.make_room(&mut counts, now);
            }
            let count = counts.entry(name).or_insert(Count { failures: 0, last: now });
            if now.since_ms(count.last) > self.window_ms {
                count.failures = 0;
            }
            *count = Count { failures: count.failures.saturating_add(1), last: now };
            if at == 0 {
                of_user = count.failures;
            }
        }
        Ok(of_user)
    }

    /// Takes back an attempt that was right: the user's failures are forgotten, the address's become one less.
    pub fn forgive(&self, step: Step, user: &str, address: Option<&str>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let [user, rest @ ..] = &names(step, user, address)[..] else { return };
        counts.remove(user);
        for name in rest {
            if let Some(count) = counts.get_mut(name) {
                count.failures = count.failures.saturating_sub(1);
            }
        }
    }

    /// Takes back an attempt that nobody looked at: it is as if it had not been made.
    pub fn take_back(&self, step: Step, user: &str, address: Option<&str>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names(step, user, address) {
            if let Some(count) = counts.get_mut(&name) {
                count.failures = count.failures.saturating_sub(1);
            }
        }
    }

    /// Whether so many failures in a row are the first from which each further one must wait.
    pub fn is_threshold(&self, failures: u32) -> bool {
        failures == self.free
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

/// Keeps a user's failures, in the transaction that notes the last of them.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn keep(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    step: Step,
    count: Count,
) -> Result<()> {
    tx.execute(
        sql!(
            "insert into failed_sign_in (user_id, step, tenant_id, failures, last_at) values ($2, $3, $1, $4, $5) \
             on conflict (user_id, step) do update set failures = excluded.failures, last_at = excluded.last_at"
        ),
        args![tenant, user, step.as_str(), i64::from(count.failures), count.last],
    )
    .await?;
    Ok(())
}

/// Forgets a user's failures, in the transaction of their success.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn forget(tx: &mut Tx, tenant: TenantId, user: UserId, step: Step) -> Result<()> {
    tx.execute(
        sql!("delete from failed_sign_in where tenant_id = $1 and user_id = $2 and step = $3"),
        args![tenant, user, step.as_str()],
    )
    .await?;
    Ok(())
}

record! {
    struct FailedRow {
        failures: u32,
        last_at: Timestamp,
    }
}

/// What the database has of a user's failures.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn kept(tx: &mut Tx, tenant: TenantId, user: UserId, step: Step) -> Result<Option<Count>> {
    let row: Option<FailedRow> = tx
        .optional(
            sql!(
                "select failures, last_at from failed_sign_in where tenant_id = $1 and user_id = $2 and step = $3"
            ),
            args![tenant, user, step.as_str()],
        )
        .await?;
    Ok(row.map(|row| Count { failures: row.failures, last: row.last_at }))
}

/// Whether a user must wait before the next attempt.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Lockout {
    /// Failed attempts in a row, over both steps.
    pub failures: u32,
    /// The last of them.
    pub last_at: Timestamp,
    /// Until when attempts are refused unseen; absent when the next is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A user's failed attempts, as long as they count.
pub(crate) async fn lockout(
    tx: &mut Tx,
    runtime: &Runtime,
    tenant: TenantId,
    user: UserId,
) -> Result<Option<Lockout>> {
    let (attempts, now) = (runtime.kept(Attempts::new), runtime.clock.now());
    let mut found: Option<Lockout> = None;
    for step in [Step::First, Step::Second] {
        let Some(count) = kept(tx, tenant, user, step).await? else { continue };
        if now.since_ms(count.last) > attempts.window_ms {
            continue;
        }
        let wait = attempts.wait_ms(&count, now);
        let until = (wait > 0).then(|| now.plus_ms(wait));
        found = Some(match found {
            None => Lockout { failures: count.failures, last_at: count.last, until },
            Some(other) => Lockout {
                failures: other.failures + count.failures,
                last_at: other.last_at.max(count.last),
                until: other.until.max(until),
            },
        });
    }
    Ok(found)
}

/// Lets a user who was locked out try again at once.
///
/// # Errors
/// Without `user.security`; `not_found`; `forbidden` for a user who may do more than the caller.
pub async fn unlock(scope: &Scope, id: UserId) -> Result<Security> {
    scope.require(Permission::UserSecurity)?;
    let mut write = scope.write().await?;
    let user = user::find(&mut write, scope.tenant(), id).await?;
    user::may_govern(&mut write, scope, &user).await?;
    for step in [Step::First, Step::Second] {
        forget(&mut write, scope.tenant(), id, step).await?;
    }
    journal::note(&mut write, scope, id, Kind::Unlocked, None, None).await?;
    write.happened(Event::UserUnlocked(Access {
        who: user.email.clone(),
        by: "administrator".to_owned(),
        reason: None,
    }));
    let left = factor::read(&mut write, scope, &user).await?;
    let left = write.commit(left).await?;
    let attempts = scope.runtime().kept(Attempts::new);
    for step in [Step::First, Step::Second] {
        attempts.forgive(step, &name::folded(&user.email), None);
    }
    Ok(left)
}

/// How often mails may be asked for.
#[derive(Debug)]
pub(crate) struct MailAsks(Attempts);

impl MailAsks {
    pub(crate) fn new(parts: &Parts) -> Self {
        let security = &parts.config.security;
        Self(Attempts::with(security.mails_max, i64::from(security.login_window_s) * 1_000))
    }

    /// Counts a mail that is asked for an address, whether or not anybody has it.
    ///
    /// # Errors
    /// [`Code::TooManyRequests`] with the seconds to wait.
    pub(crate) fn admit(&self, email: &str, from: Option<&str>, now: Timestamp) -> Result<()> {
        self.0.admit(Step::First, email, from, now, None).map(drop).map_err(|error| {
            let seconds = error.retry_after().unwrap_or(60);
            Error::new(Code::TooManyRequests, "too many mails were asked for").retry_after_s(seconds)
        })
    }
}

/// How often codes may be sent to a phone.
#[derive(Debug)]
pub(crate) struct SmsAsks(Attempts);

impl SmsAsks {
    pub(crate) fn new(parts: &Parts) -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self(Attempts::with(parts.config.security.sms_codes_max, HOUR_MS))
    }

    /// Counts a code that is to be sent to a number, whosever it is.
    ///
    /// # Errors
    /// [`Code::TooManyRequests`] with the seconds to wait.
    pub(crate) fn admit(&self, phone: &str, from: Option<&str>, now: Timestamp) -> Result<()> {
        self.0.admit(Step::Second, phone, from, now, None).map(drop).map_err(|error| {
            let seconds = error.retry_after().unwrap_or(60);
            Error::new(Code::TooManyRequests, "too many codes were asked for").retry_after_s(seconds)
        })
    }
}

/// The user's count and the address's.
fn names(step: Step, user: &str, address: Option<&str>) -> Vec<String> {
    let mut names = vec![step.name(user)];
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
            attempts.admit(Step::First, "ana", Some("10.0.0.1"), at(0), None).unwrap();
        }
        let refused = attempts.admit(Step::First, "ana", Some("10.0.0.1"), at(1), None).unwrap_err();
        assert_eq!((refused.code(), refused.retry_after()), (Code::TooManyRequests, Some(5)));
        attempts.admit(Step::First, "ana", Some("10.0.0.2"), at(6), None).unwrap();
        assert_eq!(
            attempts.admit(Step::First, "ana", None, at(7), None).unwrap_err().retry_after(),
            Some(10)
        );
        attempts.admit(Step::First, "bob", Some("10.0.0.3"), at(7), None).unwrap();
        assert!(
            attempts.admit(Step::First, "bob", Some("10.0.0.1"), at(2), None).is_err(),
            "the address waits too"
        );
        attempts.admit(Step::First, "ana", None, at(100), None).unwrap();
        attempts.admit(Step::First, "ana", None, at(100), None).unwrap();
    }

    #[test]
    fn a_right_one_is_forgiven() {
        let attempts = Attempts::with(2, 60_000);
        for _ in 0..50 {
            attempts.admit(Step::First, "ana", Some("10.0.0.1"), at(0), None).unwrap();
            attempts.forgive(Step::First, "ana", Some("10.0.0.1"));
        }
    }

    #[test]
    fn what_was_kept_counts_after_a_restart_and_the_steps_count_apart() {
        let kept = Some(Count { failures: 4, last: at(0) });
        let attempts = Attempts::with(3, 60_000);
        assert_eq!(
            attempts.admit(Step::First, "ana", None, at(1), kept).unwrap_err().retry_after(),
            Some(10)
        );
        assert_eq!(attempts.admit(Step::Second, "ana", None, at(1), None).unwrap(), 1);
        // What is in memory is newer than what was kept.
        attempts.forgive(Step::First, "ana", None);
        assert_eq!(attempts.admit(Step::First, "ana", None, at(100), kept).unwrap(), 1);
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
            attempts.admit(Step::First, &n.to_string(), None, at(n as i64 / 1_000), None).unwrap();
        }
        assert_eq!(attempts.counts.lock().unwrap().len(), COUNTS_MAX);
    }
}
