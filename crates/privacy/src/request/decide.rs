//! Deciding about a request: the identity is checked, the time extended, the request refused or carried out, and what it brought
//! lifted.

use db::{args, record, sql};
use runtime::job::enqueue;
use runtime::personal::By;
use runtime::{Scope, Write};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, Permission, PersonId, PrivacyRequestId, Result, Timestamp, UserId};

use super::{About, DAY_MS, Kind, Reason, Request, Stored, job, present, step, stored, words};
use crate::person::{self, Identifier};
use crate::register;
use crate::standing::Standings;

/// What a decision writes beside the step.
enum Decided {
    Checked,
    Extended(Timestamp),
    Refused,
}

async fn decide(
    scope: &Scope,
    id: PrivacyRequestId,
    reason: &Reason,
    (name, decided): (&'static str, impl FnOnce(&Stored, u32) -> Result<Decided>),
) -> Result<Request> {
    let note = words("reason", &reason.reason, 3)?;
    let settings = register::settings(scope).await?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    let key = person::living(scope.runtime(), scope.tenant(), row.person_id).await?;
    if row.state != "open" {
        return Err(Error::new(Code::Conflict, format!("the request is {} already", row.state)));
    }
    let (checked, extended, due, ended) = match decided(&row, settings.extension_days)? {
        Decided::Checked => (Some(scope.now()), row.extended_at, row.due_at, None),
        Decided::Extended(due) => (row.checked_at, Some(scope.now()), due, None),
        Decided::Refused => (row.checked_at, row.extended_at, row.due_at, Some(scope.now())),
    };
    let mut write = scope.write().await?;
    let changed = write
        .execute(
            sql!(
                "update privacy_request set checked_at = $3, extended_at = $4, due_at = $5, ended_at = $6, \
                 state = case when cast($6 as bigint) is null then state else 'refused' end, revision = revision + 1 \
                 where tenant_id = $1 and id = $2 and revision = $7 and state = 'open'"
            ),
            args![scope.tenant(), id, checked, extended, due, ended, row.revision],
        )
        .await?;
    if changed == 0 {
        return Err(Error::new(Code::Conflict, "the request was changed meanwhile"));
    }
    step(&mut write, scope, Some(&key), &row, name, &note).await?;
    write.commit(()).await?;
    present(scope, id).await
}

/// Notes how the identity of whoever asks was checked.
///
/// # Errors
/// Without `privacy.decide`; [`Code::Conflict`] when the request is answered.
pub async fn check(scope: &Scope, id: PrivacyRequestId, reason: &Reason) -> Result<Request> {
    scope.require(Permission::PrivacyDecide)?;
    decide(scope, id, reason, ("checked", |_, _| Ok(Decided::Checked))).await
}

/// Gives it more time, once, as the law allows with a reason.
///
/// # Errors
/// As [`check`]; [`Code::Conflict`] the second time.
pub async fn extend(scope: &Scope, id: PrivacyRequestId, reason: &Reason) -> Result<Request> {
    scope.require(Permission::PrivacyDecide)?;
    let once = |row: &Stored, days: u32| match row.extended_at {
        Some(_) => Err(Error::new(Code::Conflict, "the time was extended once already")),
        None => Ok(Decided::Extended(row.due_at.plus_ms(i64::from(days) * DAY_MS))),
    };
    decide(scope, id, reason, ("extended", once)).await
}

/// Refuses it with its reason.
///
/// # Errors
/// As [`check`].
pub async fn refuse(scope: &Scope, id: PrivacyRequestId, reason: &Reason) -> Result<Request> {
    scope.require(Permission::PrivacyDecide)?;
    decide(scope, id, reason, ("refused", |_, _| Ok(Decided::Refused))).await
}

record! { struct HoldRow { hold_reason: Option<String> } }

/// Carries a request out: a durable job does it.
///
/// # Errors
/// Without `privacy.decide`, and `privacy.erase` for an erasure; [`Code::IdentityUnchecked`]; [`Code::LegalHold`].
pub async fn carry_out(scope: &Scope, id: PrivacyRequestId) -> Result<Request> {
    scope.require(Permission::PrivacyDecide)?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    if row.kind() == Kind::Erasure {
        scope.require(Permission::PrivacyErase)?;
        scope.require_fresh()?;
    }
    let key = person::living(scope.runtime(), scope.tenant(), row.person_id).await?;
    if row.state != "open" {
        return Err(Error::new(Code::Conflict, format!("the request is {} already", row.state)));
    }
    if row.checked_at.is_none() {
        return Err(Error::new(Code::IdentityUnchecked, "nobody has noted how the identity was checked"));
    }
    if row.kind() == Kind::Erasure {
        refuse_who_works_here(scope, &row.about(&key)?).await?;
    }
    let mut write = scope.write().await?;
    if row.kind() == Kind::Erasure {
        let hold: Option<HoldRow> = write
            .optional(
                sql!("select hold_reason from person where tenant_id = $1 and id = $2"),
                args![scope.tenant(), row.person_id],
            )
            .await?;
        if let Some(reason) = hold.and_then(|hold| hold.hold_reason) {
            return Err(Error::new(
                Code::LegalHold,
                format!("a legal hold keeps this person's data: {reason}"),
            ));
        }
    }
    let started = write
        .execute(
            sql!(
                "update privacy_request set state = 'working', started_at = $3, revision = revision + 1 \
                 where tenant_id = $1 and id = $2 and state = 'open'"
            ),
            args![scope.tenant(), id, scope.now()],
        )
        .await?;
    if started == 0 {
        return Err(Error::new(Code::Conflict, "the request was changed meanwhile"));
    }
    bar(&mut write, scope, &row).await?;
    step(&mut write, scope, Some(&key), &row, "started", "").await?;
    let payload = job::Payload { request: id };
    enqueue(&mut write, scope.runtime(), scope.tenant(), job::KIND, &payload, scope.now()).await?;
    write.commit(()).await?;
    // In force before the answer: what is submitted after it is refused.
    Standings::changed(scope.runtime(), scope.tenant()).await?;
    scope.runtime().job_wake.notify_one();
    present(scope, id).await
}

/// A user is shut out before they are erased: who may do that is the users' own rule, and an administrator always remains.
async fn refuse_who_works_here(scope: &Scope, about: &About) -> Result<()> {
    for user in about.identifiers.iter().filter(|one| one.is(By::User)) {
        let id = user.value.parse().map(UserId::from_raw).map_err(Error::internal)?;
        if !identity::user::is_shut_out(scope, id).await? {
            return Err(Error::new(Code::Conflict, format!("the user {id} is still let in"))
                .hint("shut the user out first, then erase them"));
        }
    }
    Ok(())
}

/// Sets what the gates ask, in the transaction that starts the work.
async fn bar(write: &mut Write, scope: &Scope, row: &Stored) -> Result<()> {
    let (restricted, objected) = match row.kind() {
        Kind::Restriction | Kind::Erasure => (true, false),
        Kind::Objection => (false, true),
        Kind::Access | Kind::Portability | Kind::Rectification => return Ok(()),
    };
    write
        .execute(
            sql!(
                "update person set restricted_at = case when $4 then $3 else restricted_at end, \
                 objected_at = case when $5 then $3 else objected_at end where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), row.person_id, scope.now(), restricted, objected],
        )
        .await?;
    Ok(())
}

/// Lifts a restriction, or takes an objection back, that this request has brought.
///
/// # Errors
/// Without `privacy.decide`; [`Code::Conflict`] for a request that brought none.
pub async fn lift(scope: &Scope, id: PrivacyRequestId, reason: &Reason) -> Result<Request> {
    scope.require(Permission::PrivacyDecide)?;
    let note = words("reason", &reason.reason, 3)?;
    let row = stored(&mut scope.read().await?, scope.tenant(), id).await?;
    let (restriction, objection) = (row.kind() == Kind::Restriction, row.kind() == Kind::Objection);
    if row.state != "done" || !(restriction || objection) {
        return Err(Error::new(Code::Conflict, "this request has restricted nothing that could be lifted"));
    }
    let key = person::living(scope.runtime(), scope.tenant(), row.person_id).await?;
    let mut write = scope.write().await?;
    write
        .execute(
            sql!(
                "update person set restricted_at = case when $3 then null else restricted_at end, \
                 objected_at = case when $4 then null else objected_at end where tenant_id = $1 and id = $2"
            ),
            args![scope.tenant(), row.person_id, restriction, objection],
        )
        .await?;
    step(&mut write, scope, Some(&key), &row, "lifted", &note).await?;
    write.commit(()).await?;
    Standings::changed(scope.runtime(), scope.tenant()).await?;
    present(scope, id).await
}

/// A legal hold to be set or lifted.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldChange {
    /// A phone, a mail address or the id of a user.
    pub identifier: String,
    /// Which law or case keeps the data; absent lifts the hold.
    pub reason: Option<String>,
}

/// A person's legal hold.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Hold {
    /// The person.
    pub person: PersonId,
    /// Why the data is kept; absent when nothing holds it.
    pub reason: Option<String>,
}

