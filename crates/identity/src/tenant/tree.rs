//! Who stands beneath whom: a tenant may have a parent, and those without one stand directly beneath the installation.
//!
//! The parent alone is kept, and lines are followed by recursive queries that [`DEPTH_MAX`] bounds: a move is one row, and no
//! path can disagree with it. Nothing on the way of a message asks for any of this.

use db::{Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TenantId};
use web::Paging;

use super::{ERASING, Tenant, find, platform};

/// Tenants that may stand one beneath the other, the first of them beneath the installation.
pub const DEPTH_MAX: i64 = 8;

/// Which tenants somebody reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of them.
    All,
    /// Those beneath this one, at all depths.
    Beneath(TenantId),
}

/// Which tenants the caller reaches: all by the platform's permission, those beneath their own by the reseller's.
///
/// # Errors
/// `forbidden` without either.
pub(crate) fn sight(scope: &Scope, all: Permission, beneath: Permission) -> Result<Sight> {
    let held = scope.permissions();
    if held.contains(all) {
        return Ok(Sight::All);
    }
    if held.contains(beneath) {
        return Ok(Sight::Beneath(scope.tenant()));
    }
    let problem = format!("the permission {} or {} is missing", all.as_str(), beneath.as_str());
    Err(Error::new(Code::Forbidden, problem)
        .hint(format!("ask an administrator for the permission to {}", beneath.title().to_lowercase())))
}

/// A tenant that is within reach; one that is not is not there.
///
/// # Errors
/// `not_found`.
pub(crate) async fn reach(tx: &mut Tx, sight: Sight, id: TenantId) -> Result<Tenant> {
    let tenant = find(tx, id).await?;
    match sight {
        Sight::Beneath(root) if !is_beneath(tx, root, id).await? => Err(Error::not_found("tenant")),
        Sight::All | Sight::Beneath(_) => Ok(tenant),
    }
}

/// A tenant on the way from one to the root.
#[derive(Debug, Clone)]
pub(crate) struct Above {
    pub(crate) id: TenantId,
    pub(crate) name: String,
}

record! { struct Step { id: TenantId, name: String, parent: Option<TenantId> } }

/// A tenant and those above it, itself first; empty where there is no such tenant.
async fn line(tx: &mut Tx, id: TenantId) -> Result<Vec<Step>> {
    Ok(tx
        .all(
            sql!(
                "with recursive line(id, name, parent, n) as (select id, name, parent, 1 from tenant where id = $1 \
                 union all select t.id, t.name, t.parent, l.n + 1 from line l join tenant t on t.id = l.parent \
                 where l.n <= $2) select id, name, parent from line order by n limit 100 \
                 /* every tenant: who stands above one */"
            ),
            args![id, DEPTH_MAX],
        )
        .await?)
}

/// Whether a tenant stands beneath another one, at any depth. Nobody stands beneath themselves.
pub(crate) async fn is_beneath(tx: &mut Tx, root: TenantId, id: TenantId) -> Result<bool> {
    Ok(line(tx, id).await?.iter().any(|step| step.parent == Some(root)))
}

/// Who stands above a tenant, the farthest first, as far as the caller reaches.
pub(crate) async fn above(tx: &mut Tx, sight: Sight, id: TenantId) -> Result<Vec<Above>> {
    let within = |step: &Step| match sight {
        Sight::All => true,
        Sight::Beneath(root) => step.id != root,
    };
    let line = line(tx, id).await?.into_iter().take_while(within).skip(1);
    let mut above: Vec<_> = line.map(|Step { id, name, .. }| Above { id, name }).collect();
    above.reverse();
    Ok(above)
}

/// Lets changes of the tree take turns, so that what one of them has looked at stays so until it is done. Both engines hold
/// the installation's own row for that.
pub(crate) async fn turn(tx: &mut Tx) -> Result<()> {
    tx.execute(
        sql!(
            "update tenant set platform = platform where platform /* every tenant: the installation's own */"
        ),
        args![],
    )
    .await?;
    Ok(())
}

