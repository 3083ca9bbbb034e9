//! Durable jobs: enqueued in the change's own transaction, run at least once, retried with back-off, never forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use db::{Tenancy, Tx, args, record, sql};
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use types::{JobId, Permissions, Result, TenantId, Timestamp};

use crate::Runtime;
use crate::scope::{Actor, Origin, Scope};

/// What came of one run.
#[derive(Debug)]
pub enum Outcome {
    /// Done; the job is gone.
    Done,
    /// To be tried again with the usual back-off; the reason is kept.
    Retry(String),
    /// Never to be tried again; it is kept with the reason, for a person to see.
    Dead(String),
}

/// What runs a kind of job. It may be called again after a crash, so its effect must bear repetition.
pub type Handler = Arc<dyn Fn(Scope, String, u32) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// How long a job may run before another may take it for lost.
const LEASE_MS: i64 = 60_000;
/// Jobs taken at once.
const CLAIM_MAX: i64 = 50;
/// The longest pause between two looks, should a wake-up be lost.
const POLL: Duration = Duration::from_secs(1);
/// Pauses between attempts, in seconds; the last one repeats. About three days in all.
const BACKOFF_S: &[i64] = &[5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400];
const ATTEMPTS_MAX: u32 = 13;

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

/// Runs jobs until the program stops.
pub struct Runner {
    runtime: Runtime,
    handlers: HashMap<&'static str, Handler>,
    wake: Arc<Notify>,
    places: Arc<Semaphore>,
}

record! { struct Claimed { id: JobId, tenant_id: TenantId, kind: String, payload: String, attempts: u32 } }

impl Runner {
    /// A runner with at most so many jobs at once.
    pub fn new(runtime: Runtime, at_once_max: usize) -> Self {
        let wake = Arc::clone(&runtime.job_wake);
        Self { runtime, handlers: HashMap::new(), wake, places: Arc::new(Semaphore::new(at_once_max)) }
    }

    /// Names what runs a kind of job.
    pub fn handle(&mut self, kind: &'static str, handler: Handler) {
        self.handlers.insert(kind, handler);
    }

    /// Claims and runs what is due until the program stops.
    pub async fn run(self) {
        let stopping = self.runtime.tasks.stopping();
        while !stopping.is_cancelled() {
            let taken = match self.claim().await {
                Ok(jobs) => self.start(jobs).await,
                Err(error) => {
                    tracing::error!(?error, "jobs cannot be read; trying again");
                    0
                }
            };
            if taken == 0 {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Claimed>> {
        let now = self.runtime.clock.now();
        let mut tx = self.runtime.db.write(Tenancy::Every).await?;
        let jobs = tx
            .all(
                sql!(
                    "update job set leased_until = $2, attempts = attempts + 1 where id in ( \
                     select id from job where not dead and run_at <= $1 and leased_until <= $1 \
                     order by run_at limit $3 for update skip locked) \
                     returning id, tenant_id, kind, payload, attempts /* every tenant: the runner serves all */"
                ),
                args![now, now.plus_ms(LEASE_MS), CLAIM_MAX],
            )
            .await?;
        tx.commit().await?;
        Ok(jobs)
    }

    async fn start(&self, jobs: Vec<Claimed>) -> usize {
        let taken = jobs.len();
        for job in jobs {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { break };
            let handler = self.handlers.get(job.kind.as_str()).cloned();
            let runtime = self.runtime.clone();
            self.runtime.tasks.spawn("job", async move {
                let scope = Scope::grant(
                    runtime.clone(),
                    job.tenant_id,
                    Actor::System("job"),
                    Permissions::all_of_a_tenant(),
                    Origin::default(),
                );
                let outcome = match handler {
                    Some(handler) => handler(scope, job.payload.clone(), job.attempts).await,
                    None => Outcome::Dead(format!("nothing handles jobs of the kind {}", job.kind)),
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

async fn settle(runtime: &Runtime, job: &Claimed, outcome: Outcome) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Tenant(job.tenant_id)).await?;
    let outcome = match outcome {
        Outcome::Retry(why) if job.attempts >= ATTEMPTS_MAX => {
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
            let at = BACKOFF_S[(job.attempts.saturating_sub(1) as usize).min(BACKOFF_S.len() - 1)];
            let run_at = runtime.clock.now().plus_ms(at * 1_000);
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
            tx.execute(
                sql!("update job set dead = true, last_error = $3 where tenant_id = $1 and id = $2"),
                args![job.tenant_id, job.id, why],
            )
            .await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
