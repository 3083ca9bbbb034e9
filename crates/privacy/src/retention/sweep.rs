//! Letting go what is kept no longer: each tenant's classes in turn, a batch of rows in each transaction, which also says how far
//! it has come. A process that dies goes on from there, and the count is right; what happened is one event for each sweep and
//! class, not one for each row.

use std::sync::Arc;
use std::time::Duration;

use db::{Tenancy, Tx, args, record, sql};
use futures::future::BoxFuture;
use runtime::outbox::{self, Happened};
use runtime::personal::By;
use runtime::retention::{self, Class, Forget, ForgetBefore, Walk, Whose};
use runtime::{Actor, Runtime};
use types::event::Change;
use types::{Event, Result, TenantId, Timestamp};

use super::{Held, cut, in_force, set_by, wake};

/// How often it is looked for what is kept no longer, unless a term was changed.
const SWEPT_EVERY: Duration = Duration::from_secs(3_600);
/// When a sweep that the last process did not bring to its end goes on: when the start's own work is done.
const RESUMED_AFTER: Duration = Duration::from_secs(5);
/// The pause between two transactions, for others to write.
const PAUSE: Duration = Duration::from_millis(50);
/// Tenants that one statement reads.
const TENANTS: i64 = 200;

/// The instant before which what records are made of may go, when it is to be from before another.
pub type HoldBack = Arc<dyn Fn(Timestamp) -> BoxFuture<'static, Result<Timestamp>> + Send + Sync>;

record! { struct Unfinished { n: i64 } }
record! { struct Tenant { id: TenantId } }
record! { struct Floor { floor: i64 } }

/// Sweeps once an hour, and when a term was changed, until the program stops.
pub async fn keep(runtime: Runtime, hold_back: HoldBack) {
    let (stopping, woken) = (runtime.tasks.stopping(), wake(&runtime));
    let mut pause = match unfinished(&runtime).await {
        Ok(true) => RESUMED_AFTER,
        Ok(false) | Err(_) => SWEPT_EVERY,
    };
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = woken.0.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = SWEPT_EVERY;
        if let Err(error) = sweep_all(&runtime, &hold_back).await {
            tracing::warn!(?error, "what is kept no longer could not be let go; trying again in an hour");
        }
    }
}

async fn unfinished(runtime: &Runtime) -> Result<bool> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let found: Unfinished = tx
        .one(
            sql!("select count(*) as n from retention_sweep where ended_at is null /* every tenant: is one left? */"),
            args![],
        )
        .await?;
    Ok(found.n > 0)
}

/// Sweeps every tenant once. One that cannot be swept holds up no other.
///
/// # Errors
/// When the tenants cannot be read.
pub async fn sweep_all(runtime: &Runtime, hold_back: &HoldBack) -> Result<()> {
    let stopping = runtime.tasks.stopping();
    let mut behind = TenantId::from_raw(0);
    loop {
        let mut tx = runtime.db.read(Tenancy::Every).await?;
        let tenants: Vec<Tenant> = tx
            .all(
                sql!("select id from tenant where id > $1 order by id limit $2 /* every tenant: each in turn */"),
                args![behind, TENANTS],
            )
            .await?;
        drop(tx);
        let Some(last) = tenants.last() else { return Ok(()) };
        behind = last.id;
        for Tenant { id } in tenants {
            if stopping.is_cancelled() {
                return Ok(());
            }
            if let Err(error) = sweep_tenant(runtime, id, hold_back).await {
                tracing::warn!(?error, tenant = %id, "what a tenant keeps no longer could not be let go; trying again");
            }
        }
    }
}

async fn sweep_tenant(runtime: &Runtime, tenant: TenantId, hold_back: &HoldBack) -> Result<()> {
    let set = set_by(runtime, tenant).await?;
    for class in retention::classes(runtime) {
        let bounds = (class.bounds)(&runtime.config);
        let purposes = if class.purposes.is_empty() { &[""][..] } else { class.purposes };
        for purpose in purposes {
            let Some(hours) = in_force(&set, class.name, purpose, bounds) else { continue };
            let before = cut(runtime.clock.now(), hours);
            let before = if class.recorded { hold_back(before).await? } else { before };
            let pass = Pass { runtime, tenant, class: &class, purpose, before };
            match class.walk {
                Walk::Rows { page, forget } => pass.rows(page, forget).await?,
                Walk::Whole { forget, .. } => pass.whole(forget).await?,
            }
        }
    }
    Ok(())
}

/// The place up to which a class holds nothing that could go.
pub(super) async fn floor(
    runtime: &Runtime,
    tenant: TenantId,
    class: &'static str,
    purpose: &str,
) -> Result<i64> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let row: Option<Floor> = tx
        .optional(
            sql!("select floor from retention_sweep where tenant_id = $1 and class = $2 and purpose = $3"),
            args![tenant, class, purpose],
        )
        .await?;
    Ok(row.map_or(0, |row| row.floor))
}

/// One sweep of a class for one purpose.
struct Pass<'a> {
    runtime: &'a Runtime,
    tenant: TenantId,
    class: &'a Class,
    purpose: &'a str,
    before: Timestamp,
}

record! {
    /// How far it has come.
    struct Progress { started_at: Timestamp, ended_at: Option<Timestamp>, place: i64, floor: i64, gone: i64, held: i64 }
}

