//! Durable jobs: enqueued in the change's own transaction, run at least once, retried with back-off, never forgotten.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::{Arg, Rows, Tenancy, Tx, args, record, sql};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use types::{JobId, Permissions, Result, TenantId, Timestamp};

use crate::Runtime;
use crate::config::Jobs;
use crate::scope::{Actor, Origin, Scope};

/// What came of one run.
#[derive(Debug)]
pub enum Outcome {
    /// Done; the job is gone.
    Done,
    /// To be tried again with the usual back-off; the reason is kept.
    Retry(String),
    /// Never to be tried again; it is kept with the reason for a while, for a person to see.
    Dead(String),
}

/// What runs a kind of job. It may be called again after a crash, so its effect must bear repetition.
pub type Handler = Arc<dyn Fn(Scope, String, u32) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Puts a job into the caller's transaction: it exists if, and only if, the change does.
///
/// # Errors
/// When the database refuses.
pub async fn enqueue<T: Serialize>(
    tx: &mut Tx,
    runtime: &Runtime,
    tenant: TenantId,
    kind: &'static str,
    payload: &T,
    run_at: Timestamp,
) -> Result<JobId> {
    let id: JobId = runtime.ids.next();
    let payload = serde_json::to_string(payload).map_err(types::Error::internal)?;
    tx.execute(
        sql!(
            "insert into job (id, tenant_id, kind, payload, run_at, attempts, leased_until, dead) \
             values ($1, $2, $3, $4, $5, 0, 0, false)"
        ),
        args![id, tenant, kind, payload, run_at],
    )
    .await?;
    Ok(id)
}

/// A job to be put into a transaction with others.
#[derive(Debug)]
pub struct NewJob {
    tenant: TenantId,
    kind: &'static str,
    payload: String,
}

impl NewJob {
    /// A job of a tenant's.
    ///
    /// # Errors
    /// When the payload cannot be written.
    pub fn new<T: Serialize>(tenant: TenantId, kind: &'static str, payload: &T) -> Result<Self> {
        let payload = serde_json::to_string(payload).map_err(types::Error::internal)?;
        Ok(Self { tenant, kind, payload })
    }
}

/// Puts many jobs into the caller's transaction, as [`enqueue`] does one, in one statement.
///
/// # Errors
/// When the database refuses.
pub async fn enqueue_all(tx: &mut Tx, runtime: &Runtime, jobs: Vec<NewJob>, run_at: Timestamp) -> Result<()> {
    let mut rows = Rows::new();
    for job in jobs {
        let id: JobId = runtime.ids.next();
        rows.push([id.into(), job.tenant.into(), Arg::word(job.kind), job.payload.into()]);
    }
    tx.execute_rows(
        sql!(
            "insert into job (id, tenant_id, kind, payload, run_at, attempts, leased_until, dead) \
             select r.id, r.tenant, r.kind, r.payload, $1, 0, 0, false \
             from rows(id bigint, tenant bigint, kind text, payload text) r"
        ),
        args![run_at],
        rows,
    )
    .await?;
    Ok(())
}

/// Runs jobs until the program stops.
pub struct Runner {
    runtime: Runtime,
    handlers: HashMap<&'static str, Handler>,
    running: Arc<Mutex<Running>>,
}

/// What runs now. A tenant has a share of the places, so that one whose receivers do not answer cannot take them all.
#[derive(Default)]
struct Running {
    all: usize,
    of: HashMap<TenantId, usize>,
    /// Whether the last look left jobs out for want of a place.
    wanting: bool,
}

/// A tenant that has all its places.
#[derive(Debug, PartialEq, Serialize)]
struct FullRow {
    t: i64,
}

record! { struct Claimed { id: JobId, tenant_id: TenantId, kind: String, payload: String, attempts: u32 } }

