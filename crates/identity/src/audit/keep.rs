//! Cutting off what is kept no longer. The trail is cut at a checkpoint, which is then its beginning: it was signed long
//! before, so nobody can cut more than stands behind one.

use db::{Tenancy, args, record, sql};
use runtime::outbox::{self, Happened};
use runtime::{Actor, Runtime};
use types::event::Change;
use types::{Event, Result, TenantId, Timestamp};

record! { struct Cuttable { tenant_id: TenantId, first: i64, number: i64 } }

/// Tenants that are cut at a time.
const TENANTS_MAX: i64 = 100;

/// Cuts every trail that has a checkpoint from before an instant, then removes what lies before the beginnings, at most so
/// many rows, and gives how many. The same goes for the pages of the event stream that a trail has taken in.
///
/// # Errors
/// When the database does not answer.
pub async fn forget(runtime: &Runtime, before: Timestamp, at_most: usize) -> Result<u64> {
    let cuttable: Vec<Cuttable> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select c.tenant_id, c.first, max(p.number) as number from audit_chain c join audit_checkpoint p \
                 on p.tenant_id = c.tenant_id and p.number >= c.first where p.at < $1 group by c.tenant_id, c.first limit $2"
            ),
            args![before, TENANTS_MAX],
        )
        .await?;
    for one in cuttable {
        cut(runtime, &one, before).await?;
    }
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let forgotten = tx
        .execute(
            sql!(
                "delete from audit_row where (tenant_id, number) in (select r.tenant_id, r.number from audit_row r \
                 join audit_chain c on c.tenant_id = r.tenant_id where r.number < c.first limit $1)"
            ),
            args![at_most as i64],
        )
        .await?;
    tx.execute(
        sql!(
            "delete from audit_checkpoint where (tenant_id, checkpoint) in (select p.tenant_id, p.checkpoint \
             from audit_checkpoint p join audit_chain c on c.tenant_id = p.tenant_id where p.number < c.first - 1 limit $1)"
        ),
        args![at_most as i64],
    )
    .await?;
    let pages = tx
        .execute(
            sql!(
                "delete from event_page where (tenant_id, last_seq) in (select e.tenant_id, e.last_seq from event_page e \
                 join audit_chain c on c.tenant_id = e.tenant_id where e.audited and e.at < $1 and e.last_seq <= c.event_seq \
                 limit $2)"
            ),
            args![before, at_most as i64],
        )
        .await?;
    tx.commit().await?;
    Ok(forgotten + pages)
}

async fn cut(runtime: &Runtime, one: &Cuttable, before: Timestamp) -> Result<()> {
    let Cuttable { tenant_id: tenant, first, number } = *one;
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    let moved = tx
        .execute(
            sql!("update audit_chain set first = $3 where tenant_id = $1 and first = $2"),
            args![tenant, first, number + 1],
        )
        .await?;
    if moved == 0 {
        return Ok(());
    }
    let told = Change {
        id: tenant.to_string(),
        name: format!("rows {first} to {number}"),
        before: Some(serde_json::json!({ "first": first })),
        after: Some(serde_json::json!({ "first": number + 1, "until": before })),
    };
    let happened = Happened {
        tenant,
        at: runtime.clock.now(),
        actor: Actor::System("retention").to_string(),
        request_id: None,
        from: None,
        events: vec![Event::AuditCut(told)],
    };
    let written = outbox::write(&mut tx, vec![happened]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    Ok(())
}
