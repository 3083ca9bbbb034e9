//! Cutting off what is kept no longer. The trail is cut at a checkpoint, which is then its beginning: it was signed long
//! before, so nobody can cut more than stands behind one.

use db::{Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::retention::ROWS_MAX;
use types::event::Change;
use types::{Event, Result, TenantId, Timestamp};

record! { struct Cuttable { first: i64, number: i64 } }

/// Cuts a tenant's trail at its last checkpoint from before an instant, then removes a batch of what lies before its beginning,
/// and gives how many rows. The same goes for the pages of the event stream that the trail has taken in.
///
/// # Errors
/// When the database does not answer.
pub fn forget<'a>(
    _: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    before: Timestamp,
    events: &'a mut Vec<Event>,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        cut(tx, tenant, before, events).await?;
        let forgotten = tx
            .execute(
                sql!(
                    "delete from audit_row where tenant_id = $1 and number in (select r.number from audit_row r \
                     join audit_chain c on c.tenant_id = r.tenant_id where r.tenant_id = $1 and r.number < c.first \
                     order by r.number limit $2)"
                ),
                args![tenant, ROWS_MAX as i64],
            )
            .await?;
        tx.execute(
            sql!(
                "delete from audit_checkpoint where tenant_id = $1 and checkpoint in (select p.checkpoint \
                 from audit_checkpoint p join audit_chain c on c.tenant_id = p.tenant_id where p.tenant_id = $1 \
                 and p.number < c.first - 1 limit $2)"
            ),
            args![tenant, ROWS_MAX as i64],
        )
        .await?;
        let pages = tx
            .execute(
                sql!(
                    "delete from event_page where tenant_id = $1 and last_seq in (select e.last_seq from event_page e \
                     join audit_chain c on c.tenant_id = e.tenant_id where e.tenant_id = $1 and e.audited and e.at < $2 \
                     and e.last_seq <= c.event_seq order by e.last_seq limit $3)"
                ),
                args![tenant, before, ROWS_MAX as i64],
            )
            .await?;
        Ok(forgotten + pages)
    }
    .boxed()
}

async fn cut(tx: &mut Tx, tenant: TenantId, before: Timestamp, events: &mut Vec<Event>) -> Result<()> {
    let cuttable: Option<Cuttable> = tx
        .optional(
            sql!(
                "select c.first, max(p.number) as number from audit_chain c join audit_checkpoint p \
                 on p.tenant_id = c.tenant_id and p.number >= c.first where c.tenant_id = $1 and p.at < $2 group by c.first"
            ),
            args![tenant, before],
        )
        .await?;
    let Some(Cuttable { first, number }) = cuttable else { return Ok(()) };
    tx.execute(
        sql!("update audit_chain set first = $3 where tenant_id = $1 and first = $2"),
        args![tenant, first, number + 1],
    )
    .await?;
    events.push(Event::AuditCut(Change {
        id: tenant.to_string(),
        name: format!("rows {first} to {number}"),
        before: Some(serde_json::json!({ "first": first })),
        after: Some(serde_json::json!({ "first": number + 1, "until": before })),
    }));
    Ok(())
}
