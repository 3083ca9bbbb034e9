//! API keys: how programs say who they are.
//!
//! A key is `sb_live_` and 32 random octets; the database holds its SHA-256, which is enough for a secret that long and
//! random. What it may do is what its scopes say and its owner still may.

use db::{OnConflict, Tx, args, record, sql};
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, KeyId, Page, Permission, Permissions, Result, TenantId, Timestamp, UserId};
use web::Paging;

use crate::name;
use crate::role::rights::Reaching;

pub mod api;
pub mod pages;

/// What every key that we make begins with, so that people and secret scanners know one when they see it.
pub const PREFIX: &str = "sb_live_";
/// The scope of the keys that the first start makes: whatever the owner may, also what a later version adds.
pub const EVERYTHING: &str = "*";
/// The characters by which people tell keys apart.
const SHOWN_CHARS: usize = 12;
/// What is shown of a key that we did not make: less, for nothing is known of its randomness.
const SHOWN_CHARS_FOREIGN: usize = 4;

record! {
    struct KeyRow {
        id: KeyId,
        name: String,
        shown: String,
        scopes: String,
        created_by: String,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
        last_used_at: Option<Timestamp>,
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// The secret's first characters.
    pub shown: String,
    /// The permissions it was given, `*` for all; it has those of them that its owner still has.
    pub scopes: Vec<String>,
    /// Who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// From when it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, name, shown, scopes, created_by, created_at, expires_at, revoked_at, last_used_at } =
            row;
        let scopes = serde_json::from_str(&scopes).unwrap_or_default();
        Self { id, name, shown, scopes, created_by, created_at, expires_at, revoked_at, last_used_at }
    }
}

/// A key to be created.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it may do; at least one permission, none that the caller lacks. A name that was split stands for its successors.
    #[serde(deserialize_with = "types::permission::names")]
    pub scopes: Vec<Permission>,
    /// From when it is refused; never when not given.
    pub expires_at: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CreatedKey {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// The secret, shown this once; absent when the answer is a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The tenant's keys, newest first, the revoked ones too.
///
/// # Errors
/// Without `key.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Key>> {
    scope.require(Permission::KeyView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let reaching = Reaching::of(scope, Permission::KeyView)?;
    let keys = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, name, shown, scopes, created_by, created_at, expires_at, revoked_at, last_used_at from api_key \
                 where tenant_id = $1 and id < $2 and ($4 or owner_id in \
                 (select cast(r.value ->> 'id' as bigint) from json_rows($5) r)) order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1, reaching.all, reaching.people],
        )
        .await?;
    Ok(Page::from_overfull(keys, limit, |key: &KeyRow| key.id.raw()).map(Key::from))
}

/// A key by its id.
///
/// # Errors
/// Without `key.view`; `not_found`.
pub async fn get(scope: &Scope, id: KeyId) -> Result<Key> {
    scope.require(Permission::KeyView)?;
    let mut tx = scope.read().await?;
    let key = find(&mut tx, scope.tenant(), id).await?;
    match scope.held().allows(Permission::KeyView, owner_of(&mut tx, scope.tenant(), id).await?) {
        true => Ok(key),
        false => Err(Error::not_found("API key")),
    }
}

