//! What customers' systems must be given: receipts and inbound messages, kept until they are taken.
//!
//! The table `push` holds all of them. Memory holds what is about to be given to a session that is bound now: a line for
//! each account with such a session, in the order of the ids. An account without one costs no memory; when it binds, its
//! line reads the table from the start. A line that grows over its bound forgets the newest and reads them from the table
//! when their turn comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use types::{AccountId, Address, MessageId, Result, TenantId, Timestamp};

use crate::journal::{By, Entry, Journal};
use crate::message::State;

mod line;
mod stored;

use line::Line;
pub(crate) use line::{Taken, Waiting};

/// A receipt or an inbound message for a customer's system. It stands in the table `push` until that system has
/// answered for it.
#[derive(Debug, Clone)]
pub struct Push {
    /// Its id; order by id is order of making.
    pub id: i64,
    /// Whose.
    pub tenant: TenantId,
    /// For which account.
    pub account: AccountId,
    /// The message that it is about, or is.
    pub message: MessageId,
    /// What it is.
    pub kind: PushKind,
    /// Who sends the deliver_sm: for a receipt the message's recipient.
    pub sender: Address,
    /// Who receives the deliver_sm: for a receipt the message's sender.
    pub recipient: Address,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
    /// When it came to its end, or came in.
    pub at: Timestamp,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
}

/// What a push is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushKind {
    /// A delivery receipt.
    Receipt {
        /// The state that the message came to.
        state: State,
        /// The carrier's or our reason, where it is no delivery.
        error: Option<String>,
    },
    /// Where a message is on its way.
    Notice {
        /// As the carrier says it.
        state: sms::MessageState,
        /// The carrier's error, where it names one.
        error: Option<String>,
    },
    /// The phone's own acknowledgement.
    Ack {
        /// Who acknowledges.
        by: By,
        /// What came with it.
        words: String,
    },
    /// A message from a phone.
    Message {
        /// How its octets are to be read.
        data_coding: u8,
        /// Its octets.
        body: Vec<u8>,
    },
}

impl PushKind {
    /// The columns kind, state and error.
    pub(crate) fn columns(&self) -> (&'static str, &'static str, Option<&str>) {
        match self {
            Self::Receipt { state, error } => ("receipt", state.as_str(), error.as_deref()),
            Self::Notice { state, error } => ("notice", state.text(), error.as_deref()),
            Self::Ack { by, words } => ("ack", by.as_str(), Some(words.as_str())),
            Self::Message { .. } => ("message", State::Received.as_str(), None),
        }
    }
}

/// The pushes of all accounts that can be given now.
#[derive(Debug)]
pub struct Pushes {
    lines: Mutex<HashMap<AccountId, Arc<Line>>>,
    limits: Arc<Limits>,
}

/// What bounds the lines, together and each.
#[derive(Debug)]
struct Limits {
    /// Pushes in all lines.
    total: line::Held,
    /// Pushes that one line holds.
    line_max: usize,
    /// Rows that a line reads at once.
    page_rows: usize,
    /// First pause after a temporary refusal, milliseconds.
    retry_min_ms: u64,
    /// Longest pause.
    retry_max_ms: u64,
}

/// A line may hold a fifth of what all may, so that one customer who does not read leaves room for the others.
const LINE_SHARE: usize = 5;

impl Pushes {
    /// No line yet. All together hold at most `queue_in_memory_max` pushes, and each line one page of
    /// `batch_rows_max` besides, so that none starves behind the others.
    pub fn new(runtime: &Runtime) -> Self {
        let config = &runtime.config.messaging;
        let limits = Limits {
            total: line::Held::new(config.queue_in_memory_max),
            line_max: (config.queue_in_memory_max / LINE_SHARE).max(config.batch_rows_max),
            page_rows: config.batch_rows_max,
            retry_min_ms: config.retry_min_ms,
            retry_max_ms: config.retry_max_ms,
        };
        Self { lines: Mutex::default(), limits: Arc::new(limits) }
    }

