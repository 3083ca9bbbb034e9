//! Ways in by mail: a link that signs in, one that sets a new password, and one that shows that a mailbox is one's own.
//!
//! Whoever asks learns nothing about the address: to ask only puts a job down, the same for every address, and what the
//! address is to us is looked up when the job runs.

use std::sync::Arc;

use db::{Tenancy, args, record, sql};
use runtime::job::{self, Handler, Outcome};
use runtime::secrets::{sha256_hex, token};
use runtime::{Origin, Runtime, Scope, Write};
use serde::{Deserialize, Serialize};
use types::event::{Access, Change};
use types::{Code, Error, Event, Result, TenantId, UserId};

use super::{Browser, Candidate};
use crate::attempt::MailAsks;
use crate::journal::{self, Kind};
use crate::mail::{self, Letter, Mail};
use crate::password::Owner;
use crate::{device, domain, link, name, password, session, user};

/// The kind of the jobs that look up who asked.
pub const KIND: &str = "identity.asked";
/// Tokens of one user and purpose that can be used at the same time; a further one replaces the oldest.
const TOKENS_MAX: i64 = 3;
/// The longest address that is looked up (RFC 5321 §4.5.3.1.3).
const EMAIL_CHARS_MAX: usize = 254;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// A link that signs in.
    Link,
    /// A link that sets a new password.
    Reset,
}

/// Somebody asked for a mail.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    email: String,
    wanted: Wanted,
    from: Option<String>,
}

record! { struct First { id: TenantId } }

/// Asks for a mail to an address. The answer and the time it takes are the same whether anybody has it.
///
/// # Errors
/// `unavailable` where no mail can be sent; `too_many_requests` when too many were asked for; `invalid_address` for a text
/// that is none.
pub async fn ask(runtime: &Runtime, email: &str, wanted: Wanted, origin: &Origin) -> Result<()> {
    mail::require(runtime)?;
    let email = name::folded(&name::email(email)?);
    if email.chars().count() > EMAIL_CHARS_MAX {
        return Err(Error::new(Code::InvalidAddress, "this address is too long").at("email"));
    }
    let now = runtime.clock.now();
    runtime.kept(MailAsks::new).admit(&email, origin.from.as_deref(), now)?;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    // Of the installation's own tenant: whose the address is must not be looked up here.
    let house: First = tx
        .one(
            sql!("select id from tenant where platform order by id limit 1 /* every tenant: the installation's own */"),
            args![],
        )
        .await?;
    let asked = Asked { email, wanted, from: origin.from.clone() };
    job::enqueue(&mut tx, runtime, house.id, KIND, &asked, now).await?;
    tx.commit().await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// Looks up who asked, and puts the mail down.
pub fn handler() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            let asked: Asked = match serde_json::from_str(&payload) {
                Ok(asked) => asked,
                Err(error) => return Outcome::Dead(format!("the payload cannot be read: {error}")),
            };
            match answer(scope.runtime(), asked).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(error.message().to_owned()),
            }
        })
    })
}

async fn answer(runtime: &Runtime, asked: Asked) -> Result<()> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let candidate = Candidate::by_email(&mut tx, &asked.email).await?;
    drop(tx);
    let Some(candidate) = candidate.filter(Candidate::may_enter) else {
        tracing::info!("a mail was asked for an address that nobody active has");
        return Ok(());
    };
    let scope = candidate.scope(runtime, Origin { request_id: None, from: asked.from });
    let minutes = runtime.config.security.link_ttl_m;
    let mut write = scope.write().await?;
    let (letter, url, what);
    match asked.wanted {
        Wanted::Link => {
            let made =
                link::insert(&mut write, runtime, (scope.tenant(), candidate.id), Some(&asked.email)).await?;
            (url, what) = (made.url, "sign-in link");
            letter = Letter::Link { url: &url, minutes };
        }
        Wanted::Reset => {
            let token = issue(&mut write, &scope, &candidate, ("reset", &asked.email)).await?;
            let base = domain::public_url(&mut write, runtime, scope.tenant()).await?;
            (url, what) = (format!("{base}/sign-in/reset?token={token}"), "new password");
            letter = Letter::Reset { url: &url, minutes };
        }
    }
    let mail = Mail::written(&scope, &candidate.email, &candidate.language, &letter).await?;
    mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
    journal::note(&mut write, &scope, candidate.id, Kind::MailAsked, Some(what.to_owned()), None).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// A token that is mailed to an address of a user's and proves that one alone.
