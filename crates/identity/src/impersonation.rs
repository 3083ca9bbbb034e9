//! Acting as another user of the same tenant, for a bounded time and with a trace.
//!
//! It hangs on the session of the one who acts: no second cookie, no second token, and whatever ends that session ends this. What
//! is done so carries both names ([`Actor::As`]). Rights never grow by it: authentication asks at each reading that whoever
//! acts holds all that the other holds, and takes away what [`NEVER`] names.

use db::{OnConflict, Tenancy, Tx, args, record, sql};
use runtime::outbox::{self, Happened};
use runtime::{Actor, Held, Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{
    Code, Error, Event, ImpersonationId, Page, Permission, Permissions, Result, SessionId, TenantId,
    Timestamp, UserId,
};
use web::Paging;

use crate::journal::{self, Kind};
use crate::mail::{self, Account, Letter, Mail};
use crate::role::rights;
use crate::{policy, user};

pub mod api;
pub mod pages;

/// Letters of a reason.
const REASON_CHARS: std::ops::RangeInclusive<usize> = 3..=200;
/// How long, when nothing is said.
const MINUTES: u32 = 30;
/// Ended ones that are noted at once.
const NOTED_MAX: i64 = 100;

/// What nobody may do as somebody else, whatever the other may: it is about who gets in, and would outlive the time.
pub(crate) const NEVER: &[Permission] = &[
    Permission::UserImpersonate,
    Permission::UserLink,
    Permission::UserSecurity,
    Permission::SecurityManage,
    Permission::KeyView,
    Permission::KeyCreate,
    Permission::KeyChange,
    Permission::KeyRevoke,
    Permission::ClientView,
    Permission::ClientCreate,
    Permission::ClientChange,
    Permission::ClientDelete,
];

record! {
    /// A time in which somebody acts as another user.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Impersonation {
        /// Its id.
        pub id: ImpersonationId,
        /// As whom.
        pub user: UserId,
        /// What that user is called.
        pub user_name: String,
        /// Who acts.
        pub by: UserId,
        /// What they are called.
        pub by_name: String,
        /// Why.
        pub reason: String,
        /// When it began.
        pub started_at: Timestamp,
        /// When it ends by itself.
        pub ends_at: Timestamp,
        /// When it ended; absent while it goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ended_at: Option<Timestamp>,
        /// Who ended it; absent when it ended by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ended_by: Option<String>,
        /// Whether it goes on.
        pub active: bool,
    }
}

/// What is said when somebody begins to act as another user.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImpersonation {
    /// Why, 3 to 200 characters. The user reads it.
    pub reason: String,
    /// For how many minutes, 1 to `security.impersonation_m_max`; 30, or that bound where it is less, when not given.
    pub minutes: Option<u32>,
}

/// Which are wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImpersonationFilter {
    /// Only as this user.
    pub user: Option<UserId>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// On a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

/// Refuses who acts as the user what is the user's alone: how their account is kept safe is neither shown nor changed.
///
/// # Errors
/// `forbidden`.
pub(crate) fn refuse_on(scope: &Scope, id: UserId) -> Result<()> {
    match scope.actor() {
        Actor::As { user, .. } if *user == id => Err(own_alone()),
        _ => Ok(()),
    }
}

/// The refusal of what is a person's own alone.
pub(crate) fn own_alone() -> Error {
    Error::new(Code::Forbidden, "a person's own account is closed to whoever acts as them")
        .hint("Stop acting as them to see your own.")
}

