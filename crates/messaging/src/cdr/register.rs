//! The writer's two statements of account: which streams are to be followed, and that a file is closed.

use db::{Tenancy, args, sql};
use runtime::outbox::{self, Happened};
use runtime::{Runtime, job};
use types::event::FileClosed;
use types::{Error, Event, Result, TenantId, Timestamp};

use super::gather::Position;
use super::{CdrFile, CdrSettings, StoredStream, hook};
use crate::settings;

/// The streams that are to be followed.
pub(super) async fn streams(runtime: &Runtime) -> Result<Vec<StoredStream>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    Ok(tx
        .all(
            sql!(
                "select s.tenant_id, s.active, s.settings, s.revision, s.event_seq, s.row_seq, s.file_number, s.parked, \
                 coalesce(h.seq, 0) as head from cdr_stream s left join event_head h on h.tenant_id = s.tenant_id \
                 where s.active or not s.parked order by s.tenant_id limit 100000"
            ),
            args![],
        )
        .await?)
}

/// Registers a complete file, moves the place in the stream, tells of it, and leaves what is to be done with it: all or
/// nothing.
pub(super) async fn register(
    runtime: &Runtime,
    tenant: TenantId,
    file: &CdrFile,
    from: Position,
    to: Position,
    at: Timestamp,
    settings: &CdrSettings,
) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    let moved = tx
        .execute(
            sql!(
                "update cdr_stream set event_seq = $4, row_seq = $5, file_number = $6, event_at = $7 \
                 where tenant_id = $1 and event_seq = $2 and row_seq = $3"
            ),
            args![tenant, from.event, from.row, to.event, to.row, file.number, at],
        )
        .await?;
    if moved != 1 {
        return Err(Error::internal("another writer has moved this tenant's place in the stream"));
    }
    let mut values = args![file.id, tenant, file.number, &file.name, &file.format, &file.compression];
    values.extend(args![
        file.first_seq,
        file.last_seq,
        file.rows,
        to.event,
        file.lost,
        file.bytes,
        &file.sha256
    ]);
    values.extend(args![
        settings::to_store(&file.states)?,
        &file.state,
        &file.reason,
        file.opened_at,
        file.closed_at
    ]);
    tx.execute(
        sql!(
            "insert into cdr_file (id, tenant_id, number, name, format, compression, first_seq, last_seq, row_count, event_seq, \
             lost, bytes, sha256, states, state, reason, opened_at, closed_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
        ),
        values,
    )
    .await?;
    let now = runtime.clock.now();
    if settings.upload_url.is_some() {
        job::enqueue(&mut tx, runtime, tenant, hook::UPLOAD, &file.id, now).await?;
    }
    if !runtime.config.cdr.command.is_empty() {
        job::enqueue(&mut tx, runtime, tenant, hook::COMMAND, &file.id, now).await?;
    }
    let closed = FileClosed { id: file.id, name: file.name.clone(), number: file.number, rows: file.rows };
    let happened = Happened {
        tenant,
        at: now,
        actor: "system records".to_owned(),
        request_id: None,
        from: None,
        events: vec![Event::CdrClosed(closed)],
    };
    let written = outbox::write(&mut tx, vec![happened]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    runtime.job_wake.notify_one();
    Ok(())
}
