//! Sending dead letters again.

use runtime::Scope;
use runtime::personal::ERASED;
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Code, Error, Event, MessageId, Permission, Result, Timestamp};
use web::problem::ProblemBody;

use super::{DeadFilter, DeadLetter, is_dead};
use crate::engine::Engine;
use crate::gate;
use crate::intent::Intent;
use crate::journal::{Accept, NewMessage};
use crate::message::submit::Let;
use crate::message::{Outgoing, PartSet};
use crate::recover::MessageRecord;
use crate::route::Ask;

/// Dead letters to be sent again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redrive {
    /// These messages, at most 500. Or `filter`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<MessageId>,
    /// Those that fit, the newest first; `after` goes on behind an answer's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<DeadFilter>,
    /// At most so many, 1 to 500; 500 when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
    /// For how many seconds from now they are worth something; as long as each was at first when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity_s: Option<u64>,
    /// Also those that may have reached the phone: without a receipt, or of unknown fate. Never advertising.
    pub may_have_arrived: bool,
}

/// A message that was sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Again {
    /// The dead letter.
    pub message: MessageId,
    /// The message that it is sent again as.
    pub new: MessageId,
}

/// A message that was not.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NotAgain {
    /// The dead letter.
    pub message: MessageId,
    /// Why not.
    pub error: ProblemBody,
}

/// What came of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Redriven {
    /// Those that were sent again: accepted, and durable.
    pub redriven: Vec<Again>,
    /// Those that were not, and why.
    pub refused: Vec<NotAgain>,
    /// Give it as the filter's `after` to go on; absent when no more fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Dead letters that one operation sends again.
pub const REDRIVEN_MAX: usize = 500;

/// Sends dead letters again as new messages, each once: asked again, those that were are refused as [`Code::Conflict`].
/// The gates are asked again, and each goes where its route leads now.
///
/// # Errors
/// [`Code::Forbidden`]; a request that names nothing. What cannot be sent again has its own error and holds up nobody.
pub async fn redrive(scope: &Scope, engine: &Engine, asked: &Redrive) -> Result<Redriven> {
    scope.require(Permission::DeadLetterRedrive)?;
    let max = asked.max.unwrap_or(REDRIVEN_MAX);
    if !(1..=REDRIVEN_MAX).contains(&max) || asked.ids.len() > REDRIVEN_MAX {
        let at = if asked.ids.len() > REDRIVEN_MAX { "ids" } else { "max" };
        return Err(Error::invalid(at, format!("1 to {REDRIVEN_MAX} messages at once")));
    }
    let (letters, next) = match (&asked.filter, asked.ids.is_empty()) {
        (Some(filter), true) => fitting(scope, filter, max).await?,
        (None, false) => (named(scope, &asked.ids[..asked.ids.len().min(max)]).await?, None),
        _ => return Err(Error::invalid("ids", "name messages by `ids` or by `filter`, one of the two")),
    };
    let records = super::letters_records(scope, &letters).await?;
    let (mut redriven, mut refused) = (Vec::new(), Vec::new());
    let tries = letters
        .iter()
        .zip(records)
        .map(async |(letter, record)| (letter.message.id, again(scope, engine, asked, letter, record).await));
    for (message, outcome) in futures::future::join_all(tries).await {
        match outcome {
            Ok(new) => redriven.push(Again { message, new }),
            Err(error) => refused.push(NotAgain { message, error: ProblemBody::of(&error) }),
        }
    }
    let mut write = scope.write().await?;
    write.happened(Event::QueueSteered(Change {
        id: String::new(),
        name: format!("redrive {} dead letters", redriven.len()),
        before: None,
        after: Some(serde_json::to_value(asked).map_err(Error::internal)?),
    }));
    write.commit(Redriven { redriven, refused, next }).await
}

/// What fits a filter and was not sent again yet.
async fn fitting(
    scope: &Scope,
    filter: &DeadFilter,
    max: usize,
) -> Result<(Vec<DeadLetter>, Option<String>)> {
    let paging = web::Paging { after: filter.after.clone(), limit: None };
    let filter = DeadFilter { redriven: Some("false".to_owned()), ..filter.clone() };
    let found = super::newest(
        scope,
        Permission::DeadLetterRedrive,
        &filter,
        paging.behind(i64::MAX)?,
        max as i64 + 1,
    )
    .await?;
    let page = types::Page::from_overfull(found, max, |letter| letter.message.id.raw());
    Ok((page.items, page.next))
}

