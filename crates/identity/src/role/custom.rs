//! Roles that a tenant makes: permissions of their own, and those of a role above.

use std::collections::{BTreeMap, BTreeSet};

use db::{OnConflict, Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Permission, Permissions, Reach, Result, TenantId};

use super::rights::{self, Custom, Customs};
use super::{PLATFORM_ADMIN, ROLES, Role};
use crate::name;

/// Roles above a role, at most.
pub const DEPTH_MAX: usize = 5;
/// Roles that a tenant may make.
const ROLES_MAX: usize = 200;
/// Letters of what a role is for.
const ABOUT_CHARS_MAX: usize = 300;

/// Permissions by name, and about whose records each is held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Grantable(pub BTreeMap<String, Reach>);

impl Grantable {
    /// Checks the names, and writes each permission with its own name.
    ///
    /// # Errors
    /// `invalid_value` for a name that the catalogue never had, for one that reaches over tenants, and for a reach where
    /// records have no owner.
    pub fn checked(self) -> Result<Self> {
        let mut checked = BTreeMap::new();
        for (name, reach) in self.0 {
            let at = format!("permissions/{name}");
            let Some(set) = Permissions::named(&name) else {
                return Err(Error::invalid(&at, format!("{name:?} is no permission"))
                    .hint("GET /api/v1/permissions lists them"));
            };
            for permission in set.iter() {
                if permission.is_platform() {
                    let problem = format!("{} reaches over all tenants", permission.as_str());
                    return Err(Error::invalid(&at, problem).hint("only platform_admin holds it"));
                }
                if reach != Reach::All && !permission.has_owner() {
                    let problem = format!("what {} is about has no owner", permission.as_str());
                    return Err(Error::invalid(&at, problem).hint("give it for all records"));
                }
                let held = checked.entry(permission.as_str().to_owned()).or_insert(reach);
                *held = reach.max(*held);
            }
        }
        Ok(Self(checked))
    }

    fn text(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }
}

/// A role: of every installation, or made by the tenant.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RoleShown {
    /// The name that users' records hold.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Whom it is for.
    pub about: String,
    /// Whether every installation has it, so that it cannot be changed.
    pub system: bool,
    /// The role whose permissions it has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its own permissions, and about whose records each is held.
    pub own: Grantable,
    /// All that it allows, with what it has from the roles above.
    pub allows: Grantable,
    /// Active users who have it.
    pub users: i64,
    /// Grows with each change; absent for a role of every installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
}

/// A role to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Its name: lower-case letters, digits and dashes; not that of another role.
    pub name: String,
    /// What people call it; its name when not given.
    pub title: Option<String>,
    /// Whom it is for, up to 300 letters.
    pub about: Option<String>,
    /// A role whose permissions it has too.
    pub parent: Option<String>,
    /// Permissions by name, and about whose records each is held: `own`, `team` or `all`.
    #[serde(default)]
    pub permissions: Grantable,
}

/// What to change of a role; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolePatch {
    /// What people call it.
    pub title: Option<String>,
    /// Whom it is for.
    pub about: Option<String>,
    /// A role whose permissions it has too; an empty text for none.
    pub parent: Option<String>,
    /// Its own permissions, all of them.
    pub permissions: Option<Grantable>,
    /// The revision that the change is made to; a newer one is a conflict. Any when not given.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        name: String, title: String, about: String, parent: Option<String>, permissions: String, revision: i64, users: i64,
    }
}

record! { struct Counted { role: String, n: i64 } }

fn allows(customs: &Customs, name: &str) -> Grantable {
    let held = rights::held_by_role(customs, name);
    let named = |permission: &Permission| Some((permission.as_str().to_owned(), held.reach(*permission)?));
    Grantable(Permission::ALL.iter().filter_map(named).collect())
}

fn system(role: &Role, customs: &Customs, users: i64) -> RoleShown {
    let allows = allows(customs, role.name);
    RoleShown {
        name: role.name.to_owned(),
        title: role.title.to_owned(),
        about: role.about.to_owned(),
        system: true,
        parent: None,
        own: allows.clone(),
        allows,
        users,
        revision: None,
    }
}

fn shown(row: Stored, customs: &Customs) -> RoleShown {
    let own = customs.roles.get(&row.name).map(|custom| Grantable(custom.own.clone())).unwrap_or_default();
    RoleShown {
        allows: allows(customs, &row.name),
        name: row.name,
        title: row.title,
        about: row.about,
        system: false,
        parent: row.parent,
        own,
        users: row.users,
        revision: Some(row.revision),
    }
}

