//! Pools: senders that stand in for each other.

use db::{OnConflict, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Address, Code, Error, Event, Page, Permission, PoolId, Result, TenantId, Timestamp};

use crate::gate::country_code;
use crate::settings::{self, Patch};

/// Senders that stand in for each other.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Pool {
    /// Its id.
    pub id: PoolId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Its members, and how one is chosen.
    pub rule: PoolRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// How a pool's member is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The same for a recipient each time; when the pool changes, few recipients get another.
    #[default]
    Sticky,
    /// The first that is for the recipient's country.
    Country,
    /// One after the other.
    RoundRobin,
}

impl Choice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sticky, Self::Country, Self::RoundRobin];

    /// The name that the API and forms hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::Country => "country",
            Self::RoundRobin => "round_robin",
        }
    }
}

/// A pool's members, and how one is chosen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolRule {
    /// How one is chosen.
    pub choice: Choice,
    /// The members.
    pub members: Vec<Member>,
}

/// A pool's member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Member {
    /// The sender.
    pub sender: String,
    /// The countries that it is for, by ISO 3166; none for all.
    pub countries: Vec<String>,
}

/// A pool to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    /// What people call it.
    pub name: String,
    /// Its members, and how one is chosen.
    #[schema(value_type = PoolRule)]
    pub rule: Patch,
}

/// A change to a pool. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Its members, and how one is chosen.
    #[serde(default)]
    #[schema(value_type = PoolRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

/// Pools of a tenant.
const POOLS_MAX: i64 = 500;
const MEMBERS_MAX: usize = 1_000;

impl PoolRule {
    fn checked(mut self) -> Result<Self> {
        settings::at_most("rule.members", &self.members, MEMBERS_MAX)?;
        if self.members.is_empty() {
            return Err(Error::invalid("rule.members", "a pool has at least one member"));
        }
        for member in &mut self.members {
            let address = Address::sender(&member.sender).map_err(|error| error.at("rule.members"))?;
            member.sender = address.to_string();
            for country in &mut member.countries {
                *country = country_code("rule.members", country)?;
            }
        }
        Ok(self)
    }
}

record! {
    struct Stored {
        id: PoolId, tenant_id: TenantId, name: String, rule: String, revision: i64, created_at: Timestamp,
        changed_at: Timestamp,
    }
}

impl Stored {
    fn pool(self) -> Result<Pool> {
        Ok(Pool {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            rule: settings::stored(&self.rule)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A tenant's pools, by name.
pub(crate) async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Pool>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, rule, revision, created_at, changed_at from sender_pool
                 where tenant_id = $1 order by name limit $2"
            ),
            args![tenant, POOLS_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::pool).collect()
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a sender pool named {name:?} already")).at("name")
}

/// Creates a pool. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`]; [`Code::Conflict`] when the tenant has as many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewPool) -> Result<Pool> {
    scope.require(Permission::PoolCreate)?;
    let now = scope.now();
    let nothing = PoolRule::default();
    let pool = Pool {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        name: identity::name::given("name", &new.name)?,
        rule: settings::changed("rule", &nothing, &nothing, &new.rule)?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, pool.tenant).await?.len() as i64 >= POOLS_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {POOLS_MAX} sender pools already")));
    }
    let inserted = write.execute(
        sql!(
            "insert into sender_pool (id, tenant_id, name, rule, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $6)"
        ),
        args![pool.id, pool.tenant, &pool.name, settings::to_store(&pool.rule)?, pool.revision, now],
    );
    inserted.await.on_unique(|| taken(&pool.name))?;
    write.happened(Event::PoolCreated(audited(&pool, None, Some(&pool))?));
    write.commit(pool).await
}

/// All pools, by name; there is one page, because a tenant has 500 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Pool>> {
    scope.require(Permission::PoolView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One pool.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: PoolId) -> Result<Pool> {
    scope.require(Permission::PoolView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: PoolId) -> Result<Pool> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, rule, revision, created_at, changed_at from sender_pool
                 where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("sender pool"))?.pool()
}

/// Changes a pool. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(scope: &Scope, id: PoolId, patch: PoolPatch) -> Result<Pool> {
    scope.require(Permission::PoolChange)?;
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("sender pool", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    let nothing = PoolRule::default();
    after.rule = settings::changed("rule", &before.rule, &nothing, &patch.rule)?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    let changed = write.execute(
        sql!(
            "update sender_pool set name = $3, rule = $4, revision = $5, changed_at = $6
             where tenant_id = $1 and id = $2 and revision = $7"
        ),
        args![
            after.tenant,
            id,
            &after.name,
            settings::to_store(&after.rule)?,
            after.revision,
            after.changed_at,
            before.revision
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("sender pool", after.revision));
    }
    write.happened(Event::PoolChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a pool. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::StillInUse`] while a policy chooses from it.
pub async fn delete(scope: &Scope, id: PoolId) -> Result<()> {
    scope.require(Permission::PoolDelete)?;
    let mut write = scope.write().await?;
    let pool = present(&mut write, scope.tenant(), id).await?;
    let policies = super::policy::of_tenant(&mut write, scope.tenant()).await?;
    if policies.iter().any(|(_, policy)| policy.defaults.iter().any(|default| default.pool == Some(id))) {
        return Err(Error::new(Code::StillInUse, "a sender policy chooses from it")
            .hint("give that policy another default first"));
    }
    write
        .execute(sql!("delete from sender_pool where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    write.happened(Event::PoolDeleted(audited(&pool, Some(&pool), None)?));
    write.commit(()).await
}

fn audited(pool: &Pool, before: Option<&Pool>, after: Option<&Pool>) -> Result<Change> {
    Ok(Change {
        id: pool.id.to_string(),
        name: pool.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}
