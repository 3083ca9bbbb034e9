//! Messages that come to their end, are taken back, or whose time has come; pushes that were taken.

use std::sync::Arc;

use db::{Rows, args, record, sql};
use runtime::job;
use types::event::MessageChange;
use types::{AccountId, Code, ConnectionId, Error, Event, MessageId, PauseId, Result, TenantId, Timestamp};

use super::accept::GRACE_MS;
use super::blocked::Blocked;
use super::rows::{self, Standing, Wake};
use super::{After, Batch, CarrierReceipt, Entry};
use crate::account::RECEIPTS_KEEP_S;
use crate::callback;
use crate::mail::notice;
use crate::message::confidential::Hushed;
use crate::message::{Options, Outgoing, PartSet, State};
use crate::pause;
use crate::push::{Push, PushKind};
use crate::queue::{Queue, Queued};
use crate::recover::MessageRecord;
use crate::sendsms::dlr;

/// A message that comes to its end, and what its sender must be told.
pub(crate) struct Ending {
    pub(crate) message: MessageId,
    pub(crate) tenant: TenantId,
    pub(crate) account: Option<AccountId>,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) error: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) maybe_twice: bool,
    pub(crate) registered: u8,
    /// What is seldom asked for.
    pub(crate) options: Option<Options>,
    pub(crate) sender: types::Address,
    pub(crate) recipient: types::Address,
    pub(crate) accepted_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Ending {
    /// The end of a message that the engine holds.
    pub(crate) fn of(message: &Arc<Outgoing>, from: State, to: State, error: Option<String>) -> Self {
        Self {
            message: message.id,
            tenant: message.tenant,
            account: message.account,
            from,
            to,
            error,
            attempts: message.attempts + 1,
            maybe_twice: message.maybe_twice,
            registered: message.registered,
            options: message.options.as_deref().cloned(),
            sender: message.sender.clone(),
            recipient: message.recipient.clone(),
            accepted_at: message.accepted_at,
            expires_at: message.expires_at,
        }
    }

    /// Whether its sender asked to hear of such an end (SMPP v5 §4.7.21: 1 both, 2 failure, 3 success).
    fn wanted(&self) -> bool {
        match self.registered & 0b11 {
            1 => true,
            2 => self.to != State::Delivered,
            3 => self.to == State::Delivered,
            _ => false,
        }
    }
}

/// Brings a message to its end: its state, its sums, its event, and the receipt to its sender.
pub(crate) async fn end(batch: &mut Batch, ending: &Ending, connection: Option<ConnectionId>) -> Result<()> {
    batch.ended.insert(ending.message);
    batch.count(ending.tenant, Some(ending.from), ending.to);
    batch.set(
        ending.message,
        Standing {
            state: ending.to,
            connection,
            attempts: ending.attempts,
            maybe_twice: ending.maybe_twice,
            error: ending.error.clone(),
            wake: Wake::Never,
        },
    );
    batch.event(
        ending.tenant,
        Event::MessageEnded(MessageChange {
            message: ending.message,
            state: ending.to.as_str().into(),
            account: ending.account,
            connection,
            error: ending.error.clone(),
        }),
    );
    let options = ending.options.as_ref();
    if let Some(back) = options.and_then(|options| options.mail.as_deref()) {
        notice::enqueue(batch, ending, back).await?;
    }
    if let Some(dlr) = options.and_then(|options| options.dlr.as_ref()) {
        return dlr::end(batch, ending, connection, dlr);
    }
    if let Some(url) = options.and_then(|options| options.callback_url.as_deref()) {
        return callback::enqueue(batch, ending, url).await;
    }
    let keep_s = options.and_then(|options| options.receipts_keep_s).unwrap_or(RECEIPTS_KEEP_S);
    if let Some(account) = ending.account.filter(|_| ending.wanted()) {
        let id = batch.runtime.ids.next::<types::kind::Job>().raw();
        batch.push(Push {
            id,
            tenant: ending.tenant,
            account,
            message: ending.message,
            kind: PushKind::Receipt { state: ending.to, error: ending.error.clone() },
            sender: ending.recipient.clone(),
            recipient: ending.sender.clone(),
            accepted_at: ending.accepted_at,
            at: batch.now,
            expires_at: ending.expires_at.max(batch.now.plus_ms(i64::from(keep_s) * 1_000)),
        });
    }
    Ok(())
}

