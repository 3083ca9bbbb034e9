//! Signing in and out, and the browsers that are signed in.

use db::{Tenancy, Tx, args, record, sql};
use runtime::config::Secret;
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Origin, Runtime, Scope};
use serde::Serialize;
use types::event::Access;
use types::{Code, Error, Event, Result, SessionId, TenantId, Timestamp, UserId};

use crate::attempt::Attempts;
use crate::{name, password, role, user};

pub mod pages;

/// Browsers that one user may be signed in with; a further one signs the oldest out.
const SESSIONS_MAX: i64 = 50;
/// What is kept of a browser's description of itself.
const AGENT_CHARS_MAX: usize = 200;

record! {
    /// A signed-in browser.
    #[derive(Debug, Clone, Serialize)]
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
}

/// Where a sign-in comes from.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// The request's marks.
    pub origin: Origin,
    /// The browser's description of itself.
    pub user_agent: Option<String>,
}

record! {
    struct Candidate {
        id: UserId,
        tenant_id: TenantId,
        email: String,
        role: String,
        status: String,
        tenant_status: String,
        password_hash: Option<String>,
    }
}

impl Candidate {
    fn may_enter(&self) -> bool {
        self.status == user::Status::Active.as_str()
            && self.tenant_status == crate::tenant::Status::Active.as_str()
    }

    fn scope(&self, runtime: &Runtime, origin: Origin) -> Scope {
        let permissions = role::permissions(&self.role);
        Scope::grant(runtime.clone(), self.tenant_id, Actor::User(self.id), permissions, origin)
    }
}

/// Signs in by e-mail address and password. Whether the address is known shows neither in the answer nor in its time.
///
/// # Errors
/// `sign_in_refused`, the same for every reason; `too_many_requests` after repeated failures.
pub async fn sign_in(runtime: &Runtime, email: &str, given: &str, browser: Browser) -> Result<SignedIn> {
    let email = name::folded(email);
    let attempts = runtime.kept(Attempts::new);
    let from = browser.origin.from.clone();
    attempts.admit(&email, from.as_deref(), runtime.clock.now())?;
    let candidate: Option<Candidate> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .optional(
            sql!(
                "select u.id, u.tenant_id, u.email, u.role, u.status, t.status as tenant_status, u.password_hash \
                 from users u join tenant t on t.id = u.tenant_id where u.email_folded = $1 \
                 /* every tenant: the address says whose it is */"
            ),
            args![&email],
        )
        .await?;
    let hash = candidate.as_ref().and_then(|candidate| candidate.password_hash.clone());
    let right = password::verify(runtime, given, hash).await?;
    match candidate {
        Some(candidate) if right && candidate.may_enter() => {
            attempts.forgive(&email, from.as_deref());
            let scope = candidate.scope(runtime, browser.origin.clone());
            open(&scope, &candidate, "password", browser).await
        }
        candidate => {
            note_refusal(runtime, candidate, right, browser.origin);
            Err(Error::new(Code::SignInRefused, "the e-mail address or the password is wrong"))
        }
    }
}

/// Writes the refusal beside the answer, not before it: only a known address has a trail to write to, and the time that
/// takes would tell.
fn note_refusal(runtime: &Runtime, candidate: Option<Candidate>, right: bool, origin: Origin) {
    let Some(candidate) = candidate else {
        tracing::info!(from = origin.from, "a sign-in with an unknown address was refused");
        return;
    };
    let reason = if right { "user or tenant is not active" } else { "wrong password" };
    let scope = candidate.scope(runtime, origin);
    runtime.tasks.spawn("note a refused sign-in", async move {
        let event =
            Access { who: candidate.email, by: "password".to_owned(), reason: Some(reason.to_owned()) };
        let written = async {
            let mut write = scope.write().await?;
            write.happened(Event::UserRefused(event));
            write.commit(()).await
        };
        if let Err(error) = written.await {
            tracing::error!(?error, "a refused sign-in could not be noted");
        }
    });
}

