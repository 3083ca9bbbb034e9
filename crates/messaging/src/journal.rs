//! The one writer of message state.
//!
//! Whatever happens to messages (accepted, about to leave, answered, receipted, received, taken by the customer) comes
//! here as an [`Entry`]. A batch of entries is one transaction: a handful of statements whatever its size, one commit.
//! Only then are callers answered, carriers acknowledged and messages handed on. Because there is one writer and one
//! order, an entry never has to guess what another is doing to the same message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connectors::{Delivered, Verdict};
use db::{BatchLimits, Batcher, Fair, WriteBatch};
use runtime::Runtime;
use runtime::outbox::{self, Happened};
use runtime::scope::Keyed;
use types::{ConnectionId, Error, MessageId, Result, TenantId, Timestamp};

use crate::inquiry::{Asked, Inquiries};
use crate::intent::Intent;
use crate::live::meter::Board;
use crate::opt_out::{Noted, OptOuts};
use crate::pause;
use crate::push::{Push, Pushes};
use crate::queue::exit::{Exit, Leaving};
use crate::queue::{Queue, Queued};

mod accept;
mod ack;
mod answer;
mod batch;
mod blocked;
mod hold;
mod ids;
mod inbound;
mod inquire;
mod kept;
mod receipt;
mod rows;
mod sent;
mod settle;

pub use accept::NewMessage;
pub(crate) use ack::{ACKNOWLEDGED, Ack, By};
pub use answer::{Answered, Outcome};
pub(crate) use batch::Batch;
pub use ids::Learned;
pub use inbound::InboundPart;
pub(crate) use inbound::{hex, unhex};
pub use kept::Kept;
pub use receipt::CarrierReceipt;
pub(crate) use rows::{Standing, Wake};
pub(crate) use settle::{Ending, FATE_UNKNOWN, NO_RECEIPT};

/// A claim's id: one for each batch that leaves.
pub type ClaimId = i64;

/// The claim of what never left.
pub(crate) const NO_CLAIM: ClaimId = 0;

/// Something that happened, or is about to.
pub enum Entry {
    /// New messages. The reply is the acceptance.
    Accept(Box<Accept>),
    /// Messages that are about to leave. The reply lets them go.
    Claim {
        /// The claim.
        id: ClaimId,
        /// Through which connection.
        connection: ConnectionId,
        /// Which.
        messages: Vec<MessageId>,
    },
    /// What became of one part that was handed over, or of a message before any part was.
    Answered(Box<Answered>),
    /// A carrier's receipt; the carrier is acknowledged after the commit.
    Receipt(Box<CarrierReceipt>, Option<Delivered>),
    /// A part of a message from a phone; the carrier is acknowledged after the commit.
    Inbound(Box<InboundPart>, Option<Delivered>),
    /// The customer's system has taken a push, or refused it for good.
    Pushed {
        /// The push.
        id: i64,
    },
    /// A message that waits is taken back. The reply says whether it could be.
    Cancel {
        /// Whose.
        tenant: TenantId,
        /// Which.
        message: MessageId,
    },
    /// Messages that wait are held until a person releases them. Those that have left are passed over.
    Hold {
        /// Whose.
        tenant: TenantId,
        /// Which, at most as many as a selection has.
        messages: Vec<MessageId>,
        /// Who holds them.
        by: String,
    },
    /// Messages whose time has come: into memory, or to their end.
    Wake,
    /// Nothing new, but what failed before is to be tried again.
    Retry,
}

/// The owner of what serves all tenants.
const EVERYBODY: i64 = 0;

impl Fair for Entry {
    fn owner(&self) -> i64 {
        match self {
            Self::Accept(accept) => accept.messages.first().map_or(EVERYBODY, |new| new.message.tenant.raw()),
            Self::Answered(answered) => answered.message.tenant.raw(),
            Self::Receipt(receipt, _) => receipt.tenant.raw(),
            Self::Inbound(part, _) => part.tenant.raw(),
            Self::Cancel { tenant, .. } | Self::Hold { tenant, .. } => tenant.raw(),
            Self::Claim { .. } | Self::Pushed { .. } | Self::Wake | Self::Retry => EVERYBODY,
        }
    }

