//! Asking a carrier what became of a message: query_sm (SMPP v5 §4.5.2).
//!
//! A message that was sent and whose receipt stays away is asked for where its connection's settings say so: for the first
//! time so long after it was sent, then again after each pause, and no more than so often. Its row says when, in the column
//! that says when a message is looked at next, so that a restart forgets nothing. What the carrier answers comes to the
//! journal as a receipt does, and ends the message or leaves it as a receipt would.
//!
//! A person can ask at any time: [`ask`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use connectors::{Link, NoAnswer, Queried};
use db::{args, record, sql};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use runtime::Scope;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use types::{Code, ConnectionId, Error, MessageId, Permission, Result, TenantId, Timestamp};

use crate::assemble::Dialect;
use crate::connection::ConnectionSettings;
use crate::dispatch::Tag;
use crate::engine::Engine;
use crate::journal::{CarrierReceipt, Entry, Journal};
use crate::message::query;
use crate::recover::MessageRecord;
use crate::reports::Tongue;

/// How the timeline's note of a question begins; behind it are the carrier's words.
pub(crate) const ASKED: &str = "asked: ";
/// What waits to be asked on one connection; what comes beyond waits for its next time.
const WAITING_MAX: usize = 10_000;
/// Questions of one connection that await their answers.
const OPEN_MAX: usize = 100;
/// How soon it is looked again where a connection has no room.
const NO_ROOM: Duration = Duration::from_millis(100);
/// How long a person waits for room on the wire.
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// Parts that a person asks for at once.
const PARTS_MAX: i64 = 255;

/// When a connection's messages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    after_ms: i64,
    every_ms: i64,
    times: i64,
    per_second: u32,
}

impl Rules {
    /// As the settings say; nothing where nobody is to be asked.
    fn of(settings: &ConnectionSettings) -> Option<Self> {
        (settings.query_after_s > 0).then(|| Self {
            after_ms: i64::from(settings.query_after_s) * 1_000,
            every_ms: i64::from(settings.query_every_s) * 1_000,
            times: i64::from(settings.query_times),
            per_second: settings.query_per_second.into(),
        })
    }

    /// When a message that was sent then is asked for next; nothing when it was asked for as often as it may be.
    fn next(self, sent_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let since_first = now.since_ms(sent_at) - self.after_ms;
        let nth = if since_first < 0 { 0 } else { since_first / self.every_ms + 1 };
        (nth < self.times).then(|| sent_at.plus_ms(self.after_ms + nth * self.every_ms))
    }
}

/// A part that is to be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    tenant: TenantId,
    message: MessageId,
    part: u8,
    provider_id: String,
    sender: types::Address,
    recipient: String,
}

/// What was asked, and what the carrier said, for the message's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inquiry {
    /// Which part; 0 where the message has one alone.
    pub(crate) part: u8,
    /// The message.
    pub(crate) message: MessageId,
    /// The carrier's words.
    pub(crate) words: String,
}

/// What waits on one connection.
#[derive(Debug, Default)]
struct Waiting {
    asked: Mutex<VecDeque<Asked>>,
    come: Notify,
}

impl Waiting {
    fn asked(&self) -> MutexGuard<'_, VecDeque<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Asked {
        loop {
            let come = self.come.notified();
            if let Some(asked) = self.asked().pop_front() {
                return asked;
            }
            come.await;
        }
    }
}

/// Which connections are asked, and what waits to be.
#[derive(Debug, Default)]
pub(crate) struct Inquiries {
    rules: ArcSwap<HashMap<ConnectionId, Rules>>,
    waiting: Mutex<HashMap<ConnectionId, Arc<Waiting>>>,
}

