//! From the event stream to rows: which messages came to their end, and what there is to say of each part.

use std::collections::HashMap;

use db::{Db, Rows, Tenancy, args, record, sql};
use runtime::outbox;
use sha2::{Digest, Sha256};
use types::{AccountId, ConnectionId, Error, Event, MessageId, Result, TenantId, Timestamp};

use super::file::hex;
use super::row::Row;
use crate::journal::{FATE_UNKNOWN, NO_RECEIPT, unhex};
use crate::message::{State, Why, address_of};

/// Events read at once. A batch of the journal writes up to 500 messages' events in one transaction.
pub(crate) const EVENTS_AT_ONCE: usize = 2_000;

/// How far a tenant's stream has been read, and how many rows came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// The last event that was read.
    pub(crate) event: i64,
    /// The last row that was made.
    pub(crate) row: i64,
}

/// The rows of one event.
pub(crate) struct Group {
    /// The position behind it.
    pub(crate) position: Position,
    /// When the event happened.
    pub(crate) at: Timestamp,
    /// Its rows, numbered.
    pub(crate) rows: Vec<Row>,
}

/// What a stretch of the stream brought.
pub(crate) struct Gathered {
    /// The rows of each event that has some.
    pub(crate) groups: Vec<Group>,
    /// The position behind the whole stretch.
    pub(crate) position: Position,
    /// When its last event happened; nothing when there was none.
    pub(crate) at: Option<Timestamp>,
    /// Events and messages that were forgotten before they could be read.
    pub(crate) lost: i64,
}

/// What an event says about records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A message came to its end: a row for each part.
    Ended(MessageId),
    /// A part of a message that had ended got its receipt: a further row for that part.
    Amended(MessageId, u8),
}

fn said(event: &Event) -> Option<Said> {
    match event {
        Event::MessageEnded(change) | Event::MessageReceived(change) => Some(Said::Ended(change.message)),
        Event::MessageAmended(amended) => Some(Said::Amended(amended.message, amended.part)),
        _ => None,
    }
}

/// Reads the stream behind a position and makes the rows of what ended there. Gives nothing where nothing is.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn gather(db: &Db, tenant: TenantId, after: Position) -> Result<Gathered> {
    let events = outbox::read_after(db, tenant, after.event, EVENTS_AT_ONCE).await?;
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(Gathered { groups: Vec::new(), position: after, at: None, lost: 0 });
    };
    // The stream has no gap of its own: what is missing was forgotten.
    let mut lost = (last.seq - after.event) - events.len() as i64;
    debug_assert!(first.seq > after.event);
    let ends: Vec<(i64, Timestamp, Said)> =
        events.iter().filter_map(|one| Some((one.seq, one.at, said(&one.event)?))).collect();
    let known = load(db, tenant, &ends).await?;
    let mut position = Position { event: last.seq, row: after.row };
    let mut groups = Vec::with_capacity(ends.len());
    for (event, at, said) in ends {
        let (Said::Ended(message) | Said::Amended(message, _)) = said;
        let Some(found) = known.get(&message) else {
            lost += 1;
            continue;
        };
        let mut rows = match said {
            Said::Ended(_) => found.rows(tenant, event)?,
            Said::Amended(_, part) => found.amended(tenant, event, at, part)?,
        };
        for row in &mut rows {
            position.row += 1;
            row.seq = position.row;
        }
        groups.push(Group { position: Position { event, row: position.row }, at, rows });
    }
    Ok(Gathered { groups, position, at: Some(last.at), lost })
}

record! {
    struct MessageRow {
        id: MessageId, direction: String, state: String, account_id: Option<AccountId>,
        connection_id: Option<ConnectionId>, sender: String, sender_kind: i64, recipient: String, recipient_kind: i64,
        text: Option<String>, octets: Option<String>, data_coding: u8, parts: i64, intent: String,
        client_ref: Option<String>, why: Option<String>, attempts: i64, maybe_twice: bool, error: Option<String>,
        accepted_at: Timestamp, done_at: Option<Timestamp>,
    }
}

