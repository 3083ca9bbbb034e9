//! Messages whose receipts stay away: their carriers are asked.

use std::collections::HashMap;

use db::{Rows, args, sql};
use types::{MessageId, Result};

use super::accept::GRACE_MS;
use super::{After, Batch};
use crate::inquiry::OpenPart;
use crate::message::State;
use crate::recover::MessageRecord;

/// Messages looked at in one batch.
const DUE_MAX: usize = 500;

/// Has carriers asked for what was sent and is due to be asked for. True when there may be more.
pub(crate) async fn due(batch: &mut Batch) -> Result<bool> {
    let due: Vec<MessageRecord> = batch
        .tx
        .all(
            sql!(
                "select * from message where wake_at is not null and wake_at <= $1 and expires_at > $1 \
                 and state in ('sent', 'indeterminate') order by wake_at limit $2 /* every tenant: time comes for all */"
            ),
            args![batch.now, DUE_MAX as i64],
        )
        .await?;
    if due.is_empty() {
        return Ok(false);
    }
    let full = due.len() == DUE_MAX;
    let mut parts = open_parts(batch, &due).await?;
    let mut wakes = Rows::with_capacity(due.len(), 2);
    for record in due {
        let parts = parts.remove(&record.id).unwrap_or_default();
        let again = parts.iter().filter_map(|part| {
            let (connection, asked) = part.asked(&record);
            let next = batch.inquiries.next(connection, part.sent_at(), batch.now);
            batch.after.push(After::Ask(connection, asked));
            next.filter(|at| *at < record.expires_at)
        });
        let again = again.min();
        let end = if record.state == State::Sent.as_str() { GRACE_MS } else { 0 };
        wakes.push([record.id.into(), again.unwrap_or(record.expires_at.plus_ms(end)).into()]);
    }
    batch
        .tx
        .leave_rows(
            sql!(
                "update message set wake_at = r.wake_at from rows(id bigint, wake_at bigint) r where message.id = r.id \
                 /* every tenant: by ids that were just read */"
            ),
            args![],
            wakes,
        )
        .await?;
    Ok(full)
}

/// The parts that have the carrier's id and no end, by message.
async fn open_parts(batch: &mut Batch, due: &[MessageRecord]) -> Result<HashMap<MessageId, Vec<OpenPart>>> {
    let parts: Vec<OpenPart> = batch
        .tx
        .all_rows(
            sql!(
                "select p.message_id, p.part, p.connection_id, p.provider_id, p.sent_at from rows(id bigint) r \
                 join part p on p.message_id = r.id where p.done_at is null and p.provider_id <> '' \
                 /* every tenant: by ids that were just read */"
            ),
            args![],
            due.iter().map(|record| [record.id.into()]).collect(),
        )
        .await?;
    let mut by_message: HashMap<MessageId, Vec<OpenPart>> = HashMap::new();
    for part in parts {
        by_message.entry(part.message()).or_default().push(part);
    }
    Ok(by_message)
}