/// Signs in by a one-time link's token, which is used up by it.
///
/// # Errors
/// `link_used` when it is used, expired or was never made. Guessing needs no limit: a token has 256 random bits.
pub async fn sign_in_by_link(runtime: &Runtime, token: &str, browser: Browser) -> Result<SignedIn> {
    let refused = || Error::new(Code::LinkUsed, "this sign-in link is used, expired or incomplete");
    let hash = sha256_hex(token);
    let candidate: Option<Candidate> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .optional(
            sql!(
                "select u.id, u.tenant_id, u.email, u.role, u.status, t.status as tenant_status, u.password_hash \
                 from sign_in_link l join users u on u.id = l.user_id and u.tenant_id = l.tenant_id \
                 join tenant t on t.id = u.tenant_id where l.token_hash = $1 and l.expires_at > $2 \
                 /* every tenant: the token says whose it is */"
            ),
            args![&hash, runtime.clock.now()],
        )
        .await?;
    let candidate = candidate.filter(Candidate::may_enter).ok_or_else(refused)?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    let mut write = scope.write().await?;
    let used = write
        .execute(
            sql!("delete from sign_in_link where tenant_id = $1 and token_hash = $2"),
            args![candidate.tenant_id, &hash],
        )
        .await?;
    if used == 0 {
        // Another request was faster by a moment.
        return Err(refused());
    }
    begin(write, &scope, &candidate, "link", browser).await
}

/// Signs a user in whom somebody else has recognised: a service of their tenant.
///
/// # Errors
/// `sign_in_refused` for a user or tenant that is not active.
pub(crate) async fn sign_in_as(
    runtime: &Runtime,
    tenant: TenantId,
    user: UserId,
    by: &str,
    browser: Browser,
) -> Result<SignedIn> {
    let candidate: Option<Candidate> = runtime
        .db
        .read(Tenancy::Tenant(tenant))
        .await?
        .optional(
            sql!(
                "select u.id, u.tenant_id, u.email, u.role, u.status, t.status as tenant_status, u.password_hash \
                 from users u join tenant t on t.id = u.tenant_id where u.tenant_id = $1 and u.id = $2"
            ),
            args![tenant, user],
        )
        .await?;
    let candidate = candidate.filter(Candidate::may_enter).ok_or_else(|| {
        Error::new(Code::SignInRefused, "you are not let in any more").hint("Ask an administrator.")
    })?;
    let scope = candidate.scope(runtime, browser.origin.clone());
    open(&scope, &candidate, by, browser).await
}

async fn open(scope: &Scope, candidate: &Candidate, by: &str, browser: Browser) -> Result<SignedIn> {
    begin(scope.write().await?, scope, candidate, by, browser).await
}

async fn begin(
    mut write: runtime::Write,
    scope: &Scope,
    candidate: &Candidate,
    by: &str,
    browser: Browser,
) -> Result<SignedIn> {
    let (now, tenant) = (scope.now(), candidate.tenant_id);
    let secret = token(32).map_err(Error::internal)?;
    let expires_at = now.plus_ms(i64::from(scope.runtime().config.security.session_ttl_h) * 3_600_000);
    let agent = browser.user_agent.map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect::<String>());
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
                 from_address, user_agent) values ($1, $2, $3, $4, $5, $5, $6, $7, $8)"
            ),
            args![
                scope.runtime().ids.next::<types::kind::Session>(),
                tenant,
                candidate.id,
                sha256_hex(&secret),
                now,
                expires_at,
                browser.origin.from,
                agent
            ],
        )
        .await?;
    write
        .execute(
            sql!("update users set last_sign_in_at = $3 where tenant_id = $1 and id = $2"),
            args![tenant, candidate.id, now],
        )
        .await?;
    write.happened(Event::UserSignedIn(Access {
        who: candidate.email.clone(),
        by: by.to_owned(),
        reason: None,
    }));
    write.commit(()).await?;
    Ok(SignedIn { token: Secret::new(secret), expires_at, has_password: candidate.password_hash.is_some() })
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

/// Ends the session that asks.
///
/// # Errors
/// `forbidden` for a program.
pub async fn sign_out(scope: &Scope, token: &str) -> Result<()> {
    let id = user::person(scope)?;
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
