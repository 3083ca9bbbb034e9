//! API keys: how programs say who they are.
//!
//! A key is `sb_live_` or `sb_test_` and 32 random octets; the database holds its SHA-256, which is enough for a secret
//! that long and random. What it may do is what its scopes say and its owner still may. A test key reads and sends; what it
//! sends goes to the built-in simulator alone.

use db::{OnConflict, Tx, args, record, sql};
use runtime::secrets::{sha256_hex, token};
use runtime::{Actor, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, KeyId, Page, Permission, Permissions, Result, TenantId, Timestamp, UserId};
use web::Paging;

use crate::role::rights::Reaching;
use crate::{client, name, network};

pub mod api;
mod change;
pub mod pages;

pub use change::{KeyPatch, Rotation, end_former, rotate, update};
pub(crate) use change::{keep_until, may_use};

/// What live keys begin with.
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
        kind: String,
        shown: String,
        scopes: String,
        networks: String,
        rate_per_second: Option<u32>,
        rate_burst: Option<u32>,
        created_by: String,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
        rotated_at: Option<Timestamp>,
        last_used_at: Option<Timestamp>,
        last_used_from: Option<String>,
        last_used_agent: Option<String>,
        former_shown: Option<String>,
        former_until: Option<Timestamp>,
        former_used_at: Option<Timestamp>,
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = KeyKind)]
pub enum Kind {
    /// For real traffic.
    #[default]
    Live,
    /// For tests: it reads and sends, and what it sends goes to the built-in simulator and to nobody else.
    Test,
}

impl Kind {
    /// The name that rows and answers hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// A stored name; one that this version does not know is the lesser.
    pub(crate) fn stored(name: &str) -> Self {
        if name == Self::Live.as_str() { Self::Live } else { Self::Test }
    }

    /// What every key of this kind begins with, so that people and secret scanners know one when they see it.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Live => PREFIX,
            Self::Test => "sb_test_",
        }
    }

    /// What a key of this kind may do at most.
    pub(crate) fn bounds(self) -> Permissions {
        let harmless = |permission: &Permission| {
            matches!(
                permission,
                Permission::MessageSend | Permission::MessageQuote | Permission::SimulatorUse
            ) || permission.as_str().ends_with(".view")
        };
        match self {
            Self::Live => Permissions::all(),
            Self::Test => Permission::ALL.iter().copied().filter(harmless).collect(),
        }
    }
}

/// The secret before the present one, while both are let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FormerSecret {
    /// Its first characters.
    pub shown: String,
    /// Until when it is let in.
    pub until: Timestamp,
    /// When it was last used, to the minute: when that stays, nobody needs it any more.
    pub last_used_at: Option<Timestamp>,
}

