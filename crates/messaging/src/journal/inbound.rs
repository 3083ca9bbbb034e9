//! Messages from phones: parts gathered, joined, decoded, stored, and given to whoever owns the number.

use std::sync::atomic::{AtomicI64, Ordering};

use db::{args, record, sql};
use serde::{Deserialize, Serialize};
use types::event::MessageChange;
use types::{
    AccountId, Address, ConnectionId, Event, MessageId, Npi, Result, TenantId, Timestamp, Ton, kind,
};

use super::{Batch, Entry};
use crate::inbound::carry;
use crate::inbound::decide::Asked;
use crate::message::{State, kind_of};
use crate::push::{Push, PushKind};

/// One PDU's worth of an inbound message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InboundPart {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    pub(crate) sender: Address,
    pub(crate) recipient: Address,
    pub(crate) data_coding: u8,
    /// The text in its coding, without its header.
    pub(crate) body: Vec<u8>,
    /// Its place in a long message: reference, total and part.
    pub(crate) place: Option<(u16, u8, u8)>,
    /// The account that owns the number, if one does.
    pub(crate) account: Option<AccountId>,
}

/// Stores the batch's inbound parts; a message whose parts are complete becomes one. With [`Entry::Wake`], parts whose
/// message will not be complete any more are given up.
pub(crate) async fn inbound(batch: &mut Batch, work: &[(Option<usize>, Entry)]) -> Result<()> {
    for (_, entry) in work {
        let Entry::Inbound(part, _) = entry else { continue };
        match part.place {
            None => store(batch, part, part.body.clone(), 1, None).await?,
            Some((reference, total, number)) => gather(batch, part, reference, total, number).await?,
        }
    }
    if work.iter().any(|(_, entry)| matches!(entry, Entry::Wake)) {
        sweep(batch).await?;
    }
    carry::write(batch).await
}

/// Which long message a part belongs to: the reference is the sender's, and comes round again.
struct Whole {
    tenant: TenantId,
    connection: ConnectionId,
    sender: String,
    recipient: String,
    reference: u16,
    total: u8,
}

record! { struct Gathered { part: u8, data_coding: u8, octets: String, received_at: Timestamp } }

async fn gather(batch: &mut Batch, part: &InboundPart, reference: u16, total: u8, number: u8) -> Result<()> {
    let whole = Whole {
        tenant: part.tenant,
        connection: part.connection,
        sender: part.sender.text.clone(),
        recipient: part.recipient.text.clone(),
        reference,
        total,
    };
    let octets = hex(&part.body);
    let mut gathered = gathered(batch, &whole).await?;
    if let Some(why) = another_message(&gathered, number, &octets, waits_since(batch)) {
        give_up(batch, &whole, gathered, why).await?;
        gathered = Vec::new();
    }
    // A repetition of the carrier's.
    if gathered.iter().any(|one| one.part == number) {
        return Ok(());
    }
    let id: MessageId = batch.runtime.ids.next();
    let Whole { tenant, connection, sender, recipient, .. } = &whole;
    batch
        .tx
        .execute(
            sql!(
                "insert into inbound_part (id, tenant_id, connection_id, sender, recipient, reference, total, part, data_coding, octets, received_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                 on conflict (connection_id, sender, recipient, reference, total, part) do nothing"
            ),
            args![id, *tenant, *connection, sender, recipient, reference, total, number, part.data_coding, &octets, batch.now],
        )
        .await?;
    gathered.push(Gathered { part: number, data_coding: part.data_coding, octets, received_at: batch.now });
    let parts: Vec<(u8, Vec<u8>)> = gathered.iter().map(|one| (one.part, unhex(&one.octets))).collect();
    let parts = parts.iter().map(|(number, octets)| (*number, octets.as_slice()));
    let Some(body) = sms::segment::join(total, parts) else { return Ok(()) };
    forget(batch, &whole).await?;
    store(batch, part, body, total, None).await
}

/// Why the parts that wait cannot belong to the message that this one belongs to: they wait for too long, or the same
/// part came with another content.
fn another_message(
    gathered: &[Gathered],
    number: u8,
    octets: &str,
    waits_since: Timestamp,
) -> Option<&'static str> {
    if gathered.iter().any(|one| one.received_at < waits_since) {
        return Some("its other parts did not come in time");
    }
    let same = gathered.iter().find(|one| one.part == number)?;
    (same.octets != octets).then_some("its sender began another message with the same reference")
}

