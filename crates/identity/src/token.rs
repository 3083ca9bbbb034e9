//! Access tokens: signed, short-lived, read by whoever has the published keys (JWT profile for access tokens, RFC 9068).
//!
//! Our own API looks beyond the signature: the application, the grant, the person and the tenant must still be let in. The
//! answer to that is remembered for seconds, and the event stream ends it at once.

use db::{Tenancy, args, record, sql};
use jsonwebtoken::{Algorithm, Header, Validation};
use runtime::config::Network;
use runtime::secrets::token;
use runtime::{Actor, Held, Runtime};
use serde::{Deserialize, Serialize};
use types::{ClientId, Code, ConsentId, Error, Permissions, Result, TenantId, Timestamp, UserId};

use crate::role::rights::{self, Means};
use crate::{key, network};

pub(crate) mod accepted;
pub mod keys;

/// The media type of an access token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";
/// How far another machine's clock may be off.
pub(crate) const SKEW_MS: i64 = 60_000;

/// What an access token says (RFC 9068 §2.2). Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: this installation's address.
    pub iss: String,
    /// For whom it speaks: a person, or the application itself.
    pub sub: String,
    /// For whom it is: this installation's API.
    pub aud: String,
    /// From when it is refused.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// Its id.
    pub jti: String,
    /// The application.
    pub client_id: String,
    /// The permissions, separated by blanks.
    pub scope: String,
    /// Whose rows.
    pub tenant: String,
    /// The grant that it came from, where a person let the application act for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// For whom a token is made.
pub(crate) struct Holder {
    pub(crate) tenant: TenantId,
    pub(crate) client: ClientId,
    pub(crate) user: Option<UserId>,
    pub(crate) grant: Option<ConsentId>,
    pub(crate) scopes: Permissions,
}

/// Names of permissions as a token says them (RFC 6749 §3.3).
pub(crate) fn scope_text(scopes: Permissions) -> String {
    key::names(scopes).join(" ")
}

/// Makes an access token, and gives the seconds that it lives.
pub(crate) async fn issue(runtime: &Runtime, holder: &Holder) -> Result<(String, u32)> {
    let signing = keys::signing(runtime).await?;
    let lives_s = runtime.config.security.access_token_ttl_s;
    let now_s = runtime.clock.now().unix_ms().div_euclid(1_000);
    let issuer = runtime.config.public_url();
    let claims = Claims {
        sub: holder.user.map_or_else(|| holder.client.to_string(), |user| user.to_string()),
        aud: issuer.clone(),
        iss: issuer,
        exp: now_s + i64::from(lives_s),
        iat: now_s,
        jti: token(16).map_err(Error::internal)?,
        client_id: holder.client.to_string(),
        scope: scope_text(holder.scopes),
        tenant: holder.tenant.to_string(),
        grant: holder.grant.map(|grant| grant.to_string()),
    };
    let header =
        Header { typ: Some(TYPE.to_owned()), kid: Some(signing.id.clone()), ..Header::new(Algorithm::ES256) };
    let text = jsonwebtoken::encode(&header, &claims, &signing.encoding).map_err(Error::internal)?;
    Ok((text, lives_s))
}

/// One refusal for every token that is not ours, not whole, or not let in any more.
fn refused() -> Error {
    Error::new(Code::Unauthenticated, "nobody is known by these credentials")
}

/// A token that was right before.
pub(crate) fn expired() -> Error {
    Error::new(Code::TokenExpired, "the access token has expired")
}