impl Running {
    /// How many jobs may be claimed at once, and of which tenants none: never more than there are free places, because
    /// a claimed job that waits for one lets its lease run out.
    fn room(&mut self, jobs: &Jobs) -> (usize, Vec<FullRow>) {
        let share = jobs.tenant_workers_max.min(jobs.workers);
        let full =
            |(tenant, running): (&TenantId, &usize)| (*running >= share).then(|| FullRow { t: tenant.raw() });
        let full: Vec<FullRow> = self.of.iter().filter_map(full).collect();
        // All that are claimed may be of the tenant that has most running already.
        let most = self.of.values().copied().filter(|running| *running < share).max().unwrap_or(0);
        let free = jobs.workers.saturating_sub(self.all).min(share - most);
        self.wanting = free == 0 || !full.is_empty();
        (free, full)
    }

    fn began(&mut self, tenant: TenantId) {
        self.all += 1;
        *self.of.entry(tenant).or_default() += 1;
    }

    fn ended(&mut self, tenant: TenantId) {
        self.all = self.all.saturating_sub(1);
        if let Some(running) = self.of.get_mut(&tenant) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.of.remove(&tenant);
            }
        }
    }

    /// Whether it is worth to look again after a job's end: one look for many places, not one for each.
    fn worth_a_look(&self, tenant: TenantId, jobs: &Jobs) -> bool {
        let its_own = self.of.get(&tenant).copied().unwrap_or(0);
        self.wanting && (its_own * 2 <= jobs.tenant_workers_max || self.all * 2 <= jobs.workers)
    }
}

impl Runner {
    /// A runner that knows no kind of job yet.
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime, handlers: HashMap::new(), running: Arc::default() }
    }

    /// Names what runs a kind of job.
    pub fn handle(&mut self, kind: &'static str, handler: Handler) {
        self.handlers.insert(kind, handler);
    }

    /// Claims and runs what is due until the program stops.
    pub async fn run(self) {
        let stopping = self.runtime.tasks.stopping();
        let poll = Duration::from_millis(self.runtime.config.jobs.poll_ms);
        while !stopping.is_cancelled() {
            let taken = match self.claim().await {
                Ok(jobs) => self.start(jobs),
                Err(error) => {
                    tracing::error!(?error, "jobs cannot be read; trying again");
                    0
                }
            };
            if taken == 0 {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = self.runtime.job_wake.notified() => {}
                    () = tokio::time::sleep(poll) => {}
                }
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Claimed>> {
        let jobs = &self.runtime.config.jobs;
        let (free, full) = lock(&self.running).room(jobs);
        if free == 0 {
            return Ok(Vec::new());
        }
        let now = self.runtime.clock.now();
        let until = now.plus_ms(ms(jobs.lease_ms));
        let mut tx = self.runtime.db.write(Tenancy::Every).await?;
        let jobs = tx
            .all(
                sql!(
                    "update job set leased_until = $2, attempts = attempts + 1 where id in ( \
                     select id from job where not dead and run_at <= $1 and leased_until <= $1 \
                     and tenant_id not in (select cast(r.value ->> 't' as bigint) from json_rows($4) r) \
                     order by run_at limit $3 for update skip locked) \
                     returning id, tenant_id, kind, payload, attempts /* every tenant: the runner serves all */"
                ),
                args![now, until, free as i64, Arg::json(&full)?],
            )
            .await?;
        tx.commit().await?;
        Ok(jobs)
    }

    fn start(&self, jobs: Vec<Claimed>) -> usize {
        let taken = jobs.len();
        for job in jobs {
            lock(&self.running).began(job.tenant_id);
            let place = Place {
                running: Arc::clone(&self.running),
                tenant: job.tenant_id,
                runtime: self.runtime.clone(),
            };
            let handler = self.handlers.get(job.kind.as_str()).cloned();
            let runtime = self.runtime.clone();
            self.runtime.tasks.spawn("job", async move {
                let outcome = tokio::select! {
                    outcome = work(&runtime, &job, handler) => outcome,
                    never = renew(&runtime, &job) => match never {},
                };
                if let Err(error) = settle(&runtime, &job, outcome).await {
                    tracing::error!(?error, job = %job.id, "a job's outcome could not be kept; it will run again");
                }
                drop(place);
            });
        }
        taken
    }
}

/// A job's place among those that run; given back when it is dropped.
struct Place {
    running: Arc<Mutex<Running>>,
    tenant: TenantId,
    runtime: Runtime,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        running.ended(self.tenant);
        if running.worth_a_look(self.tenant, &self.runtime.config.jobs) {
            self.runtime.job_wake.notify_one();
        }
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds of the configuration as the clock counts them.
fn ms(configured: u64) -> i64 {
    i64::try_from(configured).unwrap_or(i64::MAX)
}

async fn work(runtime: &Runtime, job: &Claimed, handler: Option<Handler>) -> Outcome {
    let Some(handler) = handler else {
        return Outcome::Dead(format!("nothing handles jobs of the kind {}", job.kind));
    };
    let scope = Scope::grant(
        runtime.clone(),
        job.tenant_id,
        Actor::System("job"),
        Permissions::all_of_a_tenant(),
        Origin::default(),
    );
    // A fault of ours counts as an attempt, so that a job which always has one comes to its end.
    let run = AssertUnwindSafe(async { handler(scope, job.payload.clone(), job.attempts).await });
    run.catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(job = %job.id, kind = job.kind, "a job panicked");
        Outcome::Retry("it panicked".to_owned())
    })
}

