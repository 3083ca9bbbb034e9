//! Receipts from carriers: matched to their part in every form an id can take, aggregated over a message's parts, held
//! when they overtake the response.

use std::collections::HashSet;
use std::sync::Arc;

use db::{Arg, Rows, args, record, sql};
use serde::{Deserialize, Serialize};
use types::event::PartChange;
use types::{AccountId, ConnectionId, Error, Event, MessageId, Result, TenantId, Timestamp};

use super::answer::PartRow;
use super::sent::Sent;
use super::settle::{self, Ending};
use super::{After, Batch, Entry};
use crate::message::{Options, Outgoing, State, address_of};

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
    /// The carrier's error, where it names one.
    pub(crate) error: Option<String>,
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

struct LookupRow<'a> {
    i: usize,
    n: usize,
    c: i64,
    k: &'a str,
}

record! {
    struct Match {
        idx: i64, nth: i64, message_id: MessageId, part: i64, attempt: i64, tenant_id: TenantId, state: String,
        account_id: Option<AccountId>, connection_id: Option<ConnectionId>, parts: i64, attempts: u32,
        maybe_twice: bool, registered: u8, sender: String, sender_kind: i64, recipient: String, recipient_kind: i64,
        options: Option<String>, accepted_at: Timestamp, expires_at: Timestamp, done_at: Option<Timestamp>,
        part_done_at: Option<Timestamp>, sent_at: Timestamp,
    }
}

/// Works through the batch's receipts, and those held for parts that this batch learnt of.
pub(crate) async fn receipts(
    batch: &mut Batch,
    work: &[(Option<usize>, Entry)],
    parts: &[PartRow],
    sent: &Sent,
    any_held: bool,
) -> Result<()> {
    let mut receipts: Vec<CarrierReceipt> = Vec::new();
    if any_held && !parts.is_empty() {
        receipts.extend(release_held(batch, parts).await?);
    }
    for (_, entry) in work {
        if let Entry::Receipt(receipt, _) = entry {
            receipts.push((**receipt).clone());
        }
    }
    if receipts.is_empty() {
        return Ok(());
    }
    let matches = find(batch, &receipts, sent).await?;
    let mut unknown = Vec::new();
    let mut parts_done = Vec::new();
    let mut long = Vec::new();
    for (receipt, found) in receipts.into_iter().zip(matches) {
        match found {
            None => unknown.push(receipt),
            Some(Found::Sent(message)) => apply_to_sent(batch, &receipt, &message).await?,
            Some(Found::Row(found)) => apply(batch, &receipt, *found, &mut parts_done, &mut long).await?,
        }
    }
    finish_parts(batch, &parts_done).await?;
    for found in long {
        aggregate(batch, found).await?;
    }
    hold(batch, unknown).await
}

/// What a receipt speaks of.
enum Found {
    /// A message of one part that memory holds.
    Sent(Arc<Outgoing>),
    /// A part, with its message.
    Row(Box<Match>),
}

/// What each receipt speaks of: in memory or in the table by the id as we keep it, then in the other forms it can take.
async fn find(batch: &mut Batch, receipts: &[CarrierReceipt], sent: &Sent) -> Result<Vec<Option<Found>>> {
    let known = |receipt: &CarrierReceipt| {
        let message = sent.get(receipt.connection, &sms::id::key(&receipt.provider_id))?;
        // Beyond its validity it may have been ended already.
        (batch.now < message.expires_at).then(|| message.clone())
    };
    let known: Vec<Option<Arc<Outgoing>>> = receipts.iter().map(known).collect();
    let mut fits: Vec<Vec<Match>> = receipts.iter().map(|_| Vec::new()).collect();
    let keys: Vec<_> = receipts.iter().map(|receipt| sms::id::key(&receipt.provider_id)).collect();
    let rows: Vec<_> = receipts
        .iter()
        .zip(&keys)
        .enumerate()
        .filter(|(at, (_, key))| known[*at].is_none() && !key.is_empty())
        .map(|(at, (receipt, key))| LookupRow { i: at, n: 0, c: receipt.connection.raw(), k: key })
        .collect();
    look_up(batch, &rows, &mut fits).await?;
    let missing: Vec<usize> =
        (0..receipts.len()).filter(|at| known[*at].is_none() && fits[*at].is_empty()).collect();
    if missing.is_empty() {
        return Ok(chosen(receipts, known, fits));
    }
    let forms: Vec<(usize, Vec<_>)> =
        missing.iter().map(|at| (*at, sms::id::candidates(&receipts[*at].provider_id).collect())).collect();
    let rows: Vec<_> = forms
        .iter()
        .flat_map(|(at, forms)| {
            forms.iter().enumerate().map(|(nth, key)| LookupRow {
                i: *at,
                n: nth,
                c: receipts[*at].connection.raw(),
                k: key,
            })
        })
        .collect();
    look_up(batch, &rows, &mut fits).await?;
    Ok(chosen(receipts, known, fits))
}