pub(crate) async fn issue(
    write: &mut Write,
    scope: &Scope,
    candidate: &Candidate,
    (purpose, folded): (&'static str, &str),
) -> Result<String> {
    let (tenant, id, now) = (candidate.tenant_id, candidate.id, scope.now());
    let secret = token(32).map_err(Error::internal)?;
    let until = now.plus_ms(i64::from(scope.runtime().config.security.link_ttl_m) * 60_000);
    write
        .execute(
            sql!(
                "delete from mailed_token where tenant_id = $1 and user_id = $2 and purpose = $3 and (expires_at <= $4 or \
                 token_hash not in (select token_hash from mailed_token where tenant_id = $1 and user_id = $2 \
                 and purpose = $3 order by expires_at desc limit $5))"
            ),
            args![tenant, id, purpose, now, TOKENS_MAX - 1],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into mailed_token (token_hash, tenant_id, user_id, purpose, email_folded, expires_at) \
                 values ($1, $2, $3, $4, $5, $6)"
            ),
            args![sha256_hex(&secret), tenant, id, purpose, folded, until],
        )
        .await?;
    Ok(secret)
}

record! { struct TokenRow { tenant_id: TenantId, user_id: UserId, email_folded: String } }

pub(crate) fn used() -> Error {
    Error::new(Code::LinkUsed, "this link is used, expired or incomplete").hint("Ask for a new mail.")
}

/// Whose a mailed token is, as long as it can be used and the address is still theirs.
async fn owner(runtime: &Runtime, token: &str, purpose: &'static str) -> Result<Candidate> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let row: Option<TokenRow> = tx
        .optional(
            sql!(
                "select tenant_id, user_id, email_folded from mailed_token where token_hash = $1 and purpose = $2 \
                 and expires_at > $3 /* every tenant: the token says whose it is */"
            ),
            args![sha256_hex(token), purpose, runtime.clock.now()],
        )
        .await?;
    let row = row.ok_or_else(used)?;
    let candidate = Candidate::by_id(&mut tx, row.tenant_id, row.user_id).await?;
    let same = |candidate: &Candidate| name::folded(&candidate.email) == row.email_folded;
    candidate.filter(|candidate| candidate.may_enter() && same(candidate)).ok_or_else(used)
}

pub(crate) async fn use_up(write: &mut Write, scope: &Scope, token: &str) -> Result<()> {
    let gone = write
        .execute(
            sql!("delete from mailed_token where tenant_id = $1 and token_hash = $2"),
            args![scope.tenant(), sha256_hex(token)],
        )
        .await?;
    if gone == 0 { Err(used()) } else { Ok(()) }
}

/// The address whose password a mailed token sets, for the form.
///
/// # Errors
/// `link_used`.
pub async fn reset_of(runtime: &Runtime, token: &str) -> Result<String> {
    Ok(owner(runtime, token, "reset").await?.email)
}