/// All roles of the tenant: those of every installation, then its own.
///
/// # Errors
/// Without `role.view`.
pub async fn list(scope: &Scope) -> Result<Vec<RoleShown>> {
    scope.require(Permission::RoleView)?;
    let mut tx = scope.read().await?;
    all(&mut tx, scope.tenant()).await
}

pub(crate) async fn all(tx: &mut Tx, tenant: TenantId) -> Result<Vec<RoleShown>> {
    let customs = rights::customs(tx, tenant).await?;
    let users: Vec<Counted> = tx
        .all(
            sql!(
                "select role, count(*) as n from users where tenant_id = $1 and status = 'active' group by role limit 1000"
            ),
            args![tenant],
        )
        .await?;
    let count = |name: &str| users.iter().find(|one| one.role == name).map_or(0, |one| one.n);
    let rows: Vec<Stored> = tx
        .all(
            sql!(
                "select r.name, r.title, r.about, r.parent, r.permissions, r.revision, (select count(*) from users u \
                 where u.tenant_id = r.tenant_id and u.role = r.name and u.status = 'active') as users \
                 from access_role r where r.tenant_id = $1 order by r.name limit 1000"
            ),
            args![tenant],
        )
        .await?;
    let mut roles: Vec<_> = ROLES.iter().map(|role| system(role, &customs, count(role.name))).collect();
    roles.extend(rows.into_iter().map(|row| shown(row, &customs)));
    Ok(roles)
}

/// A role that somebody may give.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) about: String,
}

/// The roles that the caller may give: those that allow no more than they may.
pub(crate) async fn givable(scope: &Scope) -> Result<Vec<Offered>> {
    let mut tx = scope.read().await?;
    let customs = rights::customs(&mut tx, scope.tenant()).await?;
    let roles = all(&mut tx, scope.tenant()).await?;
    let may = |role: &RoleShown| scope.held().covers(&rights::held_by_role(&customs, &role.name));
    let offered = roles.into_iter().filter(may);
    Ok(offered.map(|RoleShown { name, title, about, .. }| Offered { name, title, about }).collect())
}

/// A role by its name.
///
/// # Errors
/// Without `role.view`; `not_found`.
pub async fn get(scope: &Scope, name: &str) -> Result<RoleShown> {
    list(scope).await?.into_iter().find(|role| role.name == name).ok_or_else(|| Error::not_found("role"))
}

async fn find(tx: &mut Tx, tenant: TenantId, name: &str) -> Result<RoleShown> {
    all(tx, tenant).await?.into_iter().find(|role| role.name == name).ok_or_else(|| Error::not_found("role"))
}

fn about(text: Option<String>) -> Result<String> {
    let text = text.unwrap_or_default().trim().to_owned();
    if text.chars().count() > ABOUT_CHARS_MAX {
        return Err(Error::invalid("about", format!("more than {ABOUT_CHARS_MAX} letters")));
    }
    Ok(text)
}

/// Whether the roles hang together: every parent exists, none is above itself, none has too many above it.
fn refuse_tangles(customs: &Customs) -> Result<()> {
    for name in customs.roles.keys() {
        let (mut above, mut at) = (BTreeSet::from([name.as_str()]), name.as_str());
        while let Some(parent) = customs.roles.get(at).and_then(|custom| custom.parent.as_deref()) {
            if parent == PLATFORM_ADMIN {
                return Err(Error::invalid("parent", "what it allows reaches over all tenants"));
            }
            if !customs.roles.contains_key(parent) && Role::named(parent).is_none() {
                return Err(Error::invalid("parent", format!("{parent:?} is no role")));
            }
            if !above.insert(parent) {
                return Err(
                    Error::new(Code::Conflict, format!("{parent} would be above itself")).at("parent")
                );
            }
            if above.len() > DEPTH_MAX {
                let problem = format!("{name} would have more than {} roles above it", DEPTH_MAX - 1);
                return Err(Error::invalid("parent", problem));
            }
            at = parent;
        }
    }
    Ok(())
}

