//! Opt-outs in the ledger: a phone that stops has withdrawn. They are taken from the audit trail, behind the traffic, which
//! pays nothing for it; the place in the trail moves with the entries.

use std::sync::Arc;

use db::{Tenancy, args, record, sql};
use runtime::job::{self, Handler, Outcome};
use runtime::personal::By;
use runtime::{Runtime, Scope};
use serde_json::Value;
use types::{ConsentEntryId, Error, Result, TenantId, Timestamp};

use super::Evidence;
use crate::person::{self, Identifier};

/// The kind of the job that follows.
pub const KIND: &str = "privacy.ledger";
/// Rows of the trail that one transaction takes.
const BATCH: i64 = 200;
/// Tenants that one look finds at most.
const TENANTS_MAX: i64 = 1_000;

record! { struct Behind { tenant_id: TenantId } }

/// Gives each tenant whose ledger is behind its trail a job, unless it has one.
///
/// # Errors
/// When the database does not answer.
pub async fn wake(runtime: &Runtime) -> Result<()> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let behind: Vec<Behind> = tx
        .all(
            sql!(
                "select c.tenant_id from audit_chain c left join privacy_tenant p on p.tenant_id = c.tenant_id \
                 where exists (select 1 from audit_row a where a.tenant_id = c.tenant_id \
                 and a.kind in ('opt_out.added', 'opt_out.removed') and a.number > coalesce(p.ledger_number, 0)) \
                 and not exists (select 1 from job j where j.tenant_id = c.tenant_id and j.kind = 'privacy.ledger' and not j.dead) \
                 limit $1"
            ),
            args![TENANTS_MAX],
        )
        .await?;
    drop(tx);
    for Behind { tenant_id } in behind {
        let mut tx = runtime.db.write(Tenancy::Tenant(tenant_id)).await?;
        job::enqueue(&mut tx, runtime, tenant_id, KIND, &(), runtime.clock.now()).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The job.
pub(crate) fn handler() -> Handler {
    Arc::new(|scope, _, _| {
        Box::pin(async move {
            match catch_up(&scope).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(error.to_string()),
            }
        })
    })
}

/// Takes the ledger up to where the trail stands.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn catch_up(scope: &Scope) -> Result<()> {
    while step(scope).await? {}
    Ok(())
}

record! { struct Place { ledger_number: i64 } }
record! { struct Row { number: i64, at: Timestamp, actor: String, kind: String, data: String } }

/// Whose word a row of the trail is; nothing for an import, which names nobody, and for who was erased.
fn whose(row: &Row) -> Option<Identifier> {
    let data: Value = serde_json::from_str(&row.data).ok()?;
    let phone = [&data["after"]["phone"], &data["before"]["phone"], &data["name"]]
        .into_iter()
        .find_map(|value| value.as_str().filter(|text| text.starts_with('+')))?;
    Identifier::read(phone.split(' ').next()?).ok().filter(|one| one.is(By::Phone))
}

/// Takes the ledger a batch further. False when it has come to the end.
async fn step(scope: &Scope) -> Result<bool> {
    let tenant = scope.tenant();
    person::blind(scope).await?;
    let mut tx = scope.read().await?;
    let Place { ledger_number: place } =
        tx.one(sql!("select ledger_number from privacy_tenant where tenant_id = $1"), args![tenant]).await?;
    let rows: Vec<Row> = tx
        .all(
            sql!(
                "select number, at, actor, kind, data from audit_row where tenant_id = $1 and number > $2 \
                 and kind in ('opt_out.added', 'opt_out.removed') order by number limit $3"
            ),
            args![tenant, place, BATCH],
        )
        .await?;
    drop(tx);
    let Some(last) = rows.last().map(|row| row.number) else { return Ok(false) };
    let mut entries = Vec::new();
    for row in rows {
        let Some(identifier) = whose(&row) else { continue };
        let key = person::of(scope, std::slice::from_ref(&identifier)).await?;
        let id: ConsentEntryId = scope.runtime().ids.next();
        let evidence = Evidence { identifier, shown: String::new(), address: String::new() };
        let plain = serde_json::to_vec(&evidence).map_err(Error::internal)?;
        let locked = key.lock("consent", "evidence_locked", &id.to_string(), &plain)?;
        entries.push((id, key.person, row.kind == "opt_out.removed", row.at, row.actor, locked));
    }
    let mut tx = scope.runtime().db.write(Tenancy::Tenant(tenant)).await?;
    let moved = tx
        .execute(
            sql!("update privacy_tenant set ledger_number = $3 where tenant_id = $1 and ledger_number = $2"),
            args![tenant, place, last],
        )
        .await?;
    if moved == 0 {
        // Another run was faster.
        return Ok(true);
    }
    for (id, person, given, at, actor, locked) in entries {
        tx.execute(
            sql!(
                "insert into consent (id, tenant_id, person_id, at, purpose, channel, given, source, actor, evidence_locked) \
                 values ($1, $2, $3, $4, 'marketing', 'sms', $5, 'opt-out list', $6, $7)"
            ),
            args![id, tenant, person, at, given, actor, locked],
        )
        .await?;
    }
    tx.commit().await?;
    Ok(true)
}
