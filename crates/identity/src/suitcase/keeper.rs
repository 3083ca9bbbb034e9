//! What carries suitcases out, one at a time. A process that dies packs anew, and of a restoring nothing was there, or all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use db::{Engine, Tenancy, args, sql};
use futures::future::BoxFuture;
use runtime::outbox;
use runtime::{Actor, Runtime};
use serde::Serialize;
use types::{Code, Error, Event, Result, SuitcaseId, TenantId};

use super::lock::Lock;
use super::records::{self, IMPORT, Stored};
use super::{Luggage, pack, restore};
use crate::security_event::watch;
use crate::{domain, tenant};

/// How often it is looked for what waits.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How long a tenant that was shut is given for what its carriers have not answered.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// Takes up what runs for a tenant that was restored, before it is opened. It may be called again.
pub type Arrive = Arc<dyn Fn(TenantId) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Carries out what waits, until the program stops.
pub async fn keep(runtime: Runtime, arrive: Arrive) {
    let stopping = runtime.tasks.stopping();
    while !stopping.is_cancelled() {
        if let Err(error) = round(&runtime, &arrive).await {
            tracing::error!(?error, "a suitcase could not go on; trying again");
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(LOOKED_EVERY) => {}
        }
    }
}

async fn round(runtime: &Runtime, arrive: &Arrive) -> Result<()> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let next: Option<Stored> = tx
        .optional(
            sql!(
                "select id, tenant, direction, state, asked_by, asked_at, switched, public_key, key_wrapped, rows_done, at_table, \
                 bytes, bytes_total, manifest, problem, ended_at, file_until from suitcase \
                 where state in ('waits', 'working', 'arriving') order by id limit 1"
            ),
            args![],
        )
        .await?;
    let old: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant, direction, state, asked_by, asked_at, switched, public_key, key_wrapped, rows_done, at_table, \
                 bytes, bytes_total, manifest, problem, ended_at, file_until from suitcase \
                 where file_until is not null and file_until <= $1 and state not in ('waits', 'working', 'arriving') \
                 order by id limit 100"
            ),
            args![runtime.clock.now()],
        )
        .await?;
    drop(tx);
    for one in old {
        let mut tx = runtime.db.write(Tenancy::Every).await?;
        records::forget(&mut tx, runtime, &one).await?;
        tx.commit().await?;
    }
    let Some(one) = next else { return Ok(()) };
    let (id, direction) = (one.id, one.direction.clone());
    let worked = match direction.as_str() {
        IMPORT => import(runtime, one, arrive).await,
        _ => export(runtime, one).await,
    };
    under_way(runtime).set(None);
    match worked {
        // What passes is tried again; the program's end is no failure.
        Err(error) if matches!(error.code(), Code::DatabaseBusy | Code::ShuttingDown) => Err(error),
        Err(error) => failed(runtime, id, &error).await,
        Ok(()) => Ok(()),
    }
}

async fn failed(runtime: &Runtime, id: SuitcaseId, error: &Error) -> Result<()> {
    tracing::warn!(?error, %id, "a suitcase failed");
    let place = error.place().map(|at| format!(" ({at})")).unwrap_or_default();
    let told = format!("{}: {}{place}. {}", error.code().as_str(), error.message(), error.advice());
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.execute(
        sql!(
            "update suitcase set state = 'failed', problem = $2, ended_at = $3, key_wrapped = null, at_table = null, \
             file_until = $4 where id = $1"
        ),
        args![id, told, runtime.clock.now(), records::kept_until(runtime)],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Removes what is kept of the suitcases of a tenant that is erased. One that is being packed comes to nothing by itself.
///
/// # Errors
/// When the database or the disk refuses.
pub async fn forget_tenant(runtime: &Runtime, tenant: TenantId) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let all: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant, direction, state, asked_by, asked_at, switched, public_key, key_wrapped, rows_done, at_table, \
                 bytes, bytes_total, manifest, problem, ended_at, file_until from suitcase \
                 where tenant = $1 and file_until is not null and state not in ('working', 'arriving') order by id limit 10000"
            ),
            args![tenant],
        )
        .await?;
    for one in all {
        records::forget(&mut tx, runtime, &one).await?;
    }
    tx.execute(sql!("update suitcase set manifest = null where tenant = $1"), args![tenant]).await?;
    tx.commit().await?;
    Ok(())
}

