//! What runs beside everything: jobs, the folding of metrics, forgetting what is old.

use std::sync::Arc;
use std::time::Duration;

use identity::security_event::watch;
use identity::{audit, directory, domain, erasure, grant, impersonation, review, suitcase};
use messaging::{Engine, cdr, gate};
use privacy::retention::HoldBack;
use privacy::standing::Standings;
use runtime::job::Runner;
use runtime::{Config, Runtime};
use tokio_util::sync::CancellationToken;
use types::{Result, Timestamp};

use crate::serve;

/// How often the batched metrics are folded.
const FOLDED_EVERY: Duration = Duration::from_secs(5);
/// How often what has become old is looked for. The first look is one such pause after the start, when the start's own
/// work is done.
const SWEPT_EVERY: Duration = Duration::from_secs(3_600);
/// Rows that one transaction forgets: few enough that nobody waits long for the writer.
const BATCH: usize = 500;
/// The pause between two such transactions, for others to write.
const PAUSE: Duration = Duration::from_millis(50);

/// Starts all of it; it runs until the program stops.
pub(crate) fn start(runtime: &Runtime, engine: &Engine) {
    let mut jobs = Runner::new(runtime.clone());
    for (kind, handler) in messaging::jobs(engine).into_iter().chain(identity::jobs()).chain(privacy::jobs())
    {
        jobs.handle(kind, handler);
    }
    runtime.tasks.spawn("jobs", jobs.run());
    audit::follow::start(runtime);
    watch::start(runtime);
    let leaving = engine.clone();
    let leave: erasure::Leave = Arc::new(move |tenant| {
        let engine = leaving.clone();
        Box::pin(async move {
            messaging::leave::erase(&engine, tenant).await?;
            suitcase::forget_tenant(engine.runtime(), tenant).await?;
            Standings::changed(engine.runtime(), tenant).await
        })
    });
    runtime.tasks.spawn("erasures", erasure::keep(runtime.clone(), serve::tables(), leave));
    let arriving = engine.clone();
    let arrive: suitcase::Arrive = Arc::new(move |tenant| {
        let engine = arriving.clone();
        Box::pin(async move {
            messaging::leave::arrive(&engine, tenant).await?;
            Standings::changed(engine.runtime(), tenant).await
        })
    });
    runtime.tasks.spawn("suitcases", suitcase::keep(runtime.clone(), arrive));
    runtime.tasks.spawn("upkeep", fold(runtime.clone(), engine.clone()));
    runtime.tasks.spawn("sweep", sweep(runtime.clone()));
    runtime.tasks.spawn("retention", privacy::retention::keep(runtime.clone(), hold_back(runtime)));
}

/// What call detail records are made of waits for them.
pub(crate) fn hold_back(runtime: &Runtime) -> HoldBack {
    let runtime = runtime.clone();
    Arc::new(move |before| {
        let runtime = runtime.clone();
        Box::pin(async move { cdr::hold_back(&runtime, before).await })
    })
}

async fn fold(runtime: Runtime, engine: Engine) {
    let stopping = runtime.tasks.stopping();
    while !stopping.is_cancelled() {
        runtime.telemetry.upkeep();
        engine.measure();
        if let Err(error) = grant::note_ended(&runtime).await {
            tracing::warn!(?error, "grants whose time was over could not be noted; trying again");
        }
        if let Err(error) = directory::end_lost(&runtime).await {
            tracing::warn!(
                ?error,
                "readings of directories that nothing carries out could not be ended; trying again"
            );
        }
        if let Err(error) = directory::start_due(&runtime).await {
            tracing::warn!(?error, "readings of directories that are due could not be begun; trying again");
        }
        if let Err(error) = impersonation::note_ended(&runtime).await {
            tracing::warn!(?error, "impersonations that ended could not be noted; trying again");
        }
        if let Err(error) = privacy::consent::follow::wake(&runtime).await {
            tracing::warn!(?error, "the consent ledger could not be looked at; trying again");
        }
        if let Err(error) = domain::refresh(&runtime).await {
            tracing::warn!(?error, "tenants' own domains could not be read again; trying again");
        }
        wait(&stopping, FOLDED_EVERY).await;
    }
}

/// What is forgotten in time beside what tenants set the time of.
#[derive(Debug, Clone, Copy)]
enum Old {
    GateCounts,
    PersonFiles,
}

impl Old {
    /// For how long it is kept; nothing when for ever.
    fn kept_ms(self, config: &Config) -> Option<i64> {
        match self {
            // Each says itself until when it is kept.
            Self::PersonFiles => Some(0),
            Self::GateCounts => {
                Some(i64::from(config.gates.refusals_keep_days) * 86_400_000).filter(|kept| *kept > 0)
            }
        }
    }

    /// Forgets a batch of what is from before an instant, and gives how much.
    async fn forget(self, runtime: &Runtime, before: Timestamp) -> Result<u64> {
        match self {
            Self::PersonFiles => privacy::request::forget_files(runtime, before, BATCH).await,
            Self::GateCounts => gate::refusals::forget_counts(runtime, before, BATCH).await,
        }
    }
}

/// Looks once an hour for what has become old, and forgets it a batch at a time.
async fn sweep(runtime: Runtime) {
    let stopping = runtime.tasks.stopping();
    loop {
        wait(&stopping, SWEPT_EVERY).await;
        if stopping.is_cancelled() {
            return;
        }
        if let Err(error) = review::open_due(&runtime).await {
            tracing::warn!(?error, "reviews that are due could not be opened; trying again in an hour");
        }
        for old in [Old::GateCounts, Old::PersonFiles] {
            let Some(kept_ms) = old.kept_ms(&runtime.config) else { continue };
            let before = runtime.clock.now().plus_ms(-kept_ms);
            let mut forgotten = 0;
            while !stopping.is_cancelled() {
                match old.forget(&runtime, before).await {
                    Ok(0) => break,
                    Ok(some) => forgotten += some,
                    Err(error) => {
                        tracing::warn!(
                            ?error,
                            ?old,
                            "what is old could not be forgotten; trying again in an hour"
                        );
                        break;
                    }
                }
                wait(&stopping, PAUSE).await;
            }
            if forgotten > 0 {
                tracing::info!(forgotten, ?old, "forgot what is older than the configuration keeps");
            }
        }
    }
}

async fn wait(stopping: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stopping.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}