/// What came before this instant waits for too long.
fn waits_since(batch: &Batch) -> Timestamp {
    let wait_s = i64::try_from(batch.runtime.config.messaging.reassembly_s).unwrap_or(i64::MAX / 1_000);
    batch.now.plus_ms(-(wait_s * 1_000))
}

async fn gathered(batch: &mut Batch, whole: &Whole) -> Result<Vec<Gathered>> {
    let Whole { tenant, connection, sender, recipient, reference, total } = whole;
    Ok(batch
        .tx
        .all(
            sql!(
                "select part, data_coding, octets, received_at from inbound_part where tenant_id = $1 and connection_id = $2 \
                 and sender = $3 and recipient = $4 and reference = $5 and total = $6 order by part limit 255"
            ),
            args![*tenant, *connection, sender, recipient, *reference, *total],
        )
        .await?)
}

async fn forget(batch: &mut Batch, whole: &Whole) -> Result<()> {
    let Whole { tenant, connection, sender, recipient, reference, total } = whole;
    batch
        .tx
        .execute(
            sql!(
                "delete from inbound_part where tenant_id = $1 and connection_id = $2 and sender = $3 \
                 and recipient = $4 and reference = $5 and total = $6"
            ),
            args![*tenant, *connection, sender, recipient, *reference, *total],
        )
        .await?;
    Ok(())
}

/// Shows what has come of a message as one that is incomplete. The account that owns the number is not given it: half a
/// text may say the opposite of the whole.
async fn give_up(batch: &mut Batch, whole: &Whole, gathered: Vec<Gathered>, why: &str) -> Result<()> {
    let Some(first) = gathered.first() else { return Ok(()) };
    let came = u8::try_from(gathered.len()).unwrap_or(u8::MAX);
    let error = format!("incomplete, {came} of {} parts: {why}", whole.total);
    let part = InboundPart {
        tenant: whole.tenant,
        connection: whole.connection,
        sender: received(&whole.sender),
        recipient: received(&whole.recipient),
        data_coding: first.data_coding,
        body: Vec::new(),
        place: None,
        account: None,
    };
    let body = gathered.iter().flat_map(|one| unhex(&one.octets)).collect();
    forget(batch, whole).await?;
    metrics::counter!("switchboard_inbound_incomplete_total").increment(1);
    store(batch, &part, body, came, Some(error)).await
}

/// An address of which the table holds the text alone.
fn received(text: &str) -> Address {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let (ton, npi) = if digits { (Ton::INTERNATIONAL, Npi::ISDN) } else { (Ton::ALPHANUMERIC, Npi::UNKNOWN) };
    Address { text: text.to_owned(), ton, npi }
}

/// How often leftover parts are looked for.
const SWEPT_EVERY_MS: i64 = 5_000;
/// Long messages that are given up in one batch; the next sweep goes on.
const SWEPT_MAX: i64 = 200;

/// When leftover parts are looked for again, as Unix milliseconds.
#[derive(Default)]
struct NextSweep(AtomicI64);

record! {
    struct Waiting {
        tenant_id: TenantId, connection_id: ConnectionId, sender: String, recipient: String, reference: u16, total: u8,
        since: Timestamp,
    }
}

record! { struct Count { n: i64 } }

/// Gives up long messages whose parts wait for too long, and the oldest where too many wait. Looks every few seconds,
/// however often it is called.
async fn sweep(batch: &mut Batch) -> Result<()> {
    let next = batch.runtime.kept(|_| NextSweep::default());
    if batch.now.unix_ms() < next.0.load(Ordering::Acquire) {
        return Ok(());
    }
    next.0.store(batch.now.plus_ms(SWEPT_EVERY_MS).unix_ms(), Ordering::Release);
    let waiting: Count = batch
        .tx
        .one(
            sql!(
                "select count(*) as n from (select 1 as one from inbound_part \
                 group by connection_id, sender, recipient, reference, total) g /* every tenant: the bound is for all */"
            ),
            args![],
        )
        .await?;
    let most = i64::try_from(batch.runtime.config.messaging.reassembly_max).unwrap_or(i64::MAX);
    let too_many = usize::try_from(waiting.n - most).unwrap_or(0);
    let oldest: Vec<Waiting> = batch
        .tx
        .all(
            sql!(
                "select tenant_id, connection_id, sender, recipient, reference, total, min(received_at) as since \
                 from inbound_part group by tenant_id, connection_id, sender, recipient, reference, total \
                 order by since limit $1 /* every tenant: age alone decides */"
            ),
            args![SWEPT_MAX],
        )
        .await?;
    let waits_since = waits_since(batch);
    for (at, one) in oldest.into_iter().enumerate() {
        let why = if one.since < waits_since {
            "its other parts did not come in time"
        } else if at < too_many {
            "too many others waited for their parts"
        } else {
            break;
        };
        let Waiting { tenant_id, connection_id, sender, recipient, reference, total, .. } = one;
        let whole =
            Whole { tenant: tenant_id, connection: connection_id, sender, recipient, reference, total };
        let gathered = gathered(batch, &whole).await?;
        give_up(batch, &whole, gathered, why).await?;
    }
    Ok(())
}

