//! The endpoints of OAuth 2.0 that applications speak to: tokens (RFC 6749), revocation (RFC 7009), introspection
//! (RFC 7662), metadata (RFC 8414).
//!
//! There is no grant by a person's password: an application never learns it.

use db::{Tenancy, args, record, sql};
use runtime::secrets::sha256_hex;
use runtime::{Actor, Origin, Runtime, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::{ClientId, Error, Permission, Permissions, Result, TenantId, Timestamp};

use crate::client::Kind;
use crate::consent::{self, REFRESH_PREFIX};
use crate::role::rights;
use crate::token::{self, Holder, scope_text};
use crate::{key, network};

pub mod api;

/// Why an application gets no answer: by the names of RFC 6749 §5.2, or a refusal of our own.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The standard's error and what was wrong.
    Protocol(&'static str, String),
    /// Something of ours.
    Ours(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

fn refuse<T>(error: &'static str, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Protocol(error, why.into()))
}

/// What an application shows of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presented {
    pub(crate) id: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) origin: Origin,
    /// Whose own host was asked, where it is somebody's: nobody else's applications are known there.
    pub(crate) house: Option<TenantId>,
}

/// A request for tokens (RFC 6749 §4.1.3, §4.4.2, §6). Unknown parameters are ignored, as the standard says (§3.2).
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct TokenRequest {
    pub(crate) grant_type: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) code_verifier: Option<String>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
}

/// The tokens (RFC 6749 §5.1).
#[derive(Debug, Serialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) token_type: &'static str,
    pub(crate) expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    pub(crate) scope: String,
}

record! {
    struct ClientRow {
        id: ClientId,
        tenant_id: TenantId,
        name: String,
        kind: String,
        scopes: String,
        networks: String,
        redirect_uris: String,
        secret_hash: Option<String>,
        former_hash: Option<String>,
        former_until: Option<Timestamp>,
        active: bool,
    }
}

/// An application that has shown who it is.
pub(crate) struct Known {
    pub(crate) id: ClientId,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) redirect_uris: Vec<String>,
    /// What its tokens can have.
    pub(crate) scopes: Permissions,
}

async fn row(runtime: &Runtime, id: &str) -> Result<Option<ClientRow>> {
    let Ok(id) = id.parse::<ClientId>() else { return Ok(None) };
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    Ok(tx
        .optional(
            sql!(
                "select c.id, c.tenant_id, c.name, c.kind, c.scopes, c.networks, c.redirect_uris, c.secret_hash, \
                 c.former_hash, c.former_until, (t.status = 'active') as active \
                 from oauth_client c join tenant t on t.id = c.tenant_id where c.id = $1 /* every tenant: the application says whose it is */"
            ),
            args![id],
        )
        .await?)
}

impl ClientRow {
    fn known(&self) -> Known {
        Known {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name.clone(),
            kind: if self.kind == Kind::Confidential.as_str() { Kind::Confidential } else { Kind::Public },
            redirect_uris: serde_json::from_str(&self.redirect_uris).unwrap_or_default(),
            scopes: key::permissions(&self.scopes),
        }
    }
}

/// The application of this id, of whatever tenant, for the page that asks a person about it.
pub(crate) async fn asked_for(runtime: &Runtime, id: &str) -> Result<Option<Known>> {
    Ok(row(runtime, id).await?.filter(|row| row.active).map(|row| row.known()))
}

