//! The second step: a pending sign-in asks for a code, a passkey or, where the tenant allows it, a code by mail or SMS; or, of who
//! must have a second factor and has none, to add one. Its token is in the browser's cookie and nowhere else; it waits for
//! minutes and bears few tries.

use db::{Tenancy, args, record, sql};
use runtime::config::Secret;
use runtime::secrets::{sha256_hex, token};
use runtime::{Runtime, Scope, Write};
use types::{Code, Error, Result, TenantId, Timestamp, UserId};

use super::{Browser, Candidate, note_refusal};
use crate::attempt::{self, Attempts, MailAsks, Step};
use crate::factor::totp::{self, Enrolment};
use crate::factor::{backup, passkey};
use crate::journal::{self, Kind};
use crate::mail::{self, Letter, Mail};
use crate::policy::{self, SignInPolicy};
use crate::session::{self, SignedIn};
use crate::{factor, name};

/// Tries of one pending sign-in; after them it begins anew.
const TRIES_MAX: i64 = 5;
/// Pending sign-ins of one user; a further one replaces the oldest.
const PENDING_MAX: i64 = 10;
/// Codes that one pending sign-in mails.
const MAIL_CODES_MAX: i64 = 3;
/// Codes that one pending sign-in sends to a phone.
const SMS_CODES_MAX: i64 = 3;
/// How long a mailed code can be used.
const MAIL_CODE_M: u32 = 10;

/// A sign-in whose first step is made: its token goes into the cookie and nowhere else.
#[derive(Debug)]
pub struct Begun {
    /// The token.
    pub token: Secret,
    /// Until when it waits.
    pub expires_at: Timestamp,
}

/// What a pending sign-in waits for.
pub struct Pending {
    pub(crate) candidate: Candidate,
    pub(crate) scope: Scope,
    /// How the first step was made.
    pub first_step: String,
    /// Where the person wanted to go.
    pub back: String,
    /// Whether a second factor is to be added first.
    pub enrol: bool,
    /// Whether there is an authenticator.
    pub has_authenticator: bool,
    /// Whether there are passkeys.
    pub has_passkeys: bool,
    /// Whether a code can be mailed.
    pub may_mail: bool,
    /// Whether one was, that can still be used.
    pub mailed: bool,
    /// The number, masked, that a code can be sent to.
    pub phone: Option<String>,
    /// Whether a code was sent there, that can still be used.
    pub texted: bool,
    /// The number itself.
    number: Option<String>,
    policy: SignInPolicy,
    /// The language that the person reads.
    pub language: String,
}

record! {
    struct Row {
        tenant_id: TenantId,
        user_id: UserId,
        first_step: String,
        back: String,
        enrol: bool,
        mail_code_until: Option<Timestamp>,
        mail_codes: i64,
        sms_code_until: Option<Timestamp>,
        sms_codes: i64,
    }
}
record! { struct Taken { by_phone: i64 } }

fn expired() -> Error {
    Error::new(Code::SignInExpired, "this sign-in is over: it took too long, or was tried too often")
}

/// Begins to wait for the second step, in the transaction of the first.
pub(super) async fn begin(
    mut write: Write,
    scope: &Scope,
    candidate: &Candidate,
    first_step: &str,
    back: &str,
    enrol: bool,
) -> Result<Begun> {
    let (tenant, id, now) = (candidate.tenant_id, candidate.id, scope.now());
    let secret = token(32).map_err(Error::internal)?;
    let minutes = i64::from(scope.runtime().config.security.second_step_ttl_m);
    let expires_at = now.plus_ms(minutes * 60_000);
    write
        .execute(
            sql!(
                "delete from pending_sign_in where tenant_id = $1 and user_id = $2 and (expires_at <= $3 or token_hash not in \
                 (select token_hash from pending_sign_in where tenant_id = $1 and user_id = $2 \
                 order by created_at desc limit $4))"
            ),
            args![tenant, id, now, PENDING_MAX - 1],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into pending_sign_in (token_hash, tenant_id, user_id, first_step, back, enrol, created_at, expires_at, \
                 tries, mail_codes) values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)"
            ),
            args![sha256_hex(&secret), tenant, id, first_step, back, enrol, now, expires_at],
        )
        .await?;
    write.commit(()).await?;
    Ok(Begun { token: Secret::new(secret), expires_at })
}

