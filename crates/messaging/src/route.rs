//! Routes: which message goes through which connection.

use db::{OnConflict, Tenancy, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, RouteId, TenantId, Timestamp};

use crate::settings::{self, Patch};

pub mod api;
mod ask;
mod condition;
mod decide;
pub mod diff;
pub mod draft;
pub mod pages;
pub mod replay;
mod rule;
mod strategy;
pub mod traffic;
pub mod trial;
pub mod version;
mod words;

pub use ask::{Ask, Tlvs, World};
pub use decide::{Candidate, Chosen, Decision, Kept, Liveness, Looked, Routes, Verdict};
pub use rule::{Cost, Day, RouteRule, Source, Span, Strategy, Target, TimeWindow, TlvMatch};
pub use strategy::{Board, Passed};

/// A routing rule. Rules are asked in their order, and the first that takes the message and has a connection for it
/// decides.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Its place: the highest is asked first; of equals the oldest.
    pub priority: i32,
    /// Whether it is asked at all.
    pub active: bool,
    /// What it takes, and where it leads.
    pub rule: RouteRule,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// Priorities are from -this to this.
const PRIORITY_MAX: i32 = 1_000_000;
/// What a route has that names no priority; room on both sides.
const PRIORITY_DEFAULT: i32 = 100;
/// Routes of a tenant.
const ROUTES_MAX: i64 = 1_000;
/// Routes that one look reads at most.
const READ_MAX: i64 = 1_000_000;

/// A route to be created.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRoute {
    /// What people call it.
    pub name: String,
    /// Its place, -1,000,000 to 1,000,000: the highest is asked first; 100 when not given.
    pub priority: Option<i32>,
    /// Whether it is asked at all; true when not given.
    pub active: Option<bool>,
    /// What it takes, and where it leads. `targets` must be given.
    #[schema(value_type = RouteRule)]
    pub rule: Patch,
}

/// A change to a route. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutePatch {
    /// What people call it.
    pub name: Option<String>,
    /// Its place.
    pub priority: Option<i32>,
    /// Whether it is asked at all.
    pub active: Option<bool>,
    /// Conditions and targets; null takes a condition away.
    #[serde(default)]
    #[schema(value_type = RouteRule)]
    pub rule: Patch,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: RouteId, tenant_id: TenantId, name: String, priority: i32, active: bool, rule: String, revision: i64,
        created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn route(self) -> Result<Route> {
        Ok(Route {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            priority: self.priority,
            active: self.active,
            rule: RouteRule::stored(&self.rule)?,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

record! { struct Found { id: i64 } }

/// Refuses a rule that names what is not the tenant's.
async fn refuse_strangers(tx: &mut db::Tx, tenant: TenantId, rule: &RouteRule) -> Result<()> {
    let targets: Vec<_> = rule.connections().map(|id| serde_json::json!({ "id": id.raw() })).collect();
    let known: Vec<Found> = tx
        .all(
            sql!(
                "select id from connection where tenant_id = $1
                 and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
            ),
            args![tenant, db::Arg::json(&targets)?],
        )
        .await?;
    if let Some(stranger) = rule.connections().find(|id| known.iter().all(|known| known.id != id.raw())) {
        return Err(Error::invalid("rule.targets", format!("there is no connection {stranger}")));
    }
    for (field, accounts) in [("rule.accounts", &rule.accounts), ("rule.not_accounts", &rule.not_accounts)] {
        if accounts.is_empty() {
            continue;
        }
        let named: Vec<_> = accounts.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
        let known: Vec<Found> = tx
            .all(
                sql!(
                    "select id from smpp_account where tenant_id = $1
                     and id in (select cast(r.value ->> 'id' as bigint) from json_rows($2) r)"
                ),
                args![tenant, db::Arg::json(&named)?],
            )
            .await?;
        if let Some(stranger) = accounts.iter().find(|id| known.iter().all(|known| known.id != id.raw())) {
            return Err(Error::invalid(field, format!("there is no SMPP account {stranger}")));
        }
    }
    Ok(())
}

/// Refuses to go on while one of the tenant's routes uses what is about to go.
///
/// # Errors
/// [`Code::StillInUse`] naming the route.
pub(crate) async fn refuse_use(
    tx: &mut db::Tx,
    tenant: TenantId,
    uses: impl Fn(&RouteRule) -> bool,
) -> Result<()> {
    match of_tenant(tx, tenant).await?.into_iter().find(|route| uses(&route.rule)) {
        None => Ok(()),
        Some(route) => Err(Error::new(Code::StillInUse, format!("the route {:?} uses it", route.name))
            .hint("change or delete that route first")),
    }
}

async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Route>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from route where tenant_id = $1 order by priority desc, id limit $2"
            ),
            args![tenant, ROUTES_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::route).collect()
}

/// Creates a route. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`] for a name that another of the tenant's routes has; [`Code::Conflict`] when the tenant has as
/// many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewRoute) -> Result<Route> {
    scope.require(Permission::RouteCreate)?;
    let now = scope.now();
    let nothing = RouteRule::default();
    let route = Route {
        id: scope.runtime().ids.next(),
        tenant: scope.tenant(),
        name: identity::name::given("name", &new.name)?,
        priority: priority(new.priority.unwrap_or(PRIORITY_DEFAULT))?,
        active: new.active.unwrap_or(true),
        rule: settings::changed("rule", &nothing, &nothing, &modern(new.rule))?.checked()?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    let versions = version::begin(scope, &mut write).await?;
    if of_tenant(&mut write, route.tenant).await?.len() as i64 >= ROUTES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {ROUTES_MAX} routes already")));
    }
    refuse_strangers(&mut write, route.tenant, &route.rule).await?;
    let inserted = write.execute(
        sql!(
            "insert into route (id, tenant_id, name, priority, active, rule, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
        ),
        args![
            route.id,
            route.tenant,
            &route.name,
            route.priority,
            route.active,
            settings::to_store(&route.rule)?,
            route.revision,
            now,
        ],
    );
    inserted.await.on_unique(|| taken(&route.name))?;
    versions.record(&mut write, &format!("{} was added", route.name)).await?;
    write.happened(Event::RouteCreated(audited(&route, None, Some(&route))?));
    write.commit(route).await
}