/// What is named, if it is dead.
async fn named(scope: &Scope, ids: &[MessageId]) -> Result<Vec<DeadLetter>> {
    let mut letters = Vec::with_capacity(ids.len());
    for id in ids {
        let one = super::newest(
            scope,
            Permission::DeadLetterRedrive,
            &DeadFilter::default(),
            id.raw().saturating_add(1),
            1,
        )
        .await?;
        let one = one.into_iter().find(|letter| letter.message.id == *id);
        letters.push(
            one.ok_or_else(|| Error::new(Code::NotFound, format!("there is no dead letter {id}")).at("ids"))?,
        );
    }
    Ok(letters)
}

/// Refuses what is not to be sent again, whatever its route.
fn guard(asked: &Redrive, letter: &DeadLetter, now: Timestamp) -> Result<()> {
    let message = &letter.message;
    let refuse = |why: &str| Err(Error::new(Code::Conflict, why));
    if letter.redriven_as.is_some() {
        return refuse("the message was sent again already");
    }
    if !is_dead(message.state) {
        return refuse("the message is not dead");
    }
    let may_have_arrived = letter.class.may_have_arrived() || message.maybe_twice;
    if may_have_arrived && message.intent == Intent::Marketing {
        return refuse("it may have reached the phone, and advertising is never sent twice");
    }
    if may_have_arrived && !asked.may_have_arrived {
        return refuse("it may have reached the phone; say `may_have_arrived` to send it again all the same");
    }
    if message.intent == Intent::Otp && message.expires_at <= now {
        return refuse("its one-time code is not valid any more");
    }
    Ok(())
}

/// Sends one again.
async fn again(
    scope: &Scope,
    engine: &Engine,
    asked: &Redrive,
    letter: &DeadLetter,
    record: MessageRecord,
) -> Result<MessageId> {
    let now = scope.now();
    guard(asked, letter, now)?;
    if record.recipient == ERASED {
        return Err(Error::new(Code::Conflict, "whom the message was for is erased"));
    }
    if record.text.is_none() && record.octets.is_none() {
        return Err(Error::new(Code::Conflict, "what the message said is not kept any more"));
    }
    let old = record.outgoing()?;
    if old.is_confidential() {
        return Err(Error::new(Code::Conflict, "a code to sign in is not sent again")
            .hint("whoever signs in asks for a new one"));
    }
    let validity_ms = match asked.validity_s {
        Some(_) => None,
        None => Some(old.expires_at.since_ms(old.accepted_at)),
    };
    let expires_at = match validity_ms {
        Some(ms) => now.plus_ms(ms.max(1_000)),
        None => crate::message::submit::expiry(engine, asked.validity_s, now)?,
    };
    // A code is not worth more for having failed.
    let expires_at = if old.intent == Intent::Otp { expires_at.min(old.expires_at) } else { expires_at };
    engine.lookups().before_routing(scope.tenant(), std::iter::once(old.recipient.text.as_str())).await;
    let Let { mut pass, why } = {
        let way = Ask { text: record.text.as_deref(), ..Ask::of(&old) };
        let ask = gate::Ask { expires_at: Some(expires_at), ..gate::Ask::of(&way, &old.sender) };
        engine.let_pass(&ask, &way, now)?
    };
    let id = scope.runtime().ids.next();
    let mut options = old.options.as_deref().cloned().unwrap_or_default();
    (options.held, options.redrive_of) = (None, Some(old.id));
    let schedule_at = pass.leave(&mut options, pass.postponed_to, expires_at);
    let outgoing = Outgoing {
        id,
        sender: pass.sender.take().unwrap_or(old.sender),
        recipient: old.recipient,
        body: old.body,
        options: Some(Box::new(options)),
        // Its sender has had the receipt of the first one, and knows no other by this id.
        registered: 0,
        accepted_at: now,
        expires_at,
        attempts: 0,
        maybe_twice: false,
        parts_done: PartSet::default(),
        ..old
    };
    let new = engine.new_message(outgoing, record.text, record.octets, record.client_ref, schedule_at, why);
    // Whoever sends it again, it stays its sender's.
    let new = NewMessage { owner: record.owner_id, ..new };
    let accept = Accept { messages: vec![new], answer: None, redrive_of: Some(record.id) };
    engine.accept_all(accept, &[pass.counted]).await?;
    Ok(id)
}
