//! Dead letters: messages that came to an end without reaching a phone, why, and sending them again.
//!
//! What is sent again is a new message that names the old one; the old one keeps its end, its receipt and its place in
//! the sums. Each can be sent again once. What may have reached the phone after all is sent again only where that is
//! asked for, and advertising never.

use db::{args, record, sql};
use identity::role::rights::Reaching;
use runtime::Scope;
use runtime::personal::Sight;
use serde::{Deserialize, Serialize};
use types::event::Exported;
use types::{AccountId, Code, ConnectionId, Error, Event, MessageId, Page, Permission, Result, Timestamp};

use crate::intent::Intent;
use crate::message::State;
use crate::message::query::Message;
use crate::recover::MessageRecord;

pub mod api;
pub mod jobs;
pub(crate) mod pages;
pub mod redrive;

/// Why a message is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The carrier refused it for good, or it could not be put on its wire.
    Refused,
    /// The carrier refused it for the moment until all attempts were spent.
    GaveUp,
    /// The carrier took it over and said later that it was not delivered.
    Undelivered,
    /// The carrier took it over and never said what became of it.
    NoReceipt,
    /// Nobody knows whether it had left.
    UnknownFate,
    /// Its validity ended before it left.
    NeverLeft,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Refused, Self::GaveUp, Self::Undelivered, Self::NoReceipt, Self::UnknownFate, Self::NeverLeft];

    /// The name that the API shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::GaveUp => "gave_up",
            Self::Undelivered => "undelivered",
            Self::NoReceipt => "no_receipt",
            Self::UnknownFate => "unknown_fate",
            Self::NeverLeft => "never_left",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Whether it may have reached the phone although it counts as dead.
    pub const fn may_have_arrived(self) -> bool {
        matches!(self, Self::NoReceipt | Self::UnknownFate)
    }
}

/// A message that is dead.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeadLetter {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// Why it is dead.
    pub class: Class,
    /// The message that it was sent again as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redriven_as: Option<MessageId>,
}

/// Which dead letters. All that is given must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadFilter {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
    /// `refused`, `gave_up`, `undelivered`, `no_receipt`, `unknown_fate` or `never_left`.
    pub class: Option<String>,
    /// Only what was routed to this connection.
    pub connection: Option<ConnectionId>,
    /// Only what this SMPP account has submitted.
    pub account: Option<AccountId>,
    /// Only what is for this.
    pub intent: Option<Intent>,
    /// Only with exactly this error.
    pub error: Option<String>,
    /// Only what was accepted then or later.
    pub since: Option<Timestamp>,
    /// Only what was accepted before.
    pub until: Option<Timestamp>,
    /// Only what was sent again, or only what was not.
    pub redriven: Option<String>,
}

impl DeadFilter {
    fn class(&self) -> Result<Option<&'static str>> {
        let Some(name) = self.class.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
        Class::named(name).map(|class| Some(class.as_str())).ok_or_else(|| {
            let known = Class::ALL.map(Class::as_str).join(", ");
            Error::new(Code::InvalidFilter, format!("{name:?} is no class; they are {known}")).at("class")
        })
    }

    fn redriven(&self) -> Result<Option<bool>> {
        match self.redriven.as_deref() {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                Err(Error::new(Code::InvalidFilter, format!("{other:?} is neither true nor false"))
                    .at("redriven"))
            }
        }
    }

    /// The binds of the conditions, `$3` to `$10` of each statement here.
    fn args(&self) -> Result<Vec<db::Arg>> {
        Ok(args![
            self.class()?,
            self.connection,
            self.account,
            self.intent.map(Intent::as_str),
            self.error.clone(),
            self.since.map(|since| MessageId::from_parts(since, 0)),
            self.until.map(|until| MessageId::from_parts(until, 0)),
            self.redriven()?.map(i64::from)
        ])
    }
}

record! { struct Classed { id: MessageId, class: String, new_id: Option<MessageId> } }

/// Dead letters, the newest first.
///
/// # Errors
/// [`Code::Forbidden`]; a filter or cursor that is none.
pub async fn list(scope: &Scope, filter: &DeadFilter) -> Result<Page<DeadLetter>> {
    scope.require(Permission::DeadLetterView)?;
    let paging = web::Paging { after: filter.after.clone(), limit: filter.limit.clone() };
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let found = newest(scope, Permission::DeadLetterView, filter, before, limit as i64 + 1).await?;
    Ok(Page::from_overfull(found, limit, |letter| letter.message.id.raw()))
}

