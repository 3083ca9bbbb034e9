//! A phone that codes go to by SMS: a restricted authenticator (NIST SP 800-63B-4 §3.1.3.3 and §3.2.9), because a number can
//! be taken over by whoever talks its carrier into it. So a tenant must allow it, it stands in for another factor unless the
//! tenant says otherwise, and codes are bounded by person, number, tenant and country.
//!
//! A code goes through the tenant's own gateway ([`Courier`]), as a message whose text nobody reads there.

use std::sync::{Arc, OnceLock};

use db::{Tx, args, record, sql};
use futures::future::BoxFuture;
use runtime::secrets::{constant_time_eq, sha256_hex};
use runtime::{Runtime, Scope, Write};
use serde::Serialize;
use types::{Address, Code, Error, Result, TenantId, Timestamp, Ton, UserId, mask};

use super::{Security, backup, changed, notice, six_digits, tidy_up, totp};
use crate::attempt::SmsAsks;
use crate::journal::{self, Kind};
use crate::policy::{self, SignInPolicy};
use crate::{device, domain, user};

mod texts;

/// Tries of one code that confirms a number.
const TRIES_MAX: i64 = 5;
/// The time over which codes are counted.
const HOUR_MS: i64 = 3_600_000;

/// A message that carries a code.
#[derive(Debug)]
pub struct CodeMessage {
    /// The number, digits alone.
    pub to: String,
    /// Who it comes from, where the tenant says so.
    pub from: Option<String>,
    /// What the phone shows.
    pub text: String,
    /// The same with zeros for the code: what everybody else sees.
    pub shown: String,
    /// For how long it is worth something.
    pub validity_s: u64,
}

/// Who hands codes over to phones: the gateway of the scope's tenant.
pub trait Courier: Send + Sync {
    /// Accepts a code: it is durable when this returns, and its text is read by nobody who may look at messages.
    fn accept<'a>(&'a self, scope: &'a Scope, code: &'a CodeMessage) -> BoxFuture<'a, Result<()>>;
}

#[derive(Default)]
struct Gateway(OnceLock<Arc<dyn Courier>>);

/// Names who carries codes. Called once, at the start.
pub fn name_courier(runtime: &Runtime, courier: Arc<dyn Courier>) {
    // A second call would be a second start of the same runtime; the first one's word stands.
    let _ = runtime.kept(|_| Gateway::default()).0.set(courier);
}

/// The phone of a user that codes go to.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Phone {
    /// Its number, masked.
    #[schema(example = "+336******78")]
    pub number: String,
    /// Since when it is known to be theirs.
    pub since: Timestamp,
    /// When somebody last signed in by a code that went to it.
    pub last_used_at: Option<Timestamp>,
    /// Whether codes go to it: the tenant allows that, and numbers that begin so.
    pub in_use: bool,
    /// Whether it is a second factor by itself, with nothing beside it.
    pub alone: bool,
}

/// What a phone that counts now has brought.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Confirmed {
    /// Backup codes, each good once and shown this once; empty where the person has some, or nothing that they stand in for.
    pub backup_codes: Vec<String>,
}

record! { struct Held { phone: String, confirmed_at: Timestamp, last_used_at: Option<Timestamp> } }
record! { struct Wanted { wanted: String, wanted_hash: String } }
record! { struct Sent { of_tenant: i64, of_user: i64, of_phone: i64 } }

/// The confirmed number of a user, and whether codes go to it.
pub(crate) async fn of(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    policy: &SignInPolicy,
) -> Result<Option<(Phone, String)>> {
    let held: Option<Held> = tx
        .optional(
            sql!(
                "select phone, confirmed_at, last_used_at from user_phone where tenant_id = $1 and user_id = $2 \
                 and phone is not null and confirmed_at is not null"
            ),
            args![tenant, user],
        )
        .await?;
    Ok(held.map(|held| {
        let in_use = policy.texts_to(&held.phone);
        let phone = Phone {
            number: mask::identifier(&format!("+{}", held.phone)),
            since: held.confirmed_at,
            last_used_at: held.last_used_at,
            in_use,
            alone: in_use && policy.sms_alone,
        };
        (phone, held.phone)
    }))
}

/// Reads a number that a person gives.
fn number(given: &str) -> Result<String> {
    let refused = |why: String| {
        Error::new(Code::InvalidRecipient, why)
            .at("phone")
            .hint("give the number in international form, such as +33612345678")
    };
    let address = Address::recipient(given).map_err(|error| refused(error.message().to_owned()))?;
    if address.ton != Ton::INTERNATIONAL {
        return Err(refused(format!("{given:?} is a short code, which is nobody's phone")));
    }
    Ok(address.text)
}