/// What the work on a suitcase is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SuitcaseStep)]
pub enum Step {
    /// A tenant that was shut waits for what its carriers have not answered.
    Drains,
    /// Its rows go into the file.
    Packs,
    /// The file is read, and nothing written.
    Checks,
    /// Its rows go into the tables.
    Restores,
    /// What lies in the tables is compared with what the file says of them.
    Compares,
}

/// How far the work of this process has come.
#[derive(Clone, Default)]
pub(super) struct Reached {
    pub(super) step: Option<Step>,
    pub(super) table: Option<String>,
    pub(super) rows: i64,
    /// In percent.
    pub(super) share: u8,
}

/// The suitcase that is worked on, with how far that is. There is one at a time.
#[derive(Default)]
struct UnderWay(Mutex<Option<(SuitcaseId, Reached)>>);

impl UnderWay {
    fn set(&self, now: Option<(SuitcaseId, Reached)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

fn under_way(runtime: &Runtime) -> Arc<UnderWay> {
    runtime.kept(|_| UnderWay::default())
}

/// How far the work on a suitcase has come, where it is worked on.
pub(super) fn reached(runtime: &Runtime, id: SuitcaseId) -> Option<Reached> {
    let under_way = under_way(runtime);
    let now = under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
    now.as_ref().filter(|(of, _)| *of == id).map(|(_, reached)| reached.clone())
}

/// Runs what waits for the disk on a thread of its own, and keeps its progress in the row meanwhile.
async fn apart<T, F>(
    runtime: &Runtime,
    id: SuitcaseId,
    work: impl FnOnce(Box<super::Progress>) -> F,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (telling, stopping) = (under_way(runtime), runtime.tasks.stopping());
    let progress: Box<super::Progress> = Box::new(move |at| {
        if stopping.is_cancelled() {
            return Err(Error::new(Code::ShuttingDown, "the server is stopping"));
        }
        let (done, all) = at.share;
        let share = u8::try_from(done.saturating_mul(100) / all.max(1)).unwrap_or(100).min(100);
        let table = (!at.table.is_empty()).then(|| at.table.to_owned());
        telling.set(Some((id, Reached { step: Some(at.step), table, rows: at.rows.cast_signed(), share })));
        Ok(())
    });
    let (handle, future) = (tokio::runtime::Handle::current(), work(progress));
    let mut worker = tokio::task::spawn_blocking(move || handle.block_on(future));
    loop {
        tokio::select! {
            done = &mut worker => return done.map_err(Error::internal)?,
            () = tokio::time::sleep(LOOKED_EVERY) => {
                let now = reached(runtime, id).unwrap_or_default();
                // On SQLite a restoring has the one writer; its progress is in memory then, and told at its end.
                let Ok(Ok(mut tx)) = tokio::time::timeout(LOOKED_EVERY, runtime.db.write(Tenancy::Every)).await else {
                    continue;
                };
                tx.execute(
                    sql!("update suitcase set state = 'working', rows_done = $2, at_table = $3 where id = $1 and state <> 'arriving'"),
                    args![id, now.rows, now.table],
                )
                .await?;
                tx.commit().await?;
            }
        }
    }
}

fn lock(runtime: &Runtime, one: &Stored) -> Result<Lock> {
    let kept = one.key_wrapped.as_deref().ok_or_else(|| Error::internal("the suitcase has no key"))?;
    Lock::kept(runtime, &one.id.to_string(), kept)
}

async fn export(runtime: &Runtime, one: Stored) -> Result<()> {
    let tenant = one.tenant.ok_or_else(|| Error::not_found("tenant"))?;
    if one.switched {
        let drains = Reached { step: Some(Step::Drains), ..Reached::default() };
        under_way(runtime).set(Some((one.id, drains)));
        drain(runtime, tenant).await?;
    }
    watch::round(runtime).await?;
    let (luggage, lock): (Arc<Luggage>, _) = (super::luggage(runtime)?, lock(runtime, &one)?);
    records::make_folder(&runtime.config)?;
    let path = records::path(&runtime.config, one.id);
    let (own, at) = (runtime.clone(), path.clone());
    let packed = apart(runtime, one.id, move |progress| async move {
        pack::pack(&own, &luggage, tenant, (&at, &lock), &progress).await
    });
    let manifest = packed.await?;
    let bytes = std::fs::metadata(&path).map_err(super::lock::storage)?.len();
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    tx.execute(
        sql!(
            "update suitcase set state = 'ready', rows_done = $2, at_table = null, bytes = $3, manifest = $4, ended_at = $5, \
             file_until = $6, key_wrapped = null where id = $1"
        ),
        args![
            one.id,
            manifest.rows.cast_signed(),
            bytes.cast_signed(),
            serde_json::to_string(&manifest).map_err(Error::internal)?,
            runtime.clock.now(),
            records::kept_until(runtime)
        ],
    )
    .await?;
    let told = super::exported(&mut tx, runtime, &manifest, &Actor::System("suitcase").to_string()).await?;
    tx.commit().await?;
    told.tell(&runtime.live);
    Ok(())
}

/// Waits a little for the answers of carriers, so that fewer messages are told as sent twice, perhaps.
async fn drain(runtime: &Runtime, tenant: TenantId) -> Result<()> {
    let stopping = runtime.tasks.stopping();
    let began = tokio::time::Instant::now();
    while began.elapsed() < DRAINED_WITHIN && !stopping.is_cancelled() {
        let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
        if pack::in_flight(&mut tx, tenant).await? == 0 {
            break;
        }
        drop(tx);
        tokio::time::sleep(LOOKED_EVERY).await;
    }
    Ok(())
}

async fn import(runtime: &Runtime, one: Stored, arrive: &Arrive) -> Result<()> {
    if one.state == "arriving" {
        return arrived(runtime, &one, arrive).await;
    }
    let (luggage, lock): (Arc<Luggage>, _) = (super::luggage(runtime)?, lock(runtime, &one)?);
    let path = records::path(&runtime.config, one.id);
    let (own, id) = (runtime.clone(), one.id);
    let (known, by) = (one.public_key.clone(), one.asked_by.clone());
    apart(runtime, id, move |progress| async move {
        let manifest = restore::check(&own, &luggage, (&path, &lock), known.as_deref(), &progress).await?;
        let most = own.config.tenants.restore_rows_max;
        if own.db.engine() == Engine::Sqlite && manifest.rows > most {
            let why =
                format!("it has {} rows; on SQLite a running server restores {most} at most", manifest.rows);
            return Err(Error::new(Code::TooLarge, why)
                .at("file")
                .hint("restore it while no server runs: switchboard tenant import --offline"));
        }
        let wish = restore::Wish { open: false, by, record: Some(id) };
        restore::restore(&own, &luggage, (&path, &lock), (&wish, &manifest), &progress).await
    })
    .await?;
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let one = records::stored(&mut tx, id).await?;
    drop(tx);
    arrived(runtime, &one, arrive).await
}

/// The rows are there: takes up what runs for the tenant, and opens it where that is wanted.
async fn arrived(runtime: &Runtime, one: &Stored, arrive: &Arrive) -> Result<()> {
    let whose = one.tenant.ok_or_else(|| Error::not_found("tenant"))?;
    crate::encryption::forget(runtime, whose);
    arrive(whose).await?;
    domain::refresh(runtime).await?;
    let mut tx = runtime.db.write(Tenancy::Every).await?;
    let before = tenant::find(&mut tx, whose).await?;
    let platform = tenant::platform(&mut tx).await?;
    let mut events = Vec::new();
    if one.switched {
        tx.execute(
            sql!("update tenant set status = 'active' where id = $1 and status = 'suspended'"),
            args![whose],
        )
        .await?;
        let after = tenant::find(&mut tx, whose).await?;
        events.push(Event::TenantChanged(tenant::change(&after, Some(&before))));
    }
    tx.execute(
        sql!("update suitcase set state = 'done', key_wrapped = null, at_table = null, ended_at = $2, file_until = $2 where id = $1"),
        args![one.id, runtime.clock.now()],
    )
    .await?;
    let written =
        outbox::write(&mut tx, vec![super::happened(runtime, platform, &one.asked_by, events)]).await?;
    tx.commit().await?;
    written.tell(&runtime.live);
    Ok(())
}
