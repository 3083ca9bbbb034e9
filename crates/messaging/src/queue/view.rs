//! What waits, where, for how long, and how soon it will have left.

use std::collections::BTreeMap;

use connectors::State as LinkState;
use db::{Tenancy, args, record, sql};
use identity::tenant::tree::DEPTH_MAX;
use runtime::Scope;
use serde::Serialize;
use types::{AccountId, ConnectionId, Page, Permission, Result, TenantId, Timestamp};

use crate::engine::Engine;
use crate::intent::Intent;
use crate::message::query::Flow;
use crate::pause::{self, Pause};
use crate::route::Liveness;

/// Waiting messages that are counted one by one; of more the view says so.
const COUNTED_MAX: i64 = 200_000;
/// Minutes of the past that the view shows.
pub const MINUTES: i64 = 30;
const MINUTE_MS: i64 = 60_000;
/// Connections, and accounts, that are named.
const NAMED_MAX: i64 = 1_000;

/// What waits in one lane, for one connection or account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = QueueWaiting)]
pub struct Waiting {
    /// Messages in memory: next to leave, or on the wire without an answer.
    pub in_memory: i64,
    /// Messages in the table, for want of a place or until their next try.
    pub in_table: i64,
    /// Messages that a pause keeps.
    pub paused: i64,
    /// Messages whose time has not come.
    pub scheduled: i64,
    /// Messages that are held until somebody releases them.
    pub held: i64,
    /// Parts of those in memory and in the table.
    pub parts: i64,
    /// When the one was accepted that has waited longest, of those in memory and in the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<Timestamp>,
}

impl Waiting {
    fn add(&mut self, row: &Row) {
        let place = match row.place.as_str() {
            "memory" => &mut self.in_memory,
            "paused" => &mut self.paused,
            "held" => &mut self.held,
            "scheduled" => &mut self.scheduled,
            _ => &mut self.in_table,
        };
        *place += row.n;
        if matches!(row.place.as_str(), "memory" | "table") {
            self.parts += row.parts;
            self.oldest_at = Some(self.oldest_at.map_or(row.oldest, |oldest| oldest.min(row.oldest)));
        }
    }

    /// Messages that want to leave now.
    pub fn ready(&self) -> i64 {
        self.in_memory + self.in_table
    }

    /// All of them.
    pub fn all(&self) -> i64 {
        self.ready() + self.paused + self.scheduled + self.held
    }
}

/// A lane of a connection.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Lane {
    /// What its messages are for: lanes leave in this order.
    pub intent: Intent,
    /// What waits in it.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// What waits for a connection.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConnectionQueue {
    /// The connection; absent for messages to which no route leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    pub name: String,
    /// `up`, `down`, `stopped`, `draining` or `unknown`, as routes see it; `paused` where a pause is about it.
    pub state: &'static str,
    /// All lanes together.
    #[serde(flatten)]
    pub waiting: Waiting,
    /// Each lane, the first first.
    pub lanes: Vec<Lane>,
    /// Of those in memory, messages that wait for the rate of their sender or their phone.
    pub held_back: usize,
    /// Parts on the wire without an answer.
    pub on_the_wire: usize,
    /// Parts handed over per second, over the last seconds.
    pub out_per_second: f64,
    /// In how many seconds it will be empty at this rate; absent while nothing leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_in_s: Option<u64>,
}

/// What waits of one account.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AccountQueue {
    /// The account; absent for the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What people call it.
    pub name: String,
    /// What waits.
    #[serde(flatten)]
    pub waiting: Waiting,
}

/// A tenant's waiting messages, by the sums that are kept with each change.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TenantQueue {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// Messages that are queued.
    pub queued: i64,
    /// Messages that are scheduled or held.
    pub scheduled: i64,
}

/// The queue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct QueueView {
    /// When it was looked.
    pub at: Timestamp,
    /// All of the tenant.
    #[serde(flatten)]
    pub waiting: Waiting,
    /// Whether more wait than were counted.
    pub more: bool,
    /// Each connection.
    pub connections: Vec<ConnectionQueue>,
    /// Each account of which something waits, and the API.
    pub accounts: Vec<AccountQueue>,
    /// What is paused.
    pub pauses: Vec<Pause>,
    /// What was accepted and sent in each of the last 30 minutes.
    pub flows: Vec<Flow>,
    /// Places in memory that are taken, of how many; for whoever may see the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<[usize; 2]>,
    /// Every tenant of which something waits; for whoever may see all tenants, or those beneath theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<TenantQueue>,
}

