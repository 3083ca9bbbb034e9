//! Messages from phones: parts gathered, joined, decoded, stored, and given to whoever owns the number.

use db::{args, record, sql};
use serde::{Deserialize, Serialize};
use types::event::MessageChange;
use types::{AccountId, Address, ConnectionId, Event, MessageId, Result, TenantId, kind};

use super::{Batch, Entry};
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

/// Stores the batch's inbound parts; a message whose parts are complete becomes one.
pub(crate) async fn inbound(batch: &mut Batch, work: &[(Option<usize>, Entry)]) -> Result<()> {
    for (_, entry) in work {
        let Entry::Inbound(part, _) = entry else { continue };
        match part.place {
            None => store(batch, part, part.body.clone(), 1).await?,
            Some((reference, total, number)) => gather(batch, part, reference, total, number).await?,
        }
    }
    Ok(())
}

record! { struct Gathered { part: u8, octets: String } }

async fn gather(batch: &mut Batch, part: &InboundPart, reference: u16, total: u8, number: u8) -> Result<()> {
    let id: MessageId = batch.runtime.ids.next();
    let sender = &part.sender.text;
    let recipient = &part.recipient.text;
    batch
        .tx
        .execute(
            sql!(
                "insert into inbound_part (id, tenant_id, connection_id, sender, recipient, reference, total, part, data_coding, octets, received_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                 on conflict (connection_id, sender, recipient, reference, total, part) do nothing"
            ),
            args![id, part.tenant, part.connection, sender, recipient, reference, total, number, part.data_coding, hex(&part.body), batch.now],
        )
        .await?;
    let gathered: Vec<Gathered> = batch
        .tx
        .all(
            sql!(
                "select part, octets from inbound_part where tenant_id = $1 and connection_id = $2 and sender = $3 \
                 and recipient = $4 and reference = $5 and total = $6 order by part limit 255"
            ),
            args![part.tenant, part.connection, sender, recipient, reference, total],
        )
        .await?;
    if gathered.len() < usize::from(total) {
        return Ok(());
    }
    let parts: Vec<(u8, Vec<u8>)> = gathered.into_iter().map(|one| (one.part, unhex(&one.octets))).collect();
    let Some(body) =
        sms::segment::join(total, parts.iter().map(|(number, octets)| (*number, octets.as_slice())))
    else {
        return Ok(());
    };
    batch
        .tx
        .execute(
            sql!(
                "delete from inbound_part where tenant_id = $1 and connection_id = $2 and sender = $3 \
                 and recipient = $4 and reference = $5 and total = $6"
            ),
            args![part.tenant, part.connection, sender, recipient, reference, total],
        )
        .await?;
    store(batch, part, body, total).await
}

/// Stores a whole inbound message and notes it for the account that owns its number.
async fn store(batch: &mut Batch, part: &InboundPart, body: Vec<u8>, parts: u8) -> Result<()> {
    let id: MessageId = batch.runtime.ids.next();
    let encoding = sms::Encoding::from_data_coding(part.data_coding, sms::Encoding::GSM7);
    let text = if encoding == sms::Encoding::Binary {
        None
    } else {
        Some(encoding.decode(&body).replace('\0', "\u{fffd}"))
    };
    let mut insert =
        args![id, part.tenant, State::Received.as_str(), part.account, part.connection, &part.sender.text];
    insert.extend(args![
        kind_of(&part.sender),
        &part.recipient.text,
        kind_of(&part.recipient),
        text,
        hex(&body),
        part.data_coding,
        parts,
        batch.now
    ]);
    batch
        .tx
        .execute(
            sql!(
                "insert into message (id, tenant_id, direction, state, account_id, connection_id, sender, sender_kind, \
                 recipient, recipient_kind, text, octets, data_coding, parts, intent, lane, registered, attempts, maybe_twice, \
                 accepted_at, expires_at, updated_at, done_at) \
                 values ($1, $2, 'in', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'transactional', 1, 0, 0, false, $14, $14, $14, $14)"
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
            account: part.account,
            connection: Some(part.connection),
            error: None,
        }),
    );
    if let Some(account) = part.account {
        let push = batch.runtime.ids.next::<kind::Job>().raw();
        let keep_s = i64::try_from(batch.runtime.config.messaging.validity_default_s).unwrap_or(86_400);
        batch.push(Push {
            id: push,
            tenant: part.tenant,
            account,
            message: id,
            kind: PushKind::Message { data_coding: part.data_coding, body },
            sender: part.sender.clone(),
            recipient: part.recipient.clone(),
            accepted_at: batch.now,
            at: batch.now,
            expires_at: batch.now.plus_ms(keep_s * 1_000),
        });
    }
    Ok(())
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
