//! Receipts from carriers: matched to their part in every form an id can take, aggregated over a message's parts, held
//! when they overtake the response.

use std::sync::Arc;

use db::{Arg, Rows, args, record, sql};
use serde::{Deserialize, Serialize};
use types::event::{MessageChange, PartChange};
use types::{AccountId, ConnectionId, Error, Event, MessageId, Result, TenantId, Timestamp};

use super::ack::{self, Ack};
use super::answer::{PartRow, next_look};
use super::blocked::Destination;
use super::rows::Attempt;
use super::sent;
use super::settle::{self, Ending, Notice};
use super::{After, Batch, Entry, Standing, Wake, kept};
use crate::connection::ReceiptIds;
use crate::inquiry::{ASKED, Inquiry};
use crate::message::{Options, Outgoing, State, address_of};

mod find;

pub(crate) use find::Known;
use find::{Found, Match, find};

/// A carrier's receipt, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierReceipt {
    /// Whose connection it came on.
    pub(crate) tenant: TenantId,
    /// The connection it came on.
    pub(crate) connection: ConnectionId,
    /// The phone it speaks of.
    pub(crate) phone: String,
    /// The sender it is for.
    pub(crate) sender: String,
    /// The id it speaks of, as the carrier wrote it.
    pub(crate) provider_id: String,
    /// `message_state` as a number.
    pub(crate) state: u8,
    /// The carrier's error, where it names one, as it is kept: see [`Reason`](crate::fault::Reason).
    pub(crate) error: Option<String>,
    /// How the ids of its connection are set to be written.
    #[serde(default)]
    pub(crate) ids: ReceiptIds,
    /// Seconds before the next tries, where the failure that it tells of is to be tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) retry_s: Vec<u32>,
    /// Whether the carrier takes nothing for this phone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) blocks: bool,
    /// The phone's own acknowledgement, where that is what came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ack: Option<Ack>,
    /// What the carrier wrote, where its connection keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
    /// What the carrier was asked, where this is its answer. It is applied at once or not at all, so it is never kept.
    #[serde(skip)]
    pub(crate) asked: Option<Inquiry>,
}

impl CarrierReceipt {
    /// The state that it brings a message to, if it brings it to an end.
    fn to(&self) -> Option<State> {
        State::from_receipt(sms::MessageState::from_number(self.state))
    }
}

record! { struct Count { n: i64 } }

/// How many receipts are held.
pub(crate) async fn count_held(batch: &mut Batch) -> Result<i64> {
    let count: Count = batch
        .tx
        .one(
            sql!("select count(*) as n from held_receipt /* every tenant: only whether there are any */"),
            args![],
        )
        .await?;
    Ok(count.n)
}

/// Works through the batch's receipts, and those held for parts that this batch learnt of.
pub(crate) async fn receipts(
    batch: &mut Batch,
    work: &[(Option<usize>, Entry)],
    parts: &[PartRow],
    known: &Known<'_>,
    any_held: bool,
) -> Result<()> {
    let mut receipts: Vec<CarrierReceipt> = Vec::new();
    if any_held && !parts.is_empty() {
        receipts.extend(release_held(batch, parts).await?);
    }
    for (_, entry) in work {
        let Entry::Receipt(receipt, _) = entry else { continue };
        if let Some(asked) = &receipt.asked {
            batch.noted.push(noted(receipt, asked));
            // How it stands on its way is for whoever asked.
            if receipt.to().is_none() {
                continue;
            }
        }
        receipts.push((**receipt).clone());
    }
    if receipts.is_empty() {
        return Ok(());
    }
    let anew = take_all(batch, receipts, known).await?;
    if anew.is_empty() {
        return Ok(());
    }
    // It is another question now which messages those are for that wait.
    let waiting = held_of(batch, &anew).await?;
    take_all(batch, waiting, known).await.map(drop)
}

/// What the carrier said when it was asked, for the timeline.
fn noted(receipt: &CarrierReceipt, asked: &Inquiry) -> Attempt {
    Attempt {
        tenant: receipt.tenant,
        message: asked.message,
        part: asked.part,
        connection: Some(receipt.connection),
        outcome: format!("{ASKED}{}", asked.words),
    }
}