/// Sets a new password by a mailed token, which is used up by it. All sessions of the user end, and no browser is remembered
/// any more; the second step stays.
///
/// # Errors
/// `link_used`; `weak_password`, which uses nothing up.
pub async fn reset(runtime: &Runtime, token: &str, new: &str, browser: &Browser) -> Result<()> {
    let candidate = owner(runtime, token, "reset").await?;
    let (tenant, id) = (candidate.tenant_id, candidate.id);
    let scope = candidate.scope(runtime, browser.origin.clone());
    password::check(runtime, Owner { name: &candidate.name, email: &candidate.email }, new)?;
    let present = candidate.password_hash.as_deref();
    password::refuse_former(runtime, tenant, id, present, new).await?;
    let hash = password::hash(runtime, new).await?;
    let notice = password_notice(&scope, &candidate.email, &candidate.language).await?;
    let mut write = scope.write().await?;
    use_up(&mut write, &scope, token).await?;
    password::replace(&mut write, runtime, (tenant, id), present, hash).await?;
    write
        .execute(
            sql!("delete from mailed_token where tenant_id = $1 and user_id = $2 and purpose = 'reset'"),
            args![tenant, id],
        )
        .await?;
    write
        .execute(sql!("delete from pending_sign_in where tenant_id = $1 and user_id = $2"), args![tenant, id])
        .await?;
    session::end_all(&mut write, tenant, id, None).await?;
    device::distrust_all(&mut write, tenant, id).await?;
    verified(&mut write, &scope, &candidate).await?;
    let agent = browser.user_agent.as_deref();
    journal::note(&mut write, &scope, id, Kind::PasswordReset, None, agent).await?;
    write.happened(Event::UserPasswordChanged(Change {
        id: id.to_string(),
        name: candidate.email.clone(),
        before: None,
        after: Some(serde_json::json!({ "password": "reset" })),
    }));
    mail::enqueue(notice.as_ref(), &mut write, runtime).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// A mail to the owner of a changed password.
pub(crate) async fn password_notice(scope: &Scope, email: &str, language: &str) -> Result<Option<Mail>> {
    let from = scope.origin().from.clone().unwrap_or_default();
    let letter = Letter::PasswordChanged { from: &from, at: &scope.now().to_minute() };
    Mail::written(scope, email, language, &letter).await
}

/// Notes that a user's address is theirs, unless that is known.
pub(super) async fn verified(write: &mut Write, scope: &Scope, candidate: &Candidate) -> Result<()> {
    if candidate.email_verified_at.is_some() {
        return Ok(());
    }
    write
        .execute(
            sql!("update users set email_verified_at = $3 where tenant_id = $1 and id = $2"),
            args![candidate.tenant_id, candidate.id, scope.now()],
        )
        .await?;
    journal::note(write, scope, candidate.id, Kind::EmailVerified, None, None).await
}

/// Mails a link by which the signed-in user shows that their address is theirs.
///
/// # Errors
/// `forbidden` for a program; `unavailable` where no mail can be sent; `too_many_requests`; `conflict` when that is known.
pub async fn ask_verification(scope: &Scope) -> Result<()> {
    let id = user::person(scope)?;
    let runtime = scope.runtime();
    mail::require(runtime)?;
    let candidate = Candidate::by_id(&mut scope.read().await?, scope.tenant(), id).await?;
    let candidate = candidate.ok_or_else(|| Error::not_found("user"))?;
    if candidate.email_verified_at.is_some() {
        return Err(Error::new(Code::Conflict, "this address is known to be yours"));
    }
    let email = name::folded(&candidate.email);
    runtime.kept(MailAsks::new).admit(&email, scope.origin().from.as_deref(), scope.now())?;
    let mut write = scope.write().await?;
    let token = issue(&mut write, scope, &candidate, ("verify", &email)).await?;
    let base = domain::public_url(&mut write, runtime, scope.tenant()).await?;
    let url = format!("{base}/sign-in/verify?token={token}");
    let letter = Letter::Verify { url: &url, minutes: runtime.config.security.link_ttl_m };
    let mail = Mail::written(scope, &candidate.email, &candidate.language, &letter).await?;
    mail::enqueue(mail.as_ref(), &mut write, runtime).await?;
    write.commit(()).await?;
    runtime.job_wake.notify_one();
    Ok(())
}

/// Shows by a mailed token that the mailbox is its owner's; the token is used up by it.
///
/// # Errors
/// `link_used`.
pub async fn verify(runtime: &Runtime, token: &str, browser: &Browser) -> Result<String> {
    let candidate = owner(runtime, token, "verify").await?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let mut write = scope.write().await?;
    use_up(&mut write, &scope, token).await?;
    verified(&mut write, &scope, &candidate).await?;
    write.happened(Event::UserProved(Access {
        who: candidate.email.clone(),
        by: "mail".to_owned(),
        reason: None,
    }));
    write.commit(()).await?;
    Ok(candidate.email)
}