/// What a token says, if we signed it and its time is now.
///
/// # Errors
/// `unauthenticated`; `token_expired` for one that was right before.
pub(crate) async fn read(runtime: &Runtime, text: &str) -> Result<Claims> {
    let header = jsonwebtoken::decode_header(text).map_err(|_| refused())?;
    let typed = header
        .typ
        .as_deref()
        .is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE) || typ.eq_ignore_ascii_case("application/at+jwt"));
    if header.alg != Algorithm::ES256 || !typed {
        return Err(refused());
    }
    let kid = header.kid.ok_or_else(refused)?;
    let signing = keys::named(runtime, &kid).await?.ok_or_else(refused)?;
    // The algorithm is ours to say, never the token's. Times are looked at below, by the program's own clock.
    let mut validation = Validation::new(Algorithm::ES256);
    let issuer = runtime.config.public_url();
    validation.set_issuer(&[&issuer]);
    validation.set_audience(&[&issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let read = jsonwebtoken::decode::<Claims>(text, &signing.decoding, &validation).map_err(|_| refused())?;
    let claims = read.claims;
    let now_ms = runtime.clock.now().unix_ms();
    if claims.iat.saturating_mul(1_000) > now_ms + SKEW_MS {
        return Err(refused());
    }
    if claims.exp.saturating_mul(1_000) + SKEW_MS <= now_ms {
        return Err(expired());
    }
    Ok(claims)
}

/// Whom a token lets in.
pub(crate) struct Bearer {
    pub(crate) tenant: TenantId,
    pub(crate) actor: Actor,
    /// The application's name.
    pub(crate) name: String,
    pub(crate) owner: Option<UserId>,
    pub(crate) held: Held,
    /// Until when `held` stays so, if nothing else changes.
    pub(crate) remembered_until: Option<Timestamp>,
    pub(crate) networks: Vec<Network>,
    pub(crate) claims: Claims,
}

impl Bearer {
    /// From when the token is refused, a minute for other clocks included.
    pub(crate) fn until(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.claims.exp.saturating_mul(1_000) + SKEW_MS)
    }
}

record! { struct HolderRow { networks: String, revoked: bool } }

/// Whom a token lets in now: its application, its grant, its person and its tenant must all still be there, and it has what
/// they have and it was made for.
///
/// # Errors
/// As [`read`].
pub(crate) async fn bearer(runtime: &Runtime, text: &str) -> Result<Bearer> {
    let claims = read(runtime, text).await?;
    let client: ClientId = claims.client_id.parse().map_err(|_| refused())?;
    let tenant: TenantId = claims.tenant.parse().map_err(|_| refused())?;
    let consent = claims.grant.as_deref().map(str::parse::<ConsentId>).transpose().map_err(|_| refused())?;
    let now = runtime.clock.now();
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let row: Option<HolderRow> = tx
        .optional(
            sql!(
                "select c.networks, exists (select 1 from revoked_token r where r.tenant_id = $1 and r.token_id = $3) as revoked \
                 from oauth_client c where c.tenant_id = $1 and c.id = $2"
            ),
            args![tenant, client, &claims.jti],
        )
        .await?;
    let row = row.filter(|row| !row.revoked).ok_or_else(refused)?;
    let facts = match consent {
        Some(consent) => rights::of_consent(&mut tx, tenant, consent, now).await,
        None => rights::of_client(&mut tx, tenant, client, now).await,
    };
    let facts = facts.map_err(|error| if error.code() == Code::NotFound { refused() } else { error })?;
    let owner = facts.person.as_ref().map(|person| person.id);
    let program = facts.program.as_ref().filter(|_| facts.shut(now).is_none()).ok_or_else(refused)?;
    let actor = match (program.means, owner) {
        (Means::Client(_), _) => Actor::Client(client),
        (Means::Consent(consent, of), Some(user)) if of == client => Actor::App { client, user, consent },
        _ => return Err(refused()),
    };
    let said = claims.scope.split(' ').filter_map(types::Permission::named).collect::<Permissions>();
    Ok(Bearer {
        tenant,
        actor,
        name: program.name.clone(),
        owner,
        held: facts.held(now).and(said),
        remembered_until: facts.until(now),
        networks: network::stored(&row.networks).ok_or_else(refused)?,
        claims,
    })
}
