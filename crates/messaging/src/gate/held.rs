//! Messages that a rule holds for a person.
//!
//! A held message is a scheduled one whose time is the end of its validity, so it is durable, counted and seen like any
//! other, and it expires if nobody looks. Releasing brings its time forward; refusing is cancelling it.

use db::{args, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::{Deserialize, Serialize};
use types::event::MessageChange;
use types::{Code, Error, Event, MessageId, Page, Permission, Result, Timestamp};
use web::Paging;

use super::Pass;
use crate::message::query::Message;
use crate::message::{Options, State};
use crate::recover::MessageRecord;

/// Why a message is held, kept with it until it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What people call the rule; or who held it, where no rule did.
    pub by: String,
    /// Whether a person held it and no rule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub person: bool,
    /// When the message would have gone; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl Pass {
    /// Writes into a message's options what the gates have left with it, and gives when it is to be looked at: `planned`, or
    /// the end of its validity where it is held.
    pub(crate) fn leave(
        &mut self,
        options: &mut Options,
        planned: Option<Timestamp>,
        expires_at: Timestamp,
    ) -> Option<Timestamp> {
        options.marks = std::mem::take(&mut self.marks);
        match &self.held_by {
            None => planned,
            Some(by) => {
                options.held = Some(Held { by: by.clone(), person: false, not_before: planned });
                Some(expires_at)
            }
        }
    }
}

/// The tenant's held messages, newest first.
///
/// # Errors
/// [`Code::Forbidden`]; a cursor that is none.
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Message>> {
    scope.require(Permission::HeldView)?;
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let rows: Vec<MessageRecord> = scope
        .read()
        .await?
        .all(
            sql!(
                "select * from message where tenant_id = $1 and id < $2 and state = 'scheduled' \
                 and options like '%\"held\":{%' order by id desc limit $3"
            ),
            args![scope.tenant(), before, limit as i64 + 1],
        )
        .await?;
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| Message::of(row, Sight::of(scope))))
}

/// Lets a held message go, at the time that it would have gone. Who released it stands in the audit trail.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Conflict`] for one that is not held, or not any more.
pub async fn release(scope: &Scope, id: MessageId) -> Result<Message> {
    if !scope.permissions().contains(Permission::QueueRelease) {
        scope.require(Permission::HeldRelease)?;
    }
    let now = scope.now();
    let mut write = scope.write().await?;
    let found: Option<MessageRecord> = write
        .optional(sql!("select * from message where tenant_id = $1 and id = $2"), args![scope.tenant(), id])
        .await?;
    let may = |permission| scope.held().allows(permission, found.as_ref().and_then(|one| one.owner_id));
    if !may(Permission::QueueRelease) && !may(Permission::HeldRelease) {
        return Err(Error::not_found("message"));
    }
    let mut record = found.ok_or_else(|| Error::not_found("message"))?;
    let not_held = || Error::new(Code::Conflict, "the message is not held");
    let text = record.options.as_deref().filter(|_| record.state == State::Scheduled.as_str());
    let mut options: Options = serde_json::from_str(text.ok_or_else(not_held)?).map_err(Error::internal)?;
    let held = options.held.take().ok_or_else(not_held)?;
    if !held.person {
        scope.require(Permission::HeldRelease)?;
    }
    let goes_at = held.not_before.unwrap_or(now).max(now);
    let kept = (options != Options::default()).then(|| serde_json::to_string(&options)).transpose();
    let kept = kept.map_err(Error::internal)?;
    let released = write
        .execute(
            sql!(
                "update message set wake_at = $3, options = $4, updated_at = $5 \
                 where tenant_id = $1 and id = $2 and state = 'scheduled' and options = $6"
            ),
            args![scope.tenant(), id, goes_at, kept.clone(), now, record.options.clone()],
        )
        .await?;
    if released == 0 {
        return Err(not_held());
    }
    write.happened(Event::MessageReleased(MessageChange {
        message: id,
        state: State::Scheduled.as_str().into(),
        account: record.account_id,
        connection: record.connection_id,
        error: None,
    }));
    (record.options, record.updated_at, record.wake_at) = (kept, now, Some(goes_at));
    write.commit(Message::of(record, Sight::of(scope))).await
}