pub(crate) fn not_offered() -> Error {
    Error::new(Code::Conflict, "no code can be sent to a phone here")
        .hint("an administrator allows codes by SMS, and says for which countries, under Sign-in")
}

/// Begins to add a phone of one's own, or to put another in its place: a code is sent to it. The present number stays until
/// the code was shown.
///
/// # Errors
/// `forbidden` for a program, and for who acts as another; `step_up_required`; `conflict` where the tenant allows no codes by
/// SMS; `invalid_recipient` at `phone`; `invalid_value` there for a country that the tenant does not allow;
/// `too_many_requests`; `unavailable` when no message can be sent.
pub async fn begin(scope: &Scope, given: &str) -> Result<()> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, scope.tenant(), id).await?;
    let policy = policy::read(&mut tx, scope.tenant()).await?;
    drop(tx);
    if !policy.sms_codes {
        return Err(not_offered());
    }
    let phone = number(given)?;
    if !policy.texts_to(&phone) {
        let why =
            format!("no code is sent to numbers like this one, but to {}", policy.sms_prefixes.join(", "));
        return Err(Error::invalid("phone", why));
    }
    let code = six_digits();
    let hash = hashes(scope.runtime(), id, &phone, &code).into_iter().next().unwrap_or_default();
    let mut write = scope.write().await?;
    admit(&mut write, scope, id, &phone, &policy).await?;
    write
        .execute(
            sql!(
                "insert into user_phone (user_id, tenant_id, wanted, wanted_hash, wanted_until, wanted_tries, created_at) \
                 values ($2, $1, $3, $4, $5, 0, $6) on conflict (user_id) do update set wanted = excluded.wanted, \
                 wanted_hash = excluded.wanted_hash, wanted_until = excluded.wanted_until, wanted_tries = 0"
            ),
            args![scope.tenant(), id, &phone, hash, until(scope), scope.now()],
        )
        .await?;
    journal::note(&mut write, scope, id, Kind::CodeTexted, Some(masked(&phone)), None).await?;
    write.commit(serde_json::json!({})).await?;
    hand_over(scope, &user.language, &policy, &phone, &code).await
}

/// Makes the number count, by the code that was sent to it. Whoever had no second factor before, where a phone is one, gets
/// backup codes, shown this once.
///
/// # Errors
/// `code_refused` at `code`, the same whether it is wrong, too old or tried too often; `forbidden`; `step_up_required`;
/// `conflict` where no number is being added.
pub async fn confirm(scope: &Scope, code: &str) -> Result<Confirmed> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let tenant = scope.tenant();
    let user = user::find(&mut scope.read().await?, tenant, id).await?;
    let wanted = tried(scope, id).await?;
    let Some(wanted) = wanted else { return Err(totp::refused()) };
    let given = totp::plain(code);
    let right = hashes(scope.runtime(), id, &wanted.wanted, &given)
        .iter()
        .fold(false, |right, hash| constant_time_eq(hash, &wanted.wanted_hash) | right);
    if !right {
        return Err(totp::refused());
    }
    let what = format!("phone {}", masked(&wanted.wanted));
    let notice = notice(scope, &user, &format!("{what} added")).await?;
    let mut write = scope.write().await?;
    let policy = policy::read(&mut write, tenant).await?;
    let had = super::has_any_under(&mut write, tenant, id, &policy).await?;
    let taken = write
        .execute(
            sql!(
                "update user_phone set phone = wanted, confirmed_at = $4, last_used_at = null, wanted = null, \
                 wanted_hash = null, wanted_until = null where tenant_id = $1 and user_id = $2 and wanted_hash = $3 \
                 and wanted_until > $4"
            ),
            args![tenant, id, &wanted.wanted_hash, scope.now()],
        )
        .await?;
    if taken == 0 {
        return Err(totp::refused());
    }
    forget_codes(&mut write, tenant, id).await?;
    // Browsers were remembered by what stood there before.
    device::distrust_all(&mut write, tenant, id).await?;
    let has = super::has_any_under(&mut write, tenant, id, &policy).await?;
    let codes = if has && !had { backup::insert(&mut write, scope, id).await? } else { Vec::new() };
    changed(&mut write, scope, &user, Kind::FactorAdded, &what, notice.as_ref()).await?;
    // The codes are shown this once, and lie in no table.
    write.commit_keeping(&Confirmed { backup_codes: Vec::new() }).await?;
    scope.runtime().job_wake.notify_one();
    Ok(Confirmed { backup_codes: codes })
}

