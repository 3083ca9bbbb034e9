//! Putting files away, removing them when their time is over, and keeping what is not written yet from being forgotten.

use db::{Tenancy, Tx, args, record, sql};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::Runtime;
use runtime::retention::numbers;
use types::{CdrFileId, Error, Event, Result, TenantId, Timestamp};

use super::file;

const DAY_MS: i64 = 86_400_000;
/// Files of one look; the next one goes on.
const FILES_MAX: i64 = 200;
/// Files that one transaction removes.
const REMOVED_MAX: i64 = 50;

record! { struct Old { id: CdrFileId, tenant_id: TenantId, name: String } }

/// Moves old files into the archive.
pub(super) async fn sweep(runtime: &Runtime) -> Result<()> {
    let days = runtime.config.cdr.archive_days;
    if days == 0 {
        return Ok(());
    }
    let before = runtime.clock.now().plus_ms(-i64::from(days) * DAY_MS);
    for old in closed_before(runtime, before).await? {
        put_away(runtime, old).await?;
    }
    Ok(())
}

async fn closed_before(runtime: &Runtime, before: Timestamp) -> Result<Vec<Old>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    Ok(tx
        .all(
            sql!(
                "select id, tenant_id, name from cdr_file where closed_at < $1 and state = 'closed' \
                 order by closed_at limit $2"
            ),
            args![before, FILES_MAX],
        )
        .await?)
}

/// Removes a tenant's files that were closed before an instant, a few at a time, and gives how many. The disk first: what is
/// registered as removed is. A file that is gone already is only noted.
///
/// # Errors
/// When a file cannot be removed, or the database does not answer.
pub(crate) fn remove<'a>(
    runtime: &'a Runtime,
    tx: &'a mut Tx,
    tenant: TenantId,
    before: Timestamp,
    _: &'a mut Vec<Event>,
) -> BoxFuture<'a, Result<u64>> {
    async move {
        let old: Vec<Old> = tx
            .all(
                sql!(
                    "select id, tenant_id, name from cdr_file where tenant_id = $1 and closed_at < $2 \
                     and state <> 'removed' order by closed_at limit $3"
                ),
                args![tenant, before, REMOVED_MAX],
            )
            .await?;
        let paths: Vec<_> =
            old.iter().filter_map(|one| file::find(&runtime.config, tenant, &one.name)).collect();
        let removed = tokio::task::spawn_blocking(move || paths.iter().try_for_each(std::fs::remove_file));
        removed.await.map_err(Error::internal)?.map_err(Error::internal)?;
        let ids: Vec<i64> = old.iter().map(|one| one.id.raw()).collect();
        Ok(tx
            .execute_rows(
                sql!(
                    "update cdr_file set state = 'removed' from rows(k bigint) r \
                     where cdr_file.tenant_id = $1 and cdr_file.id = r.k"
                ),
                args![tenant],
                numbers(&ids),
            )
            .await?)
    }
    .boxed()
}

/// The disk first: what is registered as put away is. A file that is gone already is only noted.
async fn put_away(runtime: &Runtime, old: Old) -> Result<()> {
    let Old { id, tenant_id: tenant, name } = old;
    let (found, archive) =
        (file::find(&runtime.config, tenant, &name), file::archive(&runtime.config, tenant));
    if let Some(path) = found {
        let moved = tokio::task::spawn_blocking(move || file::move_to(&path, &archive));
        moved.await.map_err(Error::internal)?.map_err(Error::internal)?;
    }
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    tx.execute(
        sql!("update cdr_file set state = 'archived' where tenant_id = $1 and id = $2"),
        args![tenant, id],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

record! { struct Behind { event_at: Timestamp } }

/// The instant before which messages and events may be forgotten, when they are to be from before `before`: not what no
/// closed file holds yet, but for at most `cdr.hold_days` longer. Says so when it comes to that.
///
/// # Errors
/// When the database does not answer.
pub async fn hold_back(runtime: &Runtime, before: Timestamp) -> Result<Timestamp> {
    if !runtime.config.cdr.enabled {
        return Ok(before);
    }
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let oldest: Option<Behind> = tx
        .optional(
            sql!(
                "select s.event_at from cdr_stream s join event_head h on h.tenant_id = s.tenant_id \
                 where (s.active or not s.parked) and h.seq > s.event_seq order by s.event_at limit 1"
            ),
            args![],
        )
        .await?;
    let Some(oldest) = oldest.filter(|oldest| oldest.event_at < before) else {
        metrics::gauge!("switchboard_cdr_held_back").set(0.0);
        return Ok(before);
    };
    let bound = before.plus_ms(-i64::from(runtime.config.cdr.hold_days) * DAY_MS);
    metrics::gauge!("switchboard_cdr_held_back").set(1.0);
    tracing::warn!(
        written_until = %oldest.event_at,
        "records are behind what is kept of messages; forgetting waits for them, for cdr.hold_days at most"
    );
    Ok(oldest.event_at.max(bound))
}
