//! After a new data key: everything is sealed anew, and at last the former keys go.

use std::sync::Arc;

use db::{Rows, Tenancy, args, record, sql};
use runtime::job::{self, Handler, Outcome};
use runtime::secrets::{Place, sealing_key_id};
use runtime::{Runtime, Scope};
use types::event::Change;
use types::{Error, Event, Result};

use super::{Ring, Rings, Sealed};

/// The kind of this job.
pub const KIND: &str = "identity.reseal";
/// Texts that one transaction seals anew: few enough that nobody waits long for the writer.
const TEXTS_AT_ONCE: i64 = 200;
/// How long a former key is kept after it was replaced: far longer than any transaction that may still seal with it, or
/// anybody who has read a text and not opened it.
const KEPT_MS: i64 = 24 * 3_600_000;

record! { struct Text { id: i64, sealed: String } }

/// Seals the tenant's texts anew, as often as it takes; then it waits until the former keys can go.
pub fn handler() -> Handler {
    Arc::new(|scope, _, _| {
        Box::pin(async move {
            match work(&scope).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry(error.to_string()),
            }
        })
    })
}

async fn work(scope: &Scope) -> Result<()> {
    let runtime = scope.runtime();
    // The ring as it stands in the database: of this job's transaction or a later one.
    Rings::of(runtime).forget(scope.tenant());
    let ring = super::ring(runtime, scope.tenant()).await?;
    let columns = super::columns(runtime);
    if columns.is_empty() {
        // Without them nothing would be sealed anew, and the former keys would go all the same.
        return Err(Error::internal("the sealed columns are not named"));
    }
    for column in columns {
        let mut behind = 0;
        while let Some(last) = reseal(scope, &column, &ring, behind).await? {
            behind = last;
        }
    }
    let mut write = scope.write().await?;
    let former = super::former(&mut write, scope.tenant()).await?;
    let (gone, kept): (Vec<_>, Vec<_>) =
        former.into_iter().partition(|row| row.retired_at.plus_ms(KEPT_MS) <= scope.now());
    for row in &gone {
        write
            .execute(
                sql!("delete from former_data_key where tenant_id = $1 and key_id = $2"),
                args![scope.tenant(), &row.key_id],
            )
            .await?;
        write.happened(Event::DataKeyRemoved(Change {
            id: scope.tenant().to_string(),
            name: "data key".to_owned(),
            before: Some(serde_json::json!({ "key": row.key_id, "retired_at": row.retired_at })),
            after: None,
        }));
    }
    // The earliest of those that stay; the last of them as they are listed.
    if let Some(next) = kept.last() {
        let at = next.retired_at.plus_ms(KEPT_MS);
        job::enqueue(&mut write, runtime, scope.tenant(), KIND, &(), at).await?;
    }
    write.commit(()).await?;
    Rings::of(runtime).forget(scope.tenant());
    Ok(())
}

/// Seals one page of a column anew; the last id on it, or nothing at the end.
async fn reseal(scope: &Scope, column: &Sealed, ring: &Ring, behind: i64) -> Result<Option<i64>> {
    let (runtime, tenant): (&Runtime, _) = (scope.runtime(), scope.tenant());
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    let page: Vec<Text> = tx.all(column.walk, args![tenant, behind, TEXTS_AT_ONCE]).await?;
    let last = page.last().map(|text| text.id);
    let name = tenant.to_string();
    let mut rows = Rows::new();
    for Text { id, sealed } in page {
        let by = sealing_key_id(&sealed).map_err(Error::internal)?;
        if by == ring.current.id() {
            continue;
        }
        let row = (column.row)(id);
        let place = Place { tenant: &name, table: column.table, column: column.column, row: &row };
        let key = ring.key(by).unwrap_or(&ring.current);
        let plain = key.open(place, &sealed).map_err(Error::internal)?;
        let anew = ring.current.seal(place, &plain).map_err(Error::internal)?;
        rows.push([id.into(), sealed.into(), anew.into()]);
    }
    if !rows.is_empty() {
        tx.execute_rows(column.replace, args![tenant], rows).await?;
    }
    tx.commit().await?;
    Ok(last)
}
