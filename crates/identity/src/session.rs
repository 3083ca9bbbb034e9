//! The browsers that are signed in, and signing out. How one signs in is in [`sign_in`](crate::sign_in).

use db::{Tx, args, record, sql};
use runtime::config::Secret;
use runtime::mail::one_line;
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Scope};
use serde::Serialize;
use types::event::Access;
use types::{Code, Error, Event, Permission, Result, SessionId, TenantId, Timestamp, UserId};

use crate::journal::{self, Kind};
use crate::mail::{self, Letter, Mail};
use crate::sign_in::{Browser, Candidate};
use crate::{device, impersonation, user};

pub mod api;

/// Browsers that one user may be signed in with; a further one signs the oldest out.
const SESSIONS_MAX: i64 = 50;
/// What a mail quotes of a browser's description of itself.
const NOTICE_CHARS_MAX: usize = 200;

record! {
    /// A signed-in browser.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    #[schema(as = SignedInBrowser)]
    pub struct Session {
        /// Its id.
        pub id: SessionId,
        /// When it signed in.
        pub created_at: Timestamp,
        /// When it last asked for something, to the minute.
        pub last_seen_at: Timestamp,
        /// When it ends, used or not.
        pub expires_at: Timestamp,
        /// The network address it signed in from.
        pub from_address: Option<String>,
        /// The browser's description of itself.
        pub user_agent: Option<String>,
        /// Whether it is the one that asks.
        pub current: bool,
    }
}

/// A new session: its token goes into the cookie and nowhere else.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The token.
    pub token: Secret,
    /// When the session ends.
    pub expires_at: Timestamp,
    /// Whether the user has a password to sign in with next time.
    pub has_password: bool,
    /// A further token by which the browser is known from now on, for a cookie of its own.
    pub device: Option<Secret>,
}

/// Opens a session, in the transaction of the step that has proved its user. The browser becomes a known one.
pub(crate) async fn begin(
    mut write: runtime::Write,
    scope: &Scope,
    candidate: &Candidate,
    by: &str,
    browser: Browser,
    remember: bool,
) -> Result<SignedIn> {
    let (now, tenant) = (scope.now(), candidate.tenant_id);
    let secret = token(32).map_err(Error::internal)?;
    let expires_at = now.plus_ms(i64::from(scope.runtime().config.security.session_ttl_h) * 3_600_000);
    let agent = browser.user_agent.as_deref();
    write
        .execute(
            sql!(
                "delete from session where tenant_id = $1 and user_id = $2 and (expires_at <= $3 or id not in \
                 (select id from session where tenant_id = $1 and user_id = $2 order by id desc limit $4))"
            ),
            args![tenant, candidate.id, now, SESSIONS_MAX - 1],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into session (id, tenant_id, user_id, token_hash, created_at, last_seen_at, expires_at, \
                 from_address, user_agent, proven_at) values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $5)"
            ),
            args![
                scope.runtime().ids.next::<types::kind::Session>(),
                tenant,
                candidate.id,
                sha256_hex(&secret),
                now,
                expires_at,
                browser.origin.from.clone(),
                browser.user_agent.clone()
            ],
        )
        .await?;
    write
        .execute(
            sql!("update users set last_sign_in_at = $3 where tenant_id = $1 and id = $2"),
            args![tenant, candidate.id, now],
        )
        .await?;
    journal::note(&mut write, scope, candidate.id, Kind::SignedIn, Some(by.to_owned()), agent).await?;
    let seen = device::seen(&mut write, scope, (candidate.id, &candidate.email), &browser, remember).await?;
    if seen.is_news {
        let from = browser.origin.from.clone().unwrap_or_default();
        let agent = one_line(agent.unwrap_or("unknown"), NOTICE_CHARS_MAX);
        let letter = Letter::NewDevice { agent: &agent, from: &from, at: &now.to_minute() };
        let notice = Mail::written(scope, &candidate.email, &candidate.language, &letter).await?;
        mail::enqueue(notice.as_ref(), &mut write, scope.runtime()).await?;
    }
    write.happened(Event::UserSignedIn(Access {
        who: candidate.email.clone(),
        by: by.to_owned(),
        reason: None,
    }));
    write.commit(()).await?;
    if seen.is_news {
        scope.runtime().job_wake.notify_one();
    }
    Ok(SignedIn {
        token: Secret::new(secret),
        expires_at,
        has_password: candidate.password_hash.is_some(),
        device: seen.token,
    })
}

/// One's own signed-in browsers, newest first; the one with the token is marked.
///
/// # Errors
/// `forbidden` for a program.
pub async fn list_own(scope: &Scope, token: Option<&str>) -> Result<Vec<Session>> {
    let id = user::person(scope)?;
    let sessions = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, created_at, last_seen_at, expires_at, from_address, user_agent, (token_hash = $4) as current \
                 from session where tenant_id = $1 and user_id = $2 and expires_at > $3 order by id desc limit 100"
            ),
            args![scope.tenant(), id, scope.now(), sha256_hex(token.unwrap_or_default())],
        )
        .await?;
    Ok(sessions)
}

