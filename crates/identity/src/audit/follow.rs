//! The follower: one task that takes what is audited out of every tenant's event stream into the tenant's trail.
//!
//! Nothing is added to the change itself: the event is written with it, and the trail is made behind it. Rows and the place
//! in the stream that they reach move in one transaction, so a crash loses nothing and doubles nothing.

use std::time::{Duration, Instant};

use db::{Tenancy, args, record, sql};
use runtime::{Runtime, outbox};
use tokio::sync::Mutex;
use types::{Result, TenantId, Timestamp};

use super::chain::{self, BEGINNING, Chain};
use super::checkpoint;

/// Rows that one transaction takes in, at most about.
const BATCH: usize = 250;
/// Tenants that one look finds.
const TENANTS_MAX: i64 = 1_000;
/// How often it is looked for trails that lack the day's checkpoint.
const SIGNED_EVERY: Duration = Duration::from_secs(60);
const DAY_MS: i64 = 86_400_000;

/// One follower at a time, so that nobody makes rows that somebody else makes too.
struct Turn(Mutex<()>);

record! { struct Behind { id: TenantId } }

/// Starts the follower; it runs until everything that leaves it work has stopped.
pub fn start(runtime: &Runtime) {
    let followed = runtime.clone();
    runtime.writers.spawn("audit trail", async move { follow(followed).await });
}

async fn follow(runtime: Runtime) {
    let stopping = runtime.writers.stopping();
    let mut signed: Option<Instant> = None;
    loop {
        let over = stopping.is_cancelled();
        let more = match round(&runtime).await {
            Ok(rows) => rows > 0,
            Err(error) => {
                tracing::error!(?error, "the audit trail could not be taken further; trying again");
                false
            }
        };
        if signed.is_none_or(|signed| signed.elapsed() >= SIGNED_EVERY) {
            signed = Some(Instant::now());
            if let Err(error) = sign_the_day(&runtime).await {
                tracing::warn!(?error, "the day's checkpoints could not be signed; trying again");
            }
        }
        if over {
            return;
        }
        if !more {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(runtime.config.audit.poll_ms)) => {}
            }
        }
    }
}

/// Takes every trail that is behind a batch further, and gives the rows that were made.
///
/// # Errors
/// When the database does not answer; what was not committed is made again.
pub async fn round(runtime: &Runtime) -> Result<u64> {
    let behind: Vec<Behind> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select t.id from tenant t left join audit_chain c on c.tenant_id = t.id where exists (select 1 \
                 from event_page p where p.tenant_id = t.id and p.audited and p.last_seq > coalesce(c.event_seq, 0)) \
                 order by t.id limit $1"
            ),
            args![TENANTS_MAX],
        )
        .await?;
    let mut made = 0;
    for Behind { id } in behind {
        made += step(runtime, id).await?;
    }
    if made > 0 {
        metrics::counter!("switchboard_audit_rows_total").increment(made);
    }
    Ok(made)
}

/// Takes a tenant's trail up to what has happened until now, so that whoever reads it behind a change finds it there.
///
/// # Errors
/// When the database does not answer.
pub async fn catch_up(runtime: &Runtime, tenant: TenantId) -> Result<()> {
    while step(runtime, tenant).await? > 0 {}
    Ok(())
}

