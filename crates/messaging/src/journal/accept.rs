//! New messages, and claims before they leave.

use db::{Arg, OnConflict, args, sql};
use serde::Serialize;
use types::event::MessageChange;
use types::{Code, Error, Event, Result, Timestamp};

use super::{After, Batch, Entry, NewMessage};
use crate::message::{State, kind_of};
use crate::queue::{Queue, Queued};

/// How long after its validity a message that is out is looked at: by then its last answer has come or timed out.
pub(crate) const GRACE_MS: i64 = 120_000;

#[derive(Serialize)]
struct MessageRow<'a> {
    id: i64,
    t: i64,
    s: &'static str,
    ac: Option<i64>,
    c: Option<i64>,
    f: &'a str,
    fk: i64,
    r: &'a str,
    rk: i64,
    tx: Option<&'a str>,
    o: Option<&'a str>,
    dc: u8,
    p: u8,
    i: &'static str,
    l: usize,
    rd: u8,
    cr: Option<&'a str>,
    op: Option<String>,
    w: String,
    at: i64,
    ex: i64,
    wk: i64,
}

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

/// Inserts the batch's new messages and keeps the answers of keyed requests.
pub(crate) async fn accept(
    batch: &mut Batch,
    work: &[(Option<usize>, Entry)],
    replies: &mut [Result<()>],
    queue: &Queue,
) -> Result<()> {
    let mut rows = Vec::new();
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
        for new in &accept.messages {
            rows.push(begin(batch, new, queue)?);
        }
    }
    if rows.is_empty() { Ok(()) } else { insert(batch, &rows).await }
}

/// A new message's row; its event, its sums and its way into the queue are noted.
fn begin<'a>(batch: &mut Batch, new: &'a NewMessage, queue: &Queue) -> Result<MessageRow<'a>> {
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
    Ok(MessageRow {
        id: message.id.raw(),
        t: message.tenant.raw(),
        s: state.as_str(),
        ac: message.account.map(types::AccountId::raw),
        c: new.connection.map(types::ConnectionId::raw),
        f: &message.sender.text,
        fk: kind_of(&message.sender),
        r: &message.recipient.text,
        rk: kind_of(&message.recipient),
        tx: new.text.as_deref(),
        o: new.octets.as_deref(),
        dc: message.data_coding,
        p: message.parts,
        i: message.intent.as_str(),
        l: message.intent.lane(),
        rd: message.registered,
        cr: new.client_ref.as_deref(),
        op: message.options.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?,
        w: serde_json::to_string(&new.why).map_err(Error::internal)?,
        at: message.accepted_at.unix_ms(),
        ex: message.expires_at.unix_ms(),
        wk: wake_at.unix_ms(),
    })
}

async fn insert(batch: &mut Batch, rows: &[MessageRow<'_>]) -> Result<()> {
    batch
        .tx
        .execute(
            sql!(
                "insert into message (id, tenant_id, direction, state, account_id, connection_id, sender, sender_kind, \
                 recipient, recipient_kind, text, octets, data_coding, parts, intent, lane, registered, client_ref, options, \
                 why, attempts, maybe_twice, accepted_at, expires_at, updated_at, wake_at) \
                 select cast(r.value ->> 'id' as bigint), cast(r.value ->> 't' as bigint), 'out', r.value ->> 's', \
                 cast(r.value ->> 'ac' as bigint), cast(r.value ->> 'c' as bigint), r.value ->> 'f', \
                 cast(r.value ->> 'fk' as bigint), r.value ->> 'r', cast(r.value ->> 'rk' as bigint), r.value ->> 'tx', \
                 r.value ->> 'o', cast(r.value ->> 'dc' as bigint), cast(r.value ->> 'p' as bigint), r.value ->> 'i', \
                 cast(r.value ->> 'l' as bigint), cast(r.value ->> 'rd' as bigint), r.value ->> 'cr', r.value ->> 'op', \
                 r.value ->> 'w', 0, false, cast(r.value ->> 'at' as bigint), cast(r.value ->> 'ex' as bigint), \
                 cast(r.value ->> 'at' as bigint), cast(r.value ->> 'wk' as bigint) from json_rows($1) r"
            ),
            vec![Arg::json(rows)?],
        )
        .await?;
    Ok(())
}

/// Keeps the answer of a keyed request; false when another request with this key was faster.
async fn keep_answer(
    batch: &mut Batch,
    tenant: types::TenantId,
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

#[derive(Serialize)]
struct ClaimRow {
    id: i64,
    c: i64,
    m: String,
}

/// Writes what is about to leave.
pub(crate) async fn claim(batch: &mut Batch, work: &[(Option<usize>, Entry)]) -> Result<()> {
    let mut rows = Vec::new();
    for (_, entry) in work {
        let Entry::Claim { id, connection, messages } = entry else { continue };
        let raw: Vec<i64> = messages.iter().map(|message| message.raw()).collect();
        rows.push(ClaimRow {
            id: *id,
            c: connection.raw(),
            m: serde_json::to_string(&raw).map_err(Error::internal)?,
        });
        batch.after.push(After::ClaimMade { id: *id, messages: messages.clone() });
    }
    if rows.is_empty() {
        return Ok(());
    }
    let at = batch.now;
    batch
        .tx
        .execute(
            sql!(
                "insert into claim (id, connection_id, at, messages) select cast(r.value ->> 'id' as bigint), \
                 cast(r.value ->> 'c' as bigint), $2, r.value ->> 'm' from json_rows($1) r"
            ),
            vec![Arg::json(&rows)?, at.into()],
        )
        .await
        .on_unique(|| Error::new(Code::Conflict, "a claim was written twice"))?;
    Ok(())
}