/// Who an application is (RFC 6749 §3.2.1): a confidential one by its secret, a public one by its name alone.
async fn recognise(runtime: &Runtime, presented: &Presented) -> Result<Known, Refusal> {
    let unknown = || refuse("invalid_client", "no application is known by this id and secret");
    let Some(id) = &presented.id else {
        return refuse("invalid_client", "the application does not say who it is: send client_id");
    };
    let ours = |row: &ClientRow| row.active && presented.house.is_none_or(|house| house == row.tenant_id);
    let Some(row) = row(runtime, id).await?.filter(ours) else { return unknown() };
    let now = runtime.clock.now();
    let shown = presented.secret.as_deref().map(sha256_hex);
    let former = row.former_until.is_some_and(|until| until > now);
    match (&row.secret_hash, &shown) {
        (None, None) => {}
        (Some(held), Some(shown)) if held == shown => {}
        (Some(_), Some(shown)) if former && row.former_hash.as_ref() == Some(shown) => {
            note_former(runtime, &row, now).await?;
        }
        _ => return unknown(),
    }
    let networks = network::stored(&row.networks);
    let from = presented.origin.from.as_deref();
    if !networks.is_some_and(|networks| network::lets_in(&networks, from)) {
        let (actor, origin) = (Actor::Client(row.id), presented.origin.clone());
        let scope = Scope::grant(runtime.clone(), row.tenant_id, actor, Permissions::NONE, origin);
        network::tell_refused(scope, &row.name, "client secret");
        return refuse("access_denied", "the application may not be used from this address");
    }
    Ok(row.known())
}

/// What an application may do in its own name at this moment; nothing where it is not let in.
async fn own(runtime: &Runtime, client: &Known) -> Result<Permissions> {
    let now = runtime.clock.now();
    let mut tx = runtime.db.read(Tenancy::Tenant(client.tenant)).await?;
    let facts = rights::of_client(&mut tx, client.tenant, client.id, now).await?;
    Ok(if facts.shut(now).is_some() { Permissions::NONE } else { facts.held(now).permissions() })
}

async fn note_former(runtime: &Runtime, row: &ClientRow, now: Timestamp) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Tenant(row.tenant_id)).await?;
    tx.execute(
        sql!("update oauth_client set former_used_at = $3 where tenant_id = $1 and id = $2"),
        args![row.tenant_id, row.id, now],
    )
    .await?;
    Ok(tx.commit().await?)
}

/// The permissions that a request names; nothing when it names none.
fn wanted(scope: Option<&str>) -> Result<Option<Permissions>, Refusal> {
    let Some(text) = scope.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let mut all = Vec::new();
    for name in text.split(' ').filter(|name| !name.is_empty()) {
        match Permission::named(name) {
            Some(permission) => all.push(permission),
            None => return refuse("invalid_scope", format!("{name:?} is no permission")),
        }
    }
    Ok(Some(all.into_iter().collect()))
}

/// What of an offer is asked for: all of it when nothing is named, and nothing beyond it.
pub(crate) fn within(offer: Permissions, scope: Option<&str>) -> Result<Permissions, Refusal> {
    let wanted = wanted(scope)?.unwrap_or(offer);
    match wanted.iter().find(|permission| !offer.contains(*permission)) {
        Some(beyond) => refuse("invalid_scope", format!("{} is not granted here", beyond.as_str())),
        None if wanted == Permissions::NONE => refuse("invalid_scope", "no permission is left to grant"),
        None => Ok(wanted),
    }
}

/// Gives tokens.
pub(crate) async fn tokens(
    runtime: &Runtime,
    presented: &Presented,
    request: &TokenRequest,
) -> Result<Tokens, Refusal> {
    let client = recognise(runtime, presented).await?;
    let origin = presented.origin.clone();
    let given = |name: &str, value: &Option<String>| match value.clone() {
        Some(value) => Ok(value),
        None => Err(Refusal::Protocol("invalid_request", format!("{name} is missing"))),
    };
    let renewed = match request.grant_type.as_deref() {
        Some("client_credentials") if client.kind == Kind::Public => {
            return refuse("unauthorized_client", "a public application acts for people alone");
        }
        Some("client_credentials") => {
            let scopes = within(own(runtime, &client).await?, request.scope.as_deref())?;
            let holder = Holder { tenant: client.tenant, client: client.id, user: None, grant: None, scopes };
            return answer(runtime, &holder, None).await;
        }
        Some("authorization_code") => {
            let code = given("code", &request.code)?;
            let uri = given("redirect_uri", &request.redirect_uri)?;
            let verifier = given("code_verifier", &request.code_verifier)?;
            consent::redeem(runtime, &code, (client.id, &uri, &verifier), origin).await
        }
        Some("refresh_token") => {
            let refresh = given("refresh_token", &request.refresh_token)?;
            let asked = wanted(request.scope.as_deref())?;
            consent::refresh(runtime, &refresh, client.id, origin)
                .await
                .map(|renewed| renewed.narrowed(asked))
        }
        Some(other) => return refuse("unsupported_grant_type", format!("{other:?} is not given here")),
        None => return refuse("invalid_request", "grant_type is missing"),
    };
    match renewed {
        Ok(renewed) => answer(runtime, &renewed.holder, Some(renewed.refresh)).await,
        Err(error) if error.code() == types::Code::Unauthenticated => {
            refuse("invalid_grant", error.message())
        }
        Err(error) => Err(error.into()),
    }
}