/// What the sign-in of a browser's cookie waits for.
///
/// # Errors
/// `sign_in_expired`.
pub async fn find(runtime: &Runtime, token: &str, browser: &Browser) -> Result<Pending> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let row: Option<Row> = tx
        .optional(
            sql!(
                "select tenant_id, user_id, first_step, back, enrol, mail_code_until, mail_codes, sms_code_until, sms_codes from pending_sign_in \
                 where token_hash = $1 and expires_at > $2 and tries < $3 /* every tenant: the token says whose it is */"
            ),
            args![sha256_hex(token), runtime.clock.now(), TRIES_MAX],
        )
        .await?;
    let row = row.ok_or_else(expired)?;
    let candidate = Candidate::by_id(&mut tx, row.tenant_id, row.user_id).await?;
    let candidate = candidate.filter(|one| one.may_enter_at(browser)).ok_or_else(expired)?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let policy = policy::read(&mut tx, row.tenant_id).await?;
    let has_authenticator = factor::authenticator(&mut tx, row.tenant_id, row.user_id).await?.is_some();
    let has_passkeys = !factor::passkeys(&mut tx, row.tenant_id, row.user_id).await?.is_empty();
    let phone = factor::phone::of(&mut tx, row.tenant_id, row.user_id, &policy).await?;
    let phone = phone.filter(|(phone, _)| phone.in_use);
    let alone = phone.as_ref().is_some_and(|(phone, _)| phone.alone);
    let has_any = has_authenticator || has_passkeys || alone;
    let phone = phone.filter(|_| has_any);
    let may_mail = policy.mail_codes
        && has_any
        && mail::is_on(runtime)
        && candidate.email_verified_at.is_some()
        && row.mail_codes < MAIL_CODES_MAX;
    Ok(Pending {
        language: candidate.language.clone(),
        candidate,
        scope,
        first_step: row.first_step,
        back: row.back,
        enrol: row.enrol && !has_any,
        has_authenticator,
        has_passkeys,
        may_mail,
        mailed: row.mail_code_until.is_some_and(|until| until > runtime.clock.now()),
        texted: phone.is_some() && row.sms_code_until.is_some_and(|until| until > runtime.clock.now()),
        phone: phone
            .as_ref()
            .filter(|_| row.sms_codes < SMS_CODES_MAX)
            .map(|(phone, _)| phone.number.clone()),
        number: phone.map(|(_, number)| number),
        policy,
    })
}

/// A second step that is about to be looked at: it is counted before, so that many at once are counted too.
async fn tried(runtime: &Runtime, pending: &Pending, token: &str, browser: &Browser) -> Result<u32> {
    let (candidate, now) = (&pending.candidate, runtime.clock.now());
    let kept = attempt::kept(
        &mut runtime.db.read(Tenancy::Tenant(candidate.tenant_id)).await?,
        candidate.tenant_id,
        candidate.id,
        Step::Second,
    )
    .await?;
    let email = name::folded(&candidate.email);
    let attempts = runtime.kept(Attempts::new);
    let failures = attempts.admit(Step::Second, &email, browser.origin.from.as_deref(), now, kept)?;
    let mut write = pending.scope.write().await?;
    let counted = write
        .execute(
            sql!(
                "update pending_sign_in set tries = tries + 1 where tenant_id = $1 and token_hash = $2 and tries < $3 \
                 and expires_at > $4"
            ),
            args![candidate.tenant_id, sha256_hex(token), TRIES_MAX, now],
        )
        .await?;
    write.commit(()).await?;
    if counted == 0 { Err(expired()) } else { Ok(failures) }
}

/// What was shown for the second step.
enum Shown {
    Step(i64),
    Backup(String),
    Sent(String),
    Passkey(passkey::Used),
}

impl Shown {
    const fn by(&self) -> &'static str {
        match self {
            Self::Step(_) => "totp",
            Self::Backup(_) => "backup code",
            Self::Sent(_) => "mailed code",
            Self::Passkey(_) => "passkey",
        }
    }
}

/// Makes the second step by a code: of the authenticator, from the list of backup codes, or one that was sent.
///
/// # Errors
/// `code_refused` at `code`; `sign_in_expired`; `too_many_requests` after repeated failures.
pub async fn by_code(
    runtime: &Runtime,
    token: &str,
    code: &str,
    remember: bool,
    browser: Browser,
) -> Result<(SignedIn, String)> {
    let pending = find(runtime, token, &browser).await?;
    let failures = tried(runtime, &pending, token, &browser).await?;
    let plain = totp::plain(code);
    let shown = if plain.len() == 6 && plain.bytes().all(|octet| octet.is_ascii_digit()) {
        match totp::step_of(&pending.scope, pending.candidate.id, &plain).await? {
            Some(step) => Shown::Step(step),
            None => Shown::Sent(plain),
        }
    } else {
        Shown::Backup(code.to_owned())
    };
    finish(runtime, &pending, token, shown, failures, remember, browser).await
}

