//! Codes and refresh tokens are spent, each once.

use db::{args, record, sql};
use runtime::secrets::{sha256_hex, token};
use runtime::{Origin, Runtime, Scope, Write};
use types::{ClientId, ConsentId, Error, Permissions, Result, TenantId, Timestamp, UserId};

use super::{REFRESH_PREFIX, acting, copied, end, everywhere, proves};
use crate::key;
use crate::token::Holder;

record! {
    /// A code or a refresh token, with what it belongs to.
    pub(super) struct Spent {
        pub(super) tenant_id: TenantId,
        pub(super) grant_id: ConsentId,
        pub(super) client_id: ClientId,
        pub(super) client: String,
        user_id: UserId,
        scopes: String,
        redirect_uri: String,
        challenge: String,
        token_expires_at: Timestamp,
        grant_expires_at: Timestamp,
        spent_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
        active: bool,
    }
}

impl Spent {
    pub(super) fn held(&self) -> Holder {
        Holder {
            tenant: self.tenant_id,
            client: self.client_id,
            user: Some(self.user_id),
            grant: Some(self.grant_id),
            scopes: key::permissions(&self.scopes),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.active
            || self.ended_at.is_some()
            || self.token_expires_at <= now
            || self.grant_expires_at <= now
    }
}

/// What an application gets for a code or a refresh token: for whom its access token is, and the next refresh token.
pub(crate) struct Renewed {
    pub(crate) holder: Holder,
    pub(crate) refresh: String,
}

/// Why nothing is given: one reason for strangers, whatever it was.
fn refused() -> Error {
    Error::new(types::Code::Unauthenticated, "it was never made, is spent, has expired, or has been revoked")
}

pub(super) async fn find_refresh(runtime: &Runtime, refresh: &str) -> Result<Option<Spent>> {
    let found = everywhere(runtime)
        .await?
        .optional(
            sql!(
                "select r.tenant_id, r.grant_id, g.client_id, c.name as client, g.user_id, g.scopes, '' as redirect_uri, \
                 '' as challenge, r.expires_at as token_expires_at, g.expires_at as grant_expires_at, r.spent_at, g.ended_at, \
                 (u.status = 'active' and t.status = 'active') as active from refresh_token r \
                 join oauth_grant g on g.id = r.grant_id and g.tenant_id = r.tenant_id \
                 join oauth_client c on c.id = g.client_id and c.tenant_id = g.tenant_id \
                 join users u on u.id = g.user_id and u.tenant_id = g.tenant_id join tenant t on t.id = g.tenant_id \
                 where r.token_hash = $1 /* every tenant: the token says whose it is */"
            ),
            args![sha256_hex(refresh)],
        )
        .await?;
    Ok(found)
}

async fn find_code(runtime: &Runtime, code: &str) -> Result<Option<Spent>> {
    let found = everywhere(runtime)
        .await?
        .optional(
            sql!(
                "select k.tenant_id, k.grant_id, g.client_id, c.name as client, g.user_id, g.scopes, k.redirect_uri, \
                 k.challenge, k.expires_at as token_expires_at, g.expires_at as grant_expires_at, k.spent_at, g.ended_at, \
                 (u.status = 'active' and t.status = 'active') as active from oauth_code k \
                 join oauth_grant g on g.id = k.grant_id and g.tenant_id = k.tenant_id \
                 join oauth_client c on c.id = g.client_id and c.tenant_id = g.tenant_id \
                 join users u on u.id = g.user_id and u.tenant_id = g.tenant_id join tenant t on t.id = g.tenant_id \
                 where k.code_hash = $1 /* every tenant: the code says whose it is */"
            ),
            args![sha256_hex(code)],
        )
        .await?;
    Ok(found)
}

/// Makes an authorization code into the first tokens (RFC 6749 §4.1.3).
///
/// # Errors
/// `unauthenticated` whatever is wrong. A code that is shown a second time ends what came of it.
pub(crate) async fn redeem(
    runtime: &Runtime,
    code: &str,
    (client, redirect_uri, verifier): (ClientId, &str, &str),
    origin: Origin,
) -> Result<Renewed> {
    let spent = find_code(runtime, code).await?.ok_or_else(refused)?;
    if spent.client_id != client || spent.redirect_uri != redirect_uri || !proves(verifier, &spent.challenge)
    {
        return Err(refused());
    }
    let scope = acting(runtime, &spent.held(), origin);
    let mut write = scope.write().await?;
    let first = write
        .execute(
            sql!(
                "update oauth_code set spent_at = $3 where tenant_id = $1 and code_hash = $2 and spent_at is null"
            ),
            args![spent.tenant_id, sha256_hex(code), scope.now()],
        )
        .await?;
    if first == 0 {
        return Err(end_family(write, &scope, &spent, "authorization code").await?);
    }
    renew(write, &scope, &spent).await
}

/// Spends a refresh token for the next one (RFC 6749 §6).
///
/// # Errors
/// `unauthenticated` whatever is wrong. A token that is shown a second time ends its whole family.
pub(crate) async fn refresh(
    runtime: &Runtime,
    refresh: &str,
    client: ClientId,
    origin: Origin,
) -> Result<Renewed> {
    let spent = find_refresh(runtime, refresh).await?.ok_or_else(refused)?;
    if spent.client_id != client {
        return Err(refused());
    }
    let scope = acting(runtime, &spent.held(), origin);
    let mut write = scope.write().await?;
    // The row decides, not what was read before: of two uses at once one is the second.
    let first = write
        .execute(
            sql!(
                "update refresh_token set spent_at = $3 where tenant_id = $1 and token_hash = $2 and spent_at is null"
            ),
            args![spent.tenant_id, sha256_hex(refresh), scope.now()],
        )
        .await?;
    if first == 0 {
        return Err(end_family(write, &scope, &spent, "refresh token").await?);
    }
    renew(write, &scope, &spent).await
}

async fn end_family(mut write: Write, scope: &Scope, spent: &Spent, what: &str) -> Result<Error> {
    let by = format!("a spent {what} was shown again");
    if let Some(event) = end(&mut write, scope, spent.grant_id, &spent.client, &by).await? {
        write.happened(copied(spent.user_id, what));
        write.happened(event);
    }
    write.commit(()).await?;
    Ok(refused())
}

async fn renew(mut write: Write, scope: &Scope, spent: &Spent) -> Result<Renewed> {
    let now = scope.now();
    if spent.is_over(now) {
        return Err(refused());
    }
    let next = format!("{REFRESH_PREFIX}{}", token(32).map_err(Error::internal)?);
    // A grant that ended since it was read gets no further token.
    let made = write
        .execute(
            sql!(
                "insert into refresh_token (token_hash, tenant_id, grant_id, created_at, expires_at) \
                 select $1, g.tenant_id, g.id, cast($4 as bigint), g.expires_at from oauth_grant g \
                 where g.tenant_id = $2 and g.id = $3 and g.ended_at is null"
            ),
            args![sha256_hex(&next), spent.tenant_id, spent.grant_id, now],
        )
        .await?;
    if made == 0 {
        return Err(refused());
    }
    write.commit(()).await?;
    Ok(Renewed { holder: spent.held(), refresh: next })
}

impl Renewed {
    /// The same for fewer permissions (RFC 6749 §6): those that were asked for and are granted.
    pub(crate) fn narrowed(mut self, asked: Option<Permissions>) -> Self {
        if let Some(asked) = asked {
            self.holder.scopes = self.holder.scopes.and(asked);
        }
        self
    }
}