/// Sets or lifts a person's legal hold: while it stands, nothing of them is erased.
///
/// # Errors
/// Without `privacy.manage`; an identifier that is none.
pub async fn hold(scope: &Scope, change: &HoldChange) -> Result<Hold> {
    scope.require(Permission::PrivacyManage)?;
    let identifier = Identifier::read(&change.identifier).map_err(|error| error.at("identifier"))?;
    let reason = change.reason.as_deref().map(|reason| words("reason", reason, 3)).transpose()?;
    let key = person::of(scope, &[identifier]).await?;
    let mut write = scope.write().await?;
    write
        .execute(
            sql!("update person set hold_reason = $3, held_at = $4 where tenant_id = $1 and id = $2"),
            args![scope.tenant(), key.person, reason.clone(), reason.as_ref().map(|_| scope.now())],
        )
        .await?;
    if reason.is_none() {
        // What retention has passed over is looked at again.
        write
            .execute(sql!("update retention_sweep set floor = 0 where tenant_id = $1"), args![scope.tenant()])
            .await?;
    }
    write.happened(Event::PersonChanged(Change {
        id: key.person.to_string(),
        name: "legal hold".to_owned(),
        before: None,
        after: reason.as_ref().map(|reason| serde_json::json!({ "reason": reason })),
    }));
    write.commit(Hold { person: key.person, reason }).await
}