/// The members of a rule with short forms written out.
fn modern(mut members: Patch) -> Patch {
    rule::modern(&mut members);
    members
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a route named {name:?} already")).at("name")
}

fn priority(priority: i32) -> Result<i32> {
    settings::within("priority", &priority, &(-PRIORITY_MAX..=PRIORITY_MAX))?;
    Ok(priority)
}

/// All routes, in the order in which they are asked; there is one page, because a tenant has 1,000 at most.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Route>> {
    scope.require(Permission::RouteView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One route.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: RouteId) -> Result<Route> {
    scope.require(Permission::RouteView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: RouteId) -> Result<Route> {
    let found: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from route where tenant_id = $1 and id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    found.ok_or_else(|| Error::not_found("route"))?.route()
}

/// Changes a route. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`]; refusals
/// of its values.
pub async fn change(scope: &Scope, id: RouteId, patch: RoutePatch) -> Result<Route> {
    scope.require(Permission::RouteChange)?;
    let mut write = scope.write().await?;
    let versions = version::begin(scope, &mut write).await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("route", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.priority = priority(patch.priority.unwrap_or(before.priority))?;
    after.active = patch.active.unwrap_or(before.active);
    after.rule =
        settings::changed("rule", &before.rule, &RouteRule::default(), &modern(patch.rule))?.checked()?;
    after.revision += 1;
    after.changed_at = scope.now();
    refuse_strangers(&mut write, after.tenant, &after.rule).await?;
    let changed = write.execute(
        sql!(
            "update route set name = $3, priority = $4, active = $5, rule = $6, revision = $7, changed_at = $8
             where tenant_id = $1 and id = $2 and revision = $9"
        ),
        args![
            after.tenant,
            id,
            &after.name,
            after.priority,
            after.active,
            settings::to_store(&after.rule)?,
            after.revision,
            after.changed_at,
            before.revision,
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("route", after.revision));
    }
    versions.record(&mut write, &format!("{} was changed", after.name)).await?;
    write.happened(Event::RouteChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a route. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: RouteId) -> Result<()> {
    scope.require(Permission::RouteDelete)?;
    let mut write = scope.write().await?;
    let versions = version::begin(scope, &mut write).await?;
    let route = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(sql!("delete from route where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    versions.record(&mut write, &format!("{} was deleted", route.name)).await?;
    write.happened(Event::RouteDeleted(audited(&route, Some(&route), None)?));
    write.commit(()).await
}

/// Every tenant's routes, for the engine.
///
/// # Errors
/// When the database does not answer.
pub async fn load_all(runtime: &Runtime) -> Result<Vec<Route>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, priority, active, rule, revision, created_at, changed_at
                 from route order by id limit $1 /* every tenant: the engine serves all */"
            ),
            args![READ_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::route).collect()
}

fn audited(route: &Route, before: Option<&Route>, after: Option<&Route>) -> Result<Change> {
    Ok(Change {
        id: route.id.to_string(),
        name: route.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

#[cfg(test)]
mod tests;
