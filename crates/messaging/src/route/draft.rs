//! The draft: routes that are worked on, compared and tried while messages still follow those in use.

use db::{Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Permission, Result, RouteId, TenantId, Timestamp};

use super::diff::Diff;
use super::version::{self, Staged, Version};
use super::{PRIORITY_DEFAULT, ROUTES_MAX, RouteRule, modern, of_tenant, priority, refuse_strangers};
use crate::settings::{self, Patch};

pub mod api;

/// A tenant's draft.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Draft {
    /// The number of the version that it began from.
    pub base: i64,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// Who did.
    pub by: String,
    /// Its routes.
    pub routes: Vec<Staged>,
}

/// A route of a draft.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRoute {
    /// The route in use, or of the draft, that it stands for; one that is neither is added under another id.
    pub id: Option<RouteId>,
    /// What people call it.
    pub name: String,
    /// Its place; 100 when not given.
    pub priority: Option<i32>,
    /// Whether it is asked at all; true when not given.
    pub active: Option<bool>,
    /// What it takes, and where it leads.
    #[schema(value_type = RouteRule)]
    pub rule: Patch,
    /// As a version shows it; it is ignored.
    #[serde(default)]
    pub revision: Option<i64>,
}

/// A whole draft.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDraft {
    /// All its routes.
    #[serde(default)]
    pub routes: Vec<DraftRoute>,
}

/// How a draft is published.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// What the change is, for the list of versions.
    pub comment: Option<String>,
    /// Whether to publish although the routes in use were changed since the draft was begun; such changes are undone by it.
    pub anyway: bool,
}

record! { struct Stored { base: i64, changed_at: Timestamp, actor: String, routes: String } }

/// A tenant's draft.
pub(super) async fn present(tx: &mut Tx, tenant: TenantId) -> Result<Draft> {
    let found: Option<Stored> = tx
        .optional(
            sql!("select base, changed_at, actor, routes from route_draft where tenant_id = $1"),
            args![tenant],
        )
        .await?;
    let Stored { base, changed_at, actor, routes } = found.ok_or_else(|| Error::not_found("draft"))?;
    Ok(Draft { base, changed_at, by: actor, routes: settings::stored(&routes)? })
}

async fn live(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Staged>> {
    Ok(of_tenant(tx, tenant).await?.into_iter().map(Staged::from).collect())
}

/// The draft.
///
/// # Errors
/// [`Code::NotFound`] where there is none.
pub async fn get(scope: &Scope) -> Result<Draft> {
    scope.require(Permission::RouteView)?;
    present(&mut scope.read().await?, scope.tenant()).await
}

/// What publishing the draft would change.
///
/// # Errors
/// [`Code::NotFound`] where there is none.
pub async fn compare(scope: &Scope) -> Result<Diff> {
    scope.require(Permission::RouteView)?;
    let mut tx = scope.read().await?;
    let draft = present(&mut tx, scope.tenant()).await?;
    Diff::between(&live(&mut tx, scope.tenant()).await?, &draft.routes)
}

/// Whether the routes in use were changed since the draft was begun.
///
/// # Errors
/// When the database does not answer.
pub async fn is_behind(scope: &Scope, draft: &Draft) -> Result<bool> {
    Ok(version::head(&mut scope.read().await?, scope.tenant()).await? != draft.base)
}

/// Begins a draft with a copy of the routes in use; an earlier one is discarded.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn begin(scope: &Scope) -> Result<Draft> {
    scope.require(Permission::RouteDraft)?;
    let mut write = scope.write().await?;
    let base = version::head(&mut write, scope.tenant()).await?;
    let routes = live(&mut write, scope.tenant()).await?;
    let draft = keep(scope, &mut write, base, routes).await?;
    changed(&mut write, "begun")?;
    write.commit(draft).await
}

/// Puts whole routes into the draft; it is begun where there is none.
///
/// # Errors
/// [`Code::AlreadyExists`] for a name that two of them have; refusals of their values, at `routes[n]`.
pub async fn put(scope: &Scope, new: NewDraft) -> Result<Draft> {
    scope.require(Permission::RouteDraft)?;
    let mut write = scope.write().await?;
    let mut known = live(&mut write, scope.tenant()).await?;
    let base = match present(&mut write, scope.tenant()).await {
        Ok(draft) => {
            known.extend(draft.routes);
            draft.base
        }
        Err(error) if error.code() == Code::NotFound => version::head(&mut write, scope.tenant()).await?,
        Err(error) => return Err(error),
    };
    let mut routes = Vec::with_capacity(new.routes.len());
    for (at, route) in new.routes.into_iter().enumerate() {
        let inside = |error: Error| {
            let place = error
                .place()
                .map_or_else(|| format!("routes[{at}]"), |place| format!("routes[{at}].{place}"));
            error.at(place)
        };
        let staged = staged(scope, &known, route).map_err(inside)?;
        refuse_strangers(&mut write, scope.tenant(), &staged.rule).await.map_err(inside)?;
        routes.push(staged);
    }
    check(&routes)?;
    let draft = keep(scope, &mut write, base, routes).await?;
    changed(&mut write, "changed")?;
    write.commit(draft).await
}