/// Begins to act as another user, in the browser's session that asks.
///
/// # Errors
/// Without `user.impersonate`; `not_found`; `step_up_required`; `forbidden` for a program, for a user who may do more than the
/// caller, and for one who may act as others; `conflict` for oneself, for a disabled user, and when the session acts as
/// somebody already.
pub async fn start(scope: &Scope, id: UserId, wanted: NewImpersonation) -> Result<Impersonation> {
    scope.require(Permission::UserImpersonate)?;
    let mut write = scope.write().await?;
    let tenant = scope.tenant();
    let person = user::find(&mut write, tenant, id).await?;
    let (Actor::User(by), Some(seat)) = (scope.actor(), scope.seat()) else {
        return Err(Error::new(Code::Forbidden, "only a person who has signed in can act as another user"));
    };
    scope.require_fresh()?;
    let (reason, minutes) = checked(scope, &wanted)?;
    if *by == id {
        return Err(Error::new(Code::Conflict, "this is you"));
    }
    if person.status != user::Status::Active.as_str() {
        return Err(Error::new(Code::Conflict, "this user is disabled").hint("enable the user first."));
    }
    user::may_govern(&mut write, scope, &person).await?;
    let theirs = rights::of_user(&mut write, tenant, id, scope.now()).await?.held(scope.now());
    if theirs.permissions().contains(Permission::UserImpersonate) {
        return Err(Error::new(Code::Forbidden, "nobody acts as a user who may act as others"));
    }
    let (now, new) = (scope.now(), scope.runtime().ids.next::<types::kind::Impersonation>());
    let ends_at = now.plus_ms(i64::from(minutes) * 60_000);
    write
        .execute(
            sql!(
                "update impersonation set ended_at = ends_at where tenant_id = $1 and session_id = $2 and ended_at is null \
                 and ends_at <= $3"
            ),
            args![tenant, seat.session, now],
        )
        .await?;
    write
        .execute(
            sql!(
                "insert into impersonation (id, tenant_id, user_id, by_user, session_id, reason, started_at, ends_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8)"
            ),
            args![new, tenant, id, *by, seat.session, &reason, now, ends_at],
        )
        .await
        .on_unique(|| Error::new(Code::Conflict, "this session acts as somebody already"))?;
    let begun = find(&mut write, tenant, new, now).await?;
    let told = policy::read(&mut write, tenant).await?.impersonation_mails;
    let (at, until) = (now.to_minute(), ends_at.to_minute());
    let letter = Letter::Account(Account::Impersonated {
        by: &begun.by_name,
        reason: &reason,
        at: &at,
        until: &until,
    });
    let notice = match told {
        true => Mail::written(scope, &person.email, &person.language, &letter).await?,
        false => None,
    };
    mail::enqueue(notice.as_ref(), &mut write, scope.runtime()).await?;
    let detail = format!("{}, until {until}: {reason}", begun.by_name);
    journal::note(&mut write, scope, id, Kind::Impersonated, Some(detail), None).await?;
    write.happened(Event::UserImpersonated(change(&begun, None)));
    let begun = write.commit(begun).await?;
    scope.runtime().job_wake.notify_one();
    Ok(begun)
}

/// Reason and minutes, or what is wrong with them.
fn checked(scope: &Scope, wanted: &NewImpersonation) -> Result<(String, u32)> {
    let most = scope.runtime().config.security.impersonation_m_max;
    let reason = wanted.reason.trim();
    if !REASON_CHARS.contains(&reason.chars().count()) {
        return Err(Error::invalid("reason", "say why, in 3 to 200 characters"));
    }
    let minutes = wanted.minutes.unwrap_or(MINUTES.min(most));
    if !(1..=most).contains(&minutes) {
        return Err(Error::invalid("minutes", format!("1 to {most} minutes, not {minutes}")));
    }
    Ok((runtime::mail::one_line(reason, *REASON_CHARS.end()), minutes))
}

/// Acts as the other user no longer: the session is its owner's again.
///
/// # Errors
/// `conflict` where nobody else is acted as.
pub async fn stop(scope: &Scope) -> Result<Impersonation> {
    let (Actor::As { by, .. }, Some(seat)) = (scope.actor(), scope.seat()) else {
        return Err(Error::new(Code::Conflict, "you act as nobody else"));
    };
    let mut write = scope.write().await?;
    let open: Option<Open> = write
        .optional(
            sql!(
                "select id from impersonation where tenant_id = $1 and session_id = $2 and by_user = $3 and ended_at is null"
            ),
            args![scope.tenant(), seat.session, *by],
        )
        .await?;
    let open = open.ok_or_else(|| Error::new(Code::Conflict, "you act as nobody else"))?;
    let ended = close(&mut write, scope, open.id).await?;
    write.commit(ended).await
}