record! {
    /// What stands beneath a tenant.
    struct Beneath {
        /// Tenants, at all depths.
        n: i64,
        /// How many of them stand one beneath the other at most.
        depth: i64,
    }
}

/// What stands beneath a tenant.
async fn beneath(tx: &mut Tx, id: TenantId) -> Result<Beneath> {
    Ok(tx
        .one(
            sql!(
                "with recursive beneath(id, depth) as (select id, 1 from tenant where parent = $1 \
                 union all select t.id, b.depth + 1 from beneath b join tenant t on t.parent = b.id where b.depth < $2) \
                 select count(*) as n, cast(coalesce(max(depth), 0) as bigint) as depth from beneath \
                 /* every tenant: those beneath one */"
            ),
            args![id, DEPTH_MAX],
        )
        .await?)
}

/// Refuses what would leave the tenants beneath one without it.
///
/// # Errors
/// `conflict` naming how many there are.
pub(crate) async fn refuse_above_others(tx: &mut Tx, id: TenantId) -> Result<()> {
    let Beneath { n, .. } = beneath(tx, id).await?;
    if n == 0 {
        return Ok(());
    }
    let (stand, them) = if n == 1 { ("tenant stands", "it") } else { ("tenants stand", "them") };
    Err(Error::new(Code::Conflict, format!("{n} {stand} beneath this one"))
        .at("tenant")
        .hint(format!("move or erase {them} first; the platform's administrators move tenants")))
}

/// Refuses a parent that may have no tenants, goes itself, or stands too deep for a line of so many.
async fn refuse_parent(tx: &mut Tx, id: TenantId, lines: i64) -> Result<()> {
    let refused = |problem: String| Error::new(Code::Conflict, problem).at("parent");
    let parent = find(tx, id).await.map_err(|error| match error.code() {
        Code::NotFound => Error::invalid("parent", "there is no such tenant"),
        _ => error,
    })?;
    if !parent.reseller {
        return Err(refused(format!("{} may have no tenants beneath it", parent.name))
            .hint("let it first: change that tenant, with reseller"));
    }
    if parent.erase_at.is_some() || parent.status == ERASING {
        return Err(refused(format!("{} is to be erased", parent.name)));
    }
    let level = i64::try_from(line(tx, id).await?.len()).unwrap_or(i64::MAX);
    if level.saturating_add(lines) > DEPTH_MAX {
        return Err(refused(format!("at most {DEPTH_MAX} tenants stand one beneath the other")));
    }
    Ok(())
}

/// Where a new tenant stands: beneath the parent that is named, else beneath the reseller who opens it, else at the root.
///
/// # Errors
/// `invalid_value` for a parent out of reach; `conflict` for one that may have no tenants, is to be erased, stands too deep, or
/// has as many as resellers may open.
pub(crate) async fn place(
    tx: &mut Tx,
    scope: &Scope,
    sight: Sight,
    parent: Option<TenantId>,
) -> Result<Option<TenantId>> {
    turn(tx).await?;
    let parent = match (sight, parent) {
        (Sight::All, None) => None,
        (Sight::All, Some(parent)) if parent == platform(tx).await? => None,
        (Sight::All, Some(parent)) => Some(parent),
        (Sight::Beneath(root), None) => Some(root),
        (Sight::Beneath(root), Some(parent)) if parent == root || is_beneath(tx, root, parent).await? => {
            Some(parent)
        }
        (Sight::Beneath(_), Some(_)) => return Err(Error::invalid("parent", "there is no such tenant")),
    };
    let Some(id) = parent else { return Ok(None) };
    refuse_parent(tx, id, 1).await?;
    if let (Sight::Beneath(_), Some(top)) = (sight, line(tx, id).await?.last()) {
        let (Beneath { n, .. }, limit) =
            (beneath(tx, top.id).await?, scope.runtime().config.tenants.beneath_max);
        if n >= limit {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "resellers may open {limit} tenants beneath the one at the root, and that many are there"
                ),
            )
            .at("parent")
            .hint("the platform's administrators open more, or raise tenants.beneath_max"));
        }
    }
    Ok(parent)
}