    fn urgent(&self) -> bool {
        match self {
            Self::Accept(accept) => {
                accept.messages.first().is_some_and(|new| new.message.intent == Intent::Otp)
            }
            Self::Answered(answered) => answered.message.intent == Intent::Otp,
            // A claim holds up everything behind it on its connection.
            Self::Claim { .. } => true,
            _ => false,
        }
    }

    fn hurried(&self) -> bool {
        !matches!(self, Self::Claim { .. }) && self.urgent()
    }
}

/// New messages, accepted together or not at all.
#[derive(Default)]
pub struct Accept {
    /// The messages.
    pub messages: Vec<NewMessage>,
    /// The answer to keep for a keyed request.
    pub answer: Option<(Keyed, String)>,
    /// The failed message that the one message is sent for again; refused when that was done already.
    pub redrive_of: Option<MessageId>,
}

/// What is to be done after the commit, and only then.
pub(crate) enum After {
    Dispatch(Queued),
    /// What is claimed already goes, past the lanes.
    Leave {
        exit: Exit,
        connection: ConnectionId,
        leaving: Leaving,
    },
    Push(Push),
    ClaimMade {
        id: ClaimId,
        messages: Vec<MessageId>,
    },
    /// So many messages were claimed with their acceptance, and so many from their lanes.
    Claimed {
        at_once: usize,
        later: usize,
    },
    HeldChanged(i64),
    /// The end came of what a carrier took over under this id.
    Receipted(sent::Key),
    /// A receipt came for what a carrier had taken over then.
    Lagged(ConnectionId, Timestamp),
    /// A carrier takes nothing for a recipient.
    Blocked(blocked::Destination, String),
    Release(MessageId),
    /// A message's row says that a pause keeps it.
    Rests(MessageId),
    /// A message that was set aside goes on.
    Resumes(Queued),
    JobsWaiting,
    /// A carrier is to be asked what became of a part.
    Ask(ConnectionId, Asked),
    /// Phones opted out, or in again.
    OptedOut(Vec<Noted>),
}

/// The entrance to the journal. Cloning shares it.
#[derive(Clone)]
pub struct Journal {
    batcher: Batcher<Entry, Result<()>>,
    waiting_max: usize,
    more_due: Arc<AtomicBool>,
    ids: Arc<ids::Ids>,
}

/// How soon what failed is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// The pause between two looks while there is more to do; the journal's other work goes on between.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn congestion(waiting: usize, waiting_max: usize) -> u8 {
    let percent = waiting.saturating_mul(100) / waiting_max.max(1);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

impl Journal {
    /// Starts the writer. `queue` and `pushes` receive what a commit sets free.
    pub fn start(runtime: &Runtime, queue: Arc<Queue>, pushes: Arc<Pushes>) -> Self {
        let config = &runtime.config.messaging;
        let limits = BatchLimits {
            items_max: config.batch_rows_max,
            linger: Duration::from_millis(config.batch_delay_ms),
            waiting_max: config.batch_rows_max * 8,
        };
        let more_due = Arc::new(AtomicBool::new(false));
        let ids = Arc::new(ids::Ids::default());
        let writer = Writer {
            runtime: runtime.clone(),
            queue,
            pushes,
            opt_outs: runtime.kept(|_| OptOuts::default()),
            progress: answer::Progress::default(),
            sent: sent::Sent::new(config.sent_in_memory_max),
            meters: Board::of(runtime),
            inquiries: runtime.kept(|_| Inquiries::default()),
            stranded: Vec::new(),
            blocked: blocked::Blocked::default(),
            ids: ids.clone(),
            backlog: Vec::new(),
            held: None,
            more_due: more_due.clone(),
            looks: 0,
        };
        let (batcher, work) = Batcher::new(limits, writer, runtime.writers.stopping().cancelled_owned());
        runtime.writers.spawn("journal", work);
        Self { batcher, waiting_max: limits.waiting_max, more_due, ids }
    }

    /// How a carrier's receipts write the ids of its responses, as far as that was found out.
    #[must_use]
    pub fn receipt_ids(&self, connection: ConnectionId) -> Option<Learned> {
        self.ids.learned(connection)
    }

