//! Teams: whose records a permission that is held for one's team reaches.

use db::{Arg, OnConflict, Tx, args, record, sql};
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Page, Permission, Result, TeamId, TenantId, Timestamp, UserId};

use crate::name;

pub mod api;
pub mod pages;

/// Teams of a tenant.
const TEAMS_MAX: i64 = 500;
/// Users in a team.
const MEMBERS_MAX: usize = 1_000;
/// Letters of what a team is for.
const ABOUT_CHARS_MAX: usize = 300;

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = TeamMember)]
pub struct Member {
    /// Their id.
    pub id: UserId,
    /// What they are called.
    pub name: String,
}

/// A team of users.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Who is in it.
    pub members: Vec<Member>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A team to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// What people call it.
    pub name: String,
    /// What it is for, up to 300 letters.
    pub about: Option<String>,
    /// Who is in it, up to 1,000 users.
    #[serde(default)]
    pub members: Vec<UserId>,
}

/// What to change of a team; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamPatch {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub about: Option<String>,
    /// Who is in it, all of them.
    pub members: Option<Vec<UserId>>,
}

record! { struct Stored { id: TeamId, name: String, about: String, created_at: Timestamp } }
record! { struct MemberRow { team_id: TeamId, user_id: UserId, name: String } }

/// The tenant's teams, by name.
///
/// # Errors
/// Without `team.view`.
pub async fn list(scope: &Scope) -> Result<Page<Team>> {
    scope.require(Permission::TeamView)?;
    Ok(Page { items: read(&mut scope.read().await?, scope.tenant(), None).await?, next: None })
}

/// A team by its id.
///
/// # Errors
/// Without `team.view`; `not_found`.
pub async fn get(scope: &Scope, id: TeamId) -> Result<Team> {
    scope.require(Permission::TeamView)?;
    find(&mut scope.read().await?, scope.tenant(), id).await
}

async fn find(tx: &mut Tx, tenant: TenantId, id: TeamId) -> Result<Team> {
    read(tx, tenant, Some(id)).await?.pop().ok_or_else(|| Error::not_found("team"))
}

async fn read(tx: &mut Tx, tenant: TenantId, one: Option<TeamId>) -> Result<Vec<Team>> {
    let teams: Vec<Stored> = tx
        .all(
            sql!(
                "select id, name, about, created_at from team where tenant_id = $1 and (cast($2 as bigint) is null or id = $2) \
                 order by name limit $3"
            ),
            args![tenant, one, TEAMS_MAX],
        )
        .await?;
    let members: Vec<MemberRow> = tx
        .all(
            sql!(
                "select m.team_id, m.user_id, u.name from team_member m join users u on u.id = m.user_id \
                 and u.tenant_id = m.tenant_id where m.tenant_id = $1 and (cast($2 as bigint) is null or m.team_id = $2) \
                 order by u.name, m.user_id limit 500000"
            ),
            args![tenant, one],
        )
        .await?;
    let of = |id: TeamId| {
        let mine = members.iter().filter(|member| member.team_id == id);
        mine.map(|member| Member { id: member.user_id, name: member.name.clone() }).collect()
    };
    let team = |Stored { id, name, about, created_at }: Stored| Team {
        id,
        name,
        about,
        members: of(id),
        created_at,
    };
    Ok(teams.into_iter().map(team).collect())
}

fn about(text: &str) -> Result<String> {
    let text = text.trim().to_owned();
    match text.chars().count() > ABOUT_CHARS_MAX {
        true => Err(Error::invalid("about", format!("more than {ABOUT_CHARS_MAX} letters"))),
        false => Ok(text),
    }
}

#[derive(Serialize)]
struct MemberId {
    id: i64,
}

record! { struct Counted { n: i64 } }