/// Dead letters before an id, the newest first, of those whom a permission reaches.
async fn newest(
    scope: &Scope,
    permission: Permission,
    filter: &DeadFilter,
    before: i64,
    limit: i64,
) -> Result<Vec<DeadLetter>> {
    let reaching = Reaching::of(scope, permission)?;
    let mut tx = scope.read().await?;
    let mut args = args![scope.tenant(), before];
    args.extend(filter.args()?);
    args.extend(args![limit, i64::from(reaching.all), reaching.people]);
    let found: Vec<Classed> = tx
        .all(
            sql!(
                "select d.id, d.class, d.new_id from (select m.id, m.connection_id, m.account_id, m.intent, m.error, r.new_id, case \
                 when m.state = 'rejected' then 'refused' \
                 when m.error like 'given up after %' then 'gave_up' \
                 when m.error = 'no receipt came within its validity' then 'no_receipt' \
                 when m.error = 'its fate stayed unknown' then 'unknown_fate' \
                 when m.state = 'expired' and not exists \
                 (select 1 from part p where p.message_id = m.id and p.tenant_id = m.tenant_id) then 'never_left' \
                 else 'undelivered' end as class from message m \
                 left join redrive r on r.tenant_id = m.tenant_id and r.message_id = m.id \
                 where m.tenant_id = $1 and m.id < $2 and m.state in ('failed', 'rejected', 'expired') \
                 and ($12 = 1 or m.owner_id in (select cast(p.value ->> 'id' as bigint) from json_rows($13) p))) d \
                 where (cast($3 as text) is null or d.class = $3) \
                 and (cast($4 as bigint) is null or d.connection_id = $4) and (cast($5 as bigint) is null or d.account_id = $5) \
                 and (cast($6 as text) is null or d.intent = $6) and (cast($7 as text) is null or d.error = $7) \
                 and (cast($8 as bigint) is null or d.id >= $8) and (cast($9 as bigint) is null or d.id < $9) \
                 and (cast($10 as bigint) is null or (d.new_id is not null) = ($10 = 1)) order by d.id desc limit $11"
            ),
            args,
        )
        .await?;
    letters(&mut tx, scope, found).await
}

/// The messages of what was found, in its order.
async fn letters(tx: &mut db::Tx, scope: &Scope, found: Vec<Classed>) -> Result<Vec<DeadLetter>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<MessageRecord> = tx
        .all_rows(
            sql!("select m.* from rows(id bigint) r join message m on m.id = r.id and m.tenant_id = $1"),
            args![scope.tenant()],
            found.iter().map(|one| [one.id.into()]).collect(),
        )
        .await?;
    let mut rows: std::collections::HashMap<MessageId, MessageRecord> =
        rows.into_iter().map(|row| (row.id, row)).collect();
    let sight = Sight::of(scope);
    let letters = found.into_iter().filter_map(|one| {
        Some(DeadLetter {
            message: Message::of(rows.remove(&one.id)?, sight),
            class: Class::named(&one.class)?,
            redriven_as: one.new_id,
        })
    });
    Ok(letters.collect())
}

/// The rows of dead letters, in their order.
async fn letters_records(scope: &Scope, letters: &[DeadLetter]) -> Result<Vec<MessageRecord>> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = scope.read().await?;
    let mut rows: Vec<MessageRecord> = tx
        .all_rows(
            sql!("select m.* from rows(id bigint) r join message m on m.id = r.id and m.tenant_id = $1"),
            args![scope.tenant()],
            letters.iter().map(|letter| [letter.message.id.into()]).collect(),
        )
        .await?;
    let place = |id: MessageId| letters.iter().position(|letter| letter.message.id == id);
    rows.sort_by_key(|row| place(row.id));
    if rows.len() == letters.len() { Ok(rows) } else { Err(Error::not_found("message")) }
}

record! {
    /// How many dead letters have one reason.
    #[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
    pub struct Reason {
        /// `refused`, `gave_up`, `undelivered`, `no_receipt`, `unknown_fate` or `never_left`.
        pub class: String,
        /// The connection.
        pub connection: Option<ConnectionId>,
        /// The error, where one is known.
        pub error: Option<String>,
        /// How many.
        pub n: i64,
        /// How many of them were sent again.
        pub redriven: i64,
    }
}

/// Reasons that are told.
const REASONS_MAX: i64 = 100;
/// Dead letters that are counted; older ones are not.
const COUNTED_MAX: i64 = 100_000;

