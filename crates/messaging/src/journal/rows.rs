//! The journal's rows: many at once, each kind in one statement.

use db::{Arg, Rows, args, sql};
use types::{ConnectionId, MessageId, Result, Timestamp};

use super::{After, Batch};
use crate::message::State;
use crate::push::Push;

/// A message's new standing. Every transition but the acceptance is this one row.
#[derive(Debug, Clone)]
pub(crate) struct SetRow {
    pub(crate) id: i64,
    s: &'static str,
    c: Option<i64>,
    a: u32,
    tw: bool,
    e: Option<String>,
    d: Option<i64>,
    w: Wake,
}

/// When something must be done about a message next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// When it stood already: its index need not be touched.
    AsBefore,
    /// Then.
    At(Timestamp),
    /// Never: it has come to its end.
    Never,
}

/// What a message comes to.
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) attempts: u32,
    pub(crate) maybe_twice: bool,
    pub(crate) error: Option<String>,
    pub(crate) wake: Wake,
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
            tw: standing.maybe_twice,
            e: standing.error,
            d: final_at,
            w: if standing.state.is_final() { Wake::Never } else { standing.wake },
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
    let (as_before, moved): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.w == Wake::AsBefore);
    write_on_its_way(batch, as_before).await?;
    write_moved(batch, moved).await
}

/// Standings that leave the next look where it was.
async fn write_on_its_way(batch: &mut Batch, rows: Vec<SetRow>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let values = |row: SetRow| {
        [row.id.into(), Arg::word(row.s), row.c.into(), row.a.into(), row.tw.into(), row.e.into()]
    };
    batch
        .tx
        .leave_rows(
            sql!(
                "update message set state = r.state, connection_id = r.connection, attempts = r.attempts, \
                 maybe_twice = r.maybe_twice, error = r.error, updated_at = $1 \
                 from rows(id bigint, state text, connection bigint, attempts bigint, maybe_twice boolean, error text) r \
                 where message.id = r.id /* every tenant: the journal writes for all, by ids it was given */"
            ),
            args![batch.now],
            rows.into_iter().map(values).collect(),
        )
        .await?;
    Ok(())
}

/// Standings with another next look, or with none.
async fn write_moved(batch: &mut Batch, rows: Vec<SetRow>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let values = |row: SetRow| {
        let wake_at = if let Wake::At(at) = row.w { Some(at) } else { None };
        [
            row.id.into(),
            Arg::word(row.s),
            row.c.into(),
            row.a.into(),
            row.tw.into(),
            row.e.into(),
            row.d.into(),
            wake_at.into(),
        ]
    };
    batch
        .tx
        .leave_rows(
            sql!(
                "update message set state = r.state, connection_id = r.connection, attempts = r.attempts, \
                 maybe_twice = r.maybe_twice, error = r.error, updated_at = $1, done_at = r.done_at, wake_at = r.wake_at \
                 from rows(id bigint, state text, connection bigint, attempts bigint, maybe_twice boolean, error text, \
                 done_at bigint, wake_at bigint) r where message.id = r.id \
                 /* every tenant: the journal writes for all, by ids it was given */"
            ),
            args![batch.now],
            rows.into_iter().map(values).collect(),
        )
        .await?;
    Ok(())
}

/// Adds the batch's sums.
pub(crate) async fn write_tally(batch: &mut Batch) -> Result<()> {
    let rows: Rows = std::mem::take(&mut batch.tally)
        .into_iter()
        .filter(|(_, sum)| *sum != 0)
        .map(|((tenant, bucket, name), sum)| [tenant.into(), bucket.into(), Arg::word(name), sum.into()])
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into tally (tenant_id, bucket, name, n) select r.tenant, r.bucket, r.name, r.n \
                 from rows(tenant bigint, bucket bigint, name text, n bigint) r where true \
                 on conflict (tenant_id, bucket, name) do update set n = tally.n + excluded.n"
            ),
            args![],
            rows,
        )
        .await?;
    Ok(())
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
    let rows: Rows = attempts
        .into_iter()
        .map(|one| {
            let id = batch.runtime.ids.next::<types::kind::Job>();
            [
                id.into(),
                one.tenant.into(),
                one.message.into(),
                one.part.into(),
                one.connection.into(),
                one.outcome.into(),
            ]
        })
        .collect();
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into attempt (id, tenant_id, message_id, part, connection_id, at, outcome) \
                 select r.id, r.tenant, r.message, r.part, r.connection, $1, r.outcome \
                 from rows(id bigint, tenant bigint, message bigint, part bigint, connection bigint, outcome text) r"
            ),
            args![batch.now],
            rows,
        )
        .await?;
    Ok(())
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
    let rows: Rows = pushes
        .iter()
        .map(|push| {
            let (kind, state, error) = push.kind.columns();
            [
                push.id.into(),
                push.tenant.into(),
                push.account.into(),
                push.message.into(),
                Arg::word(kind),
                Arg::word(state),
                error.into(),
                push.at.into(),
                push.expires_at.into(),
            ]
        })
        .collect();
    batch
        .tx
        .leave_rows(
            sql!(
                "insert into push (id, tenant_id, account_id, message_id, kind, state, error, at, expires_at) \
                 select r.id, r.tenant, r.account, r.message, r.kind, r.state, r.error, r.at, r.expires_at \
                 from rows(id bigint, tenant bigint, account bigint, message bigint, kind text, state text, error text, \
                 at bigint, expires_at bigint) r"
            ),
            args![],
            rows,
        )
        .await?;
    batch.after.extend(pushes.into_iter().map(After::Push));
    Ok(())
}