/// One message or part for each receipt, of those that fit, which are ordered from the least to the most likely.
///
/// Where messages have no ids but recipient and time, those to one recipient within one second have the same name: their
/// receipts are taken in the order in which they were submitted, and one for which none is open waits.
fn chosen(
    receipts: &[CarrierReceipt],
    known: Vec<Option<Arc<Outgoing>>>,
    fits: Vec<Vec<Match>>,
) -> Vec<Option<Found>> {
    let mut taken = HashSet::new();
    let mut in_order = |receipt: &CarrierReceipt, mut fits: Vec<Match>| {
        let name = |fit: &Match| (fit.message_id, fit.part, fit.attempt);
        // With one part it is the message that ends.
        let open = |fit: &Match| fit.part_done_at.is_none() && (fit.parts > 1 || fit.done_at.is_none());
        if fits.len() < 2 {
            return fits.pop();
        }
        fits.sort_by_key(name);
        let first = fits.iter().position(|fit| open(fit) && !taken.contains(&name(fit)))?;
        let first = fits.swap_remove(first);
        if State::from_receipt(sms::MessageState::from_number(receipt.state)).is_some() {
            taken.insert(name(&first));
        }
        Some(first)
    };
    let choose = |((receipt, known), mut fits): ((&CarrierReceipt, Option<Arc<Outgoing>>), Vec<Match>)| {
        if let Some(message) = known {
            return Some(Found::Sent(message));
        }
        let row = if connectors::is_named_by_time(&receipt.provider_id) {
            in_order(receipt, fits)
        } else {
            fits.pop()
        };
        row.map(|row| Found::Row(Box::new(row)))
    };
    receipts.iter().zip(known).zip(fits).map(choose).collect()
}

async fn look_up(batch: &mut Batch, rows: &[LookupRow<'_>], fits: &mut [Vec<Match>]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows
        .iter()
        .map(|row| [(row.i as i64).into(), (row.n as i64).into(), row.c.into(), row.k.into()])
        .collect();
    // Ids recur: of several messages the newest that is not at its end counts, else the newest. All forms of one id
    // stand in one row's neighbourhood, but not always in one run of the batch, so the order is made here.
    let mut matches: Vec<Match> = batch
        .tx
        .all_rows(
            sql!(
                "select r.idx, r.nth, p.message_id, p.part, p.attempt, m.tenant_id, m.state, m.account_id, m.connection_id, \
                 m.parts, m.attempts, m.maybe_twice, m.registered, m.sender, m.sender_kind, m.recipient, m.recipient_kind, \
                 m.options, m.accepted_at, m.expires_at, m.done_at, p.done_at as part_done_at, p.sent_at \
                 from rows(idx bigint, nth bigint, connection bigint, key text) r join part p on p.connection_id = r.connection \
                 and p.provider_key = r.key join message m on m.id = p.message_id \
                 /* every tenant: a connection belongs to one tenant, and so do its parts */"
            ),
            args![],
            rows,
        )
        .await?;
    matches.sort_by_key(|one| (one.idx, std::cmp::Reverse(one.nth), one.done_at.is_none(), one.message_id));
    for one in matches {
        if let Some(fits) = usize::try_from(one.idx).ok().and_then(|at| fits.get_mut(at)) {
            fits.push(one);
        }
    }
    Ok(())
}

struct DoneRow {
    m: i64,
    p: i64,
    n: i64,
    s: &'static str,
    e: Option<String>,
}

/// A receipt for a message that memory holds. Its part's row stays as it is: with one part, the message says it all.
async fn apply_to_sent(batch: &mut Batch, receipt: &CarrierReceipt, message: &Arc<Outgoing>) -> Result<()> {
    let Some(to) = State::from_receipt(sms::MessageState::from_number(receipt.state)) else { return Ok(()) };
    if already_ended(batch, message.id) {
        return Ok(());
    }
    let error = receipt.error.clone().filter(|_| to != State::Delivered);
    let id = sms::id::key(&receipt.provider_id).into_owned();
    batch.after.push(After::Receipted(receipt.connection, id));
    settle::end(batch, &Ending::of(message, State::Sent, to, error), Some(receipt.connection)).await
}

async fn apply(
    batch: &mut Batch,
    receipt: &CarrierReceipt,
    found: Match,
    parts_done: &mut Vec<DoneRow>,
    long: &mut Vec<Match>,
) -> Result<()> {
    let Some(to) = State::from_receipt(sms::MessageState::from_number(receipt.state)) else {
        // On its way, buffered, accepted: nothing that a sender could act upon.
        return Ok(());
    };
    if found.part_done_at.is_none() {
        batch.after.push(After::Lagged(receipt.connection, found.sent_at));
    }
    parts_done.push(DoneRow {
        m: found.message_id.raw(),
        p: found.part,
        n: found.attempt,
        s: to.as_str(),
        e: receipt.error.clone().filter(|_| to != State::Delivered),
    });
    let Some(from) = State::named(&found.state) else { return Ok(()) };
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
    settle::end(batch, &ending(&found, from, to, error)?, connection).await
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
        .execute_rows(
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
        .execute_rows(
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

#[cfg(test)]
mod tests;