impl Inquiries {
    /// Takes over what a connection's settings say; nothing is asked of one that does not run.
    pub(crate) fn follow(&self, connection: ConnectionId, settings: Option<&ConnectionSettings>) {
        let mut rules = HashMap::clone(&self.rules.load());
        match settings.and_then(Rules::of) {
            Some(new) => drop(rules.insert(connection, new)),
            None => drop(rules.remove(&connection)),
        }
        self.rules.store(Arc::new(rules));
        if settings.is_none() {
            self.lock().remove(&connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self, connection: ConnectionId) -> Option<Rules> {
        self.rules.load().get(&connection).copied()
    }

    /// When a message that a connection's carrier takes over now is asked for; nothing where it is not, or not within its
    /// validity.
    pub(crate) fn first(
        &self,
        connection: ConnectionId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Option<Timestamp> {
        let rules = self.rules(connection)?;
        Some(now.plus_ms(rules.after_ms)).filter(|at| *at < expires_at)
    }

    /// When a message that was sent then is asked for again.
    pub(crate) fn next(
        &self,
        connection: ConnectionId,
        sent_at: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.rules(connection)?.next(sent_at, now)
    }

    fn of(&self, connection: ConnectionId) -> Arc<Waiting> {
        self.lock().entry(connection).or_default().clone()
    }

    /// Leaves a part to be asked for. Beyond the bound it is left for its next time.
    pub(crate) fn put(&self, connection: ConnectionId, asked: Asked) {
        if self.rules(connection).is_none() {
            return;
        }
        let waiting = self.of(connection);
        let mut line = waiting.asked();
        if line.len() < WAITING_MAX {
            line.push_back(asked);
            drop(line);
            waiting.come.notify_one();
        }
    }
}

record! {
    /// A part that has the carrier's id and no end.
    pub(crate) struct OpenPart {
        message_id: MessageId, part: u8, connection_id: ConnectionId, provider_id: String, sent_at: Timestamp,
    }
}

impl OpenPart {
    /// When it was taken over.
    pub(crate) fn sent_at(&self) -> Timestamp {
        self.sent_at
    }

    /// Which connection it went through, and what is to be asked there.
    pub(crate) fn asked(&self, record: &MessageRecord) -> (ConnectionId, Asked) {
        let address = |text: &str, kind| crate::message::address_of(text.to_owned(), kind);
        let asked = Asked {
            tenant: record.tenant_id,
            message: record.id,
            part: if record.parts > 1 { self.part } else { 0 },
            provider_id: self.provider_id.clone(),
            sender: address(&record.sender, record.sender_kind),
            recipient: record.recipient.clone(),
        };
        (self.connection_id, asked)
    }

    /// The message that it is a part of.
    pub(crate) fn message(&self) -> MessageId {
        self.message_id
    }
}

/// Who asks one connection's carrier.
pub(crate) struct Asker {
    pub(crate) connection: ConnectionId,
    pub(crate) link: Link<Tag>,
    pub(crate) dialect: Arc<ArcSwap<Dialect>>,
    pub(crate) tongue: Arc<ArcSwap<Tongue>>,
    pub(crate) journal: Journal,
    pub(crate) inquiries: Arc<Inquiries>,
    pub(crate) stopped: CancellationToken,
}

impl Asker {
    /// Asks for what waits, until the link is to hand over no more.
    pub(crate) async fn run(self) {
        let waiting = self.inquiries.of(self.connection);
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = self.stopped.cancelled() => return,
                Some(()) = open.next(), if !open.is_empty() => {}
                asked = waiting.next(), if open.len() < OPEN_MAX => {
                    let Some(rules) = self.inquiries.rules(self.connection) else { continue };
                    open.push(self.ask(asked));
                    // Answers are read meanwhile: what is pushed runs with the next turn.
                    let pause = tokio::time::sleep(Duration::from_secs(1) / rules.per_second.max(1));
                    tokio::pin!(pause);
                    loop {
                        tokio::select! {
                            () = &mut pause => break,
                            Some(()) = open.next(), if !open.is_empty() => {}
                        }
                    }
                }
            }
        }
    }

    /// Asks when there is room, and leaves the answer at the journal.
    async fn ask(&self, asked: Asked) {
        let mut places = loop {
            if self.stopped.is_cancelled() {
                return;
            }
            match self.link.places_now(1) {
                Some(places) => break places,
                None => tokio::time::sleep(NO_ROOM).await,
            }
        };
        let source = self.dialect.load().sender(&asked.sender);
        let queried = self.link.query(&mut places, (&asked.provider_id, &source)).await;
        if let Some(receipt) = receipt(&self.tongue.load(), self.connection, &asked, &queried) {
            // Only a stopped journal refuses; the message is asked for again after the next start.
            drop(self.journal.leave(Entry::Receipt(Box::new(receipt), None)).await);
        }
    }
}

/// What an answer means for the message; nothing where nobody was asked.
fn receipt(
    tongue: &Tongue,
    connection: ConnectionId,
    asked: &Asked,
    queried: &Queried,
) -> Option<CarrierReceipt> {
    let outcome = match queried {
        Queried::Told { .. } => "told",
        Queried::Refused(_) => "refused",
        Queried::NoAnswer(_) => "unanswered",
        Queried::NotAsked(_) => return None,
    };
    metrics::counter!("switchboard_queries_total", "outcome" => outcome).increment(1);
    let (state, error) = match queried {
        Queried::Told { state, error_code, .. } => {
            (*state, Some(*error_code).filter(|code| *code > 0).map(|code| code.to_string()))
        }
        _ => (sms::MessageState::Unknown, None),
    };
    let told = Inquiry { message: asked.message, part: asked.part, words: words(queried) };
    let receipt = tongue.answered((asked.tenant, connection), asked.provider_id.clone(), (state, error));
    Some(CarrierReceipt {
        phone: asked.recipient.clone(),
        sender: asked.sender.text.clone(),
        asked: Some(told),
        ..receipt
    })
}

/// What a carrier says, in words that keep its own.
fn words(queried: &Queried) -> String {
    match queried {
        Queried::Told { state, final_date, error_code } => {
            let mut words = state.text().to_owned();
            if *error_code > 0 {
                words.push_str(&format!(", error {error_code}"));
            }
            if !final_date.is_empty() {
                words.push_str(&format!(", final date {final_date}"));
            }
            words
        }
        Queried::Refused(connectors::Refusal::Smpp(status)) => format!("{status} ({})", status.describe()),
        Queried::Refused(refusal) => refusal.to_string(),
        Queried::NoAnswer(NoAnswer::TimedOut) => "no answer in time".to_owned(),
        Queried::NoAnswer(NoAnswer::BindLost) => "the bind was lost before an answer".to_owned(),
        Queried::NoAnswer(NoAnswer::Unclear) => "an answer that cannot be read".to_owned(),
        Queried::NotAsked(why) => format!("not asked: {why}"),
    }
}

/// What a carrier said of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PartTold {
    /// Which part, from 1.
    pub part: u8,
    /// The connection whose carrier was asked.
    pub connection: ConnectionId,
    /// The carrier's id, by which it was asked.
    pub provider_id: String,
    /// What the carrier says, by its name in receipts: `ENROUTE`, `DELIVRD`, …; absent where it did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The network's error in the carrier's own numbers; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u8>,
    /// When it came to that, as the carrier writes it; absent while it has not come to an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_date: Option<String>,
    /// The answer in words: the state, or why there is none.
    pub words: String,
}