impl FormerSecret {
    pub(crate) fn stored(
        shown: Option<String>,
        until: Option<Timestamp>,
        last_used_at: Option<Timestamp>,
    ) -> Option<Self> {
        Some(Self { shown: shown?, until: until?, last_used_at })
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// `live` or `test`.
    pub kind: Kind,
    /// The secret's first characters.
    pub shown: String,
    /// The permissions it was given, `*` for all; it has those of them that its owner still has.
    pub scopes: Vec<String>,
    /// The networks that it may be used from; everywhere when there are none.
    pub networks: Vec<String>,
    /// Its own rate of requests a second.
    pub rate_per_second: Option<u32>,
    /// The requests that it may make at once above that.
    pub rate_burst: Option<u32>,
    /// Who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// From when it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it got its present secret, where that is not its first.
    pub rotated_at: Option<Timestamp>,
    /// The secret before that, while it is let in.
    pub former: Option<FormerSecret>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<String>,
    /// By which program, in its own words.
    pub last_used_agent: Option<String>,
}

impl Key {
    /// A new key that may be used from everywhere, with the installation's rate, for ever.
    pub(crate) fn new(id: KeyId, name: String, scopes: Vec<String>, by: String, at: Timestamp) -> Self {
        Self {
            id,
            name,
            kind: Kind::Live,
            shown: String::new(),
            scopes,
            networks: Vec::new(),
            rate_per_second: None,
            rate_burst: None,
            created_by: by,
            created_at: at,
            expires_at: None,
            revoked_at: None,
            rotated_at: None,
            former: None,
            last_used_at: None,
            last_used_from: None,
            last_used_agent: None,
        }
    }
}

impl KeyRow {
    /// The key as it is at an instant: a former secret whose time is over is none.
    fn key(self, now: Timestamp) -> Key {
        let former = FormerSecret::stored(self.former_shown, self.former_until, self.former_used_at);
        Key {
            id: self.id,
            name: self.name,
            kind: Kind::stored(&self.kind),
            shown: self.shown,
            scopes: serde_json::from_str(&self.scopes).unwrap_or_default(),
            networks: serde_json::from_str(&self.networks).unwrap_or_default(),
            rate_per_second: self.rate_per_second,
            rate_burst: self.rate_burst,
            created_by: self.created_by,
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            rotated_at: self.rotated_at,
            former: former.filter(|former| former.until > now),
            last_used_at: self.last_used_at,
            last_used_from: self.last_used_from,
            last_used_agent: self.last_used_agent,
        }
    }
}

/// A key to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it may do; at least one permission, none that the caller lacks. A name that was split stands for its successors. A
    /// test key may read, `message.send`, `message.quote` and `simulator.use`.
    #[serde(deserialize_with = "types::permission::names")]
    pub scopes: Vec<Permission>,
    /// `live` when not given.
    #[serde(default)]
    pub kind: Kind,
    /// The networks that it may be used from, at most 50: `192.0.2.0/24`, `2001:db8::/32`; everywhere when not given.
    #[serde(default)]
    pub networks: Vec<String>,
    /// How many requests a second it may make, 1 to 100,000; the installation's rate when not given. Of both the lower holds.
    pub rate_per_second: Option<u32>,
    /// How many it may make at once, 1 to 100,000; as many as a second when not given.
    pub rate_burst: Option<u32>,
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
                "select id, name, kind, shown, scopes, networks, rate_per_second, rate_burst, created_by, created_at, expires_at, \
                 revoked_at, rotated_at, last_used_at, last_used_from, last_used_agent, former_shown, former_until, former_used_at \
                 from api_key where tenant_id = $1 and id < $2 and ($4 or owner_id in \
                 (select cast(r.value ->> 'id' as bigint) from json_rows($5) r)) order by id desc limit $3"
            ),
            args![scope.tenant(), behind, limit as i64 + 1, reaching.all, reaching.people],
        )
        .await?;
    let now = scope.now();
    Ok(Page::from_overfull(keys, limit, |key: &KeyRow| key.id.raw()).map(|row| row.key(now)))
}

/// A key by its id.
///
/// # Errors
/// Without `key.view`; `not_found`.
pub async fn get(scope: &Scope, id: KeyId) -> Result<Key> {
    scope.require(Permission::KeyView)?;
    let mut tx = scope.read().await?;
    let key = find(&mut tx, scope, id).await?;
    match scope.held().allows(Permission::KeyView, owner_of(&mut tx, scope.tenant(), id).await?) {
        true => Ok(key),
        false => Err(Error::not_found("API key")),
    }
}