    /// Begins anew to find out how a carrier's receipts write ids.
    pub(crate) fn forget_receipt_ids(&self, connection: ConnectionId) {
        self.ids.forget(connection);
    }

    /// Writes an entry and gives its reply after the commit.
    ///
    /// # Errors
    /// What the entry was refused for; nothing of it happened then.
    pub async fn write(&self, entry: Entry) -> Result<()> {
        self.batcher.write(entry).await?
    }

    /// As [`Journal::write`], but gives the reply's receiver at once, so that a session can have many under way.
    ///
    /// # Errors
    /// When too many wait already, or the journal has stopped.
    pub fn enqueue(&self, entry: Entry) -> Result<tokio::sync::oneshot::Receiver<Result<()>>> {
        Ok(self.batcher.enqueue(entry)?)
    }

    /// Leaves an entry that must not be lost; the caller waits for a place and for nothing more.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn leave(&self, entry: Entry) -> Result<()> {
        Ok(self.batcher.send(entry).await?)
    }

    /// Entries that wait for their batch.
    pub fn waiting(&self) -> usize {
        self.batcher.waiting()
    }

    /// How full it is, 0 to 100, as congestion_state has it (SMPP v5 §4.8.4.18): at 100 the next submit is throttled.
    pub fn congestion(&self) -> u8 {
        congestion(self.waiting(), self.waiting_max)
    }

    /// Rings the journal until the program stops: messages whose time has come, and what failed before.
    pub async fn tick(self, runtime: Runtime) {
        let stopping = runtime.tasks.stopping();
        while !stopping.is_cancelled() {
            for entry in [Entry::Retry, Entry::Wake] {
                if self.leave(entry).await.is_err() {
                    return;
                }
            }
            let pause = if self.more_due.load(Ordering::Relaxed) { LOOK_AGAIN } else { RETRY_EVERY };
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

struct Writer {
    runtime: Runtime,
    queue: Arc<Queue>,
    pushes: Arc<Pushes>,
    opt_outs: Arc<OptOuts>,
    /// What is out: claims and the parts of long messages.
    progress: answer::Progress,
    /// What awaits its receipt.
    sent: sent::Sent,
    /// How long receipts take.
    meters: Arc<Board>,
    /// Who is asked what became of messages.
    inquiries: Arc<Inquiries>,
    /// Messages that a batch took from their lanes and then failed: their rows decide what becomes of them.
    stranded: Vec<MessageId>,
    /// For whom carriers took nothing lately.
    blocked: blocked::Blocked,
    /// How each carrier's receipts write the ids of its responses.
    ids: Arc<ids::Ids>,
    /// Entries that must not be lost and could not be written: answers and acknowledgements. Bounded by the windows,
    /// because nothing new leaves while a claim cannot be written.
    backlog: Vec<Entry>,
    /// Whether the last look left something that is due.
    more_due: Arc<AtomicBool>,
    /// How often it was looked.
    looks: u32,
    /// How many receipts are held for a message that is not known yet; read at the first batch.
    held: Option<i64>,
}

impl WriteBatch for Writer {
    type Item = Entry;
    type Result = Result<()>;

    async fn write(&mut self, items: Vec<Entry>) -> Vec<Result<()>> {
        let mut replies: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
        let mut work: Vec<(Option<usize>, Entry)> =
            self.backlog.drain(..).map(|entry| (None, entry)).collect();
        work.extend(items.into_iter().enumerate().map(|(at, entry)| (Some(at), entry)));
        let nothing_new = work.iter().all(|(_, entry)| matches!(entry, Entry::Retry));
        if nothing_new && self.stranded.is_empty() {
            return replies;
        }
        let began = std::time::Instant::now();
        let size = work.len();
        match self.transact(&mut work, &mut replies).await {
            Ok(after) => {
                self.finish(after);
                metrics::histogram!("switchboard_journal_batch_seconds")
                    .record(began.elapsed().as_secs_f64());
                metrics::histogram!("switchboard_journal_batch_entries").record(size as f64);
            }
            Err(error) => self.keep_or_refuse(work, &mut replies, &error),
        }
        replies
    }
}

impl Writer {
    /// One transaction for all of it. What was taken from its lane goes back to where its row says when that fails.
    async fn transact(
        &mut self,
        work: &mut [(Option<usize>, Entry)],
        replies: &mut [Result<()>],
    ) -> Result<Vec<After>> {
        let mut batch = Batch::begin(&self.runtime, &self.inquiries).await?;
        let filled = self.fill(&mut batch, work, replies).await;
        let withdrawn = std::mem::take(&mut batch.withdrawn);
        let (batch, progress) = match filled {
            Ok(progress) => (batch, progress),
            Err(error) => {
                self.stranded.extend(withdrawn);
                return Err(error);
            }
        };
        let Batch { mut tx, now, events, sent, after, .. } = batch;
        let happened = events.into_iter().map(|(tenant, events)| Happened {
            tenant,
            at: now,
            actor: "system messaging".to_owned(),
            request_id: None,
            from: None,
            events,
        });
        let written = match outbox::write(&mut tx, happened.collect()).await {
            Ok(written) => tx.commit().await.map(|()| written).map_err(Error::from),
            Err(error) => Err(error),
        };
        let written = written.inspect_err(|_| self.stranded.extend(withdrawn))?;
        self.stranded.clear();
        written.tell(&self.runtime.live);
        for (key, message) in sent {
            self.sent.insert(key, message, now);
        }
        self.progress.apply(progress);
        for (_, entry) in work.iter_mut() {
            if let Entry::Receipt(_, delivered) | Entry::Inbound(_, delivered) = entry
                && let Some(delivered) = delivered.take()
            {
                delivered.accept();
            }
        }
        Ok(after)
    }

    /// All statements of a batch but its events.
    async fn fill(
        &mut self,
        batch: &mut Batch,
        work: &mut [(Option<usize>, Entry)],
        replies: &mut [Result<()>],
    ) -> Result<answer::ProgressChange> {
        if self.held.is_none() {
            self.held = Some(receipt::count_held(batch).await?);
        }
        settle::find_again(batch, &self.stranded).await?;
        // In this order: what is accepted can be claimed, what is answered can be receipted, in one batch.
        accept::accept(batch, work, replies, &self.queue).await?;
        accept::claim(batch, work, &self.queue).await?;
        let answered = answer::answer(batch, work, &self.progress).await?;
        let any_held = self.held.unwrap_or(0) > 0;
        let known = receipt::Known { sent: &self.sent, ids: &self.ids };
        receipt::receipts(batch, work, &answered.parts, &known, any_held).await?;
        let noted = std::mem::take(&mut batch.noted);
        rows::write_attempts(batch, noted).await?;
        inbound::inbound(batch, work).await?;
        settle::pushed(batch, work).await?;
        settle::cancel(batch, work, replies, &self.queue).await?;
        hold::hold(batch, work, &self.queue).await?;
        settle::write(batch).await?;
        if work.iter().any(|(_, entry)| matches!(entry, Entry::Wake)) {
            self.look(batch).await?;
        }
        kept::write(batch).await?;
        rows::write_tally(batch).await?;
        Ok(answered.progress)
    }

    /// Sees to what is due.
    async fn look(&mut self, batch: &mut Batch) -> Result<()> {
        if self.held.unwrap_or(0) > 0 {
            receipt::match_by_address(batch).await?;
            receipt::forget_held(batch).await?;
        }
        let mut more = pause::set_aside(batch, &self.queue).await?;
        more |= settle::wake(batch, &self.queue, &self.blocked).await?;
        // A look over all that is overdue costs more, and a second late is early enough.
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(4) {
            more |= settle::end_overdue(batch, &self.queue).await?;
            more |= inquire::due(batch).await?;
        }
        settle::write(batch).await?;
        more |= pause::wake_some(batch, &self.queue).await?;
        self.more_due.store(more, Ordering::Relaxed);
        Ok(())
    }

    /// After the commit: acknowledges, hands on, and remembers what is claimed.
    fn finish(&mut self, after: Vec<After>) {
        let now = self.runtime.clock.now();
        let mut refused = Vec::new();
        for after in after {
            match after {
                After::Dispatch(queued) => self.queue.put(queued),
                After::Leave { exit, connection, leaving } => {
                    if let Err(leaving) = exit.leave(leaving) {
                        self.backlog.extend(not_sent(connection, leaving));
                    }
                }
                After::Push(push) => self.pushes.put(push),
                After::ClaimMade { id, messages } => self.progress.claimed(id, messages),
                After::Receipted(key) => {
                    if let Some(sent_at) = self.sent.remove(&key) {
                        self.lagged(key.0, sent_at, now);
                    }
                }
                After::Lagged(connection, sent_at) => self.lagged(connection, sent_at, now),
                After::Claimed { at_once, later } => count_claimed(at_once, later),
                After::HeldChanged(by) => self.held = self.held.map(|held| held + by),
                After::Release(message) => self.queue.release(message),
                After::Rests(message) => {
                    if self.queue.rest.withdraw(message) {
                        self.queue.release(message);
                    }
                }
                After::Resumes(queued) => {
                    if self.queue.rest.withdraw(queued.message.id) {
                        self.queue.put(queued);
                    }
                }
                After::Ask(connection, asked) => self.inquiries.put(connection, asked),
                After::JobsWaiting => self.runtime.job_wake.notify_one(),
                After::OptedOut(noted) => self.opt_outs.note(&noted),
                After::Blocked(destination, why) => refused.push((destination, why)),
            }
        }
        if !refused.is_empty() {
            let now = self.runtime.clock.now();
            // They end with the next batch; the tick brings one.
            self.backlog.extend(self.blocked.note(refused, now, &self.queue));
        }
    }

    /// Measures how long after its answer a receipt came.
    fn lagged(&self, connection: ConnectionId, sent_at: Timestamp, now: Timestamp) {
        if let Some(meter) = self.meters.known_connection(connection) {
            meter.lag.record(u64::try_from(now.since_ms(sent_at)).unwrap_or(0));
        }
    }

    /// After a failed transaction, of which nothing happened: what can be refused is refused, what cannot be lost
    /// waits for the next try, and a carrier whose receipt could not be kept is asked to send it again.
    fn keep_or_refuse(
        &mut self,
        work: Vec<(Option<usize>, Entry)>,
        replies: &mut [Result<()>],
        error: &Error,
    ) {
        tracing::error!(
            ?error,
            entries = work.len(),
            "the journal could not be written; what was not promised is refused, the rest tried again"
        );
        metrics::counter!("switchboard_journal_failures_total").increment(1);
        for (at, entry) in work {
            match entry {
                Entry::Accept(_) | Entry::Claim { .. } | Entry::Cancel { .. } | Entry::Hold { .. } => {
                    if let Entry::Accept(accept) = &entry {
                        for new in &accept.messages {
                            self.queue.release(new.message.id);
                        }
                    }
                    if let Some(reply) = at.and_then(|at| replies.get_mut(at)) {
                        *reply = Err(Error::new(error.code(), error.message()).retry_after_s(1));
                    }
                }
                Entry::Receipt(_, delivered) | Entry::Inbound(_, delivered) => {
                    if let Some(delivered) = delivered {
                        delivered.refuse(Verdict::NotNow);
                    }
                    // Who came to a hook waits for the reply.
                    if let Some(reply) = at.and_then(|at| replies.get_mut(at)) {
                        *reply = Err(Error::new(error.code(), error.message()).retry_after_s(1));
                    }
                }
                Entry::Answered(_) | Entry::Pushed { .. } => self.backlog.push(entry),
                Entry::Wake | Entry::Retry => {}
            }
        }
    }
}

/// Counts messages by how they were claimed.
fn count_claimed(at_once: usize, later: usize) {
    for (with, messages) in [("acceptance", at_once), ("lane", later)] {
        metrics::counter!("switchboard_messages_claimed_total", "with" => with).increment(messages as u64);
    }
}

/// The answers for messages whose connection stopped between their claim and its commit.
fn not_sent(connection: ConnectionId, leaving: Leaving) -> impl Iterator<Item = Entry> {
    let claim = leaving.claim;
    leaving.messages.into_iter().map(move |message| {
        let outcome = Outcome::NotSent;
        Entry::Answered(Box::new(Answered {
            message,
            part: 1,
            handed_over: 1,
            connection,
            claim,
            outcome,
            kept: None,
        }))
    })
}

#[cfg(test)]
mod tests;