/// Finds what receipts speak of and applies them; those that speak of nothing known are held. Gives the connections whose
/// held receipts are to be looked at again.
async fn take_all(
    batch: &mut Batch,
    receipts: Vec<CarrierReceipt>,
    known: &Known<'_>,
) -> Result<Vec<ConnectionId>> {
    let matches = find(batch, &receipts, known).await?;
    let mut unknown = Vec::new();
    let mut parts_done = Vec::new();
    let mut long = Vec::new();
    for (receipt, found) in receipts.into_iter().zip(matches.found) {
        if let (Some(ack), Some(found)) = (&receipt.ack, &found) {
            let (notice, part) = match found {
                Found::Sent(message, _) => (Notice::of(message), 0),
                Found::Row(found) if found.parts > 1 => {
                    (notice(found), u8::try_from(found.part).unwrap_or(0))
                }
                Found::Row(found) => (notice(found), 0),
            };
            ack::taken(batch, &receipt, ack, notice, part);
            continue;
        }
        match found {
            // What it is for is known; it was forgotten meanwhile.
            None if receipt.asked.is_some() => {}
            None => unknown.push(receipt),
            Some(Found::Sent(message, key)) => {
                kept::receipted_sent(batch, &message, &receipt);
                apply_to_sent(batch, &receipt, (&message, key), &mut parts_done).await?;
            }
            Some(Found::Row(found)) => {
                let part = u8::try_from(found.part).unwrap_or(u8::MAX);
                kept::receipted(batch, found.message_id, part, &receipt);
                apply(batch, &receipt, *found, &mut parts_done, &mut long).await?;
            }
        }
    }
    finish_parts(batch, &parts_done).await?;
    for found in long {
        aggregate(batch, found).await?;
    }
    hold(batch, unknown).await?;
    Ok(matches.anew)
}

/// Held receipts of one connection that are looked at again at once.
const AGAIN_MAX: i64 = 2_000;

/// Takes out the receipts that are held for these connections.
async fn held_of(batch: &mut Batch, connections: &[ConnectionId]) -> Result<Vec<CarrierReceipt>> {
    let mut receipts = Vec::new();
    for connection in connections {
        let held: Vec<Held> = batch
            .tx
            .all(
                sql!(
                    "delete from held_receipt where id in (select id from held_receipt where connection_id = $1 order by id limit $2) \
                     returning receipt /* every tenant: a connection belongs to one tenant */"
                ),
                args![*connection, AGAIN_MAX],
            )
            .await?;
        batch.after.push(After::HeldChanged(-(held.len() as i64)));
        for held in held {
            receipts.push(serde_json::from_str(&held.receipt).map_err(Error::internal)?);
        }
    }
    Ok(receipts)
}

struct DoneRow {
    m: i64,
    p: i64,
    n: i64,
    s: &'static str,
    e: Option<String>,
}

impl DoneRow {
    /// The end of a part: message, part and attempt.
    fn of((m, p, n): (i64, i64, i64), to: State, receipt: &CarrierReceipt) -> Self {
        let e = receipt.error.clone().filter(|_| to != State::Delivered);
        Self { m, p, n, s: to.as_str(), e }
    }
}

/// A receipt for a message that memory holds. Its part's row stays as it is: with one part, the message says it all.
async fn apply_to_sent(
    batch: &mut Batch,
    receipt: &CarrierReceipt,
    (message, key): (&Arc<Outgoing>, sent::Key),
    parts_done: &mut Vec<DoneRow>,
) -> Result<()> {
    if already_ended(batch, message.id) {
        return Ok(());
    }
    let Some(to) = receipt.to() else {
        settle::notify(batch, Notice::of(message), receipt);
        return Ok(());
    };
    let error = receipt.error.clone().filter(|_| to != State::Delivered);
    if batch.sent.get(&key).is_some_and(|answered| answered.id == message.id) {
        batch.sent.remove(&key);
        batch.after.push(After::Lagged(key.0, batch.now));
    } else {
        batch.after.push(After::Receipted(key));
    }
    let ending = Ending::of(message, State::Sent, to, error);
    if sent_again(batch, receipt, &ending) {
        let done = (message.id.raw(), 1, i64::from(message.attempts));
        parts_done.push(DoneRow::of(done, to, receipt));
        return Ok(());
    }
    settle::end(batch, &ending, Some(receipt.connection)).await
}