/// Ends what others do as a user, at once: by the user themselves, or by who may act as others.
///
/// # Errors
/// Without `user.impersonate`, for somebody else than the user; `not_found`.
pub async fn end(scope: &Scope, id: UserId) -> Result<()> {
    if *scope.actor() != Actor::User(id) {
        scope.require(Permission::UserImpersonate)?;
    }
    let mut write = scope.write().await?;
    user::find(&mut write, scope.tenant(), id).await?;
    let open: Vec<Open> = write
        .all(
            sql!(
                "select id from impersonation where tenant_id = $1 and user_id = $2 and ended_at is null order by id limit $3"
            ),
            args![scope.tenant(), id, NOTED_MAX],
        )
        .await?;
    for one in open {
        close(&mut write, scope, one.id).await?;
    }
    write.commit(()).await
}

/// Breaks off what others do as a user and what they do as others: their rights or their sessions are not what they were. It is
/// noted when the time has come, which is now.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn break_off(tx: &mut Tx, tenant: TenantId, id: UserId, now: Timestamp) -> Result<()> {
    tx.execute(
        sql!(
            "update impersonation set ends_at = $3 where tenant_id = $1 and (user_id = $2 or by_user = $2) \
             and ended_at is null and ends_at > $3"
        ),
        args![tenant, id, now],
    )
    .await?;
    Ok(())
}

async fn close(write: &mut runtime::Write, scope: &Scope, id: ImpersonationId) -> Result<Impersonation> {
    let (tenant, now) = (scope.tenant(), scope.now());
    let before = find(write, tenant, id, now).await?;
    let by = match scope.actor() {
        Actor::As { by, .. } => by.to_string(),
        actor => actor.to_string(),
    };
    write
        .execute(
            sql!(
                "update impersonation set ended_at = $3, ended_by = $4 where tenant_id = $1 and id = $2 and ended_at is null"
            ),
            args![tenant, id, now, by],
        )
        .await?;
    let after = find(write, tenant, id, now).await?;
    journal::note(write, scope, after.user, Kind::ImpersonationEnded, Some(after.by_name.clone()), None)
        .await?;
    write.happened(Event::ImpersonationEnded(change(&after, Some(&before))));
    Ok(after)
}

/// Who acted as whom, newest first.
///
/// # Errors
/// Without `user.impersonate`; a malformed cursor or limit.
pub async fn list(scope: &Scope, filter: &ImpersonationFilter) -> Result<Page<Impersonation>> {
    scope.require(Permission::UserImpersonate)?;
    of(scope, filter).await
}

/// Who acted as oneself, newest first.
///
/// # Errors
/// `forbidden` for a program; a malformed cursor or limit.
pub async fn list_own(scope: &Scope, paging: &Paging) -> Result<Page<Impersonation>> {
    let user = Some(user::person(scope)?);
    of(scope, &ImpersonationFilter { user, after: paging.after.clone(), limit: paging.limit.clone() }).await
}

async fn of(scope: &Scope, filter: &ImpersonationFilter) -> Result<Page<Impersonation>> {
    let paging = Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, behind) = (paging.limit()?, paging.behind(i64::MAX)?);
    let found = scope
        .read()
        .await?
        .all(
            sql!(
                "select i.id, i.user_id as user, u.name as user_name, i.by_user as by, b.name as by_name, i.reason, \
                 i.started_at, i.ends_at, i.ended_at, i.ended_by, (i.ended_at is null and i.ends_at > $3) as active \
                 from impersonation i join users u on u.id = i.user_id and u.tenant_id = i.tenant_id \
                 join users b on b.id = i.by_user and b.tenant_id = i.tenant_id \
                 where i.tenant_id = $1 and i.id < $2 and (cast($4 as bigint) is null or i.user_id = $4) \
                 order by i.id desc limit $5"
            ),
            args![scope.tenant(), behind, scope.now(), filter.user, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(found, limit, |one: &Impersonation| one.id.raw()))
}

