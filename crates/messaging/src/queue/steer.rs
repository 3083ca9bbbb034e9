//! Holding, releasing and cancelling what waits: one message, or all that fit a selection, so many at a time.

use db::{args, record, sql};
use identity::role::rights::Reaching;
use runtime::Scope;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{AccountId, ConnectionId, Error, Event, MessageId, Permission, Result};

use crate::engine::Engine;
use crate::gate::held;
use crate::intent::Intent;
use crate::journal::Entry;

/// Waiting messages. All that is given must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// These messages, at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<MessageId>,
    /// Routed to this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Submitted by this SMPP account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Which are for this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// To this recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// From this sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Everything that waits: to be said where nothing else is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Steered {
    /// Messages that were held, released or cancelled.
    pub done: u64,
    /// Messages that fit and could not be: they are leaving, or were changed meanwhile.
    pub passed_over: u64,
    /// Whether more may fit: ask again.
    pub more: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Held until somebody releases them.
    Hold,
    /// Let go, what a person holds. What a rule holds is the firewall's.
    Release,
    /// Taken back.
    Cancel,
}

impl Action {
    /// What it takes, for those whose messages they are.
    const fn permission(self) -> Permission {
        match self {
            Self::Hold => Permission::QueueHold,
            Self::Release => Permission::QueueRelease,
            Self::Cancel => Permission::MessageCancel,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

/// Messages that one operation steers.
pub const STEERED_MAX: usize = 1_000;
/// What the rows of messages that a person holds contain.
const HELD_BY_A_PERSON: &str = "%\"held\":{%\"person\":true%";

impl Selection {
    /// Refuses a selection that selects nothing on purpose.
    pub(crate) fn checked(&self) -> Result<()> {
        if self.ids.len() > STEERED_MAX {
            return Err(Error::invalid("ids", format!("at most {STEERED_MAX} messages at once")));
        }
        let named = self.connection.is_some()
            || self.account.is_some()
            || self.intent.is_some()
            || self.to.is_some()
            || self.from.is_some()
            || !self.ids.is_empty();
        if named || self.all {
            return Ok(());
        }
        Err(Error::invalid("all", "the selection names nothing")
            .hint("say `\"all\": true` to mean everything"))
    }
}

record! { struct Found { id: MessageId, held: bool } }

/// Holds, releases or cancels what fits a selection, of those whose messages the right for it reaches: at most
/// [`STEERED_MAX`] messages. Asked again, it goes on.
///
/// # Errors
/// [`types::Code::Forbidden`]; a selection that names nothing.
pub async fn steer(scope: &Scope, engine: &Engine, action: Action, selection: &Selection) -> Result<Steered> {
    scope.require(action.permission())?;
    selection.checked()?;
    let found = find(scope, action, selection).await?;
    let more = found.len() == STEERED_MAX;
    let matched = found.len() as u64;
    let done = match action {
        Action::Hold => hold(scope, engine, found).await?,
        Action::Release => release(scope, found).await?,
        Action::Cancel => cancel(scope, engine, found).await?,
    };
    let steered = Steered { done, passed_over: matched - done.min(matched), more };
    let mut write = scope.write().await?;
    write.happened(Event::QueueSteered(Change {
        id: String::new(),
        name: format!("{} {done} waiting messages", action.as_str()),
        before: None,
        after: Some(serde_json::to_value(selection).map_err(Error::internal)?),
    }));
    write.commit(steered).await
}

/// The messages that fit, those that are due first.
async fn find(scope: &Scope, action: Action, selection: &Selection) -> Result<Vec<MessageId>> {
    let ids: Vec<_> = selection.ids.iter().map(|id| serde_json::json!({ "id": id.raw() })).collect();
    let digits =
        |text: &Option<String>| text.as_deref().map(|text| text.trim().trim_start_matches('+').to_owned());
    let reaching = Reaching::of(scope, action.permission())?;
    let mut tx = scope.read().await?;
    let found: Vec<Found> = tx
        .all(
            sql!(
                "select id, coalesce(options like $9, false) as held from message where tenant_id = $1 and direction = 'out' \
                 and wake_at is not null and state in ('queued', 'scheduled') \
                 and ($2 = 0 or id in (select cast(r.value ->> 'id' as bigint) from json_rows($3) r)) \
                 and (cast($4 as bigint) is null or connection_id = $4) and (cast($5 as bigint) is null or account_id = $5) \
                 and (cast($6 as text) is null or intent = $6) and (cast($7 as text) is null or recipient = $7) \
                 and (cast($8 as text) is null or sender = $8) \
                 and ($10 = 0 or coalesce(options like $9, false)) and ($10 = 1 or not coalesce(options like '%\"held\":{%', false)) \
                 and ($12 = 1 or owner_id in (select cast(p.value ->> 'id' as bigint) from json_rows($13) p)) \
                 order by wake_at limit $11"
            ),
            args![
                scope.tenant(),
                ids.len() as i64,
                db::Arg::json(&ids)?,
                selection.connection,
                selection.account,
                selection.intent.map(Intent::as_str),
                digits(&selection.to),
                digits(&selection.from),
                HELD_BY_A_PERSON,
                i64::from(action == Action::Release),
                STEERED_MAX as i64,
                i64::from(reaching.all),
                reaching.people
            ],
        )
        .await?;
    let wanted = |found: &Found| (action == Action::Release) == found.held;
    Ok(found.into_iter().filter(wanted).map(|found| found.id).collect())
}

async fn hold(scope: &Scope, engine: &Engine, messages: Vec<MessageId>) -> Result<u64> {
    if messages.is_empty() {
        return Ok(0);
    }
    let entry =
        Entry::Hold { tenant: scope.tenant(), messages: messages.clone(), by: scope.actor().to_string() };
    engine.journal().write(entry).await?;
    let mut tx = scope.read().await?;
    let held: Vec<Found> = tx
        .all_rows(
            sql!(
                "select m.id, true as held from rows(id bigint) r join message m on m.id = r.id and m.tenant_id = $1 \
                 where m.state = 'scheduled' and m.options like $2"
            ),
            args![scope.tenant(), HELD_BY_A_PERSON],
            messages.iter().map(|message| [(*message).into()]).collect(),
        )
        .await?;
    Ok(held.len() as u64)
}

async fn release(scope: &Scope, messages: Vec<MessageId>) -> Result<u64> {
    let mut done = 0;
    for message in messages {
        // Somebody else may have been faster.
        match held::release(scope, message).await {
            Ok(_) => done += 1,
            Err(error) if error.code().status() < 500 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

async fn cancel(scope: &Scope, engine: &Engine, messages: Vec<MessageId>) -> Result<u64> {
    let taken_back = messages.into_iter().map(|message| engine.take_back(scope.tenant(), message));
    let mut done = 0;
    for outcome in futures::future::join_all(taken_back).await {
        match outcome {
            Ok(()) => done += 1,
            Err(error) if error.code().status() < 500 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