async fn find(tx: &mut Tx, tenant: TenantId, id: KeyId) -> Result<Key> {
    let row: Option<KeyRow> = tx
        .optional(
            sql!(
                "select id, name, shown, scopes, created_by, created_at, expires_at, revoked_at, last_used_at from api_key \
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    row.map(Key::from).ok_or_else(|| Error::not_found("API key"))
}

/// Creates a key. Its owner is the person who creates it, or the owner of the key that does.
///
/// # Errors
/// Without `key.create`; `forbidden` for a scope that the caller lacks; `invalid_value`.
pub async fn create(scope: &Scope, new: NewKey) -> Result<CreatedKey> {
    scope.require(Permission::KeyCreate)?;
    scope.require_fresh()?;
    if new.scopes.is_empty() {
        return Err(Error::invalid("scopes", "a key needs at least one permission"));
    }
    for wanted in &new.scopes {
        if !scope.permissions().contains(*wanted) {
            return Err(
                Error::new(Code::Forbidden, format!("you lack {} yourself", wanted.as_str())).at("scopes")
            );
        }
    }
    if new.expires_at.is_some_and(|at| at <= scope.now()) {
        return Err(Error::invalid("expires_at", "give a time in the future"));
    }
    let secret = format!("{PREFIX}{}", token(32).map_err(Error::internal)?);
    let mut write = scope.write().await?;
    let owner = owner(&mut write, scope).await?;
    let key = Key {
        id: scope.runtime().ids.next(),
        name: name::given("name", &new.name)?,
        shown: String::new(),
        scopes: names(new.scopes.into_iter().collect()),
        created_by: scope.actor().to_string(),
        created_at: scope.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let key = insert(&mut write, scope.tenant(), owner, key, &secret).await?;
    write.happened(Event::KeyCreated(change(&key, None)));
    write.commit_keeping(&CreatedKey { key: key.clone(), secret: None }).await?;
    Ok(CreatedKey { key, secret: Some(secret) })
}

record! { struct Owner { owner_id: Option<UserId> } }

async fn owner(tx: &mut Tx, scope: &Scope) -> Result<Option<UserId>> {
    match scope.actor() {
        Actor::User(id) => Ok(Some(*id)),
        Actor::Key(id) => owner_of(tx, scope.tenant(), *id).await,
        Actor::Account(_) | Actor::System(_) => Ok(None),
    }
}

/// Whose rights bound a key's; nobody's for a key that is not there.
pub(crate) async fn owner_of(tx: &mut Tx, tenant: TenantId, id: KeyId) -> Result<Option<UserId>> {
    let owner: Option<Owner> = tx
        .optional(sql!("select owner_id from api_key where tenant_id = $1 and id = $2"), args![tenant, id])
        .await?;
    Ok(owner.and_then(|owner| owner.owner_id))
}

/// As [`owner_of`], but a key that is not there is refused.
pub(crate) async fn owner_if_there(tx: &mut Tx, tenant: TenantId, id: KeyId) -> Result<Option<UserId>> {
    find(tx, tenant, id).await?;
    owner_of(tx, tenant, id).await
}

/// Inserts a key with its secret and gives it back with what is shown of that.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    owner: Option<UserId>,
    key: Key,
    secret: &str,
) -> Result<Key> {
    let shown = if secret.starts_with(PREFIX) { SHOWN_CHARS } else { SHOWN_CHARS_FOREIGN };
    let key = Key { shown: secret.chars().take(shown).collect(), ..key };
    let scopes = serde_json::to_string(&key.scopes).map_err(Error::internal)?;
    tx.execute(
        sql!(
            "insert into api_key (id, tenant_id, name, secret_hash, shown, scopes, owner_id, created_by, created_at, \
             expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        args![
            key.id,
            tenant,
            &key.name,
            sha256_hex(secret),
            &key.shown,
            scopes,
            owner,
            &key.created_by,
            key.created_at,
            key.expires_at
        ],
    )
    .await
    .on_unique(|| Error::new(Code::AlreadyExists, "this key exists already"))?;
    Ok(key)
}

/// Revokes a key: the next request with it is refused. One that is revoked already stays so.
///
/// # Errors
/// Without `key.revoke`; `not_found`.
pub async fn revoke(scope: &Scope, id: KeyId) -> Result<Key> {
    scope.require(Permission::KeyRevoke)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    let owner = owner_of(&mut write, scope.tenant(), id).await?;
    scope.require_for(Permission::KeyRevoke, owner)?;
    if before.revoked_at.is_some() {
        return write.commit(before).await;
    }
    let after = Key { revoked_at: Some(scope.now()), ..before.clone() };
    write
        .execute(
            sql!(
                "update api_key set revoked_at = $3 where tenant_id = $1 and id = $2 and revoked_at is null"
            ),
            args![scope.tenant(), id, after.revoked_at],
        )
        .await?;
    write.happened(Event::KeyRevoked(change(&after, Some(&before))));
    write.commit(after).await
}

/// The names of permissions, in the catalogue's order.
pub(crate) fn names(permissions: Permissions) -> Vec<String> {
    permissions.iter().map(|permission| permission.as_str().to_owned()).collect()
}

/// The permissions that a stored list names; names of a later version allow nothing here.
pub(crate) fn permissions(scopes: &str) -> Permissions {
    let names: Vec<String> = serde_json::from_str(scopes).unwrap_or_default();
    if names.iter().any(|name| name == EVERYTHING) {
        return Permissions::all();
    }
    let named = names.iter().filter_map(|name| Permissions::named(name));
    named.fold(Permissions::NONE, Permissions::or)
}

/// What the audit trail keeps of a change to a key.
pub(crate) fn change(key: &Key, before: Option<&Key>) -> Change {
    Change {
        id: key.id.to_string(),
        name: key.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(key).ok(),
    }
}
