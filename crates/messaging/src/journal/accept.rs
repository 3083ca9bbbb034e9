//! New messages, and claims before they leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use db::{Arg, Rows, args, sql};
use types::event::MessageChange;
use types::{Code, ConnectionId, Error, Event, MessageId, Result, TenantId, Timestamp, UserId, kind};

use super::{After, Batch, ClaimId, Entry};
use crate::message::{Outgoing, State, Why, kind_of};
use crate::queue::exit::Leaving;
use crate::queue::{Queue, Queued};

/// A new message with what decides its first state.
pub struct NewMessage {
    /// The message.
    pub message: Arc<Outgoing>,
    /// Its text, for people.
    pub text: Option<String>,
    /// Its octets in hex, where the text does not give them back.
    pub octets: Option<String>,
    /// The caller's own reference.
    pub client_ref: Option<String>,
    /// The person who sends it.
    pub owner: Option<UserId>,
    /// When to send it; now when absent.
    pub schedule_at: Option<Timestamp>,
    /// Where it goes.
    pub connection: Option<ConnectionId>,
    /// Why there.
    pub why: Why,
}

/// How long after its validity a message that is out is looked at: by then its last answer has come or timed out.
pub(crate) const GRACE_MS: i64 = 120_000;

/// The state and the next look for a new message. Without a place in memory it waits in the table and is looked for at once.
fn first_state(
    schedule_at: Option<Timestamp>,
    in_memory: bool,
    now: Timestamp,
    expires_at: Timestamp,
) -> (State, Timestamp) {
    match schedule_at {
        Some(at) if at > now => (State::Scheduled, at),
        _ if in_memory => (State::Queued, expires_at.plus_ms(GRACE_MS)),
        _ => (State::Queued, now),
    }
}

/// So many rows are enough to begin with: the engine writes them while the next are made.
const INSERTED_AT_ONCE: usize = 64;

/// Inserts the batch's new messages and keeps the answers of keyed requests.
pub(crate) async fn accept(
    batch: &mut Batch,
    work: &[(Option<usize>, Entry)],
    replies: &mut [Result<()>],
    queue: &Queue,
) -> Result<()> {
    let mut rows = Rows::new();
    for (at, entry) in work {
        let Entry::Accept(accept) = entry else { continue };
        if let Some((keyed, answer)) = &accept.answer {
            let tenant = accept.messages.first().map(|new| new.message.tenant);
            let Some(tenant) = tenant else { continue };
            if !keep_answer(batch, tenant, keyed, answer).await? {
                batch.after.extend(accept.messages.iter().map(|new| After::Release(new.message.id)));
                if let Some(reply) = at.and_then(|at| replies.get_mut(at)) {
                    *reply = Err(Error::new(
                        Code::KeyInProgress,
                        "a request with this Idempotency-Key was carried out at the same time",
                    ));
                }
                continue;
            }
        }
        if let (Some(old), Some(new)) = (accept.redrive_of, accept.messages.first())
            && !keep_redrive(batch, new, old).await?
        {
            batch.after.push(After::Release(new.message.id));
            if let Some(reply) = at.and_then(|at| replies.get_mut(at)) {
                *reply = Err(Error::new(Code::Conflict, "the message was sent again already"));
            }
            continue;
        }
        for new in &accept.messages {
            begin(batch, new, queue, &mut rows)?;
        }
        if rows.len() >= INSERTED_AT_ONCE {
            insert(batch, std::mem::take(&mut rows)).await?;
        }
    }
    if rows.is_empty() { Ok(()) } else { insert(batch, rows).await }
}

/// Adds a new message's row; its event, its sums and its way into the queue are noted.
fn begin(batch: &mut Batch, new: &NewMessage, queue: &Queue, rows: &mut Rows) -> Result<()> {
    let message = &new.message;
    let in_memory = queue.has_place(message.id);
    let (state, wake_at) = first_state(new.schedule_at, in_memory, batch.now, message.expires_at);
    batch.count(message.tenant, None, state);
    batch.flow(message.tenant, "accepted");
    batch.event(
        message.tenant,
        Event::MessageAccepted(MessageChange {
            message: message.id,
            state: state.as_str().into(),
            account: message.account,
            connection: new.connection,
            error: None,
        }),
    );
    batch.after.push(match new.connection {
        Some(connection) if state == State::Queued && in_memory => {
            After::Dispatch(Queued { message: message.clone(), connection, first: false })
        }
        _ => After::Release(message.id),
    });
    let options = message.options.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?;
    rows.push([
        message.id.into(),
        message.tenant.into(),
        Arg::word(state.as_str()),
        message.account.into(),
        new.connection.into(),
        (&message.sender.text).into(),
        kind_of(&message.sender).into(),
        (&message.recipient.text).into(),
        kind_of(&message.recipient).into(),
        new.text.as_deref().into(),
        new.octets.as_deref().into(),
        message.data_coding.into(),
        message.parts.into(),
        Arg::word(message.intent.as_str()),
        (message.intent.lane() as i64).into(),
        message.registered.into(),
        new.client_ref.as_deref().into(),
        options.into(),
        serde_json::to_string(&new.why).map_err(Error::internal)?.into(),
        message.accepted_at.into(),
        message.expires_at.into(),
        wake_at.into(),
        new.owner.into(),
    ]);
    Ok(())
}