/// Where a tenant shall stand.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewParent {
    /// The tenant that it shall stand beneath; `null` for the root.
    // Named, so that nobody moves a tenant by leaving something out.
    #[serde(deserialize_with = "Option::deserialize")]
    pub parent: Option<TenantId>,
}

/// Moves a tenant, with all that stand beneath it, beneath another one or to the root. It is for the platform's administrators
/// alone, because it takes the tenant from one reseller and gives it to another.
///
/// # Errors
/// Without `tenant.change`; `not_found`; `invalid_value` for a parent that is not there; `conflict` for the installation's own
/// tenant, a parent that stands beneath the tenant or is it, may have none, is to be erased, or stands too deep.
pub async fn move_to(scope: &Scope, id: TenantId, NewParent { parent }: NewParent) -> Result<Tenant> {
    scope.require(Permission::TenantChange)?;
    let mut write = scope.write_every().await?;
    turn(&mut write).await?;
    let (before, own) = (find(&mut write, id).await?, platform(&mut write).await?);
    if id == own {
        return Err(Error::new(
            Code::Conflict,
            "this is the installation's own tenant, which stands above all",
        ));
    }
    let parent = parent.filter(|parent| *parent != own);
    if let Some(parent) = parent {
        if parent == id || is_beneath(&mut write, id, parent).await? {
            return Err(Error::new(Code::Conflict, "a tenant cannot stand beneath itself").at("parent"));
        }
        let lines = beneath(&mut write, id).await?.depth + 1;
        refuse_parent(&mut write, parent, lines).await?;
    }
    write.execute(sql!("update tenant set parent = $2 where id = $1"), args![id, parent]).await?;
    let after = Tenant { parent, ..before.clone() };
    if after.parent != before.parent {
        let told = |was: Option<serde_json::Value>, is: Option<serde_json::Value>| {
            let name = after.name.clone();
            Event::TenantMoved(Change { id: id.to_string(), name, before: was, after: is })
        };
        let at = |parent| Some(serde_json::json!({ "parent": parent }));
        write.happened(told(at(before.parent), at(after.parent)));
        let beneath = |yes: bool| Some(serde_json::json!({ "beneath": yes }));
        for (whose, is) in [(before.parent, false), (after.parent, true)] {
            if let Some(whose) = whose {
                write.happened_to(whose, told(beneath(!is), beneath(is)));
            }
        }
        // Who stands above is not told to those beneath.
        write.happened_to(id, told(None, None));
    }
    write.commit(after).await
}

/// Which tenants are wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// Only those beneath this tenant, at all depths.
    pub beneath: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

/// A tenant in its place.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ListedTenant {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// How deep it stands in this list: 0 for those that nothing in it stands above.
    pub depth: i64,
    /// Tenants directly beneath it.
    pub children: i64,
}

record! { struct Position { id: TenantId, depth: i64, children: i64 } }