/// Takes a tenant's trail a batch further. What is audited is found by an index of its own, so traffic costs nothing here.
async fn step(runtime: &Runtime, tenant: TenantId) -> Result<u64> {
    let turn = runtime.kept(|_| Turn(Mutex::default()));
    let _turn = turn.0.lock().await;
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let before = chain::standing(&mut tx, tenant).await?;
    drop(tx);
    let seq = before.as_ref().map_or(0, |chain| chain.event_seq);
    let audited = outbox::audited_after(&runtime.db, tenant, seq, BATCH).await?;
    if audited.events.is_empty() {
        return Ok(0);
    }
    let (number, hash) = before.as_ref().map_or((0, BEGINNING), |chain| (chain.number, chain.hash.as_str()));
    let rows = chain::link(tenant, number, hash, audited.events)?;
    let Some(last) = rows.last() else { return Ok(0) };
    let now = runtime.clock.now();
    let (signing, sealed) = match &before {
        Some(chain) => (checkpoint::key(runtime, tenant, chain).await?, chain.signing_key_sealed.clone()),
        None => checkpoint::new_key(runtime, tenant).await?,
    };
    let since = last.row.number - before.as_ref().map_or(0, |chain| chain.checkpoint_number);
    let due = since >= runtime.config.audit.checkpoint_rows;
    let mut after = Chain {
        event_seq: audited.reaches,
        number: last.row.number,
        hash: last.hash.clone(),
        first: before.as_ref().map_or(1, |chain| chain.first),
        checkpoint: before.as_ref().map_or(0, |chain| chain.checkpoint),
        checkpoint_number: before.as_ref().map_or(0, |chain| chain.checkpoint_number),
        checkpoint_at: before.as_ref().map_or(Timestamp::from_unix_ms(0), |chain| chain.checkpoint_at),
        public_key: signing.public.clone(),
        signing_key_sealed: sealed,
    };
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    if due {
        checkpoint::insert(&mut tx, tenant, &after, &signing, now, "rows").await?;
        (after.checkpoint, after.checkpoint_number, after.checkpoint_at) =
            (after.checkpoint + 1, after.number, now);
    }
    if !save(&mut tx, tenant, before.as_ref(), &after).await? {
        // Another process was faster; its rows are read before the next step.
        return Ok(1);
    }
    chain::insert(&mut tx, &rows).await?;
    tx.commit().await?;
    Ok(rows.len() as u64)
}

/// Moves the place, if it is still where it was read. False when it is not.
async fn save(tx: &mut db::Tx, tenant: TenantId, before: Option<&Chain>, after: &Chain) -> Result<bool> {
    let saved = match before {
        None => {
            tx.execute(
                sql!(
                    "insert into audit_chain (tenant_id, event_seq, number, hash, first, checkpoint, checkpoint_number, \
                     checkpoint_at, public_key, signing_key_sealed) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                     on conflict (tenant_id) do nothing"
                ),
                args![
                    tenant,
                    after.event_seq,
                    after.number,
                    &after.hash,
                    after.first,
                    after.checkpoint,
                    after.checkpoint_number,
                    after.checkpoint_at,
                    &after.public_key,
                    &after.signing_key_sealed
                ],
            )
            .await?
        }
        Some(before) => {
            tx.execute(
                sql!(
                    "update audit_chain set event_seq = $4, number = $5, hash = $6, checkpoint = $7, checkpoint_number = $8, \
                     checkpoint_at = $9 where tenant_id = $1 and event_seq = $2 and number = $3 and checkpoint = $10"
                ),
                args![
                    tenant,
                    before.event_seq,
                    before.number,
                    after.event_seq,
                    after.number,
                    &after.hash,
                    after.checkpoint,
                    after.checkpoint_number,
                    after.checkpoint_at,
                    before.checkpoint
                ],
            )
            .await?
        }
    };
    Ok(saved == 1)
}

record! { struct Unsigned { tenant_id: TenantId } }

/// Signs the trails that grew since their last checkpoint, where that is of another day (UTC).
///
/// # Errors
/// When the database does not answer.
pub async fn sign_the_day(runtime: &Runtime) -> Result<()> {
    let day = runtime.clock.now().unix_ms().div_euclid(DAY_MS) * DAY_MS;
    let unsigned: Vec<Unsigned> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select tenant_id from audit_chain where number > checkpoint_number and checkpoint_at < $1 \
                 order by tenant_id limit $2"
            ),
            args![day, TENANTS_MAX],
        )
        .await?;
    for Unsigned { tenant_id } in unsigned {
        let turn = runtime.kept(|_| Turn(Mutex::default()));
        let _turn = turn.0.lock().await;
        checkpoint::sign(runtime, tenant_id, "day").await?;
    }
    Ok(())
}

/// Signs where a tenant's trail stands, because somebody asks. Nothing where the last checkpoint stands there already.
///
/// # Errors
/// `conflict` where another process took the trail further meanwhile; when the database does not answer.
pub async fn sign_now(runtime: &Runtime, tenant: TenantId) -> Result<Option<checkpoint::Checkpoint>> {
    catch_up(runtime, tenant).await?;
    let turn = runtime.kept(|_| Turn(Mutex::default()));
    let _turn = turn.0.lock().await;
    checkpoint::sign(runtime, tenant, "asked").await
}
