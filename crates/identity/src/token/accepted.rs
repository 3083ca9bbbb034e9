//! Access tokens that a tenant's own sign-in service has signed, as bearers of the API (RFC 6750, RFC 9068 §4).
//!
//! A token is taken where the tenant says what its bearers may do, and where it names the service's own audience here: one that
//! was made for somebody else opens nothing, and no tenant can claim another's. Its subject must be tied to a user, who is asked
//! at each reading what they may; the token never has more.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Tenancy, args, record, sql};
use runtime::{Held, Runtime};
use serde_json::Value;
use types::{Code, Error, Permissions, ProviderId, Result, TenantId, Timestamp, UserId};

use super::SKEW_MS;
use crate::federation::foreign::{self, Expected};
use crate::provider;
use crate::role::rights;

/// Audiences of one token that are looked at.
const AUDIENCES_MAX: usize = 20;

/// Whom such a token lets in.
pub(crate) struct Accepted {
    pub(crate) tenant: TenantId,
    pub(crate) provider: ProviderId,
    /// What people call the service.
    pub(crate) name: String,
    pub(crate) user: UserId,
    pub(crate) held: Held,
    /// From when the token is refused, a minute for other clocks included.
    pub(crate) expires_at: Timestamp,
    /// Until when `held` stays so, if nothing else changes.
    pub(crate) until: Option<Timestamp>,
}

record! { struct Tied { user_id: UserId } }

fn refused(why: impl Into<String>) -> Error {
    Error::new(Code::Unauthenticated, why)
}

/// What a token says of itself; nobody has vouched for it yet.
fn said(text: &str) -> Option<Value> {
    let octets = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&octets).ok()
}

/// The service that a token names, by the audience that it was made for; nothing for our own tokens, and for none of ours.
pub(crate) fn service(runtime: &Runtime, text: &str) -> Option<ProviderId> {
    let said = said(text)?;
    let audiences = match &said["aud"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(all) => all.iter().take(AUDIENCES_MAX).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    audiences.into_iter().find_map(|audience| provider::of_audience(runtime, audience))
}

/// Whom a token of a service lets in now.
///
/// # Errors
/// `unauthenticated`, in words that tell whoever runs the service what to do.
pub(crate) async fn read(runtime: &Runtime, id: ProviderId, text: &str) -> Result<Accepted> {
    let nobody = || refused("nobody is known by these credentials");
    let provider = provider::open(runtime, id).await.map_err(|_| nobody())?;
    let scopes: Permissions = provider.settings.token_scopes.iter().copied().collect();
    if scopes == Permissions::NONE {
        return Err(nobody());
    }
    let in_words = |error: Error| refused(error.message().to_owned());
    let metadata = foreign::metadata(runtime, &provider.issuer).await.map_err(in_words)?;
    let keys = metadata["jwks_uri"].as_str().ok_or_else(|| refused("the service publishes no keys"))?;
    let expected = Expected { issuer: &provider.issuer, audience: &provider.token_audience, keys };
    let claims: Value = foreign::verify(runtime, text, &expected).await.map_err(in_words)?;
    let subject = claims["sub"].as_str().unwrap_or_default();
    let expires_s = claims["exp"].as_f64().unwrap_or_default();
    let mut tx = runtime.db.read(Tenancy::Tenant(provider.tenant)).await?;
    let tied: Option<Tied> = tx
        .optional(
            sql!(
                "select user_id from user_identity where tenant_id = $1 and provider_id = $2 and subject = $3"
            ),
            args![provider.tenant, provider.id, subject],
        )
        .await?;
    let Tied { user_id } = tied.ok_or_else(|| {
        refused(format!("{} stands for the subject {subject:?}, who is tied to no user here", provider.name))
            .hint("Sign in with the service once, or have an administrator tie the subject to a user.")
    })?;
    let now = runtime.clock.now();
    let facts = rights::of_user(&mut tx, provider.tenant, user_id, now).await?;
    if facts.shut(now).is_some() {
        return Err(nobody());
    }
    Ok(Accepted {
        tenant: provider.tenant,
        provider: provider.id,
        name: provider.name,
        user: user_id,
        held: facts.held(now).and(scopes),
        expires_at: Timestamp::from_unix_ms((expires_s * 1_000.0) as i64).plus_ms(SKEW_MS),
        until: facts.until(now),
    })
}