/// Lets a message of one part be tried again that a carrier gave up for a reason that passes. False where it is to end:
/// nobody asked for another try, or it had all of them.
fn sent_again(batch: &mut Batch, receipt: &CarrierReceipt, ending: &Ending) -> bool {
    if receipt.blocks && ending.to != State::Delivered {
        let destination = Destination::new(receipt.connection, ending.tenant, &ending.recipient.text);
        batch.after.push(After::Blocked(destination, ending.error.clone().unwrap_or_default()));
    }
    let attempts_max = batch.runtime.config.messaging.attempts_max;
    let passes = !receipt.retry_s.is_empty() && matches!(ending.to, State::Failed | State::Expired);
    if !passes || ending.attempts >= attempts_max || batch.now >= ending.expires_at {
        return false;
    }
    let at = next_look(batch, ending.attempts.saturating_sub(1), ending.expires_at, &receipt.retry_s);
    let connection = Some(receipt.connection);
    batch.ended.insert(ending.message);
    batch.count(ending.tenant, Some(ending.from), State::Queued);
    batch.set(
        ending.message,
        Standing {
            state: State::Queued,
            connection,
            attempts: ending.attempts,
            maybe_twice: ending.maybe_twice,
            error: ending.error.clone(),
            wake: Wake::At(at),
        },
    );
    batch.event(
        ending.tenant,
        Event::MessageRetried(MessageChange {
            message: ending.message,
            state: State::Queued.as_str().into(),
            account: ending.account,
            connection,
            error: ending.error.clone(),
        }),
    );
    true
}

async fn apply(
    batch: &mut Batch,
    receipt: &CarrierReceipt,
    found: Match,
    parts_done: &mut Vec<DoneRow>,
    long: &mut Vec<Match>,
) -> Result<()> {
    let Some(from) = State::named(&found.state) else { return Ok(()) };
    let Some(to) = receipt.to() else {
        // On its way, buffered, accepted. Of a long message the first part speaks for all.
        if !from.is_final() && !already_ended(batch, found.message_id) && found.part == 1 {
            settle::notify(batch, notice(&found), receipt);
        }
        return Ok(());
    };
    if found.parts <= 1 && found.part_done_at.is_some() && !from.is_final() {
        // A repetition: what it tells of has led to another try already.
        return Ok(());
    }
    if found.part_done_at.is_none() {
        batch.after.push(After::Lagged(receipt.connection, found.sent_at));
    }
    parts_done.push(DoneRow::of((found.message_id.raw(), found.part, found.attempt), to, receipt));
    if from.is_final() || already_ended(batch, found.message_id) {
        amend(batch, &found, to, receipt, parts_done);
        return Ok(());
    }
    if found.parts > 1 {
        long.push(found);
        return Ok(());
    }
    let connection = Some(receipt.connection);
    let error = receipt.error.clone().filter(|_| to != State::Delivered);
    let ending = ending(&found, from, to, error)?;
    if sent_again(batch, receipt, &ending) {
        return Ok(());
    }
    settle::end(batch, &ending, connection).await
}

/// A message that is on its way, for whoever wants to know.
fn notice(found: &Match) -> Notice {
    Notice {
        message: found.message_id,
        tenant: found.tenant_id,
        account: found.account_id,
        registered: found.registered,
        sender: address_of(found.sender.clone(), found.sender_kind),
        recipient: address_of(found.recipient.clone(), found.recipient_kind),
        accepted_at: found.accepted_at,
        expires_at: found.expires_at,
    }
}

/// Tells of a receipt that comes after its message's end and is the first for its part: the message stays as it ended, and
/// whoever accounts for parts hears of it. `parts_done` are the batch's receipts up to this one.
fn amend(batch: &mut Batch, found: &Match, to: State, receipt: &CarrierReceipt, parts_done: &[DoneRow]) {
    let Ok(part) = u8::try_from(found.part) else { return };
    let this = (found.message_id.raw(), found.part, found.attempt);
    let told = parts_done.iter().filter(|done| (done.m, done.p, done.n) == this).count();
    // A message of one part that a receipt ended says it all: its part's row has no end of its own.
    let repeated =
        found.parts <= 1 && (found.state == State::Delivered.as_str() || found.state == to.as_str());
    if found.part_done_at.is_none() && told == 1 && !repeated {
        let error = receipt.error.clone().filter(|_| to != State::Delivered);
        let change = PartChange { message: found.message_id, part, state: to.as_str().into(), error };
        batch.event(found.tenant_id, Event::MessageAmended(change));
    }
}

/// Whether an earlier receipt of this batch ended the message already.
fn already_ended(batch: &Batch, message: MessageId) -> bool {
    batch.ended.contains(&message)
}

fn ending(found: &Match, from: State, to: State, error: Option<String>) -> Result<Ending> {
    let options: Option<Options> =
        found.options.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
    Ok(Ending {
        message: found.message_id,
        tenant: found.tenant_id,
        account: found.account_id,
        from,
        to,
        error,
        attempts: found.attempts,
        maybe_twice: found.maybe_twice,
        registered: found.registered,
        options,
        sender: address_of(found.sender.clone(), found.sender_kind),
        recipient: address_of(found.recipient.clone(), found.recipient_kind),
        accepted_at: found.accepted_at,
        expires_at: found.expires_at,
    })
}

