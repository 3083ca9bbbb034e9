//! What people let applications do: consent, authorization codes with PKCE (RFC 6749 §4.1, RFC 7636), and the families of
//! refresh tokens that come of it.
//!
//! A refresh token is used once and answered with the next. Its second use means that somebody has a copy, so the whole
//! family ends (RFC 9700 §4.14.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Tenancy, Tx, args, record, sql};
use ring::digest::{SHA256, digest};
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Origin, Runtime, Scope};
use serde::Serialize;
use types::event::{Access, Change};
use types::{ClientId, ConsentId, Error, Event, Permissions, Result, TenantId, Timestamp, UserId};

use crate::token::Holder;
use crate::{key, user};

pub mod api;
pub mod pages;
mod spend;

pub(crate) use spend::{redeem, refresh};

/// What refresh tokens begin with.
pub(crate) const REFRESH_PREFIX: &str = "sb_refresh_";
/// How long an authorization code can be used (RFC 6749 §4.1.2 advises ten minutes at most).
const CODE_MS: i64 = 60_000;
/// How long an ended grant is kept for whoever asks what became of it.
const KEPT_MS: i64 = 30 * 86_400_000;
/// Applications that one person may have let in; a further one ends the oldest.
const CONSENTS_MAX: i64 = 200;

record! {
    struct ConsentRow {
        id: ConsentId,
        client_id: ClientId,
        client: String,
        scopes: String,
        created_at: Timestamp,
        expires_at: Timestamp,
        last_used_at: Option<Timestamp>,
        from_address: Option<String>,
        user_agent: Option<String>,
    }
}

/// What a person lets an application do.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// The application.
    pub client_id: ClientId,
    /// What people call that.
    pub client: String,
    /// The permissions that were granted; it has those of them that the person still has.
    pub scopes: Vec<String>,
    /// When it was granted.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When one of its tokens was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub from_address: Option<String>,
    /// By which program, in its own words.
    pub user_agent: Option<String>,
}

impl From<ConsentRow> for Consent {
    fn from(row: ConsentRow) -> Self {
        Self {
            id: row.id,
            client_id: row.client_id,
            client: row.client,
            scopes: serde_json::from_str(&row.scopes).unwrap_or_default(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            from_address: row.from_address,
            user_agent: row.user_agent,
        }
    }
}

/// What one's own applications may do, newest first, at most 200.
///
/// # Errors
/// `forbidden` for a program.
pub async fn list_own(scope: &Scope) -> Result<Vec<Consent>> {
    let id = user::person(scope)?;
    let rows: Vec<ConsentRow> = scope
        .read()
        .await?
        .all(
            sql!(
                "select g.id, g.client_id, c.name as client, g.scopes, g.created_at, g.expires_at, g.last_used_at, \
                 g.from_address, g.user_agent from oauth_grant g \
                 join oauth_client c on c.id = g.client_id and c.tenant_id = g.tenant_id \
                 where g.tenant_id = $1 and g.user_id = $2 and g.ended_at is null and g.expires_at > $3 \
                 order by g.id desc limit $4"
            ),
            args![scope.tenant(), id, scope.now(), CONSENTS_MAX],
        )
        .await?;
    Ok(rows.into_iter().map(Consent::from).collect())
}

/// Ends what one of one's own applications may do: its tokens are refused from the next request on.
///
/// # Errors
/// `forbidden` for a program; `not_found`.
pub async fn end_own(scope: &Scope, id: ConsentId) -> Result<()> {
    let person = user::person(scope)?;
    let mut write = scope.write().await?;
    let row: Option<NamedRow> = write
        .optional(
            sql!(
                "select c.name from oauth_grant g join oauth_client c on c.id = g.client_id and c.tenant_id = g.tenant_id \
                 where g.tenant_id = $1 and g.user_id = $2 and g.id = $3"
            ),
            args![scope.tenant(), person, id],
        )
        .await?;
    let name = row.ok_or_else(|| Error::not_found("consent"))?.name;
    if let Some(event) = end(&mut write, scope, id, &name, "revoked by the person").await? {
        write.happened(event);
    }
    write.commit(()).await
}

record! { struct NamedRow { name: String } }

/// Ends a grant; what happened, unless it had ended before.
async fn end(tx: &mut Tx, scope: &Scope, id: ConsentId, client: &str, by: &str) -> Result<Option<Event>> {
    let (tenant, now) = (scope.tenant(), scope.now());
    let ended = tx
        .execute(
            sql!(
                "update oauth_grant set ended_at = $3, ended_by = $4 \
                 where tenant_id = $1 and id = $2 and ended_at is null"
            ),
            args![tenant, id, now, by],
        )
        .await?;
    let after = serde_json::json!({ "application": client, "ended": by });
    Ok((ended > 0).then(|| {
        Event::ConsentEnded(Change {
            id: id.to_string(),
            name: client.to_owned(),
            before: None,
            after: Some(after),
        })
    }))
}

/// A person's answer to an application that asks to be let in.
pub(crate) struct Allowed<'a> {
    pub(crate) client: ClientId,
    pub(crate) name: &'a str,
    pub(crate) scopes: Permissions,
    pub(crate) redirect_uri: &'a str,
    pub(crate) challenge: &'a str,
}

