//! Messages that a person holds.

use db::{Rows, args, sql};
use types::event::MessageChange;
use types::{Error, Event, Result};

use super::rows::{self, Wake};
use super::{Batch, Entry};
use crate::gate::held::Held;
use crate::message::State;
use crate::queue::Queue;
use crate::recover::MessageRecord;

/// Holds messages that wait. What is held already, or is leaving, stays as it is.
pub(crate) async fn hold(batch: &mut Batch, work: &[(Option<usize>, Entry)], queue: &Queue) -> Result<()> {
    for (_, entry) in work {
        let Entry::Hold { tenant, messages, by } = entry else { continue };
        // It sees what this batch has done to the messages before.
        rows::write_settled(batch).await?;
        let waiting: Vec<MessageRecord> = batch
            .tx
            .all_rows(
                sql!(
                    "select m.* from rows(id bigint) r join message m on m.id = r.id and m.tenant_id = $1 \
                     where m.direction = 'out' and m.state in ('queued', 'scheduled')"
                ),
                args![*tenant],
                messages.iter().map(|message| [(*message).into()]).collect(),
            )
            .await?;
        let mut held = Rows::new();
        for record in waiting {
            held_one(batch, queue, &record, by, &mut held)?;
        }
        if held.is_empty() {
            continue;
        }
        rows::write_settled(batch).await?;
        batch
            .tx
            .execute_rows(
                sql!(
                    "update message set options = r.options, paused_by = null from rows(id bigint, options text) r \
                     where message.id = r.id /* every tenant: by ids that were just read for one */"
                ),
                args![],
                held,
            )
            .await?;
    }
    Ok(())
}

fn held_one(
    batch: &mut Batch,
    queue: &Queue,
    record: &MessageRecord,
    by: &str,
    held: &mut Rows,
) -> Result<()> {
    let mut options = record.options()?.unwrap_or_default();
    let from = if record.state == State::Queued.as_str() { State::Queued } else { State::Scheduled };
    let leaving = from == State::Queued && queue.has_place(record.id) && !queue.withdraw(record.id);
    if options.held.is_some() || leaving {
        return Ok(());
    }
    batch.withdrawn.push(record.id);
    let not_before = record.wake_at.filter(|_| from == State::Scheduled);
    options.held = Some(Held { by: by.to_owned(), person: true, not_before });
    if from == State::Queued {
        batch.count(record.tenant_id, Some(from), State::Scheduled);
    }
    batch
        .set(record.id, record.standing(State::Scheduled, Wake::At(record.expires_at), record.error.clone()));
    batch.event(
        record.tenant_id,
        Event::MessageHeld(MessageChange {
            message: record.id,
            state: State::Scheduled.as_str().into(),
            account: record.account_id,
            connection: record.connection_id,
            error: None,
        }),
    );
    held.push([record.id.into(), serde_json::to_string(&options).map_err(Error::internal)?.into()]);
    Ok(())
}