record! {
    struct PartRow {
        message_id: MessageId, part: i64, attempt: i64, provider_id: Option<String>, state: String,
        error: Option<String>, sent_at: Timestamp, done_at: Option<Timestamp>,
    }
}

/// A message and what carriers said of its parts.
struct Known {
    message: MessageRow,
    parts: Vec<PartRow>,
}

/// Loads the messages that are spoken of, with their parts, in two statements however many they are.
async fn load(
    db: &Db,
    tenant: TenantId,
    ends: &[(i64, Timestamp, Said)],
) -> Result<HashMap<MessageId, Known>> {
    if ends.is_empty() {
        return Ok(HashMap::new());
    }
    let mut ids: Vec<i64> =
        ends.iter().map(|(_, _, Said::Ended(message) | Said::Amended(message, _))| message.raw()).collect();
    ids.sort_unstable();
    ids.dedup();
    let ids: Rows = ids.into_iter().map(|id| [id.into()]).collect();
    let mut tx = db.read(Tenancy::Tenant(tenant)).await?;
    // A cross join is written as it is meant: SQLite takes the ids first and looks each up, where it would otherwise go
    // through all that the tenant has.
    let messages: Vec<MessageRow> = tx
        .all_rows(
            sql!(
                "select m.id, m.direction, m.state, m.account_id, m.connection_id, m.sender, m.sender_kind, m.recipient, \
                 m.recipient_kind, m.text, m.octets, m.data_coding, m.parts, m.intent, m.client_ref, m.why, m.attempts, \
                 m.maybe_twice, m.error, m.accepted_at, m.done_at from rows(id bigint) r cross join message m \
                 where m.id = r.id and m.tenant_id = $1"
            ),
            args![tenant],
            ids.clone(),
        )
        .await?;
    // Put in order here: SQLite would rather walk through all parts in their order than look these up and sort them.
    let mut parts: Vec<PartRow> = tx
        .all_rows(
            sql!(
                "select p.message_id, p.part, p.attempt, p.provider_id, p.state, p.error, p.sent_at, p.done_at \
                 from rows(id bigint) r cross join part p where p.message_id = r.id and p.tenant_id = $1"
            ),
            args![tenant],
            ids,
        )
        .await?;
    parts.sort_by_key(|one| (one.message_id, one.part, one.attempt));
    let mut known: HashMap<MessageId, Known> =
        messages.into_iter().map(|message| (message.id, Known { message, parts: Vec::new() })).collect();
    for part in parts {
        if let Some(known) = known.get_mut(&part.message_id) {
            known.parts.push(part);
        }
    }
    Ok(known)
}

impl Known {
    /// How many rows its end has: the parts that were counted, or that were sent by then if those were more. What a carrier
    /// answers later does not change it, so that rows which are written again after a crash get the same numbers.
    fn count(&self, ended_at: Timestamp) -> i64 {
        let sent = self.parts.iter().filter(|part| part.sent_at <= ended_at).map(|part| part.part).max();
        self.message.parts.max(sent.unwrap_or(0)).max(1)
    }

    /// The rows of its end.
    fn rows(&self, tenant: TenantId, event: i64) -> Result<Vec<Row>> {
        let base = self.base(tenant, event)?;
        let rows = (1..=base.parts).map(|part| {
            let mut row = base.clone();
            row.part = part;
            if let Some(told) = self.told(part) {
                told.tell(&mut row);
                self.tell_of_the_message(told, &mut row);
            }
            row
        });
        Ok(rows.collect())
    }

    /// The further row of a part whose receipt came after the end.
    fn amended(&self, tenant: TenantId, event: i64, at: Timestamp, part: u8) -> Result<Vec<Row>> {
        let mut row = self.base(tenant, event)?;
        row.part = i64::from(part);
        row.parts = row.parts.max(row.part);
        let mut later: Vec<&PartRow> = self
            .parts
            .iter()
            .filter(|one| {
                one.part == row.part && one.done_at.is_some_and(|done| done >= row.ended_at && done <= at)
            })
            .collect();
        later.sort_by_key(|one| (one.done_at, one.attempt));
        row.revision = 1 + later.len().max(1) as i64;
        if let Some(told) = later.last().copied().or_else(|| self.told(row.part)) {
            told.tell(&mut row);
        }
        Ok(vec![row])
    }