async fn put_members(tx: &mut Tx, tenant: TenantId, id: TeamId, members: &[UserId]) -> Result<()> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members.dedup();
    if members.len() > MEMBERS_MAX {
        return Err(Error::invalid("members", format!("more than {MEMBERS_MAX} users")));
    }
    let rows: Vec<_> = members.iter().map(|id| MemberId { id: id.raw() }).collect();
    tx.execute(sql!("delete from team_member where tenant_id = $1 and team_id = $2"), args![tenant, id])
        .await?;
    let put = tx
        .execute(
            sql!(
                "insert into team_member (tenant_id, team_id, user_id) select u.tenant_id, $2, u.id from users u \
                 where u.tenant_id = $1 and u.id in (select cast(r.value ->> 'id' as bigint) from json_rows($3) r)"
            ),
            vec![tenant.into(), id.into(), Arg::json(&rows)?],
        )
        .await?;
    if put != members.len() as u64 {
        return Err(Error::invalid("members", "one of them is no user of this tenant"));
    }
    Ok(())
}

fn taken() -> Error {
    Error::new(Code::AlreadyExists, "a team of this name exists already").at("name")
}

/// Creates a team.
///
/// # Errors
/// Without `team.create`; `already_exists`; `invalid_value` for a member who is no user of the tenant.
pub async fn create(scope: &Scope, new: NewTeam) -> Result<Team> {
    scope.require(Permission::TeamCreate)?;
    let (name, about) = (name::given("name", &new.name)?, about(new.about.as_deref().unwrap_or_default())?);
    let id: TeamId = scope.runtime().ids.next();
    let mut write = scope.write().await?;
    let teams: Counted =
        write.one(sql!("select count(*) as n from team where tenant_id = $1"), args![scope.tenant()]).await?;
    if teams.n >= TEAMS_MAX {
        return Err(Error::new(Code::Conflict, format!("there are {TEAMS_MAX} teams already")));
    }
    let inserted = write.execute(
        sql!("insert into team (id, tenant_id, name, about, created_at) values ($1, $2, $3, $4, $5)"),
        args![id, scope.tenant(), name, about, scope.now()],
    );
    inserted.await.on_unique(taken)?;
    put_members(&mut write, scope.tenant(), id, &new.members).await?;
    let team = find(&mut write, scope.tenant(), id).await?;
    write.happened(Event::TeamCreated(change(&team, None)));
    write.commit(team).await
}

/// Changes a team, and who is in it.
///
/// # Errors
/// Without `team.change`; `not_found`; as [`create`].
pub async fn update(scope: &Scope, id: TeamId, patch: TeamPatch) -> Result<Team> {
    scope.require(Permission::TeamChange)?;
    let name = patch.name.map(|name| name::given("name", &name)).transpose()?;
    let about = patch.about.map(|text| about(&text)).transpose()?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    let changed = write.execute(
        sql!("update team set name = coalesce($3, name), about = coalesce($4, about) where tenant_id = $1 and id = $2"),
        args![scope.tenant(), id, name, about],
    );
    changed.await.on_unique(taken)?;
    if let Some(members) = patch.members {
        put_members(&mut write, scope.tenant(), id, &members).await?;
    }
    let after = find(&mut write, scope.tenant(), id).await?;
    write.happened(Event::TeamChanged(change(&after, Some(&before))));
    write.commit(after).await
}

/// Deletes a team; its members stay.
///
/// # Errors
/// Without `team.delete`; `not_found`.
pub async fn delete(scope: &Scope, id: TeamId) -> Result<()> {
    scope.require(Permission::TeamDelete)?;
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id).await?;
    write
        .execute(
            sql!("delete from team_member where tenant_id = $1 and team_id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write
        .execute(sql!("delete from team where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    let gone = Change { after: None, ..change(&before, Some(&before)) };
    write.happened(Event::TeamDeleted(gone));
    write.commit(()).await
}

/// What the audit trail keeps of a change to a team.
fn change(team: &Team, before: Option<&Team>) -> Change {
    Change {
        id: team.id.to_string(),
        name: team.name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(team).ok(),
    }
}