/// Makes the second step by a passkey.
///
/// # Errors
/// `passkey_refused`; `sign_in_expired`; `too_many_requests` after repeated failures.
pub async fn by_passkey(
    runtime: &Runtime,
    token: &str,
    response: &passkey::Response,
    browser: Browser,
) -> Result<(SignedIn, String)> {
    let pending = find(runtime, token, &browser).await?;
    let failures = tried(runtime, &pending, token, &browser).await?;
    let used = passkey::answered(runtime, response).await?;
    if (used.tenant, used.user) != (pending.candidate.tenant_id, pending.candidate.id) {
        return Err(Error::new(
            Code::PasskeyRefused,
            "the passkey was not accepted: it is of another account",
        ));
    }
    let remember = response.remember;
    finish(runtime, &pending, token, Shown::Passkey(used), failures, remember, browser).await
}

/// Asks the browser for one of the user's passkeys.
///
/// # Errors
/// `sign_in_expired`; `unavailable` where passkeys cannot be used.
pub async fn ask_passkey(runtime: &Runtime, token: &str, browser: &Browser) -> Result<passkey::Challenge> {
    let pending = find(runtime, token, browser).await?;
    passkey::ask_of(&pending.scope, pending.candidate.id).await
}

/// Takes the pending sign-in away and opens the session, in one transaction with the use of what was shown: neither can be
/// used again.
async fn finish(
    runtime: &Runtime,
    pending: &Pending,
    token: &str,
    shown: Shown,
    failures: u32,
    remember: bool,
    browser: Browser,
) -> Result<(SignedIn, String)> {
    let (scope, candidate) = (&pending.scope, &pending.candidate);
    let mut write = scope.write().await?;
    let hash = sha256_hex(token);
    let (mailed, texted) = match &shown {
        Shown::Sent(code) => (Some(hashed("mailed", token, code)), Some(hashed("texted", token, code))),
        _ => (None, None),
    };
    let taken: Option<Taken> = write
        .optional(
            sql!(
                "delete from pending_sign_in where tenant_id = $1 and token_hash = $2 and (cast($3 as text) is null \
                 or (mail_code_hash = $3 and mail_code_until > $5) or (sms_code_hash = $4 and sms_code_until > $5)) \
                 returning cast(case when sms_code_hash = $4 then 1 else 0 end as bigint) as by_phone"
            ),
            args![candidate.tenant_id, hash, mailed.clone(), texted, scope.now()],
        )
        .await?;
    let by_phone = taken.as_ref().is_some_and(|taken| taken.by_phone == 1);
    let right = taken.is_some()
        && match &shown {
            Shown::Step(step) => totp::use_step(&mut write, scope, candidate.id, *step).await?,
            Shown::Backup(code) => {
                let used = backup::use_code(&mut write, scope, candidate.id, code).await?;
                if used {
                    let agent = browser.user_agent.as_deref();
                    journal::note(&mut write, scope, candidate.id, Kind::BackupCodeUsed, None, agent).await?;
                }
                used
            }
            Shown::Sent(_) => {
                // The number may have gone, or been forbidden, between the code and its return.
                let stands = !by_phone || pending.texted;
                if by_phone && stands {
                    factor::phone::note_use(&mut write, scope, candidate.id).await?;
                }
                stands
            }
            Shown::Passkey(used) => passkey::note_use(&mut write, scope, used).await?,
        };
    if !right {
        drop(write);
        if taken.is_none() && mailed.is_none() {
            return Err(expired());
        }
        note_refusal(runtime, candidate.clone(), (Step::Second, failures), "wrong code", browser);
        return Err(totp::refused());
    }
    attempt::forget(&mut write, candidate.tenant_id, candidate.id, Step::Second).await?;
    let by = format!("{}+{}", pending.first_step, if by_phone { "sms code" } else { shown.by() });
    let email = name::folded(&candidate.email);
    let from = browser.origin.from.clone();
    let signed = session::begin(write, scope, candidate, &by, browser, remember).await?;
    runtime.kept(Attempts::new).forgive(Step::Second, &email, from.as_deref());
    Ok((signed, pending.back.clone()))
}

/// A code that was sent is short: what is stored says nothing about it without the browser's token.
fn hashed(how: &'static str, token: &str, code: &str) -> String {
    sha256_hex(format!("{how} code {token} {code}"))
}