    /// A message of one part that a receipt ended says it all: its part's row stays as it was when it was sent.
    fn tell_of_the_message(&self, told: &PartRow, row: &mut Row) {
        let nobody_said =
            self.message.error.as_deref().is_some_and(|why| [NO_RECEIPT, FATE_UNKNOWN].contains(&why));
        if self.message.parts == 1 && told.done_at.is_none() && !nobody_said {
            row.part_state = Some(row.state.clone());
            row.receipt_at = Some(row.ended_at);
        }
    }

    /// Of a part's attempts the one that says most: one that was delivered, else the last.
    fn told(&self, part: i64) -> Option<&PartRow> {
        let mut attempts = self.parts.iter().filter(|one| one.part == part);
        attempts.clone().find(|one| one.state == State::Delivered.as_str()).or_else(|| attempts.next_back())
    }

    /// What all its rows have in common.
    fn base(&self, tenant: TenantId, event: i64) -> Result<Row> {
        let message = &self.message;
        let ended_at = message.done_at.unwrap_or(message.accepted_at);
        let why: Option<Why> =
            message.why.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        let sender = address_of(message.sender.clone(), message.sender_kind);
        let recipient = address_of(message.recipient.clone(), message.recipient_kind);
        let inbound = message.direction == "in";
        Ok(Row {
            seq: 0,
            revision: 1,
            tenant: tenant.to_string(),
            message_id: message.id.to_string(),
            part: 1,
            parts: self.count(ended_at),
            direction: message.direction.clone(),
            account_id: message.account_id.map(|id| id.to_string()),
            connection_id: message.connection_id.map(|id| id.to_string()),
            protocol: if inbound || message.account_id.is_some() { "smpp" } else { "http" }.to_owned(),
            sender: sender.text,
            sender_ton: i64::from(sender.ton.0),
            sender_npi: i64::from(sender.npi.0),
            recipient: recipient.text,
            recipient_ton: i64::from(recipient.ton.0),
            recipient_npi: i64::from(recipient.npi.0),
            data_coding: i64::from(message.data_coding),
            octets: message.octets_count(),
            intent: message.intent.clone(),
            client_ref: message.client_ref.clone(),
            route_id: why.and_then(|why| why.rules.last().map(|kept| kept.route.to_string())),
            provider_id: None,
            state: message.state.clone(),
            part_state: None,
            error: message.error.as_deref().map(raw),
            attempts: message.attempts,
            maybe_twice: message.maybe_twice,
            accepted_at: message.accepted_at,
            sent_at: None,
            receipt_at: None,
            ended_at,
            text_sha256: message.hash(),
            event_seq: event,
        })
    }
}

/// A reason as the carrier said it.
fn raw(kept: &str) -> String {
    crate::fault::Reason::read(kept).raw.to_owned()
}

impl PartRow {
    /// Writes what the carrier said of the part into its row.
    fn tell(&self, row: &mut Row) {
        row.provider_id.clone_from(&self.provider_id);
        row.part_state = Some(self.state.clone());
        row.sent_at = Some(self.sent_at);
        row.receipt_at = self.done_at;
        if self.error.is_some() {
            row.error = self.error.as_deref().map(raw);
        }
    }
}

impl MessageRow {
    fn octets_count(&self) -> i64 {
        let octets = match (&self.octets, &self.text) {
            (Some(hex), _) => hex.len() / 2,
            (None, Some(text)) => sms::Encoding::from_data_coding(self.data_coding, sms::Encoding::GSM7)
                .encode_lossy(text)
                .len(),
            (None, None) => 0,
        };
        i64::try_from(octets).unwrap_or(i64::MAX)
    }

    fn hash(&self) -> Option<String> {
        match (&self.text, &self.octets) {
            (Some(text), _) => Some(hex(&Sha256::digest(text.as_bytes()))),
            (None, Some(octets)) => Some(hex(&Sha256::digest(unhex(octets)))),
            (None, None) => None,
        }
    }
}