async fn insert(batch: &mut Batch, rows: Rows) -> Result<()> {
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into message (id, tenant_id, direction, state, account_id, connection_id, sender, sender_kind, \
                 recipient, recipient_kind, text, octets, data_coding, parts, intent, lane, registered, client_ref, options, \
                 why, attempts, maybe_twice, accepted_at, expires_at, updated_at, wake_at, owner_id) \
                 select r.id, r.tenant, 'out', r.state, r.account, r.connection, r.sender, r.sender_kind, r.recipient, \
                 r.recipient_kind, r.content, r.octets, r.data_coding, r.parts, r.intent, r.lane, r.registered, r.client_ref, \
                 r.options, r.why, 0, false, r.at, r.expires_at, r.at, r.wake_at, r.owner \
                 from rows(id bigint, tenant bigint, state text, account bigint, connection bigint, sender text, \
                 sender_kind bigint, recipient text, recipient_kind bigint, content text, octets text, data_coding bigint, \
                 parts bigint, intent text, lane bigint, registered bigint, client_ref text, options text, why text, \
                 at bigint, expires_at bigint, wake_at bigint, owner bigint) r"
            ),
            args![],
            rows,
        )
        .await?;
    Ok(())
}

/// Keeps the answer of a keyed request; false when another request with this key was faster.
async fn keep_answer(
    batch: &mut Batch,
    tenant: TenantId,
    keyed: &runtime::scope::Keyed,
    answer: &str,
) -> Result<bool> {
    let kept = batch
        .tx
        .execute(
            sql!(
                "insert into idempotency (tenant_id, key, request_hash, status, body, at) values ($1, $2, $3, $4, $5, $6) \
                 on conflict (tenant_id, key) do nothing"
            ),
            args![tenant, &keyed.key, &keyed.request_hash, keyed.status, answer, batch.now],
        )
        .await?;
    Ok(kept == 1)
}

/// Notes that a failed message is sent again as another; false when it was before.
async fn keep_redrive(batch: &mut Batch, new: &NewMessage, old: MessageId) -> Result<bool> {
    let kept = batch
        .tx
        .execute(
            sql!(
                "insert into redrive (tenant_id, message_id, new_id, at) values ($1, $2, $3, $4) \
                 on conflict (tenant_id, message_id) do nothing"
            ),
            args![new.message.tenant, old, new.message.id, batch.now],
        )
        .await?;
    Ok(kept == 1)
}

/// Messages that are about to leave.
struct Claim {
    id: ClaimId,
    connection: ConnectionId,
    messages: Vec<MessageId>,
}

/// Writes what is about to leave: what was taken from the queue, and of what was just accepted that which need not wait.
pub(crate) async fn claim(batch: &mut Batch, work: &[(Option<usize>, Entry)], queue: &Queue) -> Result<()> {
    let mut claims = claim_at_once(batch, queue);
    let at_once: usize = claims.iter().map(|claim| claim.messages.len()).sum();
    for (_, entry) in work {
        let Entry::Claim { id, connection, messages } = entry else { continue };
        claims.push(Claim { id: *id, connection: *connection, messages: messages.clone() });
    }
    if claims.is_empty() {
        return Ok(());
    }
    let all: usize = claims.iter().map(|claim| claim.messages.len()).sum();
    batch.after.push(After::Claimed { at_once, later: all - at_once });
    let mut rows = Rows::with_capacity(claims.len(), 3);
    for Claim { id, connection, messages } in claims {
        let raw: Vec<i64> = messages.iter().map(|message| message.raw()).collect();
        let raw = serde_json::to_string(&raw).map_err(Error::internal)?;
        rows.push([id.into(), connection.into(), raw.into()]);
        batch.after.push(After::ClaimMade { id, messages });
    }
    let at = batch.now;
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into claim (id, connection_id, at, messages) select r.id, r.connection, $1, r.messages \
                 from rows(id bigint, connection bigint, messages text) r"
            ),
            args![at],
            rows,
        )
        .await?;
    Ok(())
}

/// Finds room on the wire for messages that were just accepted and have none before them. They leave with this commit; the
/// others wait in their lanes for the next.
fn claim_at_once(batch: &mut Batch, queue: &Queue) -> Vec<Claim> {
    let mut accepted: BTreeMap<ConnectionId, Vec<Queued>> = BTreeMap::new();
    for after in std::mem::take(&mut batch.after) {
        match after {
            After::Dispatch(queued) => accepted.entry(queued.connection).or_default().push(queued),
            other => batch.after.push(other),
        }
    }
    let mut claims = Vec::new();
    for (connection, queued) in accepted {
        let exit = queue.open_exit(connection);
        let (mut free, mut waits): (Vec<_>, Vec<_>) = queued
            .into_iter()
            .partition(|one| exit.is_some() && queue.paused(&one.message, connection).is_none());
        if let (false, Some(exit)) = (free.is_empty(), exit)
            && let Some(places) = exit.room(free.len())
        {
            free.sort_by_key(|one| one.message.intent.lane());
            waits.splice(0..0, free.split_off(places.len().min(free.len())));
            let messages: Vec<_> = free.drain(..).map(|one| one.message).collect();
            let id = batch.runtime.ids.next::<kind::Job>().raw();
            claims.push(Claim { id, connection, messages: messages.iter().map(|one| one.id).collect() });
            batch.after.push(After::Leave {
                exit,
                connection,
                leaving: Leaving { claim: id, messages, places },
            });
        }
        batch.after.extend(free.into_iter().chain(waits).map(After::Dispatch));
    }
    claims
}