async fn find(tx: &mut Tx, scope: &Scope, id: KeyId) -> Result<Key> {
    let row: Option<KeyRow> = tx
        .optional(
            sql!(
                "select id, name, kind, shown, scopes, networks, rate_per_second, rate_burst, created_by, created_at, expires_at, \
                 revoked_at, rotated_at, last_used_at, last_used_from, last_used_agent, former_shown, former_until, former_used_at \
                 from api_key \
                 where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), id],
        )
        .await?;
    row.map(|row| row.key(scope.now())).ok_or_else(|| Error::not_found("API key"))
}

/// Creates a key. Its owner is the person who creates it, or the owner of the key that does.
///
/// # Errors
/// Without `key.create`; `forbidden` for a scope that the caller lacks; `invalid_value`.
pub async fn create(scope: &Scope, new: NewKey) -> Result<CreatedKey> {
    scope.require(Permission::KeyCreate)?;
    scope.require_fresh()?;
    check_scopes(scope, &new.scopes)?;
    let wanted: Permissions = new.scopes.iter().copied().collect();
    if let Some(beyond) = wanted.iter().find(|permission| !new.kind.bounds().contains(*permission)) {
        let what = format!("a test key cannot have {}", beyond.as_str());
        return Err(Error::invalid("scopes", what)
            .hint("a test key takes message.send, message.quote, simulator.use and what reads."));
    }
    if new.expires_at.is_some_and(|at| at <= scope.now()) {
        return Err(Error::invalid("expires_at", "give a time in the future"));
    }
    let (rate_per_second, rate_burst) = rate(new.rate_per_second, new.rate_burst)?;
    let secret = format!("{}{}", new.kind.prefix(), token(32).map_err(Error::internal)?);
    let mut write = scope.write().await?;
    let owner = owner(&mut write, scope).await?;
    let name = name::given("name", &new.name)?;
    let by = scope.actor().to_string();
    let key = Key {
        kind: new.kind,
        networks: network::checked(&new.networks)?,
        rate_per_second,
        rate_burst,
        expires_at: new.expires_at,
        ..Key::new(scope.runtime().ids.next(), name, names(wanted), by, scope.now())
    };
    let key = insert(&mut write, scope.tenant(), owner, key, &secret).await?;
    write.happened(Event::KeyCreated(change(&key, None)));
    write.commit_keeping(&CreatedKey { key: key.clone(), secret: None }).await?;
    Ok(CreatedKey { key, secret: Some(secret) })
}

/// Refuses scopes that are none, and those that the caller lacks.
pub(crate) fn check_scopes(scope: &Scope, wanted: &[Permission]) -> Result<()> {
    if wanted.is_empty() {
        return Err(Error::invalid("scopes", "give at least one permission"));
    }
    match wanted.iter().find(|permission| !scope.permissions().contains(**permission)) {
        Some(lacked) => {
            let what = format!("you lack {} yourself", lacked.as_str());
            Err(Error::new(Code::Forbidden, what).at("scopes"))
        }
        None => Ok(()),
    }
}

/// The highest rate and burst of a key.
const RATE_MAX: u32 = 100_000;

fn rate(per_second: Option<u32>, burst: Option<u32>) -> Result<(Option<u32>, Option<u32>)> {
    let within = |field: &str, value: Option<u32>| match value {
        Some(value) if !(1..=RATE_MAX).contains(&value) => {
            Err(Error::invalid(field, format!("it takes 1 to {RATE_MAX}, not {value}")))
        }
        value => Ok(value),
    };
    let per_second = within("rate_per_second", per_second)?;
    let burst = within("rate_burst", burst)?;
    if burst.is_some() && per_second.is_none() {
        return Err(Error::invalid("rate_burst", "a burst needs a rate: give rate_per_second too"));
    }
    Ok((per_second, burst.or(per_second)))
}

record! { struct Owner { owner_id: Option<UserId> } }

/// Whose rights bound what the caller creates.
pub(crate) async fn owner(tx: &mut Tx, scope: &Scope) -> Result<Option<UserId>> {
    match scope.actor() {
        Actor::User(id) | Actor::App { user: id, .. } | Actor::As { user: id, .. } => Ok(Some(*id)),
        Actor::Key(id) => owner_of(tx, scope.tenant(), *id).await,
        Actor::Client(id) => client::owner_of(tx, scope.tenant(), *id).await,
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
pub(crate) async fn owner_if_there(tx: &mut Tx, scope: &Scope, id: KeyId) -> Result<Option<UserId>> {
    find(tx, scope, id).await?;
    owner_of(tx, scope.tenant(), id).await
}

/// Inserts a key with its secret and gives it back with what is shown of that.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    owner: Option<UserId>,
    key: Key,
    secret: &str,
) -> Result<Key> {
    let key = Key { shown: shown(secret), ..key };
    let scopes = serde_json::to_string(&key.scopes).map_err(Error::internal)?;
    let networks = serde_json::to_string(&key.networks).map_err(Error::internal)?;
    tx.execute(
        sql!(
            "insert into api_key (id, tenant_id, name, kind, secret_hash, shown, scopes, networks, rate_per_second, \
             rate_burst, owner_id, created_by, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        ),
        args![
            key.id,
            tenant,
            &key.name,
            key.kind.as_str(),
            sha256_hex(secret),
            &key.shown,
            scopes,
            networks,
            key.rate_per_second,
            key.rate_burst,
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

/// What is shown of a secret.
pub(crate) fn shown(secret: &str) -> String {
    let ours = secret.starts_with("sb_");
    secret.chars().take(if ours { SHOWN_CHARS } else { SHOWN_CHARS_FOREIGN }).collect()
}

/// Revokes a key: the next request with it is refused. One that is revoked already stays so.
///
/// # Errors
/// Without `key.revoke`; `not_found`.
pub async fn revoke(scope: &Scope, id: KeyId) -> Result<Key> {
    scope.require(Permission::KeyRevoke)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope, id).await?;
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
