//! Conversations: what a phone has written and what it was sent, in one thread.
//!
//! A phone has a conversation since it first wrote. Both directions are read by their indices on the messages themselves;
//! beside them stands only which message of a phone's is the newest, and how far somebody has read.

use std::collections::HashMap;

use db::{Arg, args, record, sql};
use runtime::Scope;
use runtime::personal::Sight;
use serde::Serialize;
use types::{Address, Error, MessageId, Page, Permission, Result, Timestamp};

use crate::engine::Engine;
use crate::intent::Intent;
use crate::message::address_of;
use crate::message::query::Message;
use crate::message::submit::{self, Accepted, SendMessage};
use crate::recover::MessageRecord;

pub mod api;
pub mod pages;

/// A conversation, as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Conversation {
    /// The phone.
    #[schema(example = "+33612345678")]
    pub phone: String,
    /// What was said last, by either side; absent for binary content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `in` when the phone said it, `out` when it was sent.
    pub direction: &'static str,
    /// When.
    pub at: Timestamp,
    /// Whether the phone has written since somebody read the conversation.
    pub unread: bool,
}

record! { struct Row { phone: String, last_id: MessageId, read_id: i64, out_id: Option<MessageId> } }
record! { struct Last { id: MessageId, text: Option<String> } }

/// Conversations; the phone that wrote last comes first.
///
/// # Errors
/// A cursor that is none.
pub async fn list(scope: &Scope, paging: &web::Paging) -> Result<Page<Conversation>> {
    scope.require(Permission::ConversationView)?;
    // A conversation is named by its phone.
    scope.require(Permission::IdentifierView)?;
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let mut tx = scope.read().await?;
    let rows: Vec<Row> = tx
        .all(
            sql!(
                "select c.phone, c.last_id, c.read_id, (select max(m.id) from message m where m.tenant_id = c.tenant_id \
                 and m.recipient = c.phone and m.direction = 'out') as out_id \
                 from conversation c where c.tenant_id = $1 and c.last_id < $2 order by c.last_id desc limit $3"
            ),
            args![scope.tenant(), before, limit as i64 + 1],
        )
        .await?;
    let newest = |row: &Row| row.out_id.map_or(row.last_id, |out| out.max(row.last_id));
    let ids: Vec<_> = rows.iter().map(|row| serde_json::json!({ "id": newest(row).raw() })).collect();
    let texts: Vec<Last> = tx
        .all(
            sql!(
                "with r as materialized (select cast(value ->> 'id' as bigint) as id from json_rows($2)) \
                 select m.id, m.text from message m join r on r.id = m.id where m.tenant_id = $1"
            ),
            args![scope.tenant(), Arg::json(&ids)?],
        )
        .await?;
    let mut texts: HashMap<MessageId, Option<String>> =
        texts.into_iter().map(|last| (last.id, last.text)).collect();
    let sight = Sight::of(scope);
    Ok(Page::from_overfull(rows, limit, |row| row.last_id.raw()).map(|row| {
        let id = newest(&row);
        Conversation {
            text: texts.remove(&id).flatten().map(|text| sight.text(text)),
            direction: if id == row.last_id { "in" } else { "out" },
            at: id.made_at(),
            unread: row.last_id.raw() > row.read_id,
            phone: format!("+{}", row.phone),
        }
    }))
}

/// A phone's digits from an address of the API or the console.
fn digits(phone: &str) -> Result<String> {
    // A `+` of an address that was not escaped arrives as a blank.
    let address = Address::recipient(phone.trim()).map_err(|_| Error::not_found("conversation"))?;
    Ok(address.text)
}

record! { struct Known { last_id: MessageId, read_id: i64 } }

async fn known(tx: &mut db::Tx, scope: &Scope, phone: &str) -> Result<Known> {
    let known: Option<Known> = tx
        .optional(
            sql!("select last_id, read_id from conversation where tenant_id = $1 and phone = $2"),
            args![scope.tenant(), phone],
        )
        .await?;
    known.ok_or_else(|| Error::not_found("conversation"))
}

/// What a phone has written and was sent, newest first.
///
/// # Errors
/// [`types::Code::NotFound`] for a phone that has not written; a cursor that is none.
pub async fn thread(scope: &Scope, phone: &str, paging: &web::Paging) -> Result<Page<Message>> {
    scope.require(Permission::ConversationView)?;
    // A conversation is named by its phone.
    scope.require(Permission::IdentifierView)?;
    let (limit, before) = (paging.limit()?, paging.behind(i64::MAX)?);
    let phone = digits(phone)?;
    let mut tx = scope.read().await?;
    known(&mut tx, scope, &phone).await?;
    let rows: Vec<MessageRecord> = tx
        .all(
            sql!(
                "select * from (select * from message where tenant_id = $1 and sender = $2 and direction = 'in' and id < $3 \
                 order by id desc limit $4) came union all \
                 select * from (select * from message where tenant_id = $1 and recipient = $2 and direction = 'out' \
                 and id < $3 order by id desc limit $4) went order by id desc limit $4"
            ),
            args![scope.tenant(), &phone, before, limit as i64 + 1],
        )
        .await?;
    let sight = Sight::of(scope);
    Ok(Page::from_overfull(rows, limit, |row| row.id.raw()).map(|row| Message::of(row, sight)))
}

/// Notes that somebody has read a conversation up to now.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn read(scope: &Scope, phone: &str) -> Result<()> {
    scope.require(Permission::ConversationView)?;
    // A conversation is named by its phone.
    scope.require(Permission::IdentifierView)?;
    let phone = digits(phone)?;
    let known = known(&mut scope.read().await?, scope, &phone).await?;
    if known.last_id.raw() <= known.read_id && scope.key().is_none() {
        return Ok(());
    }
    let mut write = scope.write().await?;
    write
        .execute(
            sql!("update conversation set read_id = $3 where tenant_id = $1 and phone = $2 and read_id < $3"),
            args![scope.tenant(), &phone, known.last_id],
        )
        .await?;
    write.commit(()).await
}

record! { struct Number { recipient: String, recipient_kind: i64 } }

/// The number that a phone wrote to last: what it is answered from.
///
/// # Errors
/// [`types::Code::NotFound`].
pub async fn number(scope: &Scope, phone: &str) -> Result<String> {
    scope.require(Permission::ConversationView)?;
    // A conversation is named by its phone.
    scope.require(Permission::IdentifierView)?;
    let phone = digits(phone)?;
    let mut tx = scope.read().await?;
    known(&mut tx, scope, &phone).await?;
    let number: Option<Number> = tx
        .optional(
            sql!(
                "select recipient, recipient_kind from message where tenant_id = $1 and sender = $2 and direction = 'in' \
                 order by id desc limit 1"
            ),
            args![scope.tenant(), &phone],
        )
        .await?;
    let number = number.ok_or_else(|| Error::not_found("conversation"))?;
    Ok(address_of(number.recipient, number.recipient_kind).to_string())
}

/// Answers a phone, from the number that it wrote to last.
///
/// # Errors
/// [`types::Code::NotFound`]; whatever sending refuses.
pub async fn reply(scope: &Scope, engine: &Engine, phone: &str, text: &str) -> Result<Accepted> {
    let from = number(scope, phone).await?;
    let message = SendMessage {
        to: digits(phone)?,
        from: Some(from),
        text: Some(text.to_owned()),
        intent: Some(Intent::Transactional),
        ..SendMessage::default()
    };
    submit::send(scope, engine, &message).await
}