record! {
    struct Row {
        connection_id: Option<ConnectionId>, account_id: Option<AccountId>, lane: i64, place: String, n: i64, parts: i64,
        oldest: Timestamp,
    }
}
record! { struct Named { id: i64, name: String } }
record! { struct Kept { tenant_id: TenantId, name: String, state: String, n: i64 } }

/// What waits: counted in one look, at most so many messages.
///
/// # Errors
/// [`types::Code::Forbidden`].
pub async fn view(scope: &Scope, engine: &Engine) -> Result<QueueView> {
    scope.require(Permission::QueueView)?;
    let Page { items: pauses, .. } = pause::list(scope).await?;
    let mut tx = scope.read().await?;
    // `+` keeps the tenant out of the choice of an index: what waits is found by its time, however much has ended.
    let rows: Vec<Row> = tx
        .all(
            sql!(
                "select w.connection_id, w.account_id, w.lane, w.place, count(*) as n, cast(sum(w.parts) as bigint) as parts, \
                 min(w.accepted_at) as oldest from ( \
                 select connection_id, account_id, lane, parts, accepted_at, case \
                 when state = 'scheduled' and coalesce(options like '%\"held\":{%', false) then 'held' \
                 when state = 'scheduled' then 'scheduled' when paused_by is not null then 'paused' \
                 when wake_at > expires_at then 'memory' else 'table' end as place \
                 from message where + tenant_id = $1 and wake_at is not null and state in ('queued', 'scheduled') limit $2) w \
                 group by w.connection_id, w.account_id, w.lane, w.place"
            ),
            args![scope.tenant(), COUNTED_MAX],
        )
        .await?;
    let connections: Vec<Named> = tx
        .all(
            sql!("select id, name from connection where tenant_id = $1 order by name limit $2"),
            args![scope.tenant(), NAMED_MAX],
        )
        .await?;
    let accounts: Vec<Named> = tx
        .all(
            sql!("select id, name from smpp_account where tenant_id = $1 order by name limit $2"),
            args![scope.tenant(), NAMED_MAX],
        )
        .await?;
    let since = Timestamp::from_unix_ms((scope.now().unix_ms() / MINUTE_MS - MINUTES + 1) * MINUTE_MS);
    let flows: Vec<Flow> = tx
        .all(
            sql!(
                "select bucket, name, n from tally where tenant_id = $1 and bucket >= $2 and bucket > 0 \
                 and name in ('accepted', 'sent') order by bucket, name limit 1000"
            ),
            args![scope.tenant(), since],
        )
        .await?;
    drop(tx);
    let mut waiting = Waiting::default();
    rows.iter().for_each(|row| waiting.add(row));
    let permissions = scope.permissions();
    Ok(QueueView {
        at: scope.now(),
        more: rows.iter().map(|row| row.n).sum::<i64>() >= COUNTED_MAX,
        connections: by_connection(engine, &rows, &connections, &pauses),
        accounts: by_account(&rows, &accounts),
        waiting,
        pauses,
        flows,
        places: permissions
            .contains(Permission::SystemView)
            .then(|| [engine.queue().taken(), engine.queue().places_max()]),
        tenants: match permissions.contains(Permission::TenantView)
            || permissions.contains(Permission::SubtenantView)
        {
            true => tenants(scope).await?,
            false => Vec::new(),
        },
    })
}

fn by_connection(engine: &Engine, rows: &[Row], names: &[Named], pauses: &[Pause]) -> Vec<ConnectionQueue> {
    let nowhere = rows.iter().any(|row| row.connection_id.is_none()).then_some(None);
    let known = names.iter().map(|named| Some(ConnectionId::from_raw(named.id)));
    known
        .chain(nowhere)
        .map(|connection| {
            let mut waiting = Waiting::default();
            let mut lanes = Intent::ALL.map(|intent| Lane { intent, waiting: Waiting::default() });
            for row in rows.iter().filter(|row| row.connection_id == connection) {
                waiting.add(row);
                if let Some(lane) = usize::try_from(row.lane).ok().and_then(|lane| lanes.get_mut(lane)) {
                    lane.waiting.add(row);
                }
            }
            let status = connection.and_then(|connection| engine.connection_status(connection));
            let binds = status.as_ref().map_or(&[][..], |status| &status.binds);
            let out_per_second = status.as_ref().map_or(0.0, |status| status.parts_per_second);
            let id = connection.map(|connection| connection.to_string());
            let paused = pauses.iter().any(|one| one.kind == pause::Kind::Connection && one.target == id);
            let name = names.iter().find(|named| connection.is_some_and(|id| id.raw() == named.id));
            ConnectionQueue {
                name: name.map_or_else(|| "no route".to_owned(), |named| named.name.clone()),
                state: match connection {
                    Some(_) if paused => "paused",
                    Some(connection) => liveness(engine.liveness(connection)),
                    None => "unknown",
                },
                held_back: connection.map_or(0, |connection| engine.queue().line(connection).held_back()),
                on_the_wire: binds
                    .iter()
                    .filter(|bind| bind.state != LinkState::Stopped)
                    .map(|bind| bind.window_used)
                    .sum(),
                empty_in_s: (out_per_second > 0.05 && waiting.parts > 0)
                    .then(|| (waiting.parts as f64 / out_per_second).ceil() as u64),
                out_per_second,
                lanes: lanes.to_vec(),
                waiting,
                connection,
            }
        })
        .collect()
}