/// Stores an inbound message, with what is wrong with it if something is, and notes it for the account that owns its
/// number.
async fn store(
    batch: &mut Batch,
    part: &InboundPart,
    body: Vec<u8>,
    parts: u8,
    error: Option<String>,
) -> Result<()> {
    let id: MessageId = batch.runtime.ids.next();
    let encoding = sms::Encoding::from_data_coding(part.data_coding, sms::Encoding::GSM7);
    let text = if encoding == sms::Encoding::Binary {
        None
    } else {
        Some(encoding.decode(&body).replace('\0', "\u{fffd}"))
    };
    let asked = Asked {
        tenant: part.tenant,
        connection: part.connection,
        phone: &part.sender,
        number: &part.recipient.text,
        text: text.as_deref(),
        owner: part.account,
    };
    // Half a text may say the opposite of the whole: nothing is decided about it.
    let decided = if error.is_none() { carry::decide(batch, &asked)? } else { None };
    let octets = hex(&body);
    let mut accounts: Vec<AccountId> = part.account.into_iter().collect();
    let mut why = None;
    if let Some((decision, mut effects, kept)) = decided {
        accounts = std::mem::take(&mut effects.accounts);
        why = Some(kept);
        let stored = carry::Stored { id, asked, recipient: &part.recipient, octets: &octets };
        carry::note(batch, &stored, &decision, effects)?;
    }
    carry::converse(batch, part.tenant, &part.sender, id);
    let account = accounts.first().copied();
    let mut insert =
        args![id, part.tenant, State::Received.as_str(), account, part.connection, &part.sender.text];
    insert.extend(args![
        kind_of(&part.sender),
        &part.recipient.text,
        kind_of(&part.recipient),
        text.as_deref(),
        &octets,
        part.data_coding,
        parts,
        batch.now,
        error.clone(),
        why
    ]);
    batch
        .tx
        .execute(
            sql!(
                "insert into message (id, tenant_id, direction, state, account_id, connection_id, sender, sender_kind, \
                 recipient, recipient_kind, text, octets, data_coding, parts, intent, lane, registered, attempts, maybe_twice, \
                 accepted_at, expires_at, updated_at, done_at, error, why) \
                 values ($1, $2, 'in', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'transactional', 1, 0, 0, false, $14, $14, $14, $14, $15, $16)"
            ),
            insert,
        )
        .await?;
    batch.count(part.tenant, None, State::Received);
    batch.event(
        part.tenant,
        Event::MessageReceived(MessageChange {
            message: id,
            state: State::Received.as_str().into(),
            account,
            connection: Some(part.connection),
            error,
        }),
    );
    for account in accounts {
        push(batch, part, account, id, body.clone());
    }
    Ok(())
}

/// Notes a message for an account's system.
fn push(batch: &mut Batch, part: &InboundPart, account: AccountId, message: MessageId, body: Vec<u8>) {
    let keep_s = i64::try_from(batch.runtime.config.messaging.validity_default_s).unwrap_or(86_400);
    batch.push(Push {
        id: batch.runtime.ids.next::<kind::Job>().raw(),
        tenant: part.tenant,
        account,
        message,
        kind: PushKind::Message { data_coding: part.data_coding, body },
        sender: part.sender.clone(),
        recipient: part.recipient.clone(),
        accepted_at: batch.now,
        at: batch.now,
        expires_at: batch.now.plus_ms(keep_s * 1_000),
    });
}

/// Octets in hex.
pub(crate) fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Octets from hex of our own making; anything else gives what could be read.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(2)
        .map_while(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

#[cfg(test)]
mod tests;