async fn find(tx: &mut Tx, tenant: TenantId, id: ImpersonationId, now: Timestamp) -> Result<Impersonation> {
    tx.optional(
        sql!(
            "select i.id, i.user_id as user, u.name as user_name, i.by_user as by, b.name as by_name, i.reason, \
             i.started_at, i.ends_at, i.ended_at, i.ended_by, (i.ended_at is null and i.ends_at > $3) as active \
             from impersonation i join users u on u.id = i.user_id and u.tenant_id = i.tenant_id \
             join users b on b.id = i.by_user and b.tenant_id = i.tenant_id where i.tenant_id = $1 and i.id = $2"
        ),
        args![tenant, id, now],
    )
    .await?
    .ok_or_else(|| Error::not_found("impersonation"))
}

record! { struct Open { id: ImpersonationId } }
record! {
    struct Row { user_id: UserId, ends_at: Timestamp, name: String, email: String, language: String }
}

/// As whom a session acts at this moment.
pub(crate) struct Standing {
    pub(crate) user: UserId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) language: String,
    pub(crate) held: Held,
    /// Until when this may be believed.
    pub(crate) until: Timestamp,
    pub(crate) ends_at: Timestamp,
}

/// As whom a session acts, if that is still in force: the right to it and the rights of both are looked at anew.
pub(crate) async fn standing(
    tx: &mut Tx,
    (tenant, session): (TenantId, SessionId),
    own: &Held,
    now: Timestamp,
) -> Result<Option<Standing>> {
    let row: Option<Row> = tx
        .optional(
            sql!(
                "select i.user_id, i.ends_at, u.name, u.email, u.language from impersonation i \
                 join users u on u.id = i.user_id and u.tenant_id = i.tenant_id where i.tenant_id = $1 \
                 and i.session_id = $2 and i.ended_at is null and i.ends_at > $3"
            ),
            args![tenant, session, now],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let facts = rights::of_user(tx, tenant, row.user_id, now).await?;
    let theirs = facts.held(now);
    let may = |held: &Held| held.permissions().contains(Permission::UserImpersonate);
    if facts.shut(now).is_some() || !may(own) || may(&theirs) || !own.covers(&theirs) {
        return Ok(None);
    }
    let never: Permissions = NEVER.iter().copied().collect();
    Ok(Some(Standing {
        user: row.user_id,
        name: row.name,
        email: row.email,
        language: row.language,
        held: theirs.and(Permissions::all().without(never)),
        until: facts.until(now).map_or(row.ends_at, |until| until.min(row.ends_at)),
        ends_at: row.ends_at,
    }))
}

/// What the audit trail keeps of it.
fn change(one: &Impersonation, before: Option<&Impersonation>) -> Change {
    Change {
        id: one.user.to_string(),
        name: one.user_name.clone(),
        before: before.and_then(|before| serde_json::to_value(before).ok()),
        after: serde_json::to_value(one).ok(),
    }
}

record! { struct Over { id: ImpersonationId, tenant_id: TenantId } }

/// Notes those whose time was over or whose session ended, each in its tenant's audit trail. They count no longer from that
/// instant on, noted or not.
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
            sql!(
                "select i.id, i.tenant_id from impersonation i where i.ended_at is null and (i.ends_at <= $1 or not exists \
                 (select 1 from session s where s.tenant_id = i.tenant_id and s.id = i.session_id)) order by i.ends_at limit $2"
            ),
            args![now, NOTED_MAX],
        )
        .await?;
    for Over { id, tenant_id } in over {
        let mut tx = runtime.db.write(Tenancy::Tenant(tenant_id)).await?;
        let before = find(&mut tx, tenant_id, id, now).await?;
        let ended = tx
            .execute(
                sql!("update impersonation set ended_at = $3 where tenant_id = $1 and id = $2 and ended_at is null"),
                args![tenant_id, id, before.ends_at.min(now)],
            )
            .await?;
        if ended == 0 {
            continue;
        }
        let after = find(&mut tx, tenant_id, id, now).await?;
        let happened = Happened {
            tenant: tenant_id,
            at: now,
            actor: Actor::System("impersonations").to_string(),
            request_id: None,
            from: None,
            events: vec![Event::ImpersonationEnded(change(&after, Some(&before)))],
        };
        let written = outbox::write(&mut tx, vec![happened]).await?;
        tx.commit().await?;
        written.tell(&runtime.live);
    }
    Ok(())
}
