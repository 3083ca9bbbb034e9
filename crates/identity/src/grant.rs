//! What a user is given for a time: a role or single permissions, for a reason, until an instant at which it ends by itself.

use db::{Tenancy, Tx, args, record, sql};
use runtime::outbox::{self, Happened};
use runtime::{Actor, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, GrantId, Page, Permission, Result, TenantId, Timestamp, UserId};
use web::Paging;

use crate::role::custom::Grantable;
use crate::role::rights;
use crate::user;

pub mod api;
pub mod pages;

/// Letters of a reason.
const REASON_CHARS_MAX: usize = 500;
/// The longest that something is given for a time: a year. What is longer is a role.
const LONGEST_MS: i64 = 366 * 86_400_000;
/// Ends that are noted at a time.
const NOTED_MAX: i64 = 200;

record! {
    struct Stored {
        id: GrantId, user_id: UserId, user_name: String, role: Option<String>, permissions: Option<String>, reason: String,
        created_by: String, created_at: Timestamp, ends_at: Timestamp, ended_at: Option<Timestamp>, ended_by: Option<String>,
    }
}

/// Something that a user is given for a time.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Who has it.
    pub user: UserId,
    /// What they are called.
    pub user_name: String,
    /// The role, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The permissions, where it is no role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Grantable>,
    /// Why.
    pub reason: String,
    /// Who gave it.
    pub created_by: String,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub ends_at: Timestamp,
    /// Whether it counts at this moment.
    pub active: bool,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Who ended it before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
}

/// Something to be given for a time: a role or permissions.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// To whom.
    pub user: UserId,
    /// A role's name.
    pub role: Option<String>,
    /// Permissions by name, and about whose records each is held: `own`, `team` or `all`.
    pub permissions: Option<Grantable>,
    /// Why; up to 500 letters.
    pub reason: String,
    /// When it ends by itself: in the future, and within a year.
    pub ends_at: Timestamp,
}

impl Stored {
    fn grant(self, now: Timestamp) -> Grant {
        Grant {
            active: self.ended_at.is_none() && self.ends_at > now,
            id: self.id,
            user: self.user_id,
            user_name: self.user_name,
            role: self.role,
            permissions: self.permissions.and_then(|text| serde_json::from_str(&text).ok()),
            reason: self.reason,
            created_by: self.created_by,
            created_at: self.created_at,
            ends_at: self.ends_at,
            ended_at: self.ended_at,
            ended_by: self.ended_by,
        }
    }
}

/// Which grants are wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrantFilter {
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only those that count at this moment.
    pub active: Option<bool>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

/// The tenant's temporary grants, newest first.
///
/// # Errors
/// Without `grant.view`; a malformed cursor or limit.
pub async fn list(scope: &Scope, filter: &GrantFilter) -> Result<Page<Grant>> {
    scope.require(Permission::GrantView)?;
    let paging = Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let now = scope.now();
    let rows: Vec<Stored> = scope
        .read()
        .await?
        .all(
            sql!(
                "select g.id, g.user_id, u.name as user_name, g.role, g.permissions, g.reason, g.created_by, g.created_at, \
                 g.ends_at, g.ended_at, g.ended_by from access_grant g join users u on u.id = g.user_id \
                 and u.tenant_id = g.tenant_id where g.tenant_id = $1 and g.id < $2 \
                 and (cast($3 as bigint) is null or g.user_id = $3) and (not $4 or (g.ended_at is null and g.ends_at > $5)) \
                 order by g.id desc limit $6"
            ),
            args![scope.tenant(), behind, filter.user, filter.active.unwrap_or(false), now, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| row.grant(now)))
}

/// A temporary grant by its id.
///
/// # Errors
/// Without `grant.view`; `not_found`.
pub async fn get(scope: &Scope, id: GrantId) -> Result<Grant> {
    scope.require(Permission::GrantView)?;
    find(&mut scope.read().await?, scope.tenant(), id, scope.now()).await
}

async fn find(tx: &mut Tx, tenant: TenantId, id: GrantId, now: Timestamp) -> Result<Grant> {
    let row: Option<Stored> = tx
        .optional(
            sql!(
                "select g.id, g.user_id, u.name as user_name, g.role, g.permissions, g.reason, g.created_by, g.created_at, \
                 g.ends_at, g.ended_at, g.ended_by from access_grant g join users u on u.id = g.user_id \
                 and u.tenant_id = g.tenant_id where g.tenant_id = $1 and g.id = $2"
            ),
            args![tenant, id],
        )
        .await?;
    row.map(|row| row.grant(now)).ok_or_else(|| Error::not_found("grant"))
}

record! { struct Counted { n: i64 } }