async fn answer(runtime: &Runtime, holder: &Holder, refresh: Option<String>) -> Result<Tokens, Refusal> {
    let (access_token, expires_in) = token::issue(runtime, holder).await?;
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in,
        refresh_token: refresh,
        scope: scope_text(holder.scopes),
    })
}

/// Revokes an application's own token (RFC 7009). One that is not known, or another's, is fine and stays as it is.
pub(crate) async fn revoke(runtime: &Runtime, presented: &Presented, text: &str) -> Result<(), Refusal> {
    let client = recognise(runtime, presented).await?;
    if text.starts_with(REFRESH_PREFIX) {
        consent::give_back(runtime, text, client.id, presented.origin.clone()).await?;
        return Ok(());
    }
    let Ok(bearer) = token::bearer(runtime, text).await else { return Ok(()) };
    let claims = &bearer.claims;
    if claims.client_id == client.id.to_string() {
        let origin = presented.origin.clone();
        let actor = Actor::Client(client.id);
        let scope = Scope::grant(runtime.clone(), bearer.tenant, actor, Permissions::NONE, origin);
        consent::revoke_access(&scope, &claims.jti, bearer.until()).await?;
    }
    Ok(())
}

/// What a token is worth now (RFC 7662 §2.2), for a confidential application of the same tenant. Of others' tokens it learns
/// that they are not active.
pub(crate) async fn introspect(
    runtime: &Runtime,
    presented: &Presented,
    text: &str,
) -> Result<Value, Refusal> {
    let client = recognise(runtime, presented).await?;
    if client.kind == Kind::Public {
        return refuse("unauthorized_client", "only an application with a secret may ask");
    }
    match token::bearer(runtime, text).await {
        Ok(bearer) if bearer.tenant == client.tenant => {
            let token::Claims { iss, sub, aud, exp, iat, jti, client_id, tenant, .. } = bearer.claims;
            Ok(json!({
                "active": true, "token_type": "Bearer", "scope": scope_text(bearer.held.permissions()), "client_id": client_id,
                "sub": sub, "aud": aud, "iss": iss, "exp": exp, "iat": iat, "jti": jti, "tenant": tenant,
            }))
        }
        Ok(_) => Ok(json!({ "active": false })),
        Err(error) if error.code().status() == 401 => Ok(json!({ "active": false })),
        Err(error) => Err(error.into()),
    }
}

/// What this server can do (RFC 8414 §2).
pub(crate) fn metadata(runtime: &Runtime) -> Value {
    let issuer = runtime.config.public_url();
    let at = |path: &str| format!("{issuer}{path}");
    let methods = ["client_secret_basic", "client_secret_post", "none"];
    let scopes: Vec<_> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "service_documentation": at("/docs"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods[..2],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_the_offer_is_granted() {
        let offer: Permissions = [Permission::MessageSend, Permission::MessageView].into_iter().collect();
        assert_eq!(within(offer, None).unwrap(), offer);
        assert_eq!(within(offer, Some("message.view")).unwrap().iter().count(), 1);
        for wrong in ["user.manage", "message.view user.manage", "nonsense"] {
            assert!(
                matches!(within(offer, Some(wrong)), Err(Refusal::Protocol("invalid_scope", _))),
                "{wrong}"
            );
        }
        assert!(within(Permissions::NONE, None).is_err());
    }
}