/// Counts a try before it is made, and gives what it is held against; nothing where that is over.
async fn tried(scope: &Scope, id: UserId) -> Result<Option<Wanted>> {
    record! { struct Begun { wanted: Option<String> } }
    // The kept answer of a keyed request belongs to what follows, and not to the count.
    let mut write = scope.without_key().write().await?;
    let begun: Option<Begun> = write
        .optional(
            sql!("select wanted from user_phone where tenant_id = $1 and user_id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    if begun.and_then(|begun| begun.wanted).is_none() {
        return Err(Error::new(Code::Conflict, "no phone is being added"));
    }
    let counted = write
        .execute(
            sql!(
                "update user_phone set wanted_tries = wanted_tries + 1 where tenant_id = $1 and user_id = $2 \
                 and wanted_tries < $3 and wanted_until > $4"
            ),
            args![scope.tenant(), id, TRIES_MAX, scope.now()],
        )
        .await?;
    let wanted = write
        .optional(
            sql!(
                "select wanted, wanted_hash from user_phone where tenant_id = $1 and user_id = $2 and wanted_hash is not null"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    write.commit(()).await?;
    Ok(wanted.filter(|_| counted == 1))
}

/// Removes one's own phone, and a number that is being added.
///
/// # Errors
/// `forbidden` for a program; `step_up_required`; `conflict` where it is the last second factor and the tenant demands one.
pub async fn remove(scope: &Scope) -> Result<Security> {
    let id = user::person(scope)?;
    scope.require_fresh()?;
    let tenant = scope.tenant();
    let mut tx = scope.read().await?;
    let user = user::find(&mut tx, tenant, id).await?;
    let policy = policy::read(&mut tx, tenant).await?;
    let held = of(&mut tx, tenant, id, &policy).await?;
    drop(tx);
    let what = held.map(|(phone, _)| format!("phone {}", phone.number));
    let notice = match &what {
        Some(what) => notice(scope, &user, &format!("{what} removed")).await?,
        None => None,
    };
    let mut write = scope.write().await?;
    write
        .execute(sql!("delete from user_phone where tenant_id = $1 and user_id = $2"), args![tenant, id])
        .await?;
    if let Some(what) = what {
        forget_codes(&mut write, tenant, id).await?;
        super::keep_demanded(&mut write, scope, &user).await?;
        tidy_up(&mut write, tenant, id).await?;
        changed(&mut write, scope, &user, Kind::FactorRemoved, &what, notice.as_ref()).await?;
    }
    let left = super::read(&mut write, scope, &user).await?;
    let left = write.commit(left).await?;
    scope.runtime().job_wake.notify_one();
    Ok(left)
}

/// Codes that went to the former number open nothing any more.
async fn forget_codes(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<()> {
    tx.execute(
        sql!(
            "update pending_sign_in set sms_code_hash = null, sms_code_until = null where tenant_id = $1 and user_id = $2"
        ),
        args![tenant, id],
    )
    .await?;
    Ok(())
}

/// Notes that a code of the phone was used, in the transaction that it opens the door in.
pub(crate) async fn note_use(tx: &mut Tx, scope: &Scope, id: UserId) -> Result<()> {
    tx.execute(
        sql!("update user_phone set last_used_at = $3 where tenant_id = $1 and user_id = $2"),
        args![scope.tenant(), id, scope.now()],
    )
    .await?;
    Ok(())
}

/// Counts a code for a person, a number and the tenant, in the transaction that keeps its hash. In memory it is counted for
/// the number over all tenants, and for where it is asked from.
///
/// # Errors
/// `too_many_requests` beyond one of the bounds.
pub(crate) async fn admit(
    write: &mut Write,
    scope: &Scope,
    user: UserId,
    phone: &str,
    policy: &SignInPolicy,
) -> Result<()> {
    let (tenant, now) = (scope.tenant(), scope.now());
    scope.runtime().kept(SmsAsks::new).admit(phone, scope.origin().from.as_deref(), now)?;
    // One after the other of a tenant, or many at once would all be counted as the first.
    write
        .execute(
            sql!("update sign_in_policy set changed_at = changed_at where tenant_id = $1"),
            args![tenant],
        )
        .await?;
    let since = now.plus_ms(-HOUR_MS);
    let sent: Sent = write
        .one(
            sql!(
                "select count(*) as of_tenant, \
                 cast(coalesce(sum(case when user_id = $3 then 1 else 0 end), 0) as bigint) as of_user, \
                 cast(coalesce(sum(case when phone = $4 then 1 else 0 end), 0) as bigint) as of_phone \
                 from sms_code where tenant_id = $1 and at > $2"
            ),
            args![tenant, since, user, phone],
        )
        .await?;
    let each = i64::from(scope.runtime().config.security.sms_codes_max);
    if sent.of_tenant >= policy.sms_hour_max || sent.of_user >= each || sent.of_phone >= each {
        return Err(Error::new(Code::TooManyRequests, "too many codes were sent within an hour")
            .retry_after_s(u32::try_from(HOUR_MS / 1_000).unwrap_or(u32::MAX)));
    }
    write
        .execute(
            sql!("insert into sms_code (id, tenant_id, user_id, phone, at) values ($1, $2, $3, $4, $5)"),
            args![scope.runtime().ids.next::<types::kind::Job>(), tenant, user, phone, now],
        )
        .await?;
    Ok(())
}

/// Forgets the codes that no longer count, and the numbers that nobody has confirmed in time.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<()> {
    tx.execute(
        sql!("delete from sms_code where at <= $1 /* every tenant: age alone decides */"),
        args![now.plus_ms(-HOUR_MS)],
    )
    .await?;
    tx.execute(
        sql!("delete from user_phone where phone is null and wanted_until <= $1 /* every tenant: age alone decides */"),
        args![now],
    )
    .await?;
    tx.execute(
        sql!(
            "update user_phone set wanted = null, wanted_hash = null, wanted_until = null where wanted_until <= $1 \
             /* every tenant: age alone decides */"
        ),
        args![now],
    )
    .await?;
    Ok(())
}

/// Hands a code over to the gateway; it is durable when this returns. Why the gateway refuses is told to the log and not to
/// whoever signs in.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn hand_over(
    scope: &Scope,
    language: &str,
    policy: &SignInPolicy,
    phone: &str,
    code: &str,
) -> Result<()> {
    let runtime = scope.runtime();
    let console = domain::public_url(&mut scope.read().await?, runtime, scope.tenant()).await?;
    let minutes = runtime.config.security.sms_code_ttl_m;
    let text = |code: &str| texts::written(language, code, minutes, &console);
    let message = CodeMessage {
        to: phone.to_owned(),
        from: policy.sms_sender.clone(),
        text: text(code),
        shown: text("000000"),
        validity_s: u64::from(minutes) * 60,
    };
    let courier = runtime.kept(|_| Gateway::default()).0.get().cloned();
    let accepted = match &courier {
        Some(courier) => courier.accept(scope, &message).await,
        None => Err(Error::new(Code::Unavailable, "nobody carries messages here")),
    };
    accepted.map_err(|error| {
        tracing::warn!(tenant = %scope.tenant(), ?error, "a code to sign in could not be sent");
        Error::new(Code::Unavailable, "no code could be sent to your phone")
            .hint("take another way, or try again in a little while")
    })
}

/// Until when a code that is sent now can be used.
pub(crate) fn until(scope: &Scope) -> Timestamp {
    scope.now().plus_ms(i64::from(scope.runtime().config.security.sms_code_ttl_m) * 60_000)
}

pub(crate) fn masked(phone: &str) -> String {
    mask::identifier(&format!("+{phone}"))
}

/// A code is short: its hash is keyed, one for each root key, so that the database says nothing about it.
fn hashes(runtime: &Runtime, user: UserId, phone: &str, code: &str) -> Vec<String> {
    let keyed = |key: &[u8; 32]| sha256_hex([&key[..], format!("{user} {phone} {code}").as_bytes()].concat());
    runtime.vault.derive("code to a phone").iter().map(|key| keyed(key)).collect()
}

/// The number, masked, that one is about to add and whose code is awaited.
///
/// # Errors
/// `forbidden` for a program.
pub(crate) async fn wanted(scope: &Scope) -> Result<Option<String>> {
    record! { struct Begun { wanted: String } }
    let begun: Option<Begun> = scope
        .read()
        .await?
        .optional(
            sql!(
                "select wanted from user_phone where tenant_id = $1 and user_id = $2 and wanted is not null and wanted_until > $3"
            ),
            args![scope.tenant(), user::person(scope)?, scope.now()],
        )
        .await?;
    Ok(begun.map(|begun| masked(&begun.wanted)))
}
