//! The event stream: written in the change's own transaction, read by everyone.

use db::{Rows, Tenancy, Tx, args, record, sql};
use types::event::Recorded;
use types::{Event, Result, TenantId, Timestamp};

use crate::live::Live;

/// What one transaction does to one tenant, and who asked for it.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Whose stream.
    pub tenant: TenantId,
    /// When.
    pub at: Timestamp,
    /// Who: `user usr_…`, `key key_…`, `account acc_…`, `system`.
    pub actor: String,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// The network address it was asked from.
    pub from: Option<String>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Events that are written but not committed yet. Tell the live hub of them after the commit, not before.
#[derive(Debug)]
#[must_use = "after the commit, tell the live hub"]
pub struct Written {
    pages: Vec<(TenantId, Vec<Event>)>,
}

impl Written {
    /// Tells the listeners; call it after the commit.
    pub fn tell(self, live: &Live) {
        for (tenant, events) in self.pages {
            live.tell(tenant, events);
        }
    }
}

record! { struct Head { seq: i64 } }

/// Writes events into their tenants' streams, each tenant at most once a call. Sequence numbers have no gap because
/// the head's row is locked until the commit: if the transaction is undone, so is the number.
///
/// # Errors
/// When the database refuses.
pub async fn write(tx: &mut Tx, happened: Vec<Happened>) -> Result<Written> {
    let mut happened: Vec<_> = happened.into_iter().filter(|one| !one.events.is_empty()).collect();
    if happened.is_empty() {
        return Ok(Written { pages: Vec::new() });
    }
    // Always in the same order, so that two transactions cannot wait for each other.
    happened.sort_by_key(|one| one.tenant);
    let counts = happened.iter().map(|one| [one.tenant.into(), (one.events.len() as i64).into()]).collect();
    let texts = happened.iter().map(|one| serde_json::to_string(&one.events).map_err(types::Error::internal));
    let texts = texts.collect::<Result<Vec<_>>>()?;
    // Neither is waited for: what is written behind them in this transaction is, and its commit.
    tx.leave_rows(
        sql!(
            "insert into event_head (tenant_id, seq) select r.tenant, r.n from rows(tenant bigint, n bigint) r where true \
             on conflict (tenant_id) do update set seq = event_head.seq + excluded.seq"
        ),
        args![],
        counts,
    )
    .await?;
    let mut pages = Vec::with_capacity(happened.len());
    let mut rows = Rows::with_capacity(happened.len(), 8);
    for (one, text) in happened.into_iter().zip(texts) {
        rows.push([
            one.tenant.into(),
            (one.events.len() as i64).into(),
            one.at.into(),
            (&one.actor).into(),
            one.request_id.into(),
            one.from.into(),
            one.events.iter().any(Event::audited).into(),
            text.into(),
        ]);
        pages.push((one.tenant, one.events));
    }
    tx.leave_rows(
        sql!(
            "insert into event_page (tenant_id, last_seq, first_seq, at, actor, request_id, from_address, audited, events) \
             select r.tenant, h.seq, h.seq - r.n + 1, r.at, r.actor, r.request, r.from_address, r.audited, r.events \
             from rows(tenant bigint, n bigint, at bigint, actor text, request text, from_address text, audited boolean, \
             events text) r join event_head h on h.tenant_id = r.tenant"
        ),
        args![],
        rows,
    )
    .await?;
    Ok(Written { pages })
}

record! {
    struct PageRecord {
        first_seq: i64, at: Timestamp, actor: String, request_id: Option<String>, from_address: Option<String>, events: String,
    }
}

record! {
    struct AuditedPage {
        last_seq: i64, first_seq: i64, at: Timestamp, actor: String, request_id: Option<String>,
        from_address: Option<String>, events: String,
    }
}

impl PageRecord {
    fn open(self) -> Result<Vec<Recorded>> {
        let events: Vec<Event> = serde_json::from_str(&self.events).map_err(types::Error::internal)?;
        let recorded = events.into_iter().zip(self.first_seq..).map(|(event, seq)| Recorded {
            seq,
            at: self.at,
            actor: self.actor.clone(),
            request_id: self.request_id.clone(),
            from: self.from_address.clone(),
            event,
        });
        Ok(recorded.collect())
    }
}

/// A tenant's events behind a sequence number, oldest first, at most about `limit` and always whole transactions.
///
/// # Errors
/// When the database does not answer.
pub async fn read_after(db: &db::Db, tenant: TenantId, after: i64, limit: usize) -> Result<Vec<Recorded>> {
    let mut tx = db.read(Tenancy::Tenant(tenant)).await?;
    let mut events = Vec::new();
    let mut after = after;
    while events.len() < limit {
        let pages: Vec<PageRecord> = tx
            .all(
                sql!(
                    "select first_seq, at, actor, request_id, from_address, events from event_page \
                     where tenant_id = $1 and last_seq > $2 order by last_seq limit 20"
                ),
                args![tenant, after],
            )
            .await?;
        if pages.is_empty() {
            break;
        }
        for page in pages {
            let page = page.open()?;
            let fresh = page.into_iter().filter(|recorded| recorded.seq > after);
            events.extend(fresh);
            after = events.last().map_or(after, |last: &Recorded| last.seq);
            if events.len() >= limit {
                break;
            }
        }
    }
    Ok(events)
}

/// Audited events of a tenant's stream, and the place that they reach.
#[derive(Debug)]
pub struct Audited {
    /// The events, oldest first.
    pub events: Vec<Recorded>,
    /// Up to here nothing audited is left.
    pub reaches: i64,
}

/// A tenant's audited events behind a sequence number, at most so many: what somebody did, not what traffic did. They are
/// found by an index of their own, however much traffic lies between them.
///
/// # Errors
/// When the database does not answer.
pub async fn audited_after(db: &db::Db, tenant: TenantId, after: i64, limit: usize) -> Result<Audited> {
    let mut tx = db.read(Tenancy::Tenant(tenant)).await?;
    let pages: Vec<AuditedPage> = tx
        .all(
            sql!(
                "select last_seq, first_seq, at, actor, request_id, from_address, events from event_page \
                 where tenant_id = $1 and audited and last_seq > $2 order by last_seq limit $3"
            ),
            args![tenant, after, limit as i64],
        )
        .await?;
    let mut audited = Audited { events: Vec::new(), reaches: after };
    for AuditedPage { last_seq, first_seq, at, actor, request_id, from_address, events } in pages {
        let page = PageRecord { first_seq, at, actor, request_id, from_address, events }.open()?;
        for one in page.into_iter().filter(|one| one.seq > after && one.event.audited()) {
            if audited.events.len() == limit {
                return Ok(audited);
            }
            audited.reaches = one.seq;
            audited.events.push(one);
        }
        audited.reaches = last_seq;
    }
    Ok(audited)
}

/// The last sequence number of a tenant's stream; 0 when nothing has happened yet.
///
/// # Errors
/// When the database does not answer.
pub async fn head(db: &db::Db, tenant: TenantId) -> Result<i64> {
    let mut tx = db.read(Tenancy::Tenant(tenant)).await?;
    let head: Option<Head> =
        tx.optional(sql!("select seq from event_head where tenant_id = $1"), args![tenant]).await?;
    Ok(head.map_or(0, |head| head.seq))
}