const fn liveness(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Up => "up",
        Liveness::Down => "down",
        Liveness::Stopped => "stopped",
        Liveness::Draining => "draining",
        Liveness::Unknown => "unknown",
    }
}

fn by_account(rows: &[Row], names: &[Named]) -> Vec<AccountQueue> {
    let mut by_account: BTreeMap<Option<i64>, Waiting> = BTreeMap::new();
    for row in rows {
        by_account.entry(row.account_id.map(AccountId::raw)).or_default().add(row);
    }
    let queue = |(account, waiting): (Option<i64>, Waiting)| {
        let name = names.iter().find(|named| Some(named.id) == account).map(|named| named.name.clone());
        AccountQueue {
            account: account.map(AccountId::from_raw),
            name: name.unwrap_or_else(|| {
                if account.is_none() { "API".to_owned() } else { "deleted account".to_owned() }
            }),
            waiting,
        }
    };
    by_account.into_iter().map(queue).collect()
}

/// Every tenant of which something waits; for a reseller those beneath theirs.
async fn tenants(scope: &Scope) -> Result<Vec<TenantQueue>> {
    let all = scope.permissions().contains(Permission::TenantView);
    if !all {
        scope.require(Permission::SubtenantView)?;
    }
    let mut tx = scope.runtime().db.read(Tenancy::Every).await?;
    let kept: Vec<Kept> = tx
        .all(
            sql!(
                "with recursive beneath(id, depth) as (select id, 1 from tenant where parent = $2 \
                 union all select t.id, b.depth + 1 from beneath b join tenant t on t.parent = b.id where b.depth < $3) \
                 select k.tenant_id, t.name, k.name as state, k.n from tally k join tenant t on t.id = k.tenant_id \
                 where k.bucket = 0 and k.n > 0 and k.name in ('queued', 'scheduled') \
                 and ($1 or t.id in (select b.id from beneath b)) order by k.tenant_id limit 2000 \
                 /* every tenant: for whoever may see all tenants, or those beneath theirs */"
            ),
            args![all, scope.tenant(), DEPTH_MAX],
        )
        .await?;
    let mut tenants: Vec<TenantQueue> = Vec::new();
    for one in kept {
        if tenants.last().is_none_or(|last| last.tenant != one.tenant_id) {
            tenants.push(TenantQueue { tenant: one.tenant_id, name: one.name, queued: 0, scheduled: 0 });
        }
        if let Some(last) = tenants.last_mut() {
            let sum = if one.state == "queued" { &mut last.queued } else { &mut last.scheduled };
            *sum = one.n;
        }
    }
    Ok(tenants)
}

/// What happened in each of the last minutes, the oldest first.
pub fn by_minute(view: &QueueView, name: &str) -> Vec<(Timestamp, i64)> {
    let first = view.at.unix_ms() / MINUTE_MS - MINUTES + 1;
    (first..first + MINUTES)
        .map(|minute| {
            let at = Timestamp::from_unix_ms(minute * MINUTE_MS);
            let n =
                view.flows.iter().filter(|flow| flow.bucket == at && flow.name == name).map(|flow| flow.n);
            (at, n.sum())
        })
        .collect()
}

/// What came in over the last full minutes, each second.
pub fn in_per_second(view: &QueueView) -> f64 {
    let minutes = by_minute(view, "accepted");
    let full = &minutes[minutes.len().saturating_sub(6)..minutes.len().saturating_sub(1)];
    full.iter().map(|(_, n)| *n as f64).sum::<f64>() / (full.len().max(1) as f64 * 60.0)
}