async fn finish_parts(batch: &mut Batch, done: &[DoneRow]) -> Result<()> {
    if done.is_empty() {
        return Ok(());
    }
    let rows = done
        .iter()
        .map(|part| [part.m.into(), part.p.into(), part.n.into(), Arg::word(part.s), part.e.clone().into()])
        .collect();
    // A part's end stays what it first was: a repeated or contradicting receipt changes nothing.
    batch
        .tx
        .leave_rows(
            sql!(
                "update part set state = r.state, error = r.error, done_at = $1 \
                 from rows(message bigint, number bigint, nth bigint, state text, error text) r \
                 where part.message_id = r.message and part.part = r.number and part.attempt = r.nth and part.done_at is null \
                 /* every tenant: by ids that were just matched */"
            ),
            args![batch.now],
            rows,
        )
        .await?;
    Ok(())
}

record! { struct PartEnd { part: i64, state: String, error: Option<String> } }

/// A long message is delivered when all its parts are, and failed when one of them is.
async fn aggregate(batch: &mut Batch, found: Match) -> Result<()> {
    if already_ended(batch, found.message_id) {
        return Ok(());
    }
    let ends: Vec<PartEnd> = batch
        .tx
        .all(
            sql!(
                "select part, state, error from part where tenant_id = $1 and message_id = $2 order by part, attempt limit 2000"
            ),
            args![found.tenant_id, found.message_id],
        )
        .await?;
    let Some(from) = State::named(&found.state) else { return Ok(()) };
    let delivered: std::collections::BTreeSet<i64> =
        ends.iter().filter(|end| end.state == State::Delivered.as_str()).map(|end| end.part).collect();
    let failed = ends.iter().find(|end| {
        State::named(&end.state).is_some_and(|state| state.is_final() && state != State::Delivered)
            && !delivered.contains(&end.part)
    });
    let handed_over: std::collections::BTreeSet<i64> = ends.iter().map(|end| end.part).collect();
    let verdict = match failed {
        Some(end) => State::named(&end.state).map(|state| (state, end.error.clone())),
        // All that were handed over, and that is all of them only when none awaits its answer: then it is not queued.
        None if delivered.len() == handed_over.len() && from == State::Sent => Some((State::Delivered, None)),
        None => None,
    };
    match verdict {
        Some((to, error)) => {
            let connection = found.connection_id;
            settle::end(batch, &ending(&found, from, to, error)?, connection).await
        }
        None => Ok(()),
    }
}

/// Keeps receipts that match nothing yet: the response may still be on its way.
async fn hold(batch: &mut Batch, unknown: Vec<CarrierReceipt>) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::with_capacity(unknown.len(), 7);
    for receipt in &unknown {
        rows.push([
            batch.runtime.ids.next::<types::kind::Job>().into(),
            receipt.tenant.into(),
            receipt.connection.into(),
            sms::id::key(&receipt.provider_id).into_owned().into(),
            (&receipt.phone).into(),
            (&receipt.sender).into(),
            serde_json::to_string(receipt).map_err(Error::internal)?.into(),
        ]);
    }
    metrics::counter!("switchboard_receipts_held_total").increment(rows.len() as u64);
    batch.after.push(After::HeldChanged(rows.len() as i64));
    let keep_s = i64::try_from(batch.runtime.config.messaging.receipt_hold_s).unwrap_or(i64::MAX / 1_000);
    let expires_at = batch.now.plus_ms(keep_s.saturating_mul(1_000));
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into held_receipt (id, tenant_id, connection_id, provider_key, phone, sender, receipt, received_at, expires_at) \
                 select r.id, r.tenant, r.connection, r.key, r.phone, r.sender, r.receipt, $1, $2 from rows(id bigint, \
                 tenant bigint, connection bigint, key text, phone text, sender text, receipt text) r"
            ),
            args![batch.now, expires_at],
            rows,
        )
        .await?;
    Ok(())
}

record! { struct Held { receipt: String } }

/// Takes out the receipts that were held for parts whose ids are known now, in whichever form.
async fn release_held(batch: &mut Batch, parts: &[PartRow]) -> Result<Vec<CarrierReceipt>> {
    let rows = parts
        .iter()
        .flat_map(|part| sms::id::candidates(&part.k).map(|key| [part.c.into(), key.into_owned().into()]))
        .collect();
    let held: Vec<Held> = batch
        .tx
        .all_rows(
            sql!(
                "delete from held_receipt where id in (select h.id from rows(connection bigint, key text) r join held_receipt h \
                 on h.connection_id = r.connection and h.provider_key = r.key) returning receipt \
                 /* every tenant: a connection belongs to one tenant */"
            ),
            args![],
            rows,
        )
        .await?;
    batch.after.push(After::HeldChanged(-(held.len() as i64)));
    held.iter().map(|held| serde_json::from_str(&held.receipt).map_err(Error::internal)).collect()
}

