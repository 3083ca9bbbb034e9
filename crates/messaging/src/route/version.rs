//! Versions: a tenant's routes as they stood after each change, compared and brought back.

use db::{Arg, OnConflict, Tx, args, record, sql};
use runtime::Scope;
use runtime::scope::Write;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, RouteId, RouteVersionId, TenantId, Timestamp};
use web::Paging;

use super::diff::Diff;
use super::{Route, RouteRule, draft, of_tenant, refuse_strangers};
use crate::settings;

pub mod api;

/// A route as a version or a draft holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Staged {
    /// Its id.
    pub id: RouteId,
    /// What people call it.
    pub name: String,
    /// Its place.
    pub priority: i32,
    /// Whether it is asked at all.
    pub active: bool,
    /// What it takes, and where it leads.
    pub rule: RouteRule,
    /// The revision that the route had then.
    pub revision: i64,
}

impl Staged {
    /// The route, as if it were in use.
    pub fn route(self, tenant: TenantId, at: Timestamp) -> Route {
        let Self { id, name, priority, active, rule, revision } = self;
        Route { id, tenant, name, priority, active, rule, revision, created_at: at, changed_at: at }
    }

    fn same(&self, route: &Self) -> bool {
        (&self.name, self.priority, self.active, &self.rule)
            == (&route.name, route.priority, route.active, &route.rule)
    }
}

impl From<Route> for Staged {
    fn from(route: Route) -> Self {
        let Route { id, name, priority, active, rule, revision, .. } = route;
        Self { id, name, priority, active, rule, revision }
    }
}

record! {
    /// A version, without its routes.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
    #[schema(as = RouteVersion)]
    pub struct Version {
        /// Its id.
        pub id: RouteVersionId,
        /// 1, 2, 3 … with each change.
        pub number: i64,
        /// When the change was made.
        pub at: Timestamp,
        /// Who made it.
        #[serde(rename = "by")]
        pub actor: String,
        /// What the change was.
        pub comment: String,
        /// How many routes there are.
        #[serde(rename = "routes_count")]
        pub n: i64,
    }
}

/// A version with its routes, in no particular order.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FullVersion {
    /// The version.
    #[serde(flatten)]
    pub version: Version,
    /// Its routes.
    pub routes: Vec<Staged>,
}

record! { struct Number { number: i64 } }
record! { struct StoredRoutes { routes: String } }

/// A change of a tenant's routes that will be a version. While it lasts no other of the tenant's can begin.
pub(super) struct Versions<'s> {
    scope: &'s Scope,
    /// The newest version's number when the change began.
    pub(super) base: i64,
    number: i64,
}

/// The longest comment of a version.
const COMMENT_CHARS_MAX: usize = 500;

/// Begins a change of a tenant's routes. Where it is the first, the routes of before are kept as a version too.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn begin<'s>(scope: &'s Scope, write: &mut Write) -> Result<Versions<'s>> {
    let number = next(write, scope.tenant()).await?;
    let mut versions = Versions { scope, base: number - 1, number };
    if versions.number == 1 && !of_tenant(write, scope.tenant()).await?.is_empty() {
        versions.keep(write, "As it was before").await?;
        versions.number = next(write, scope.tenant()).await?;
    }
    Ok(versions)
}

async fn next(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let next: Number = tx
        .one(
            sql!(
                "insert into route_head (tenant_id, number) values ($1, 1)
                 on conflict (tenant_id) do update set number = route_head.number + 1 returning number"
            ),
            args![tenant],
        )
        .await?;
    Ok(next.number)
}