impl Pass<'_> {
    /// Where the last process left off, or a new beginning; and whether it is the former.
    async fn begin(&self) -> Result<(Progress, bool)> {
        let mut tx = self.runtime.db.read(Tenancy::Tenant(self.tenant)).await?;
        let kept: Option<Progress> = tx
            .optional(
                sql!(
                    "select started_at, ended_at, place, floor, gone, held from retention_sweep \
                     where tenant_id = $1 and class = $2 and purpose = $3"
                ),
                args![self.tenant, self.class.name, self.purpose],
            )
            .await?;
        let floor = kept.as_ref().map_or(0, |kept| kept.floor);
        Ok(match kept.filter(|kept| kept.ended_at.is_none()) {
            Some(kept) => (kept, true),
            None => {
                let started_at = self.runtime.clock.now();
                (Progress { started_at, ended_at: None, place: floor, floor, gone: 0, held: 0 }, false)
            }
        })
    }

    async fn save(&self, tx: &mut Tx, progress: &Progress) -> Result<()> {
        tx.execute(
            sql!(
                "insert into retention_sweep (tenant_id, class, purpose, started_at, before_at, ended_at, place, floor, gone, held) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (tenant_id, class, purpose) do update set \
                 started_at = excluded.started_at, before_at = excluded.before_at, ended_at = excluded.ended_at, \
                 place = excluded.place, floor = excluded.floor, gone = excluded.gone, held = excluded.held"
            ),
            args![
                self.tenant,
                self.class.name,
                self.purpose,
                progress.started_at,
                self.before,
                progress.ended_at,
                progress.place,
                progress.floor,
                progress.gone,
                progress.held
            ],
        )
        .await?;
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.runtime.tasks.stopping().is_cancelled()
    }

    async fn rows(&self, page: &'static str, forget: Forget) -> Result<()> {
        let (mut progress, resumed) = self.begin().await?;
        let (mut open, whose) = (None, self.class.whose);
        loop {
            if self.stopping() {
                return Ok(());
            }
            let held = Held::of(self.runtime, self.tenant).await?;
            if whose == Whose::Many && held.anybody() {
                return Ok(());
            }
            let known = |by: By, who: &str| held.knows(by, who);
            let from = (progress.place, self.before);
            let look = retention::look(self.runtime, self.tenant, (page, whose), self.purpose, from, &known);
            let look = look.await?;
            if !look.due.is_empty() {
                let mut tx = self.runtime.db.write(Tenancy::Tenant(self.tenant)).await?;
                if !held.still(&mut tx, self.tenant).await? {
                    // Somebody is held who was not when it was looked: it is looked again.
                    continue;
                }
                let gone = forget.run(self.runtime, &mut tx, self.tenant, &look.due).await?;
                progress.gone += i64::try_from(gone).unwrap_or(i64::MAX);
                progress.place = look.last.unwrap_or(progress.place);
                progress.held += i64::try_from(look.held).unwrap_or(i64::MAX);
                self.save(&mut tx, &progress).await?;
                tx.commit().await?;
                tokio::time::sleep(PAUSE).await;
            } else {
                progress.place = look.last.unwrap_or(progress.place);
                progress.held += i64::try_from(look.held).unwrap_or(i64::MAX);
            }
            open = open.or(look.open);
            if !look.more {
                break;
            }
        }
        let floor = match (resumed, open) {
            // What was open before the process died is not known any more.
            (true, _) => progress.floor,
            (false, Some(open)) => progress.floor.max(open - 1),
            (false, None) => progress.place,
        };
        let moved = floor != progress.floor || resumed;
        self.end(Progress { floor, ..progress }, moved).await
    }

    async fn whole(&self, forget: ForgetBefore) -> Result<()> {
        let (mut progress, resumed) = self.begin().await?;
        loop {
            let held = Held::of(self.runtime, self.tenant).await?;
            let many = self.class.whose == Whose::Many;
            if self.stopping() || (many && held.anybody()) {
                return Ok(());
            }
            let mut tx = self.runtime.db.write(Tenancy::Tenant(self.tenant)).await?;
            if many && !held.still(&mut tx, self.tenant).await? {
                return Ok(());
            }
            let mut events = Vec::new();
            let gone = forget(self.runtime, &mut tx, self.tenant, self.before, &mut events).await?;
            if gone == 0 && events.is_empty() {
                break;
            }
            let written = outbox::write(&mut tx, vec![self.happened(events)]).await?;
            progress.gone += i64::try_from(gone).unwrap_or(i64::MAX);
            self.save(&mut tx, &progress).await?;
            tx.commit().await?;
            written.tell(&self.runtime.live);
            tokio::time::sleep(PAUSE).await;
        }
        self.end(progress, resumed).await
    }

    fn happened(&self, events: Vec<Event>) -> Happened {
        Happened {
            tenant: self.tenant,
            at: self.runtime.clock.now(),
            actor: Actor::System("retention").to_string(),
            request_id: None,
            from: None,
            events,
        }
    }

    /// The last transaction: that it is over, and what it did.
    async fn end(&self, progress: Progress, moved: bool) -> Result<()> {
        if progress.gone == 0 && !moved {
            return Ok(());
        }
        let progress = Progress { ended_at: Some(self.runtime.clock.now()), ..progress };
        let mut tx = self.runtime.db.write(Tenancy::Tenant(self.tenant)).await?;
        self.save(&mut tx, &progress).await?;
        let told = Change {
            id: self.class.name.to_owned(),
            name: self.class.title.to_owned(),
            before: None,
            after: Some(serde_json::json!({
                "purpose": self.purpose, "before": self.before, "gone": progress.gone, "held": progress.held,
            })),
        };
        let events = if progress.gone > 0 { vec![Event::RetentionSwept(told)] } else { Vec::new() };
        let written = outbox::write(&mut tx, vec![self.happened(events)]).await?;
        tx.commit().await?;
        written.tell(&self.runtime.live);
        if progress.gone > 0 {
            tracing::info!(tenant = %self.tenant, class = self.class.name, gone = progress.gone, "let go what is kept no longer");
        }
        Ok(())
    }
}