/// How long a receipt waits for its id to become known before it is matched by its addresses: longer than any answer takes.
const BY_ADDRESS_AFTER_MS: i64 = 10_000;
/// Pairs of receipt and message looked at together; the statement's own limit.
const STRAYS_MAX: usize = 500;

record! {
    struct Stray {
        held_id: i64, receipt: String, message_id: MessageId, tenant_id: TenantId, account_id: Option<AccountId>,
        connection_id: Option<ConnectionId>, attempts: u32, maybe_twice: bool, registered: u8, sender: String,
        sender_kind: i64, recipient: String, recipient_kind: i64, options: Option<String>, accepted_at: Timestamp,
        expires_at: Timestamp,
    }
}

/// Brings messages of unknown fate to their end by receipts whose id nobody knows: a message that left, whose answer never
/// came, is known to the carrier under an id that we never learnt. The phone and the sender tell it, if they fit just one.
pub(crate) async fn match_by_address(batch: &mut Batch) -> Result<()> {
    let strays: Vec<Stray> = batch
        .tx
        .all(
            sql!(
                "select h.id as held_id, h.receipt, m.id as message_id, m.tenant_id, m.account_id, m.connection_id, m.attempts, \
                 m.maybe_twice, m.registered, m.sender, m.sender_kind, m.recipient, m.recipient_kind, m.options, m.accepted_at, m.expires_at \
                 from held_receipt h join message m on m.connection_id = h.connection_id and m.recipient = h.phone \
                 and m.sender = h.sender and m.state = 'indeterminate' and m.accepted_at <= h.received_at and m.parts = 1 \
                 where h.received_at <= $1 order by h.id, m.id limit 500 /* every tenant: a connection belongs to one tenant */"
            ),
            args![batch.now.plus_ms(-BY_ADDRESS_AFTER_MS)],
        )
        .await?;
    // The last one's fits may have been cut off by the limit; it comes again.
    let cut = if strays.len() == STRAYS_MAX { strays.last().map(|stray| stray.held_id) } else { None };
    let mut fits: std::collections::HashMap<i64, usize> = std::collections::HashMap::new();
    for stray in &strays {
        *fits.entry(stray.held_id).or_default() += 1;
    }
    for stray in strays {
        let receipt: CarrierReceipt = serde_json::from_str(&stray.receipt).map_err(Error::internal)?;
        let to = State::from_receipt(sms::MessageState::from_number(receipt.state));
        let (Some(to), Some(1)) = (to, fits.get(&stray.held_id)) else { continue };
        if cut == Some(stray.held_id) {
            continue;
        }
        if already_ended(batch, stray.message_id) {
            continue;
        }
        let options: Option<Options> =
            stray.options.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        let ending = Ending {
            message: stray.message_id,
            tenant: stray.tenant_id,
            account: stray.account_id,
            from: State::Indeterminate,
            to,
            error: receipt.error.filter(|_| to != State::Delivered),
            attempts: stray.attempts,
            maybe_twice: stray.maybe_twice,
            registered: stray.registered,
            options,
            sender: address_of(stray.sender, stray.sender_kind),
            recipient: address_of(stray.recipient, stray.recipient_kind),
            accepted_at: stray.accepted_at,
            expires_at: stray.expires_at,
        };
        settle::end(batch, &ending, stray.connection_id).await?;
        let taken = batch
            .tx
            .execute(
                sql!("delete from held_receipt where tenant_id = $1 and id = $2"),
                args![receipt.tenant, stray.held_id],
            )
            .await?;
        batch.after.push(After::HeldChanged(-i64::try_from(taken).unwrap_or(0)));
    }
    Ok(())
}

/// Forgets held receipts whose time is over; what they spoke of never became known. Their number goes to the log.
pub(crate) async fn forget_held(batch: &mut Batch) -> Result<()> {
    let gone = batch
        .tx
        .execute(
            sql!("delete from held_receipt where expires_at < $1 /* every tenant: age alone decides */"),
            args![batch.now],
        )
        .await?;
    if gone > 0 {
        tracing::warn!(gone, "receipts matched no message within their time and were given up");
        metrics::counter!("switchboard_receipts_unmatched_total").increment(gone);
        batch.after.push(After::HeldChanged(-i64::try_from(gone).unwrap_or(0)));
    }
    Ok(())
}