impl Versions<'_> {
    /// Keeps what the change has made of the routes, and forgets the oldest version beyond the bound.
    ///
    /// # Errors
    /// When the database does not answer; the change must not be committed then.
    pub(super) async fn record(self, write: &mut Write, comment: &str) -> Result<Version> {
        let version = self.keep(write, comment).await?;
        let kept = i64::from(self.scope.runtime().config.messaging.route_versions_max);
        write
            .execute(
                sql!("delete from route_version where tenant_id = $1 and number <= $2"),
                args![self.scope.tenant(), self.number - kept],
            )
            .await?;
        Ok(version)
    }

    async fn keep(&self, tx: &mut Tx, comment: &str) -> Result<Version> {
        let routes = of_tenant(tx, self.scope.tenant()).await?;
        let version = Version {
            id: self.scope.runtime().ids.next(),
            number: self.number,
            at: self.scope.now(),
            actor: self.scope.actor().to_string(),
            comment: comment.chars().take(COMMENT_CHARS_MAX).collect(),
            n: routes.len() as i64,
        };
        let routes: Vec<Staged> = routes.into_iter().map(Staged::from).collect();
        tx.execute(
            sql!(
                "insert into route_version (id, tenant_id, number, at, actor, comment, n, routes)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)"
            ),
            args![
                version.id,
                self.scope.tenant(),
                version.number,
                version.at,
                &version.actor,
                &version.comment,
                version.n,
                settings::to_store(&routes)?
            ],
        )
        .await?;
        Ok(version)
    }
}

/// The number of the tenant's newest version; 0 before the first change.
pub(super) async fn head(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let head: Option<Number> =
        tx.optional(sql!("select number from route_head where tenant_id = $1"), args![tenant]).await?;
    Ok(head.map_or(0, |head| head.number))
}

