//! Whether the books balance: what was accepted is where the sums say, and each message is in a state that its row,
//! its parts, its pushes and the memory agree with.
//!
//! [`check`] looks at everything of one tenant in one consistent look. [`watch`] does a bounded piece of that every so
//! often while the server runs. [`verify`] does all of it for all tenants, on a database that it never changes.

use std::collections::{BTreeMap, HashSet};

use db::{Db, Tenancy, Tx, args, record, sql};
use runtime::Scope;
use serde::Serialize;
use types::{Error, MessageId, Permission, Result, TenantId, Timestamp};

use crate::engine::Engine;
use crate::message::State;

pub mod api;
mod blame;
mod claims;
mod rules;
pub mod watch;

/// What does not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Discrepancy {
    /// The rule that does not hold: `sums`, `accepted`, `state`, `part`, `push`, `claim`, `stream`, `lost_place`,
    /// `kept_place`.
    pub rule: &'static str,
    /// The message, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// What was found, in words.
    pub detail: String,
}

/// How many messages are in a state, by its rows and by the sums that are kept with each change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StateSum {
    /// The state.
    pub name: String,
    /// Rows in it.
    pub rows: i64,
    /// The kept sum.
    pub kept: i64,
}

/// How a tenant's books stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Books {
    /// Whose.
    pub tenant: TenantId,
    /// When it was looked.
    pub checked_at: Timestamp,
    /// Whether everything adds up.
    pub balanced: bool,
    /// Messages accepted, counted as they were.
    pub accepted: i64,
    /// Messages that ended so long ago that they are kept no more.
    pub forgotten: i64,
    /// Each state, those from phones too.
    pub states: Vec<StateSum>,
    /// Receipts and messages that customers' systems have not taken yet.
    pub pushes_owed: i64,
    /// Messages that have a place in memory; absent where no server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_memory: Option<u64>,
    /// What does not add up, at most 100. The first one that names a message names the first such message.
    pub discrepancies: Vec<Discrepancy>,
}

/// Discrepancies that are told.
const TOLD_MAX: usize = 100;

record! { struct Counted { name: String, n: i64 } }
record! { struct Number { n: i64 } }

/// The tenant's books, counted row by row in one consistent look and held against the sums, the event stream and the
/// memory. It costs a look at each of the tenant's messages.
///
/// # Errors
/// [`types::Code::Forbidden`]; when the database does not answer.
pub async fn check(scope: &Scope, engine: &Engine) -> Result<Books> {
    scope.require(Permission::AccountingView)?;
    let mut tx = scope.read().await?;
    let mut books = look(&mut tx, scope.tenant(), scope.now()).await?;
    drop(tx);
    let places = watch::places(engine, Some(scope.tenant())).await?;
    books.in_memory = Some(engine.queue().places().len() as u64)
        .filter(|_| scope.permissions().contains(Permission::SystemView));
    books.discrepancies.extend(places.into_iter().map(|(_, found)| found));
    books.balanced = books.discrepancies.is_empty();
    Ok(books)
}

record! { struct Tenant { id: TenantId } }

/// The books of all tenants of a database, by what lies in it. Nothing is written; there need be no server.
///
/// # Errors
/// When the database does not answer, or its schema is not this version's.
pub async fn verify(db: &Db, now: Timestamp) -> Result<Vec<Books>> {
    let mut tx = db.read(Tenancy::Every).await?;
    let tenants: Vec<Tenant> = tx
        .all(sql!("select id from tenant order by id limit 100000"), args![])
        .await
        .map_err(|error| Error::internal(error).hint("run `switchboard migrate` on it first"))?;
    let mut all = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        all.push(look(&mut tx, tenant.id, now).await?);
    }
    Ok(all)
}

/// One tenant's books in one consistent look.
async fn look(tx: &mut Tx, tenant: TenantId, now: Timestamp) -> Result<Books> {
    let rows: Vec<Counted> = tx
        .all(
            sql!(
                "select case when direction = 'in' then 'received' else state end as name, count(*) as n from message \
                 where tenant_id = $1 group by direction, state order by state"
            ),
            args![tenant],
        )
        .await?;
    let kept: Vec<Counted> = tx
        .all(
            sql!("select name, n from tally where tenant_id = $1 and bucket = 0 order by name limit 100"),
            args![tenant],
        )
        .await?;
    let flows: Vec<Counted> = tx
        .all(
            sql!(
                "select name, cast(sum(n) as bigint) as n from tally where tenant_id = $1 and bucket > 0 \
                 and name in ('accepted', 'forgotten') group by name"
            ),
            args![tenant],
        )
        .await?;
    let owed: Number =
        tx.one(sql!("select count(*) as n from push where tenant_id = $1"), args![tenant]).await?;
    let flow = |name: &str| flows.iter().find(|flow| flow.name == name).map_or(0, |flow| flow.n);
    let mut books = Books {
        tenant,
        checked_at: now,
        balanced: false,
        accepted: flow("accepted"),
        forgotten: flow("forgotten"),
        states: states(&rows, &kept),
        pushes_owed: owed.n,
        in_memory: None,
        discrepancies: Vec::new(),
    };
    books.discrepancies = rules::broken(tx, tenant, rules::ALL).await?;
    let claims = claims::look(tx, Some(tenant)).await?;
    books.discrepancies.extend(claims.broken.into_iter().map(|(_, found)| found));
    let sums = sums_wrong(&books);
    if !sums.is_empty() && books.discrepancies.is_empty() {
        books.discrepancies = blame::by_stream(tx, tenant, books.forgotten > 0).await?;
    }
    books.discrepancies.sort_by_key(|found| found.message.map_or(i64::MAX, MessageId::raw));
    books.discrepancies.truncate(TOLD_MAX - sums.len().min(TOLD_MAX));
    books.discrepancies.extend(sums);
    books.balanced = books.discrepancies.is_empty();
    Ok(books)
}

fn states(rows: &[Counted], kept: &[Counted]) -> Vec<StateSum> {
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for row in rows {
        sums.entry(&row.name).or_default().0 += row.n;
    }
    for sum in kept {
        sums.entry(&sum.name).or_default().1 += sum.n;
    }
    let sums = sums.into_iter().filter(|(_, (rows, kept))| *rows != 0 || *kept != 0);
    sums.map(|(name, (rows, kept))| StateSum { name: name.to_owned(), rows, kept }).collect()
}

/// The sums that do not agree.
fn sums_wrong(books: &Books) -> Vec<Discrepancy> {
    let wrong = |rule, detail| Discrepancy { rule, message: None, detail };
    let mut found: Vec<Discrepancy> = books
        .states
        .iter()
        .filter(|state| state.rows != state.kept)
        .map(|state| {
            let StateSum { name, rows, kept } = state;
            wrong("sums", format!("{rows} messages are {name}, and the kept sum says {kept}"))
        })
        .collect();
    let out: i64 = books
        .states
        .iter()
        .filter(|state| state.name != State::Received.as_str())
        .map(|state| state.rows)
        .sum();
    if out + books.forgotten != books.accepted {
        found.push(wrong(
            "accepted",
            format!(
                "{} messages were accepted; {out} are there and {} were forgotten",
                books.accepted, books.forgotten
            ),
        ));
    }
    found
}

/// Ids that stand in one set and not in the other.
fn apart(these: &HashSet<MessageId>, those: &HashSet<MessageId>) -> Vec<MessageId> {
    let mut ids: Vec<MessageId> = these.difference(those).copied().collect();
    ids.sort_unstable_by_key(|id| id.raw());
    ids
}

#[cfg(test)]
mod tests;