/// Mails a code, where the tenant allows that and the address is known to be the user's.
///
/// # Errors
/// `conflict` where it is not offered, or was often enough; `sign_in_expired`; `too_many_requests`.
pub async fn mail_code(runtime: &Runtime, token: &str, browser: &Browser) -> Result<()> {
    let pending = find(runtime, token, browser).await?;
    let (scope, candidate) = (&pending.scope, &pending.candidate);
    if !pending.may_mail {
        return Err(Error::new(Code::Conflict, "no code can be mailed for this sign-in"));
    }
    let now = scope.now();
    runtime.kept(MailAsks::new).admit(
        &name::folded(&candidate.email),
        browser.origin.from.as_deref(),
        now,
    )?;
    let code = factor::six_digits();
    let letter = Letter::Code { code: &code, minutes: MAIL_CODE_M };
    let mail = Mail::written(scope, &candidate.email, &candidate.language, &letter).await?;
    let mut write = scope.write().await?;
    let kept = write
        .execute(
            sql!(
                "update pending_sign_in set mail_code_hash = $3, mail_code_until = $4, mail_codes = mail_codes + 1 \
                 where tenant_id = $1 and token_hash = $2 and mail_codes < $5"
            ),
            args![
                candidate.tenant_id,
                sha256_hex(token),
                hashed("mailed", token, &code),
                now.plus_ms(i64::from(MAIL_CODE_M) * 60_000),
                MAIL_CODES_MAX
            ],
        )
        .await?;
    if kept == 0 {
        return Err(expired());
    }
    journal::note(
        &mut write,
        scope,
        candidate.id,
        Kind::MailAsked,
        Some("code".to_owned()),
        browser.user_agent.as_deref(),
    )
    .await?;
    mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// Sends a code to the person's phone, where the tenant allows that; it takes the place of the one before it.
///
/// # Errors
/// `conflict` where it is not offered, or was often enough; `sign_in_expired`; `too_many_requests`; `unavailable` when the
/// gateway does not take it.
pub async fn text_code(runtime: &Runtime, token: &str, browser: &Browser) -> Result<()> {
    let pending = find(runtime, token, browser).await?;
    let (scope, candidate) = (&pending.scope, &pending.candidate);
    let (Some(masked), Some(number)) = (&pending.phone, &pending.number) else {
        return Err(Error::new(Code::Conflict, "no code can be sent to a phone for this sign-in"));
    };
    let code = factor::six_digits();
    let mut write = scope.write().await?;
    factor::phone::admit(&mut write, scope, candidate.id, number, &pending.policy).await?;
    let kept = write
        .execute(
            sql!(
                "update pending_sign_in set sms_code_hash = $3, sms_code_until = $4, sms_codes = sms_codes + 1 \
                 where tenant_id = $1 and token_hash = $2 and sms_codes < $5 and expires_at > $6"
            ),
            args![
                candidate.tenant_id,
                sha256_hex(token),
                hashed("texted", token, &code),
                factor::phone::until(scope),
                SMS_CODES_MAX,
                scope.now()
            ],
        )
        .await?;
    if kept == 0 {
        return Err(expired());
    }
    let agent = browser.user_agent.as_deref();
    journal::note(&mut write, scope, candidate.id, Kind::CodeTexted, Some(masked.clone()), agent).await?;
    write.commit(()).await?;
    // What is kept comes first: a code that is on its way and is not known would open nothing.
    factor::phone::hand_over(scope, &candidate.language, &pending.policy, number, &code).await
}

/// The authenticator that the person is to add before they get in.
///
/// # Errors
/// `sign_in_expired`; `conflict` where they have a second factor.
pub async fn enrolment(pending: &Pending) -> Result<Enrolment> {
    totp::begin(&pending.scope).await
}

/// Adds the authenticator and lets the person in; gives their backup codes, shown this once.
///
/// # Errors
/// `code_refused` at `code`; `sign_in_expired`; `too_many_requests` after repeated failures.
pub async fn enrol(
    runtime: &Runtime,
    token: &str,
    code: &str,
    browser: Browser,
) -> Result<(SignedIn, String, Vec<String>)> {
    let pending = find(runtime, token, &browser).await?;
    if !pending.enrol {
        return Err(expired());
    }
    let failures = tried(runtime, &pending, token, &browser).await?;
    let (scope, candidate) = (&pending.scope, &pending.candidate);
    let codes = match totp::confirm(scope, code).await {
        Ok(codes) => codes,
        Err(error) => {
            if error.code() == Code::CodeRefused {
                note_refusal(runtime, candidate.clone(), (Step::Second, failures), "wrong code", browser);
            }
            return Err(error);
        }
    };
    let mut write = scope.write().await?;
    let taken = write
        .execute(
            sql!("delete from pending_sign_in where tenant_id = $1 and token_hash = $2"),
            args![candidate.tenant_id, sha256_hex(token)],
        )
        .await?;
    if taken == 0 {
        return Err(expired());
    }
    attempt::forget(&mut write, candidate.tenant_id, candidate.id, Step::Second).await?;
    let email = name::folded(&candidate.email);
    let from = browser.origin.from.clone();
    let by = format!("{}+totp", pending.first_step);
    let signed = session::begin(write, scope, candidate, &by, browser, false).await?;
    runtime.kept(Attempts::new).forgive(Step::Second, &email, from.as_deref());
    Ok((signed, pending.back.clone(), codes))
}