/// All tenants that the caller reaches, newest first, each followed by those beneath it.
///
/// # Errors
/// Without `tenant.view` and `subtenant.view`; `invalid_filter` for a tenant out of reach; a malformed cursor or limit.
pub async fn list(scope: &Scope, wanted: &Listing) -> Result<Page<ListedTenant>> {
    let sight = sight(scope, Permission::TenantView, Permission::SubtenantView)?;
    let paging = Paging { after: wanted.after.clone(), limit: wanted.limit.clone() };
    let (limit, behind) = (paging.limit()?, paging.behind(0)?);
    let mut tx = scope.read().await?;
    let root = root(&mut tx, sight, wanted.beneath.as_deref()).await?;
    let positions: Vec<Position> = tx
        .all(
            sql!(
                "with recursive beneath(id, depth, path) as ( \
                 select id, cast(0 as bigint), substr('000000000000000000' || cast(9223372036854775807 - id as text), \
                 length(cast(9223372036854775807 - id as text))) from tenant \
                 where case when cast($1 as bigint) = 0 then parent is null else parent = $1 end \
                 union all select t.id, b.depth + 1, b.path || substr('000000000000000000' || \
                 cast(9223372036854775807 - t.id as text), length(cast(9223372036854775807 - t.id as text))) \
                 from beneath b join tenant t on t.parent = b.id where b.depth < $2) \
                 select b.id, b.depth, (select count(*) from tenant c where c.parent = b.id) as children from beneath b \
                 where cast($3 as bigint) = 0 or b.path > coalesce((select p.path from beneath p where p.id = $3), \
                 substr('000000000000000000' || cast(9223372036854775807 - cast($3 as bigint) as text), \
                 length(cast(9223372036854775807 - cast($3 as bigint) as text)))) order by b.path limit $4 \
                 /* every tenant: the platform's administrators see all, resellers those beneath theirs */"
            ),
            args![root.map_or(0, TenantId::raw), DEPTH_MAX, behind, limit as i64 + 1],
        )
        .await?;
    let ids: Vec<_> = positions.iter().map(|one| serde_json::json!({ "id": one.id.raw() })).collect();
    let mut tenants: Vec<Tenant> = tx
        .all(
            sql!(
                "select id, name, slug, parent, reseller, locale, time_zone, currency, support_email, accent, logo, status, \
                 erase_at, created_at from tenant where id in (select cast(r.value ->> 'id' as bigint) from json_rows($1) r) \
                 /* every tenant: those that were just found */"
            ),
            args![serde_json::to_string(&ids).map_err(Error::internal)?],
        )
        .await?;
    let placed = |Position { id, depth, children }: Position| {
        let at = tenants.iter().position(|tenant| tenant.id == id)?;
        Some(ListedTenant { tenant: tenants.swap_remove(at), depth, children })
    };
    let listed = positions.into_iter().filter_map(placed).collect();
    Ok(Page::from_overfull(listed, limit, |one: &ListedTenant| one.tenant.id.raw()))
}

/// What a list begins beneath; nothing for the root.
async fn root(tx: &mut Tx, sight: Sight, wanted: Option<&str>) -> Result<Option<TenantId>> {
    let all = match sight {
        Sight::All => None,
        Sight::Beneath(root) => Some(root),
    };
    let Some(wanted) = wanted.map(str::trim).filter(|wanted| !wanted.is_empty()) else { return Ok(all) };
    let id = wanted.parse::<TenantId>().map_err(|error| error.at("beneath"))?;
    let refused = || Error::new(Code::InvalidFilter, "there is no such tenant").at("beneath");
    match sight {
        Sight::All if id == platform(tx).await? => Ok(None),
        Sight::All => find(tx, id).await.map(|tenant| Some(tenant.id)).map_err(|error| match error.code() {
            Code::NotFound => refused(),
            _ => error,
        }),
        Sight::Beneath(root) if id == root || is_beneath(tx, root, id).await? => Ok(Some(id)),
        Sight::Beneath(_) => Err(refused()),
    }
}

record! { struct Slug { slug: String } }
record! { struct Named { id: TenantId } }

/// Short names of tenants that others can be moved beneath, for whoever moves them.
pub(crate) async fn parents(scope: &Scope) -> Result<Vec<String>> {
    scope.require(Permission::TenantChange)?;
    let of_all = sql!(
        "select slug from tenant where reseller order by slug limit 200 \
         /* every tenant: the platform's administrators see all */"
    );
    let found: Vec<Slug> = scope.read().await?.all(of_all, args![]).await?;
    Ok(found.into_iter().map(|one| one.slug).collect())
}

/// The tenant of a short name, for whoever moves tenants beneath it.
pub(crate) async fn named(scope: &Scope, slug: &str) -> Result<TenantId> {
    scope.require(Permission::TenantChange)?;
    let of_all = sql!("select id from tenant where slug = $1");
    let found: Option<Named> = scope.read().await?.optional(of_all, args![slug]).await?;
    found.map(|one| one.id).ok_or_else(|| Error::invalid("parent", "there is no such tenant"))
}