/// Makes a role.
///
/// # Errors
/// Without `role.create`; `forbidden` for what the caller does not hold; `already_exists`; `invalid_value`.
pub async fn create(scope: &Scope, new: NewRole) -> Result<RoleShown> {
    scope.require(Permission::RoleCreate)?;
    let name = name::slug(&new.name).map_err(|error| Error::invalid("name", error.message()))?;
    if Role::named(&name).is_some() {
        return Err(Error::new(Code::AlreadyExists, "every installation has a role of this name").at("name"));
    }
    let title = name::given("title", new.title.as_deref().unwrap_or(&name))?;
    let (about, permissions) = (about(new.about)?, new.permissions.checked()?);
    let parent = new.parent.filter(|parent| !parent.is_empty());
    let mut write = scope.write().await?;
    let mut customs = rights::customs(&mut write, scope.tenant()).await?;
    if customs.roles.len() >= ROLES_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {ROLES_MAX} roles already")));
    }
    let fresh = Custom { parent: parent.clone(), own: permissions.0.clone() };
    if customs.roles.insert(name.clone(), fresh).is_some() {
        return Err(taken());
    }
    refuse_tangles(&customs)?;
    refuse_more(scope, &customs, &name, &permissions)?;
    let inserted = write.execute(
        sql!(
            "insert into access_role (tenant_id, name, title, about, parent, permissions, revision, created_at, changed_at) \
             values ($1, $2, $3, $4, $5, $6, 1, $7, $7)"
        ),
        args![scope.tenant(), &name, title, about, parent, permissions.text()?, scope.now()],
    );
    inserted.await.on_unique(taken)?;
    let role = find(&mut write, scope.tenant(), &name).await?;
    write.happened(Event::RoleCreated(change(&role, None)));
    write.commit(role).await
}

fn taken() -> Error {
    Error::new(Code::AlreadyExists, "a role of this name exists already").at("name")
}

/// Nobody gives what they do not hold, neither by a role's own permissions nor by the role above it.
fn refuse_more(scope: &Scope, customs: &Customs, name: &str, own: &Grantable) -> Result<()> {
    rights::may_give_all(scope.held(), own)?;
    if scope.held().covers(&rights::held_by_role(customs, name)) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, "the role above it allows more than you may").at("parent"))
}

/// Changes a role. Whoever has it holds the new rights from the next request on.
///
/// # Errors
/// Without `role.change`; `not_found`; `conflict` for a role of every installation, a newer revision, or a circle;
/// `forbidden` where the role allows, or would allow, more than the caller may.
pub async fn update(scope: &Scope, name: &str, patch: RolePatch) -> Result<RoleShown> {
    scope.require(Permission::RoleChange)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), name).await?;
    refuse_system(&before)?;
    let mut customs = rights::customs(&mut write, scope.tenant()).await?;
    if !scope.held().covers(&rights::held_by_role(&customs, name)) {
        return Err(Error::new(Code::Forbidden, "this role allows more than you may"));
    }
    let expected = patch.revision.unwrap_or(before.revision.unwrap_or_default());
    let title = patch.title.map(|title| name::given("title", &title)).transpose()?;
    let about = patch.about.map(|text| about(Some(text))).transpose()?;
    let own = match patch.permissions {
        Some(permissions) => permissions.checked()?,
        None => before.own.clone(),
    };
    let parent = match patch.parent {
        Some(parent) => Some(parent).filter(|parent| !parent.is_empty()),
        None => before.parent.clone(),
    };
    customs.roles.insert(name.to_owned(), Custom { parent: parent.clone(), own: own.0.clone() });
    refuse_tangles(&customs)?;
    refuse_more(scope, &customs, name, &own)?;
    let changed = write
        .execute(
            sql!(
                "update access_role set title = coalesce($4, title), about = coalesce($5, about), parent = $6, \
                 permissions = $7, revision = revision + 1, changed_at = $8 \
                 where tenant_id = $1 and name = $2 and revision = $3"
            ),
            args![scope.tenant(), name, expected, title, about, parent, own.text()?, scope.now()],
        )
        .await?;
    if changed == 0 {
        return Err(Error::new(Code::Conflict, "the role was changed meanwhile").at("revision"));
    }
    let after = find(&mut write, scope.tenant(), name).await?;
    write.happened(Event::RoleChanged(change(&after, Some(&before))));
    write.commit(after).await
}

fn refuse_system(role: &RoleShown) -> Result<()> {
    if !role.system {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "every installation has this role; it stays as it is")
        .hint("make a role with this one as its parent"))
}

record! { struct Open { n: i64 } }