/// Versions, newest first.
///
/// # Errors
/// [`Code::Forbidden`], [`Code::InvalidCursor`], [`Code::InvalidFilter`].
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Version>> {
    scope.require(Permission::RouteView)?;
    let limit = paging.limit()?;
    let mut tx = scope.read().await?;
    let versions: Vec<Version> = tx
        .all(
            sql!(
                "select id, number, at, actor, comment, n from route_version
                 where tenant_id = $1 and number < $2 order by number desc limit $3"
            ),
            args![scope.tenant(), paging.behind(i64::MAX)?, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(versions, limit, |version| version.number))
}

/// One version with its routes, by its id or its number.
///
/// # Errors
/// [`Code::NotFound`], also for one that has been forgotten.
pub async fn get(scope: &Scope, name: &str) -> Result<FullVersion> {
    scope.require(Permission::RouteView)?;
    present(&mut scope.read().await?, scope.tenant(), name).await
}

async fn present(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<FullVersion> {
    let (id, number) = match name.parse::<i64>() {
        Ok(number) => (0, number),
        Err(_) => (name.parse::<RouteVersionId>()?.raw(), 0),
    };
    let found: Option<Version> = tx
        .optional(
            sql!(
                "select id, number, at, actor, comment, n from route_version
                 where tenant_id = $1 and (id = $2 or number = $3)"
            ),
            args![tenant, id, number],
        )
        .await?;
    let version = found.ok_or_else(|| Error::not_found("version of the routes"))?;
    let stored: StoredRoutes = tx
        .one(
            sql!("select routes from route_version where tenant_id = $1 and id = $2"),
            args![tenant, version.id],
        )
        .await?;
    Ok(FullVersion { version, routes: settings::stored(&stored.routes)? })
}

/// What is different between a version and another: the one before it when nothing is named, another by its id or number,
/// the routes in use by `live`, the draft by `draft`. The named one is the later.
///
/// # Errors
/// [`Code::NotFound`] for either.
pub async fn compare(scope: &Scope, name: &str, with: Option<&str>) -> Result<Diff> {
    scope.require(Permission::RouteView)?;
    let tenant = scope.tenant();
    let mut tx = scope.read().await?;
    let version = present(&mut tx, tenant, name).await?;
    match with {
        Some("live") => {
            let live: Vec<Staged> = of_tenant(&mut tx, tenant).await?.into_iter().map(Staged::from).collect();
            Diff::between(&version.routes, &live)
        }
        Some("draft") => Diff::between(&version.routes, &draft::present(&mut tx, tenant).await?.routes),
        Some(other) => Diff::between(&version.routes, &present(&mut tx, tenant, other).await?.routes),
        None => {
            let before = match present(&mut tx, tenant, &(version.version.number - 1).to_string()).await {
                Err(error) if error.code() == Code::NotFound => Vec::new(),
                before => before?.routes,
            };
            Diff::between(&before, &version.routes)
        }
    }
}

/// Brings the routes of a version back, as a new version. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::InvalidValue`] where it names a connection or account that is gone.
pub async fn roll_back(scope: &Scope, name: &str) -> Result<Version> {
    scope.require(Permission::RouteManage)?;
    let mut write = scope.write().await?;
    let versions = begin(scope, &mut write).await?;
    let version = present(&mut write, scope.tenant(), name).await?;
    let comment = format!("Back to version {}", version.version.number);
    let version = replace(scope, &mut write, versions, version.routes, &comment).await?;
    write.commit(version).await
}

#[derive(Serialize)]
struct Row<'a> {
    i: i64,
    n: &'a str,
    p: i32,
    a: u8,
    u: String,
    v: i64,
}

/// Puts a set of routes in the place of those in use. What is the same in both stays as it is.
pub(super) async fn replace(
    scope: &Scope,
    write: &mut Write,
    versions: Versions<'_>,
    routes: Vec<Staged>,
    comment: &str,
) -> Result<Version> {
    let tenant = scope.tenant();
    let now = scope.now();
    let live: Vec<Staged> = of_tenant(write, tenant).await?.into_iter().map(Staged::from).collect();
    let kept = |route: &Staged| live.iter().any(|known| known.id == route.id && known.same(route));
    let diff = Diff::between(&live, &routes)?;
    let mut rows = Vec::new();
    for route in routes.iter().filter(|route| !kept(route)) {
        refuse_strangers(write, tenant, &route.rule).await.map_err(|error| {
            let why = format!("the route {:?}: {}", route.name, error.message());
            Error::new(error.code(), why).at(error.place().unwrap_or("rule").to_owned())
        })?;
        rows.push(Row {
            i: route.id.raw(),
            n: &route.name,
            p: route.priority,
            a: route.active.into(),
            u: settings::to_store(&route.rule)?,
            // Beyond every revision that the route can have had: each change of it was a version.
            v: route.revision + versions.number,
        });
    }
    let gone: Vec<_> = live
        .iter()
        .filter(|known| !routes.iter().any(|route| route.id == known.id && known.same(route)))
        .map(|known| serde_json::json!({ "i": known.id.raw() }))
        .collect();
    write
        .execute(
            sql!(
                "delete from route where tenant_id = $1
                 and id in (select cast(r.value ->> 'i' as bigint) from json_rows($2) r)"
            ),
            args![tenant, Arg::json(&gone)?],
        )
        .await?;
    let inserted = write.execute(
        sql!(
            "insert into route (id, tenant_id, name, priority, active, rule, revision, created_at, changed_at)
             select cast(r.value ->> 'i' as bigint), cast($1 as bigint), r.value ->> 'n', cast(r.value ->> 'p' as bigint),
             cast(r.value ->> 'a' as bigint) = 1, r.value ->> 'u', cast(r.value ->> 'v' as bigint),
             cast($2 as bigint), cast($2 as bigint) from json_rows($3) r"
        ),
        args![tenant, now, Arg::json(&rows)?],
    );
    inserted
        .await
        .on_unique(|| Error::new(Code::AlreadyExists, "two of the routes have the same name").at("name"))?;
    let version = versions.record(write, comment).await?;
    write.happened(Event::RoutesReplaced(Change {
        id: version.id.to_string(),
        name: version.comment.clone(),
        before: None,
        after: Some(settings::shown(&diff)?),
    }));
    Ok(version)
}

#[cfg(test)]
mod tests;