/// Keeps the job ours while it runs.
async fn renew(runtime: &Runtime, job: &Claimed) -> Infallible {
    let lease_ms = runtime.config.jobs.lease_ms;
    loop {
        tokio::time::sleep(Duration::from_millis(lease_ms / 3)).await;
        let until = runtime.clock.now().plus_ms(ms(lease_ms));
        let renewed = async {
            let mut tx = runtime.db.write(Tenancy::Tenant(job.tenant_id)).await?;
            tx.execute(
                sql!("update job set leased_until = $3 where tenant_id = $1 and id = $2 and not dead"),
                args![job.tenant_id, job.id, until],
            )
            .await?;
            tx.commit().await
        };
        if let Err(error) = renewed.await {
            tracing::warn!(?error, job = %job.id, "a job's lease could not be renewed; trying again");
        }
    }
}

/// The pause after so many attempts: doubled each time, then spread over its upper half by `chance`, 0 to 1, so that
/// what failed together does not come back together.
fn pause_ms(jobs: &Jobs, attempts: u32, chance: f64) -> i64 {
    let doublings = attempts.saturating_sub(1).min(32);
    let whole = jobs.retry_min_ms.saturating_mul(1 << doublings).min(jobs.retry_max_ms);
    let half = whole / 2;
    ms(whole - half + ((half as f64 * chance) as u64).min(half))
}

async fn settle(runtime: &Runtime, job: &Claimed, outcome: Outcome) -> Result<()> {
    let jobs = &runtime.config.jobs;
    let now = runtime.clock.now();
    let mut tx = runtime.db.write(Tenancy::Tenant(job.tenant_id)).await?;
    let outcome = match outcome {
        Outcome::Retry(why) if job.attempts >= jobs.attempts_max => {
            Outcome::Dead(format!("given up after {} attempts: {why}", job.attempts))
        }
        other => other,
    };
    match outcome {
        Outcome::Done => {
            tx.execute(
                sql!("delete from job where tenant_id = $1 and id = $2"),
                args![job.tenant_id, job.id],
            )
            .await?;
        }
        Outcome::Retry(why) => {
            let run_at = now.plus_ms(pause_ms(jobs, job.attempts, rand::random()));
            tx.execute(
                sql!(
                    "update job set run_at = $3, leased_until = 0, last_error = $4 where tenant_id = $1 and id = $2"
                ),
                args![job.tenant_id, job.id, run_at, why],
            )
            .await?;
        }
        Outcome::Dead(why) => {
            tracing::warn!(job = %job.id, kind = job.kind, why, "a job is dead");
            metrics::counter!("switchboard_jobs_dead_total", "kind" => job.kind.clone()).increment(1);
            // Nobody leases it any more: the column says since when it is dead.
            tx.execute(
                sql!(
                    "update job set dead = true, leased_until = $3, last_error = $4 where tenant_id = $1 and id = $2"
                ),
                args![job.tenant_id, job.id, now, why],
            )
            .await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests;