/// A user's signed-in browsers, newest first.
///
/// # Errors
/// Without `user.view`; `not_found`.
pub async fn list_of(scope: &Scope, id: UserId) -> Result<Vec<Session>> {
    scope.require(Permission::UserView)?;
    impersonation::refuse_on(scope, id)?;
    let mut tx = scope.read().await?;
    user::find(&mut tx, scope.tenant(), id).await?;
    of_user(&mut tx, scope, id).await
}

async fn of_user(tx: &mut Tx, scope: &Scope, id: UserId) -> Result<Vec<Session>> {
    let sessions = tx
        .all(
            sql!(
                "select id, created_at, last_seen_at, expires_at, from_address, user_agent, false as current \
                 from session where tenant_id = $1 and user_id = $2 and expires_at > $3 order by id desc limit 100"
            ),
            args![scope.tenant(), id, scope.now()],
        )
        .await?;
    Ok(sessions)
}

/// Signs a user out everywhere, for one whose browser or link is in other hands: all their browsers, the links that would sign
/// them in, and what was under way. No browser is remembered any more. Gives what is left, which is nothing.
///
/// # Errors
/// Without `user.security`; `step_up_required`; `not_found`; `forbidden` for a user who may do more than the caller; `conflict`
/// for oneself.
pub async fn end_of(scope: &Scope, id: UserId) -> Result<Vec<Session>> {
    scope.require(Permission::UserSecurity)?;
    scope.require_fresh()?;
    if user::person(scope).is_ok_and(|own| own == id) {
        return Err(Error::new(Code::Conflict, "your own browsers are on your page Security"));
    }
    let mut write = scope.write().await?;
    let user = user::find(&mut write, scope.tenant(), id).await?;
    user::may_govern(&mut write, scope, &user).await?;
    end_all(&mut write, scope.tenant(), id, None).await?;
    write
        .execute(
            sql!("delete from pending_sign_in where tenant_id = $1 and user_id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    device::distrust_all(&mut write, scope.tenant(), id).await?;
    let by = "an administrator";
    journal::note(&mut write, scope, id, Kind::SignedOut, Some(by.to_owned()), None).await?;
    write.happened(Event::UserSignedOut(Access { who: user.email, by: by.to_owned(), reason: None }));
    let left = of_user(&mut write, scope, id).await?;
    write.commit(left).await
}

/// Ends one of one's own sessions; one that has ended already is fine.
///
/// # Errors
/// `forbidden` for a program.
pub async fn revoke_own(scope: &Scope, session: SessionId) -> Result<()> {
    let id = user::person(scope)?;
    let mut write = scope.write().await?;
    let ended = write
        .execute(
            sql!("delete from session where tenant_id = $1 and user_id = $2 and id = $3"),
            args![scope.tenant(), id, session],
        )
        .await?;
    signed_out(write, scope, id, ended, "revoked").await
}

/// Ends all of one's own sessions but the one with the token.
///
/// # Errors
/// `forbidden` for a program.
pub async fn revoke_others(scope: &Scope, token: &str) -> Result<()> {
    let id = user::person(scope)?;
    let mut write = scope.write().await?;
    let ended = write
        .execute(
            sql!("delete from session where tenant_id = $1 and user_id = $2 and token_hash <> $3"),
            args![scope.tenant(), id, sha256_hex(token)],
        )
        .await?;
    signed_out(write, scope, id, ended, "all others revoked").await
}

/// Ends the session that asks.
///
/// # Errors
/// `forbidden` for a program.
pub async fn sign_out(scope: &Scope, token: &str) -> Result<()> {
    // The session is that of the one who acts.
    let id = match scope.actor() {
        Actor::As { by, .. } => *by,
        _ => user::person(scope)?,
    };
    let mut write = scope.write().await?;
    let ended = write
        .execute(
            sql!("delete from session where tenant_id = $1 and user_id = $2 and token_hash = $3"),
            args![scope.tenant(), id, sha256_hex(token)],
        )
        .await?;
    signed_out(write, scope, id, ended, "signed out").await
}

async fn signed_out(
    mut write: runtime::Write,
    scope: &Scope,
    id: UserId,
    ended: u64,
    by: &str,
) -> Result<()> {
    if ended > 0 {
        let user = user::find(&mut write, scope.tenant(), id).await?;
        journal::note(&mut write, scope, id, Kind::SignedOut, Some(by.to_owned()), None).await?;
        write.happened(Event::UserSignedOut(Access { who: user.email, by: by.to_owned(), reason: None }));
    }
    write.commit(()).await
}

/// Ends all sessions of a user but the one with the kept token.
pub(crate) async fn end_all(
    tx: &mut Tx,
    tenant: TenantId,
    id: UserId,
    keep_token: Option<&str>,
) -> Result<()> {
    tx.execute(
        sql!("delete from session where tenant_id = $1 and user_id = $2 and token_hash <> $3"),
        args![tenant, id, sha256_hex(keep_token.unwrap_or_default())],
    )
    .await?;
    tx.execute(sql!("delete from sign_in_link where tenant_id = $1 and user_id = $2"), args![tenant, id])
        .await?;
    Ok(())
}