/// Gives a user a role or permissions for a time.
///
/// # Errors
/// Without `grant.create`; `forbidden` for what the caller does not hold, and for a user who may do more; `conflict` for
/// oneself; `invalid_value`.
pub async fn create(scope: &Scope, new: NewGrant) -> Result<Grant> {
    scope.require(Permission::GrantCreate)?;
    let now = scope.now();
    let reason = new.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Error::invalid("reason", format!("say why, in at most {REASON_CHARS_MAX} letters")));
    }
    if new.ends_at <= now || new.ends_at.since_ms(now) > LONGEST_MS {
        return Err(Error::invalid("ends_at", "give a time in the future, and within a year"));
    }
    if scope.actor().is_person(new.user) {
        return Err(
            Error::new(Code::Conflict, "nobody gives to themselves").hint("another administrator can.")
        );
    }
    let permissions =
        new.permissions.map(Grantable::checked).transpose()?.filter(|given| !given.0.is_empty());
    let role = new.role.filter(|role| !role.is_empty());
    if role.is_some() == permissions.is_some() {
        return Err(Error::invalid("role", "give a role or permissions, one of the two"));
    }
    let mut write = scope.write().await?;
    let person = user::find(&mut write, scope.tenant(), new.user).await?;
    user::may_govern(&mut write, scope, &person).await?;
    if let Some(role) = &role {
        rights::may_give(&mut write, scope, role).await?;
    }
    if let Some(permissions) = &permissions {
        rights::may_give_all(scope.held(), permissions)?;
    }
    let open: Counted = write
        .one(
            sql!(
                "select count(*) as n from access_grant where tenant_id = $1 and user_id = $2 and ends_at > $3 and ended_at is null"
            ),
            args![scope.tenant(), new.user, now],
        )
        .await?;
    if open.n >= rights::GRANTS_MAX {
        return Err(Error::new(Code::Conflict, format!("this user has {} grants already", open.n)));
    }
    let id: GrantId = scope.runtime().ids.next();
    let text = permissions.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?;
    write
        .execute(
            sql!(
                "insert into access_grant (id, tenant_id, user_id, role, permissions, reason, created_by, created_at, ends_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
            ),
            args![id, scope.tenant(), new.user, role, text, reason, scope.actor().to_string(), now, new.ends_at],
        )
        .await?;
    let grant = find(&mut write, scope.tenant(), id, now).await?;
    write.happened(Event::GrantCreated(change(&grant, None)));
    write.commit(grant).await
}

/// Ends a grant before its time. One that has ended already stays so.
///
/// # Errors
/// Without `grant.end`; `not_found`; `forbidden` for a user who may do more than the caller.
pub async fn end(scope: &Scope, id: GrantId) -> Result<Grant> {
    scope.require(Permission::GrantEnd)?;
    let now = scope.now();
    let mut write = scope.write().await?;
    let before = find(&mut write, scope.tenant(), id, now).await?;
    let person = user::find(&mut write, scope.tenant(), before.user).await?;
    user::may_govern(&mut write, scope, &person).await?;
    if !before.active {
        return write.commit(before).await;
    }
    write
        .execute(
            sql!(
                "update access_grant set ended_at = $3, ended_by = $4 where tenant_id = $1 and id = $2 and ended_at is null"
            ),
            args![scope.tenant(), id, now, scope.actor().to_string()],
        )
        .await?;
    let after = find(&mut write, scope.tenant(), id, now).await?;
    write.happened(Event::GrantEnded(change(&after, Some(&before))));
    write.commit(after).await
}

/// What the audit trail keeps of a grant.
fn change(grant: &Grant, before: Option<&Grant>) -> Change {
    Change {
        id: grant.user.to_string(),
        name: grant.user_name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(grant).ok(),
    }
}

record! { struct Over { id: GrantId, tenant_id: TenantId } }

/// Notes the grants whose time was over, each in its tenant's audit trail. They count no longer from that instant on,
/// noted or not.
///
/// # Errors
/// When the database does not answer.
pub async fn note_ended(runtime: &Runtime) -> Result<()> {
    let now = runtime.clock.now();
    let over: Vec<Over> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!("select id, tenant_id from access_grant where ended_at is null and ends_at <= $1 order by ends_at limit $2"),
            args![now, NOTED_MAX],
        )
        .await?;
    for Over { id, tenant_id } in over {
        let mut tx = runtime.db.write(Tenancy::Tenant(tenant_id)).await?;
        let before = find(&mut tx, tenant_id, id, now).await?;
        let ended = tx
            .execute(
                sql!("update access_grant set ended_at = ends_at where tenant_id = $1 and id = $2 and ended_at is null"),
                args![tenant_id, id],
            )
            .await?;
        if ended == 0 {
            continue;
        }
        let after = find(&mut tx, tenant_id, id, now).await?;
        let happened = Happened {
            tenant: tenant_id,
            at: now,
            actor: Actor::System("grants").to_string(),
            request_id: None,
            from: None,
            events: vec![Event::GrantEnded(change(&after, Some(&before)))],
        };
        let written = outbox::write(&mut tx, vec![happened]).await?;
        tx.commit().await?;
        written.tell(&runtime.live);
    }
    Ok(())
}