/// A message that is on its way, and who may want to know.
pub(crate) struct Notice {
    pub(crate) message: MessageId,
    pub(crate) tenant: TenantId,
    pub(crate) account: Option<AccountId>,
    pub(crate) registered: u8,
    pub(crate) sender: types::Address,
    pub(crate) recipient: types::Address,
    pub(crate) accepted_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Notice {
    /// Of a message that the engine holds.
    pub(crate) fn of(message: &Arc<Outgoing>) -> Self {
        Self {
            message: message.id,
            tenant: message.tenant,
            account: message.account,
            registered: message.registered,
            sender: message.sender.clone(),
            recipient: message.recipient.clone(),
            accepted_at: message.accepted_at,
            expires_at: message.expires_at,
        }
    }
}

/// Asks for intermediate notifications (SMPP v5 §4.7.21).
pub(crate) const INTERMEDIATE: u8 = 0x10;

/// Tells its sender where a message is on its way, where it asked for that.
pub(crate) fn notify(batch: &mut Batch, notice: Notice, receipt: &CarrierReceipt) {
    let Some(account) = notice.account.filter(|_| notice.registered & INTERMEDIATE != 0) else { return };
    let id = batch.runtime.ids.next::<types::kind::Job>().raw();
    let state = sms::MessageState::from_number(receipt.state);
    batch.push(Push {
        id,
        tenant: notice.tenant,
        account,
        message: notice.message,
        kind: PushKind::Notice { state, error: receipt.error.clone() },
        sender: notice.recipient,
        recipient: notice.sender,
        accepted_at: notice.accepted_at,
        at: batch.now,
        // It is worth nothing once the message has ended.
        expires_at: notice.expires_at,
    });
}

/// Writes the batch's standings and pushes.
pub(crate) async fn write(batch: &mut Batch) -> Result<()> {
    rows::write_settled(batch).await?;
    if !batch.jobs.is_empty() {
        let (jobs, runtime, now) = (std::mem::take(&mut batch.jobs), batch.runtime.clone(), batch.now);
        job::enqueue_all(&mut batch.tx, &runtime, jobs, now).await?;
    }
    rows::write_pushes(batch).await
}

/// Takes pushes away that the customer's system has taken, or refused for good.
pub(crate) async fn pushed(batch: &mut Batch, work: &[(Option<usize>, Entry)]) -> Result<()> {
    let ids: Rows = work
        .iter()
        .filter_map(|(_, entry)| if let Entry::Pushed { id } = entry { Some([(*id).into()]) } else { None })
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    batch
        .tx
        .leave_rows(
            sql!(
                "delete from push where id in (select r.id from rows(id bigint) r) /* every tenant: by ids that the journal made */"
            ),
            args![],
            ids,
        )
        .await?;
    Ok(())
}

/// Takes messages back that have not left.
pub(crate) async fn cancel(
    batch: &mut Batch,
    work: &[(Option<usize>, Entry)],
    replies: &mut [Result<()>],
    queue: &Queue,
) -> Result<()> {
    for (at, entry) in work {
        let Entry::Cancel { tenant, message } = entry else { continue };
        // It sees what this batch has done to the message before.
        rows::write_settled(batch).await?;
        let found: Option<MessageRecord> = batch
            .tx
            .optional(
                sql!("select * from message where tenant_id = $1 and id = $2 and direction = 'out'"),
                args![*tenant, *message],
            )
            .await?;
        let verdict = match found {
            None => Err(Error::not_found("message")),
            Some(record) => match State::named(&record.state) {
                // In memory and not in its line any more: it is on the wire.
                Some(State::Queued) if queue.has_place(*message) && !queue.withdraw(*message) => {
                    Err(Error::new(Code::NotCancellable, "the message is leaving"))
                }
                Some(from @ (State::Scheduled | State::Queued)) => {
                    batch.withdrawn.push(*message);
                    let connection = record.connection_id;
                    end(batch, &record.ending(from, State::Cancelled, None)?, connection).await?;
                    Ok(())
                }
                _ => {
                    Err(Error::new(Code::NotCancellable, format!("the message is {} already", record.state)))
                }
            },
        };
        if let Some(reply) = at.and_then(|at| replies.get_mut(at)) {
            *reply = verdict;
        }
    }
    Ok(())
}

/// Makes messages due that an earlier batch took from their lanes before it failed. Where that one was committed after all,
/// their rows say so, and nothing becomes of it.
pub(crate) async fn find_again(batch: &mut Batch, stranded: &[MessageId]) -> Result<()> {
    if stranded.is_empty() {
        return Ok(());
    }
    batch
        .tx
        .leave_rows(
            sql!(
                "update message set wake_at = $1 from rows(id bigint) r where message.id = r.id and message.state = 'queued' \
                 and message.wake_at > $1 /* every tenant: by ids that the journal took from their lanes */"
            ),
            args![batch.now],
            stranded.iter().map(|message| [(*message).into()]).collect(),
        )
        .await?;
    Ok(())
}

/// Messages looked at in one batch.
const WAKE_MAX: usize = 500;

/// Takes into memory what is to be sent now, as far as there is room. True when there may be more.
pub(crate) async fn wake(batch: &mut Batch, queue: &Queue, blocked: &Blocked) -> Result<bool> {
    let room = queue.room().min(WAKE_MAX);
    if room == 0 {
        return Ok(false);
    }
    let due: Vec<MessageRecord> = batch
        .tx
        .all(
            sql!(
                "select * from message where wake_at is not null and wake_at <= $1 and expires_at > $1 \
                 and state in ('queued', 'scheduled') order by wake_at limit $2 for update skip locked \
                 /* every tenant: time comes for all */"
            ),
            args![batch.now, room as i64],
        )
        .await?;
    let full = due.len() == room;
    let mut paused = Vec::new();
    for record in due {
        if let Some(from) = State::named(&record.state) {
            paused.extend(begin_again(batch, queue, blocked, &record, from).await?);
        }
    }
    if !paused.is_empty() {
        // A scheduled message is queued from now on, and only then at rest.
        rows::write_settled(batch).await?;
        pause::rest(batch, &paused).await?;
    }
    Ok(full)
}

/// Why a message ended that was sent: nobody said what became of it.
pub(crate) const NO_RECEIPT: &str = "no receipt came within its validity";
/// Why a message ended of which nobody knew whether it had left.
pub(crate) const FATE_UNKNOWN: &str = "its fate stayed unknown";

/// How soon a message is looked at again that is overdue and on the wire.
const LEAVING_MS: i64 = 30_000;

/// Ends what is overdue: not sent within its validity, or sent and never receipted. True when there may be more.
pub(crate) async fn end_overdue(batch: &mut Batch, queue: &Queue) -> Result<bool> {
    let overdue: Vec<MessageRecord> = batch
        .tx
        .all(
            sql!(
                "select * from message where wake_at is not null and wake_at <= $1 and expires_at <= $1 \
                 order by wake_at limit $2 /* every tenant: time comes for all */"
            ),
            args![batch.now, WAKE_MAX as i64],
        )
        .await?;
    let full = overdue.len() == WAKE_MAX;
    for record in overdue {
        let Some(from) = State::named(&record.state) else { continue };
        if from == State::Queued && queue.has_place(record.id) && !queue.withdraw(record.id) {
            // It is on the wire: its answer decides.
            let later = record.standing(from, Wake::At(batch.now.plus_ms(LEAVING_MS)), record.error.clone());
            batch.set(record.id, later);
            continue;
        }
        batch.withdrawn.push(record.id);
        let (to, why) = match from {
            State::Scheduled | State::Queued => (State::Expired, "its validity ended before it left"),
            State::Sent => (State::Expired, NO_RECEIPT),
            State::Indeterminate => (State::Failed, FATE_UNKNOWN),
            State::Delivered
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::Cancelled
            | State::Received => {
                continue;
            }
        };
        let connection = record.connection_id;
        end(batch, &record.ending(from, to, Some(why.to_owned()))?, connection).await?;
    }
    Ok(full)
}

/// Takes a message from the table into memory, by the route that leads to its recipient now. Where none does it stays and
/// is looked at again. Where a pause keeps it, the two are given back.
async fn begin_again(
    batch: &mut Batch,
    queue: &Queue,
    blocked: &Blocked,
    record: &MessageRecord,
    from: State,
) -> Result<Option<(MessageId, PauseId)>> {
    let mut message = record.outgoing()?;
    if message.parts > 1 && message.attempts > 0 {
        message.parts_done = parts_taken(batch, record).await?;
    }
    if !open_sealed(batch, &mut message).await {
        let gone = Some("what it says can no longer be opened".to_owned());
        end(batch, &record.ending(from, State::Failed, gone)?, record.connection_id).await?;
        return Ok(None);
    }
    let message = Arc::new(message);
    let Some(connection) = queue.route_again(&message, record.connection_id) else {
        batch.set(
            record.id,
            record.standing(
                from,
                Wake::At(batch.now.plus_ms(5_000)),
                Some("no route leads to its recipient now".to_owned()),
            ),
        );
        return Ok(None);
    };
    if let Some(why) = blocked.why(&message, connection) {
        let ending = record.ending(from, State::Rejected, Some(why.to_owned()))?;
        end(batch, &ending, Some(connection)).await?;
        return Ok(None);
    }
    let pause = queue.paused(&message, connection);
    if pause.is_none() && !queue.reserve(message.id) {
        return Ok(None);
    }
    if from == State::Scheduled {
        batch.count(record.tenant_id, Some(from), State::Queued);
    }
    let standing = Standing {
        state: State::Queued,
        connection: Some(connection),
        attempts: message.attempts,
        maybe_twice: message.maybe_twice,
        error: record.error.clone(),
        wake: Wake::At(message.expires_at.plus_ms(GRACE_MS)),
    };
    batch.set(record.id, standing);
    if pause.is_none() {
        let first = message.attempts > 0;
        batch.after.push(After::Dispatch(Queued { message, connection, first }));
    }
    Ok(pause.map(|pause| (record.id, pause)))
}

/// Puts what a confidential message says in the place of what its row says. False where it can no longer be opened.
async fn open_sealed(batch: &Batch, message: &mut Outgoing) -> bool {
    let Some(sealed) = message.options.as_deref().and_then(|options| options.sealed.as_deref()) else {
        return true;
    };
    match sealed.body(&batch.runtime, message.tenant, message.encoding).await {
        Ok(body) => {
            Hushed::of(&batch.runtime).add(&message.recipient.text, message.expires_at, batch.now);
            message.body = body;
            true
        }
        Err(error) => {
            tracing::error!(message = %message.id, ?error, "what a message says cannot be opened");
            false
        }
    }
}

record! { struct PartTaken { part: u8 } }

/// The parts of a long message that a carrier has taken over already.
async fn parts_taken(batch: &mut Batch, record: &MessageRecord) -> Result<PartSet> {
    let taken: Vec<PartTaken> = batch
        .tx
        .all(
            sql!("select distinct part from part where tenant_id = $1 and message_id = $2 limit 255"),
            args![record.tenant_id, record.id],
        )
        .await?;
    let mut parts = PartSet::default();
    for one in taken {
        parts.insert(one.part);
    }
    Ok(parts)
}