impl PartTold {
    fn of(part: &OpenPart, queried: &Queried) -> Self {
        let (state, error_code, final_date) = match queried {
            Queried::Told { state, error_code, final_date } => {
                (Some(state.text().to_owned()), Some(*error_code), Some(final_date.clone()))
            }
            _ => (None, None, None),
        };
        Self {
            part: part.part,
            connection: part.connection_id,
            provider_id: part.provider_id.clone(),
            state,
            error_code: error_code.filter(|code| *code > 0),
            final_date: final_date.filter(|date| !date.is_empty()),
            words: words(queried),
        }
    }
}

/// What the carrier was asked and what it said.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Told {
    /// The message, after what was said was written down.
    pub message: query::Message,
    /// What was said of each part that a carrier has an id for.
    pub parts: Vec<PartTold>,
}

/// Asks the carrier what became of a message, part by part, and writes down what it says: an end ends the message as a
/// receipt does.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Conflict`] where there is nothing that a carrier could be asked by; [`Code::Unavailable`] where
/// the connection does not run or has no room.
pub async fn ask(scope: &Scope, engine: &Engine, id: MessageId) -> Result<Told> {
    scope.require(Permission::MessageView)?;
    scope.require(Permission::ConnectionOperate)?;
    let record = query::record(scope, id).await?;
    let parts: Vec<OpenPart> = scope
        .read()
        .await?
        .all(
            sql!(
                "select message_id, part, connection_id, provider_id, sent_at from part where tenant_id = $1 and message_id = $2 \
                 and provider_id <> '' order by part, attempt limit $3"
            ),
            args![scope.tenant(), id, PARTS_MAX],
        )
        .await?;
    if parts.is_empty() {
        return Err(Error::new(Code::Conflict, "no carrier has an id for this message to be asked by")
            .hint("Only what a carrier has taken over can be asked for."));
    }
    let mut told = Vec::with_capacity(parts.len());
    for part in &parts {
        told.push(ask_part(engine, &record, part).await?);
    }
    Ok(Told { message: query::get(scope, id).await?, parts: told })
}

async fn ask_part(engine: &Engine, record: &MessageRecord, part: &OpenPart) -> Result<PartTold> {
    let (connection, asked) = part.asked(record);
    let Some((link, dialect, tongue)) = engine.speaks(connection) else {
        return Err(Error::new(
            Code::Unavailable,
            "its connection does not run, so its carrier cannot be asked",
        )
        .hint("Start the connection, then ask again."));
    };
    let source = dialect.sender(&asked.sender);
    let places = tokio::time::timeout(ROOM_WAIT, link.places(1)).await;
    let Ok(Ok(mut places)) = places else {
        return Err(
            Error::new(Code::Unavailable, "its connection has no room for a question now").retry_after_s(1)
        );
    };
    let queried = link.query(&mut places, (&asked.provider_id, &source)).await;
    if let Queried::NotAsked(why) = &queried {
        return Err(Error::new(Code::Conflict, format!("the carrier was not asked: {why}")));
    }
    if let Some(receipt) = receipt(&tongue, connection, &asked, &queried) {
        engine.journal().write(Entry::Receipt(Box::new(receipt), None)).await?;
    }
    Ok(PartTold::of(part, &queried))
}

#[cfg(test)]
mod tests;