/// Puts one route into the draft: in the place of the one with its id, or beside the others.
///
/// # Errors
/// As [`put`]; [`Code::NotFound`] where there is no draft.
pub async fn put_route(scope: &Scope, new: DraftRoute) -> Result<Draft> {
    scope.require(Permission::RouteDraft)?;
    let mut write = scope.write().await?;
    let Draft { base, mut routes, .. } = present(&mut write, scope.tenant()).await?;
    let staged = staged(scope, &routes, new)?;
    refuse_strangers(&mut write, scope.tenant(), &staged.rule).await?;
    match routes.iter_mut().find(|route| route.id == staged.id) {
        Some(route) => *route = staged,
        None => routes.push(staged),
    }
    check(&routes)?;
    let draft = keep(scope, &mut write, base, routes).await?;
    changed(&mut write, "changed")?;
    write.commit(draft).await
}

/// Takes a route out of the draft.
///
/// # Errors
/// [`Code::NotFound`] where there is no draft, or no such route in it.
pub async fn remove_route(scope: &Scope, id: RouteId) -> Result<Draft> {
    scope.require(Permission::RouteDraft)?;
    let mut write = scope.write().await?;
    let Draft { base, mut routes, .. } = present(&mut write, scope.tenant()).await?;
    let before = routes.len();
    routes.retain(|route| route.id != id);
    if routes.len() == before {
        return Err(Error::not_found("route in the draft"));
    }
    let draft = keep(scope, &mut write, base, routes).await?;
    changed(&mut write, "changed")?;
    write.commit(draft).await
}

fn staged(scope: &Scope, known: &[Staged], new: DraftRoute) -> Result<Staged> {
    let nothing = RouteRule::default();
    let before = new.id.and_then(|id| known.iter().find(|route| route.id == id));
    Ok(Staged {
        // An id that is not one of theirs could be anybody's.
        id: before.map_or_else(|| scope.runtime().ids.next(), |route| route.id),
        name: identity::name::given("name", &new.name)?,
        priority: priority(new.priority.unwrap_or(PRIORITY_DEFAULT))?,
        active: new.active.unwrap_or(true),
        rule: settings::changed("rule", &nothing, &nothing, &modern(new.rule))?.checked()?,
        revision: before.map_or(0, |route| route.revision),
    })
}

/// No more routes than a tenant has, and no two with the same name or id.
fn check(routes: &[Staged]) -> Result<()> {
    settings::at_most("routes", routes, ROUTES_MAX as usize)?;
    for (at, route) in routes.iter().enumerate() {
        if routes[..at].iter().any(|other| other.name == route.name || other.id == route.id) {
            let why = format!("there is a route named {:?} already", route.name);
            return Err(Error::new(Code::AlreadyExists, why).at(format!("routes[{at}].name")));
        }
    }
    Ok(())
}

async fn keep(scope: &Scope, tx: &mut Tx, base: i64, routes: Vec<Staged>) -> Result<Draft> {
    let draft = Draft { base, changed_at: scope.now(), by: scope.actor().to_string(), routes };
    tx.execute(
        sql!(
            "insert into route_draft (tenant_id, base, changed_at, actor, routes) values ($1, $2, $3, $4, $5)
             on conflict (tenant_id) do update set base = excluded.base, changed_at = excluded.changed_at,
             actor = excluded.actor, routes = excluded.routes"
        ),
        args![scope.tenant(), base, draft.changed_at, &draft.by, settings::to_store(&draft.routes)?],
    )
    .await?;
    Ok(draft)
}

fn changed(write: &mut runtime::scope::Write, what: &str) -> Result<()> {
    let after = Some(settings::shown(&serde_json::json!({ "draft": what }))?);
    write.happened(Event::RouteDraftChanged(Change {
        id: "draft".to_owned(),
        name: "Draft of the routes".to_owned(),
        before: None,
        after,
    }));
    Ok(())
}

/// Puts the draft in the place of the routes in use, as a new version. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`] where there is none; [`Code::Conflict`] where the routes in use were changed meanwhile.
pub async fn publish(scope: &Scope, how: &Publish) -> Result<Version> {
    scope.require(Permission::RoutePublish)?;
    let mut write = scope.write().await?;
    let versions = version::begin(scope, &mut write).await?;
    let draft = present(&mut write, scope.tenant()).await?;
    if draft.base != versions.base && !how.anyway {
        let why = "the routes in use were changed since the draft was begun";
        return Err(Error::new(Code::Conflict, why)
            .hint("compare them with the draft, then publish it anyway or begin it anew"));
    }
    let comment = how.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
    let comment = comment.unwrap_or("A draft was published");
    let version = version::replace(scope, &mut write, versions, draft.routes, comment).await?;
    forget(&mut write, scope.tenant()).await?;
    write.commit(version).await
}

/// Discards the draft.
///
/// # Errors
/// [`Code::NotFound`] where there is none.
pub async fn discard(scope: &Scope) -> Result<()> {
    scope.require(Permission::RouteDraft)?;
    let mut write = scope.write().await?;
    present(&mut write, scope.tenant()).await?;
    forget(&mut write, scope.tenant()).await?;
    changed(&mut write, "discarded")?;
    write.commit(()).await
}

async fn forget(tx: &mut Tx, tenant: TenantId) -> Result<()> {
    tx.execute(sql!("delete from route_draft where tenant_id = $1"), args![tenant]).await?;
    Ok(())
}