/// The reasons of dead letters, the most frequent first: of the newest 100,000 that fit.
///
/// # Errors
/// [`Code::Forbidden`]; a filter that is none.
pub async fn reasons(scope: &Scope, filter: &DeadFilter) -> Result<Vec<Reason>> {
    scope.require(Permission::DeadLetterView)?;
    let reaching = Reaching::of(scope, Permission::DeadLetterView)?;
    let mut tx = scope.read().await?;
    let mut args = args![scope.tenant(), COUNTED_MAX];
    args.extend(filter.args()?);
    args.extend(args![REASONS_MAX, i64::from(reaching.all), reaching.people]);
    let found = tx.all(
        sql!(
            "select d.class, d.connection_id as connection, d.error, count(*) as n, count(d.new_id) as redriven from ( \
             select m.id, m.connection_id, m.account_id, m.intent, m.error, r.new_id, case \
             when m.state = 'rejected' then 'refused' \
             when m.error like 'given up after %' then 'gave_up' \
             when m.error = 'no receipt came within its validity' then 'no_receipt' \
             when m.error = 'its fate stayed unknown' then 'unknown_fate' \
             when m.state = 'expired' and not exists \
             (select 1 from part p where p.message_id = m.id and p.tenant_id = m.tenant_id) then 'never_left' \
             else 'undelivered' end as class from message m \
             left join redrive r on r.tenant_id = m.tenant_id and r.message_id = m.id \
             where m.tenant_id = $1 and m.state in ('failed', 'rejected', 'expired') \
             and ($12 = 1 or m.owner_id in (select cast(p.value ->> 'id' as bigint) from json_rows($13) p)) \
             order by m.id desc limit $2) d \
             where (cast($3 as text) is null or d.class = $3) \
             and (cast($4 as bigint) is null or d.connection_id = $4) and (cast($5 as bigint) is null or d.account_id = $5) \
             and (cast($6 as text) is null or d.intent = $6) and (cast($7 as text) is null or d.error = $7) \
             and (cast($8 as bigint) is null or d.id >= $8) and (cast($9 as bigint) is null or d.id < $9) \
             and (cast($10 as bigint) is null or (d.new_id is not null) = ($10 = 1)) \
             group by d.class, d.connection_id, d.error order by n desc, d.class limit $11"
        ),
        args,
    );
    Ok(found.await?)
}

/// Rows of one export; narrow the filter for more.
const EXPORTED_MAX: i64 = 10_000;

/// Dead letters as CSV (RFC 4180) with a heading, the newest first, at most 10,000.
///
/// # Errors
/// [`Code::Forbidden`]; a filter that is none.
pub async fn export(scope: &Scope, filter: &DeadFilter) -> Result<Vec<u8>> {
    scope.require(Permission::DeadLetterExport)?;
    // The file has phones and texts as they are.
    scope.require(Permission::IdentifierView)?;
    scope.require(Permission::ContentView)?;
    scope.require(Permission::MessageView)?;
    let mut letters = newest(scope, Permission::DeadLetterExport, filter, i64::MAX, EXPORTED_MAX).await?;
    letters.retain(|letter| scope.held().allows(Permission::MessageView, letter.message.owner));
    let mut write = scope.write().await?;
    let records = Some(letters.len() as i64);
    write.happened(Event::DataExported(Exported { what: "dead_letters".into(), name: None, records }));
    write.commit(()).await?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heading = [
        "id",
        "state",
        "class",
        "error",
        "from",
        "to",
        "account",
        "connection",
        "intent",
        "parts",
        "attempts",
        "accepted_at",
        "done_at",
        "client_ref",
        "redriven_as",
        "text",
    ];
    writer.write_record(heading).map_err(Error::internal)?;
    for DeadLetter { message, class, redriven_as } in letters {
        let row = [
            message.id.to_string(),
            message.state.as_str().to_owned(),
            class.as_str().to_owned(),
            plain(message.error),
            plain(Some(message.from)),
            message.to.trim_start_matches('+').to_owned(),
            message.account.map(|id| id.to_string()).unwrap_or_default(),
            message.connection.map(|id| id.to_string()).unwrap_or_default(),
            message.intent.as_str().to_owned(),
            message.parts.to_string(),
            message.attempts.to_string(),
            message.accepted_at.to_string(),
            message.done_at.map(|at| at.to_string()).unwrap_or_default(),
            plain(message.client_ref),
            redriven_as.map(|id| id.to_string()).unwrap_or_default(),
            plain(message.text),
        ];
        writer.write_record(row).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(|error| Error::internal(error.to_string()))
}

/// A stranger's text, so that no spreadsheet takes it for a formula.
fn plain(text: Option<String>) -> String {
    match text {
        Some(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        other => other.unwrap_or_default(),
    }
}

/// Whether a state is one of dead letters.
pub(crate) const fn is_dead(state: State) -> bool {
    matches!(state, State::Failed | State::Rejected | State::Expired)
}

#[cfg(test)]
mod tests;