/// Lets an application act for the person who asks, and gives the code that it can make into tokens.
pub(crate) async fn allow(scope: &Scope, consent: &Allowed<'_>) -> Result<String> {
    let (person, tenant, now) = (user::person(scope)?, scope.tenant(), scope.now());
    scope.require_fresh()?;
    let id: ConsentId = scope.runtime().ids.next();
    let code = token(32).map_err(Error::internal)?;
    let lasts_ms = i64::from(scope.runtime().config.security.grant_ttl_h) * 3_600_000;
    let scopes = key::names(consent.scopes);
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "update oauth_grant set ended_at = $3, ended_by = 'too many' where tenant_id = $1 and user_id = $2 \
                 and ended_at is null and id not in (select id from oauth_grant where tenant_id = $1 and user_id = $2 \
                 and ended_at is null order by id desc limit $4)"
            ),
            args![tenant, person, now, CONSENTS_MAX - 1],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into oauth_grant (id, tenant_id, client_id, user_id, scopes, created_at, expires_at, from_address) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8)"
            ),
            args![
                id,
                tenant,
                consent.client,
                person,
                serde_json::to_string(&scopes).map_err(Error::internal)?,
                now,
                now.plus_ms(lasts_ms),
                scope.origin().from.as_deref()
            ],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into oauth_code (code_hash, tenant_id, grant_id, client_id, redirect_uri, challenge, expires_at) \
                 values ($1, $2, $3, $4, $5, $6, $7)"
            ),
            args![
                sha256_hex(&code),
                tenant,
                id,
                consent.client,
                consent.redirect_uri,
                consent.challenge,
                now.plus_ms(CODE_MS)
            ],
        )
        .await?;
    write.happened(Event::ConsentGiven(Change {
        id: id.to_string(),
        name: consent.name.to_owned(),
        before: None,
        after: Some(serde_json::json!({ "application": consent.client.to_string(), "scopes": scopes })),
    }));
    write.commit(()).await?;
    Ok(code)
}

/// Whether a verifier is the one of a challenge (RFC 7636 §4.6, S256).
fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == challenge
}

/// Deletes what an application was let do; the application itself goes with it.
pub(crate) async fn forget_client(tx: &mut Tx, tenant: TenantId, client: ClientId) -> Result<()> {
    tx.execute(
        sql!(
            "delete from refresh_token where tenant_id = $1 and grant_id in \
             (select id from oauth_grant where tenant_id = $1 and client_id = $2)"
        ),
        args![tenant, client],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from oauth_code where tenant_id = $1 and grant_id in \
             (select id from oauth_grant where tenant_id = $1 and client_id = $2)"
        ),
        args![tenant, client],
    )
    .await?;
    tx.execute(
        sql!("delete from oauth_grant where tenant_id = $1 and client_id = $2"),
        args![tenant, client],
    )
    .await?;
    Ok(())
}

/// Sweeps out what has expired.
pub(crate) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<()> {
    for statement in [
        sql!("delete from refresh_token where expires_at <= $1 /* every tenant: age alone decides */"),
        sql!("delete from revoked_token where expires_at <= $1 /* every tenant: age alone decides */"),
        sql!("delete from oauth_code where expires_at <= $1 /* every tenant: age alone decides */"),
    ] {
        tx.execute(statement, args![now]).await?;
    }
    tx.execute(
        sql!(
            "delete from oauth_grant where expires_at <= $1 \
             and not exists (select 1 from refresh_token r where r.grant_id = oauth_grant.id) \
             and not exists (select 1 from oauth_code k where k.grant_id = oauth_grant.id) \
             /* every tenant: age alone decides */"
        ),
        args![now.plus_ms(-KEPT_MS)],
    )
    .await?;
    Ok(())
}

/// Ends the grant that a refresh token belongs to, for the application that gives it back (RFC 7009). A token that nobody
/// knows is fine.
pub(crate) async fn give_back(
    runtime: &Runtime,
    refresh: &str,
    client: ClientId,
    origin: Origin,
) -> Result<()> {
    let Some(spent) = spend::find_refresh(runtime, refresh).await? else { return Ok(()) };
    if spent.client_id != client {
        return Ok(());
    }
    let scope = acting(runtime, &spent.held(), origin);
    let mut write = scope.write().await?;
    if let Some(event) = end(&mut write, &scope, spent.grant_id, &spent.client, "given back").await? {
        write.happened(event);
    }
    write.commit(()).await
}

/// Notes that an access token is refused from now on (RFC 7009).
pub(crate) async fn revoke_access(scope: &Scope, token_id: &str, until: Timestamp) -> Result<()> {
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "insert into revoked_token (token_id, tenant_id, expires_at) values ($1, $2, $3) on conflict (token_id) do nothing"
            ),
            args![token_id, scope.tenant(), until],
        )
        .await?;
    let id = token_id.to_owned();
    let name = scope.actor().to_string();
    write.happened(Event::TokenRevoked(Change { id, name, before: None, after: None }));
    write.commit(()).await
}

/// The scope in which an application that shows a code or a refresh token changes its own grant.
fn acting(runtime: &Runtime, holder: &Holder, origin: Origin) -> Scope {
    let actor = match (holder.user, holder.grant) {
        (Some(user), Some(consent)) => Actor::App { client: holder.client, user, consent },
        _ => Actor::Client(holder.client),
    };
    Scope::grant(runtime.clone(), holder.tenant, actor, holder.scopes, origin)
}

/// A sign that somebody has a copy of what was to be used once.
fn copied(user: UserId, what: &str) -> Event {
    Event::RefreshReused(Access {
        who: user.to_string(),
        by: what.to_owned(),
        reason: Some("shown again after its use; all that came of it has ended".to_owned()),
    })
}

/// What is read of every tenant before it is known whose it is.
async fn everywhere(runtime: &Runtime) -> Result<Tx> {
    Ok(runtime.db.read(Tenancy::Every).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_the_standard_proves_its_challenge() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves(verifier, challenge));
        assert!(!proves(&verifier.replace('d', "e"), challenge));
        assert!(!proves("short", challenge));
    }
}
