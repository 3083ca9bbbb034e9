//! Erasing: every table that the register names, a batch at a time, each with its count in the same transaction.

use std::collections::BTreeMap;

use db::{Tenancy, Tx, args, record, sql};
use runtime::personal::{self, By, Erasure, Personal, Way};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::{PrivacyRequestId, Result, TenantId, Timestamp};

use crate::person::Identifier;
use crate::retention;

/// Rows that one transaction erases: few enough that nobody waits long for the writer.
const BATCH: i64 = 200;

/// What was erased of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Erased {
    /// The table.
    pub table: String,
    /// What it holds, in words.
    pub title: String,
    /// Rows that were deleted or overwritten.
    pub rows: i64,
}

/// What is kept of a table, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Kept {
    /// The table.
    pub table: String,
    /// What it holds, in words.
    pub title: String,
    /// Rows that stay.
    pub rows: i64,
    /// Which law or right keeps them.
    pub why: String,
    /// For how long.
    pub until: String,
}

record! { struct Count { n: i64 } }
record! { struct Progress { table_name: String, n: i64 } }

/// The ways to a person's rows, each with the identifiers that lead there.
fn ways<'a>(
    tables: &'a [Personal],
    identifiers: &'a [Identifier],
) -> impl Iterator<Item = (&'a Personal, &'a Way, String)> {
    let value = |way: &Way, one: &Identifier| match way.by {
        By::Actor => one.is(By::User).then(|| one.shown()),
        by => one.is(by).then(|| one.value.clone()),
    };
    tables.iter().flat_map(move |table| {
        table.ways.iter().flat_map(move |way| {
            identifiers.iter().filter_map(move |one| value(way, one).map(|value| (table, way, value)))
        })
    })
}

/// Erases all that is from before an instant. Called again after a crash it goes on where it was.
///
/// # Errors
/// When the database does not answer; what was erased stays erased.
pub(crate) async fn sweep(
    scope: &Scope,
    request: Option<PrivacyRequestId>,
    identifiers: &[Identifier],
    before: Timestamp,
) -> Result<u64> {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let tables = personal::tables(runtime);
    let mut all = 0;
    for (table, way, value) in ways(&tables, identifiers) {
        loop {
            let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
            let value = value.as_str();
            let done = match way.erase {
                Erasure::Keep(_) => 0,
                Erasure::Sql(text) => tx.execute(text, args![tenant, value, before, BATCH]).await?,
                Erasure::Code(erase) => erase(runtime, &mut tx, tenant, value, before).await?,
            };
            if done > 0 {
                if let Some(request) = request {
                    note(&mut tx, tenant, request, table.table, done).await?;
                }
                all += done;
            }
            tx.commit().await?;
            if done == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(all)
}

async fn note(
    tx: &mut Tx,
    tenant: TenantId,
    request: PrivacyRequestId,
    table: &'static str,
    n: u64,
) -> Result<()> {
    tx.execute(
        sql!(
            "insert into privacy_erased (tenant_id, request_id, table_name, n) values ($1, $2, $3, $4) \
             on conflict (tenant_id, request_id, table_name) do update set n = privacy_erased.n + excluded.n"
        ),
        args![tenant, request, table, i64::try_from(n).unwrap_or(i64::MAX)],
    )
    .await?;
    Ok(())
}

/// What a request has erased, in the register's order.
pub(crate) async fn erased(scope: &Scope, request: PrivacyRequestId) -> Result<Vec<Erased>> {
    let mut tx = scope.read().await?;
    let rows: Vec<Progress> = tx
        .all(
            sql!(
                "select table_name, n from privacy_erased where tenant_id = $1 and request_id = $2 limit 1000"
            ),
            args![scope.tenant(), request],
        )
        .await?;
    let counts: BTreeMap<String, i64> = rows.into_iter().map(|row| (row.table_name, row.n)).collect();
    let erased = |table: Personal| {
        counts.get(table.table).map(|rows| Erased {
            table: table.table.to_owned(),
            title: table.title.to_owned(),
            rows: *rows,
        })
    };
    Ok(personal::tables(scope.runtime()).into_iter().filter_map(erased).collect())
}

/// What stays of a person, and why.
pub(crate) async fn kept(scope: &Scope, identifiers: &[Identifier], before: Timestamp) -> Result<Vec<Kept>> {
    let tables = personal::tables(scope.runtime());
    let terms = retention::terms(scope).await?;
    let mut kept: Vec<Kept> = Vec::new();
    let mut tx = scope.read().await?;
    for (table, way, value) in ways(&tables, identifiers) {
        let Erasure::Keep(why) = way.erase else { continue };
        let Count { n } = tx.one(way.count, args![scope.tenant(), value, before]).await?;
        if n == 0 {
            continue;
        }
        match kept.iter_mut().find(|one| one.table == table.table && one.why == why) {
            Some(one) => one.rows += n,
            None => kept.push(Kept {
                table: table.table.to_owned(),
                title: table.title.to_owned(),
                rows: n,
                why: why.to_owned(),
                until: retention::kept(table.kept, &terms),
            }),
        }
    }
    Ok(kept)
}

/// What an erasure would reach: rows by table.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn found(
    scope: &Scope,
    identifiers: &[Identifier],
    before: Timestamp,
) -> Result<Vec<Erased>> {
    let tables = personal::tables(scope.runtime());
    let mut found: Vec<Erased> = Vec::new();
    let mut tx = scope.read().await?;
    for (table, way, value) in ways(&tables, identifiers) {
        if way.count.is_empty() {
            continue;
        }
        let Count { n } = tx.one(way.count, args![scope.tenant(), value, before]).await?;
        match found.iter_mut().find(|one| one.table == table.table) {
            Some(one) => one.rows += n,
            None if n > 0 => {
                found.push(Erased { table: table.table.to_owned(), title: table.title.to_owned(), rows: n });
            }
            None => {}
        }
    }
    Ok(found)
}

record! { struct Name { v: String } }

/// Identifiers of a tenant's tables that are wanted, found by walking all of them: what a restored database still holds of
/// persons who were erased.
pub(crate) async fn search(
    runtime: &Runtime,
    tenant: TenantId,
    wanted: impl Fn(By, &str) -> bool,
) -> Result<Vec<Identifier>> {
    let mut found: Vec<Identifier> = Vec::new();
    for table in personal::tables(runtime) {
        for way in table.ways {
            let Some(names) = way.names else { continue };
            let mut behind = String::new();
            loop {
                let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
                let page: Vec<Name> = tx.all(names, args![tenant, behind.as_str(), 1_000]).await?;
                drop(tx);
                let Some(last) = page.last() else { break };
                behind = last.v.clone();
                for Name { v } in page {
                    let one = Identifier { by: way.by.as_str().to_owned(), value: v };
                    if wanted(way.by, &one.value) && !found.contains(&one) {
                        found.push(one);
                    }
                }
            }
        }
    }
    Ok(found)
}