/// Deletes a role. Its users, disabled ones too, get the successor.
///
/// # Errors
/// Without `role.delete`; `not_found`; `conflict` for a role of every installation, one that stands above others or is
/// given for a time, and one in use without a successor; `forbidden` where either allows more than the caller may.
pub async fn delete(scope: &Scope, name: &str, successor: Option<&str>) -> Result<()> {
    scope.require(Permission::RoleDelete)?;
    let mut write = scope.write().await?;
    let tenant = scope.tenant();
    let before = find(&mut write, tenant, name).await?;
    refuse_system(&before)?;
    let customs = rights::customs(&mut write, tenant).await?;
    if !scope.held().covers(&rights::held_by_role(&customs, name)) {
        return Err(Error::new(Code::Forbidden, "this role allows more than you may"));
    }
    if let Some((below, _)) = customs.roles.iter().find(|(_, custom)| custom.parent.as_deref() == Some(name))
    {
        return Err(Error::new(Code::Conflict, format!("the role {below} has it as its parent")));
    }
    let granted: Open = write
        .one(
            sql!(
                "select count(*) as n from access_grant where tenant_id = $1 and role = $2 and ends_at > $3 and ended_at is null"
            ),
            args![tenant, name, scope.now()],
        )
        .await?;
    if granted.n > 0 {
        return Err(
            Error::new(Code::Conflict, "somebody is given this role for a time").hint("end that grant first")
        );
    }
    let successor = successor.filter(|successor| !successor.is_empty());
    if let Some(successor) = successor {
        if successor == name {
            return Err(Error::invalid("successor", "a role does not succeed itself"));
        }
        rights::may_give(&mut write, scope, successor).await.map_err(|error| error.at("successor"))?;
        write
            .execute(
                sql!("update users set role = $3 where tenant_id = $1 and role = $2"),
                args![tenant, name, successor],
            )
            .await?;
    }
    let users: Open = write
        .one(sql!("select count(*) as n from users where tenant_id = $1 and role = $2"), args![tenant, name])
        .await?;
    if users.n > 0 {
        return Err(Error::new(Code::Conflict, format!("{} users have this role", users.n))
            .at("successor")
            .hint("name the role that they shall have instead"));
    }
    write
        .execute(sql!("delete from access_role where tenant_id = $1 and name = $2"), args![tenant, name])
        .await?;
    let told = Change {
        after: successor.map(|name| serde_json::json!({ "successor": name })),
        ..change(&before, None)
    };
    let told = Change { before: serde_json::to_value(&before).ok(), ..told };
    write.happened(Event::RoleDeleted(told));
    write.commit(()).await
}

/// What the audit trail keeps of a change to a role.
fn change(role: &RoleShown, before: Option<&RoleShown>) -> Change {
    // Own permissions and parent tell all; what follows from them would be told twice.
    let told = |role: &RoleShown| {
        serde_json::json!({
            "name": role.name, "title": role.title, "about": role.about, "parent": role.parent, "permissions": role.own,
        })
    };
    Change {
        id: role.name.clone(),
        name: role.title.clone(),
        before: before.map(told),
        after: Some(told(role)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(parent: Option<&str>) -> Custom {
        Custom { parent: parent.map(str::to_owned), own: BTreeMap::new() }
    }

    #[test]
    fn circles_strangers_and_high_towers_are_refused() {
        let of = |pairs: &[(&str, Option<&str>)]| -> Customs {
            let roles = pairs.iter().map(|(name, parent)| ((*name).to_owned(), custom(*parent))).collect();
            Customs { roles, ..Customs::default() }
        };
        refuse_tangles(&of(&[("a", Some("b")), ("b", Some("viewer"))])).unwrap();
        let circle = refuse_tangles(&of(&[("a", Some("b")), ("b", Some("a"))])).unwrap_err();
        assert_eq!((circle.code(), circle.place()), (Code::Conflict, Some("parent")));
        assert!(refuse_tangles(&of(&[("a", Some("nobody"))])).is_err());
        let tower: Vec<String> = (0..=DEPTH_MAX).map(|n| format!("r{n}")).collect();
        let pairs: Vec<_> = tower
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), tower.get(n + 1).map(String::as_str)))
            .collect();
        assert!(refuse_tangles(&of(&pairs)).is_err());
        refuse_tangles(&of(&pairs[1..])).unwrap();
    }

    #[test]
    fn permissions_are_checked_by_name_and_reach() {
        let given = |name: &str, reach| Grantable([(name.to_owned(), reach)].into()).checked();
        assert_eq!(given("key.manage", Reach::All).unwrap().0.len(), 2);
        assert!(given("tenant.view", Reach::All).is_err(), "platform");
        assert!(given("route.view", Reach::Own).is_err(), "no owner");
        assert!(given("message.view", Reach::Own).is_ok());
        assert!(given("key.view", Reach::Own).is_ok());
        assert_eq!(given("eat", Reach::All).unwrap_err().place(), Some("permissions/eat"));
    }
}
