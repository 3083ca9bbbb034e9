//! Which message a wrong sum is about: the one whose row says something else than the event stream.

use std::collections::HashMap;

use db::{Tx, args, record, sql};
use types::{Error, Event, MessageId, Result, TenantId};

use super::{Discrepancy, TOLD_MAX};
use crate::message::State;

/// Messages whose last event is remembered in one walk, a dozen octets each; of what is beyond nobody is blamed.
const REMEMBERED_MAX: usize = 2_000_000;
/// Pages of the stream that are read at once.
const PAGES: i64 = 100;
/// Messages whose rows are read at once.
const ROWS: usize = 1_000;

record! { struct Page { last_seq: i64, events: String } }
record! { struct Row { id: MessageId, state: String } }

/// Where an event left a message. What waits moves between its two states without an event.
fn left(event: &Event) -> Option<(MessageId, State)> {
    let change = match event {
        Event::MessageAccepted(change)
        | Event::MessageSent(change)
        | Event::MessageEnded(change)
        | Event::MessageIndeterminate(change)
        | Event::MessageRetried(change)
        | Event::MessageReceived(change)
        | Event::MessageHeld(change)
        | Event::MessageReleased(change) => change,
        _ => return None,
    };
    Some((change.message, State::named(&change.state)?))
}

/// Whether a row may be in one state when the stream left it in another.
fn agrees(row: &str, stream: State) -> bool {
    let waits = |state| matches!(state, State::Scheduled | State::Queued);
    match State::named(row) {
        None => false,
        Some(state) if state == stream => true,
        Some(state) if waits(state) => waits(stream),
        // What had left when the process was killed is so marked at the next start, without an event.
        Some(State::Indeterminate) => waits(stream),
        Some(_) => false,
    }
}

/// The messages of which the stream says something else than their rows, the first ones. Where messages were forgotten,
/// one that has ended may be gone.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn by_stream(tx: &mut Tx, tenant: TenantId, forgets: bool) -> Result<Vec<Discrepancy>> {
    let mut last: HashMap<MessageId, State> = HashMap::new();
    let mut after = 0;
    loop {
        let pages: Vec<Page> = tx
            .all(
                sql!(
                    "select last_seq, events from event_page where tenant_id = $1 and last_seq > $2 order by last_seq limit $3"
                ),
                args![tenant, after, PAGES],
            )
            .await?;
        let Some(end) = pages.last() else { break };
        after = end.last_seq;
        for page in &pages {
            let events: Vec<Event> = serde_json::from_str(&page.events).map_err(Error::internal)?;
            for (message, state) in events.iter().filter_map(left) {
                if last.len() < REMEMBERED_MAX || last.contains_key(&message) {
                    last.insert(message, state);
                }
            }
        }
    }
    let mut told: Vec<(MessageId, State)> = last.into_iter().collect();
    told.sort_unstable_by_key(|(message, _)| message.raw());
    let mut found = Vec::new();
    for some in told.chunks(ROWS) {
        let rows: Vec<Row> = tx
            .all_rows(
                sql!("select m.id, m.state from rows(id bigint) r join message m on m.id = r.id and m.tenant_id = $1"),
                args![tenant],
                some.iter().map(|(message, _)| [(*message).into()]).collect(),
            )
            .await?;
        let rows: HashMap<MessageId, String> = rows.into_iter().map(|row| (row.id, row.state)).collect();
        for (message, state) in some {
            let detail = match rows.get(message) {
                None if forgets && state.is_final() => continue,
                None => {
                    format!("the event stream left it {:?}, and there is no such message", state.as_str())
                }
                Some(row) if agrees(row, *state) => continue,
                Some(row) => format!("it is {row:?}, and the event stream left it {:?}", state.as_str()),
            };
            found.push(Discrepancy { rule: "stream", message: Some(*message), detail });
            if found.len() >= TOLD_MAX {
                return Ok(found);
            }
        }
    }
    Ok(found)
}