    /// Takes a committed push, in the order of the ids. Never waits: what no session can take now, or does not fit, stays
    /// in the table alone.
    pub fn put(&self, push: Push) {
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(&push.account).cloned();
        if let Some(line) = line {
            line.put(push);
        }
    }

    /// Pushes in memory that wait for a session.
    pub fn waiting(&self) -> usize {
        self.limits.total.count()
    }

    /// Lets a session take an account's pushes, until the [`Receiver`] is dropped.
    pub(crate) fn receive(self: &Arc<Self>, account: AccountId) -> Receiver {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(account).or_insert_with(|| Arc::new(Line::new(Arc::clone(&self.limits))));
        line.join();
        Receiver { account, line: Arc::clone(line), pushes: Arc::clone(self) }
    }
}

/// A session's hold on its account's line. Drop it only after every [`Entry::Pushed`] of the session was left at the
/// journal: with the last receiver the line ends, and the next one reads again whatever the table then holds.
#[derive(Debug)]
pub(crate) struct Receiver {
    account: AccountId,
    line: Arc<Line>,
    pushes: Arc<Pushes>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut lines = self.pushes.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if self.line.part() {
            lines.remove(&self.account);
        }
    }
}

impl Receiver {
    /// Takes up to `max` pushes, and no more than this session's share while others wait too.
    pub(crate) fn take(&self, max: usize, now: Timestamp) -> Taken {
        self.line.take(max, now)
    }

    /// Waits until the line may have something.
    pub(crate) async fn filled(&self) {
        self.line.filled().await;
    }

    /// Puts pushes back in their places: the session could not give them, or got no answer.
    pub(crate) fn give_back(&self, pushes: impl IntoIterator<Item = Waiting>) {
        self.line.give_back(pushes);
    }

    /// Puts a push back for later, after a temporary refusal; each refusal doubles the pause.
    pub(crate) fn retry(&self, push: Waiting, now: Timestamp) {
        self.line.retry(push, now);
    }

    /// Reads the next page of the table after [`Taken::Page`]. After a failure the next taker is told to read again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn read_page(&self, runtime: &Runtime, journal: &Journal, after: i64) -> Result<()> {
        let page = async {
            if after == 0 {
                // What an earlier line saw taken may still be on its way out of the table. The journal keeps the order of
                // what it is given, so when it has answered this, those rows are gone.
                journal.write(Entry::Retry).await?;
            }
            stored::page(runtime, self.account, after, self.pushes.limits.page_rows).await
        };
        match page.await {
            Ok(page) => {
                self.line.fill(page, self.pushes.limits.page_rows);
                Ok(())
            }
            Err(error) => {
                self.line.fill_failed();
                Err(error)
            }
        }
    }
}

/// How often expired pushes are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Expired pushes that one look finds at most.
const SWEEP_ROWS: i64 = 1_000;

record! { struct Expired { id: i64 } }

/// Removes what has expired while nobody came for it, until the program stops.
pub(crate) async fn sweep(runtime: Runtime, journal: Journal) {
    let stopping = runtime.tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        loop {
            match sweep_some(&runtime, &journal).await {
                Ok(SWEEP_ROWS) if !stopping.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(
                        ?error,
                        "expired receipts and inbound messages could not be removed; tried again later"
                    );
                    break;
                }
            }
        }
    }
}

async fn sweep_some(runtime: &Runtime, journal: &Journal) -> Result<i64> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let expired: Vec<Expired> = tx
        .all(
            sql!("select id from push where expires_at <= $1 order by id limit $2 /* every tenant: age alone decides */"),
            args![runtime.clock.now(), SWEEP_ROWS],
        )
        .await?;
    drop(tx);
    let found = expired.len();
    for Expired { id } in expired {
        journal.leave(Entry::Pushed { id }).await?;
    }
    metrics::counter!("switchboard_pushes_total", "outcome" => "expired").increment(found as u64);
    // The rows must be gone before the next look, or it would find them again.
    journal.write(Entry::Retry).await?;
    Ok(i64::try_from(found).unwrap_or(SWEEP_ROWS))
}

#[cfg(test)]
mod tests;
