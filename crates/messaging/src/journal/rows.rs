//! The journal's rows: many at once, each statement fed by one JSON bind.

use db::{Arg, sql};
use serde::Serialize;
use types::{ConnectionId, MessageId, Result, Timestamp};

use super::{After, Batch};
use crate::message::State;
use crate::push::Push;

/// A message's new standing. Every transition but the acceptance is this one row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SetRow {
    pub(crate) id: i64,
    s: &'static str,
    c: Option<i64>,
    a: u32,
    tw: u8,
    e: Option<String>,
    u: i64,
    d: Option<i64>,
    w: Option<i64>,
}

/// What a message comes to.
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) attempts: u32,
    pub(crate) maybe_twice: bool,
    pub(crate) error: Option<String>,
    pub(crate) wake_at: Option<Timestamp>,
}

impl Batch {
    /// Notes a message's new standing; written with the batch's others.
    pub(crate) fn set(&mut self, message: MessageId, standing: Standing) {
        let final_at = standing.state.is_final().then_some(self.now.unix_ms());
        self.settled.push(SetRow {
            id: message.raw(),
            s: standing.state.as_str(),
            c: standing.connection.map(ConnectionId::raw),
            a: standing.attempts,
            tw: u8::from(standing.maybe_twice),
            e: standing.error,
            u: self.now.unix_ms(),
            d: final_at,
            w: if standing.state.is_final() { None } else { standing.wake_at.map(Timestamp::unix_ms) },
        });
    }
}

/// Writes the noted standings. When one message came to several in this batch, the last one counts.
pub(crate) async fn write_settled(batch: &mut Batch) -> Result<()> {
    let mut rows = std::mem::take(&mut batch.settled);
    if rows.is_empty() {
        return Ok(());
    }
    let mut seen = std::collections::HashSet::with_capacity(rows.len());
    rows.reverse();
    rows.retain(|row| seen.insert(row.id));
    batch
        .tx
        .execute(
            sql!(
                "with r as materialized (select cast(value ->> 'id' as bigint) as id, value ->> 's' as state, \
                 cast(value ->> 'c' as bigint) as connection_id, cast(value ->> 'a' as bigint) as attempts, \
                 cast(value ->> 'tw' as bigint) as maybe_twice, value ->> 'e' as error, cast(value ->> 'u' as bigint) as updated_at, \
                 cast(value ->> 'd' as bigint) as done_at, cast(value ->> 'w' as bigint) as wake_at from json_rows($1)) \
                 update message set state = r.state, connection_id = r.connection_id, attempts = r.attempts, \
                 maybe_twice = (r.maybe_twice = 1), error = r.error, updated_at = r.updated_at, done_at = r.done_at, \
                 wake_at = r.wake_at from r where message.id = r.id \
                 /* every tenant: the journal writes for all, by ids it was given */"
            ),
            vec![Arg::json(&rows)?],
        )
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct TallyRow {
    t: i64,
    b: i64,
    n: &'static str,
    v: i64,
}

/// Adds the batch's sums.
pub(crate) async fn write_tally(batch: &mut Batch) -> Result<()> {
    let rows: Vec<TallyRow> = std::mem::take(&mut batch.tally)
        .into_iter()
        .filter(|(_, sum)| *sum != 0)
        .map(|((tenant, bucket, name), sum)| TallyRow { t: tenant.raw(), b: bucket, n: name, v: sum })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    batch
        .tx
        .execute(
            sql!(
                "insert into tally (tenant_id, bucket, name, n) \
                 select cast(r.value ->> 't' as bigint), cast(r.value ->> 'b' as bigint), r.value ->> 'n', \
                 cast(r.value ->> 'v' as bigint) from json_rows($1) r where true \
                 on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n"
            ),
            vec![Arg::json(&rows)?],
        )
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct AttemptRow {
    id: i64,
    t: i64,
    m: i64,
    p: u8,
    c: Option<i64>,
    at: i64,
    o: String,
}

/// What went before on a message's way, for its timeline.
pub(crate) struct Attempt {
    pub(crate) tenant: types::TenantId,
    pub(crate) message: MessageId,
    pub(crate) part: u8,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) outcome: String,
}

/// Writes attempts.
pub(crate) async fn write_attempts(batch: &mut Batch, attempts: Vec<Attempt>) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let now = batch.now.unix_ms();
    let rows: Vec<AttemptRow> = attempts
        .into_iter()
        .map(|one| AttemptRow {
            id: batch.runtime.ids.next::<types::kind::Job>().raw(),
            t: one.tenant.raw(),
            m: one.message.raw(),
            p: one.part,
            c: one.connection.map(ConnectionId::raw),
            at: now,
            o: one.outcome,
        })
        .collect();
    batch
        .tx
        .execute(
            sql!(
                "insert into attempt (id, tenant_id, message_id, part, connection_id, at, outcome) \
                 select cast(r.value ->> 'id' as bigint), cast(r.value ->> 't' as bigint), cast(r.value ->> 'm' as bigint), \
                 cast(r.value ->> 'p' as bigint), cast(r.value ->> 'c' as bigint), cast(r.value ->> 'at' as bigint), \
                 r.value ->> 'o' from json_rows($1) r"
            ),
            vec![Arg::json(&rows)?],
        )
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct PushRow {
    id: i64,
    t: i64,
    a: i64,
    m: i64,
    k: &'static str,
    s: &'static str,
    e: Option<String>,
    at: i64,
    x: i64,
}

impl Batch {
    /// Notes what a customer's system must be given; it is given after the commit.
    pub(crate) fn push(&mut self, push: Push) {
        self.pushes.push(push);
    }
}

/// Writes the noted pushes.
pub(crate) async fn write_pushes(batch: &mut Batch) -> Result<()> {
    let pushes = std::mem::take(&mut batch.pushes);
    if pushes.is_empty() {
        return Ok(());
    }
    let rows: Vec<PushRow> = pushes
        .iter()
        .map(|push| {
            let (kind, state, error) = push.kind.columns();
            PushRow {
                id: push.id,
                t: push.tenant.raw(),
                a: push.account.raw(),
                m: push.message.raw(),
                k: kind,
                s: state,
                e: error.map(str::to_owned),
                at: push.at.unix_ms(),
                x: push.expires_at.unix_ms(),
            }
        })
        .collect();
    batch
        .tx
        .execute(
            sql!(
                "insert into push (id, tenant_id, account_id, message_id, kind, state, error, at, expires_at) \
                 select cast(r.value ->> 'id' as bigint), cast(r.value ->> 't' as bigint), cast(r.value ->> 'a' as bigint), \
                 cast(r.value ->> 'm' as bigint), r.value ->> 'k', r.value ->> 's', r.value ->> 'e', \
                 cast(r.value ->> 'at' as bigint), cast(r.value ->> 'x' as bigint) from json_rows($1) r"
            ),
            vec![Arg::json(&rows)?],
        )
        .await?;
    batch.after.extend(pushes.into_iter().map(After::Push));
    Ok(())
}
