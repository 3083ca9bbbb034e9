//! Changing a key, and giving it another secret.

use db::{Tx, args, sql};
use runtime::secrets::{sha256_hex, token};
use runtime::{Held, Scope};
use serde::{Deserialize, Serialize};
use types::{Code, Error, Event, KeyId, Permission, Result, Timestamp};

use super::{CreatedKey, Key, change, find, owner_of, rate, shown};
use crate::role::rights;
use crate::{name, network};

/// How long a former secret is let in when nothing else is said.
const OVERLAP_S: u64 = 86_400;
/// How long one can be: a quarter.
const OVERLAP_S_MAX: u64 = 90 * 86_400;

/// What to change of a key; what is absent stays. Its kind and its permissions stay for ever: another need is another key.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    /// What people call it.
    pub name: Option<String>,
    /// The networks that it may be used from; an empty list for everywhere.
    pub networks: Option<Vec<String>>,
    /// How many requests a second it may make; 0 for the installation's rate.
    pub rate_per_second: Option<u32>,
    /// How many it may make at once; as many as a second when only the rate is given.
    pub rate_burst: Option<u32>,
}

/// How a secret is replaced.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For how many seconds the present secret is let in beside the new one, 0 to 7,776,000 (90 days); 86,400 when not
    /// given. 0 ends it at once, as is right for one that leaked.
    pub overlap_s: Option<u64>,
}

/// Until when a secret that is replaced now is let in.
pub(crate) fn keep_until(rotation: &Rotation, now: Timestamp) -> Result<Option<Timestamp>> {
    match rotation.overlap_s.unwrap_or(OVERLAP_S) {
        0 => Ok(None),
        overlap if overlap <= OVERLAP_S_MAX => Ok(Some(now.plus_ms(overlap as i64 * 1_000))),
        overlap => {
            Err(Error::invalid("overlap_s", format!("it takes 0 to {OVERLAP_S_MAX} seconds, not {overlap}")))
        }
    }
}

/// Whoever changes a key or gets its new secret must be able to do all that it may; else that would be a way up.
async fn may_govern(tx: &mut Tx, scope: &Scope, id: KeyId) -> Result<()> {
    let owner = owner_of(tx, scope.tenant(), id).await?;
    scope.require_for(Permission::KeyChange, owner)?;
    let facts = rights::of_key(tx, scope.tenant(), id, scope.now()).await?;
    may_use(scope, &facts.held(scope.now()), "this key")
}

pub(crate) fn may_use(scope: &Scope, its: &Held, what: &str) -> Result<()> {
    if scope.held().covers(its) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, format!("{what} may do more than you")))
}

fn in_use(key: &Key, now: Timestamp) -> Result<()> {
    if key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::new(Code::Conflict, "the key is revoked or expired").hint("create a new one."));
    }
    Ok(())
}

/// Changes a key's name, networks and rate. The next request with it is judged by what is new.
///
/// # Errors
/// Without `key.change`; `step_up_required`; `not_found`; `forbidden` for a key that may do more than the caller; `conflict` for one that is
/// revoked or expired; `invalid_value`.
pub async fn update(scope: &Scope, id: KeyId, wanted: KeyPatch) -> Result<Key> {
    scope.require(Permission::KeyChange)?;
    scope.require_fresh()?;
    let name = wanted.name.as_deref().map(|name| name::given("name", name)).transpose()?;
    let networks = wanted.networks.as_deref().map(network::checked).transpose()?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    may_govern(&mut write, scope, id).await?;
    in_use(&before, scope.now())?;
    let (rate_per_second, rate_burst) = match (wanted.rate_per_second, wanted.rate_burst) {
        (Some(0), None) => (None, None),
        (None, None) => (before.rate_per_second, before.rate_burst),
        (per_second, burst) => rate(per_second.or(before.rate_per_second), burst)?,
    };
    let after = Key {
        name: name.unwrap_or_else(|| before.name.clone()),
        networks: networks.unwrap_or_else(|| before.networks.clone()),
        rate_per_second,
        rate_burst,
        ..before.clone()
    };
    let networks = serde_json::to_string(&after.networks).map_err(Error::internal)?;
    write
        .execute(
            sql!(
                "update api_key set name = $3, networks = $4, rate_per_second = $5, rate_burst = $6 \
                 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id, &after.name, networks, rate_per_second, rate_burst],
        )
        .await?;
    write.happened(Event::KeyChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Gives a key a new secret, which is let in at once. The present one becomes the former and is let in for as long as
/// wanted; a former one from before ends at once.
///
/// # Errors
/// As [`update`].
pub async fn rotate(scope: &Scope, id: KeyId, rotation: &Rotation) -> Result<CreatedKey> {
    scope.require(Permission::KeyChange)?;
    scope.require_fresh()?;
    let now = scope.now();
    let until = keep_until(rotation, now)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    may_govern(&mut write, scope, id).await?;
    in_use(&before, now)?;
    let secret = format!("{}{}", before.kind.prefix(), token(32).map_err(Error::internal)?);
    write
        .execute(
            sql!(
                "update api_key set former_hash = case when cast($5 as bigint) is null then null else secret_hash end, \
                 former_shown = case when cast($5 as bigint) is null then null else shown end, former_until = $5, \
                 former_used_at = case when cast($5 as bigint) is null then null else last_used_at end, \
                 secret_hash = $3, shown = $4, rotated_at = $6 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id, sha256_hex(&secret), shown(&secret), until, now],
        )
        .await?;
    let after = find(&mut write, scope, id).await?;
    write.happened(Event::KeyChanged(change(&after, Some(&before))));
    write.commit_keeping(&CreatedKey { key: after.clone(), secret: None }).await?;
    Ok(CreatedKey { key: after, secret: Some(secret) })
}

/// Ends a key's former secret before its time; where there is none, that is fine.
///
/// # Errors
/// Without `key.change`; `not_found`.
pub async fn end_former(scope: &Scope, id: KeyId) -> Result<Key> {
    scope.require(Permission::KeyChange)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
    let owner = owner_of(&mut write, scope.tenant(), id).await?;
    scope.require_for(Permission::KeyChange, owner)?;
    if before.former.is_none() {
        return write.commit(before).await;
    }
    let after = Key { former: None, ..before.clone() };
    write
        .execute(
            sql!(
                "update api_key set former_hash = null, former_shown = null, former_until = null, former_used_at = null \
                 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    write.happened(Event::KeyChanged(change(&after, Some(&before))));
    write.commit(after).await
}
