//! The watch: one task that follows what happened in every tenant's stream and what was seen at the doors, and raises events.
//!
//! Findings and the place in the stream that they come from move in one transaction, so a crash loses no event and doubles
//! none; what was counted towards a bound and not reached it is forgotten with the process. Nothing waits for the watch.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex as Held, MutexGuard, PoisonError};
use std::time::Duration;

use db::{Tenancy, args, record, sql};
use runtime::{Runtime, outbox, sighting};
use tokio::sync::Mutex;
use types::event::Recorded;
use types::{Event, Result, TenantId, Timestamp, UserId};

use super::patterns::{Counts, neighbourhood};
use super::{Finding, Kind, Severity, raise, raise_now};

/// How often it is looked.
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// Events that one transaction takes in, at most about.
const BATCH: usize = 250;
/// Findings of the doors that one look keeps, each in a transaction of its own: an attack from everywhere must not take the
/// writer from the traffic. What is left out is seen again while it goes on.
const FINDINGS_MAX: usize = 50;
/// Tenants that one look finds.
const TENANTS_MAX: i64 = 1_000;
/// Former places of a user that a new one is held against.
const PLACES_MAX: i64 = 500;

/// One at a time.
struct Turn(Mutex<()>);
struct Counted(Held<Counts>);

/// What a batch found that could not be written, by tenant: its events are counted already, up to where it reaches.
#[derive(Default)]
struct Unwritten(Held<HashMap<TenantId, (i64, Vec<Finding>)>>);

impl Unwritten {
    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, (i64, Vec<Finding>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

record! { struct Behind { id: TenantId } }
record! { struct Place { event_seq: i64 } }
record! { struct From { from_address: String } }

/// Starts the watch; it runs until everything that leaves it work has stopped.
pub fn start(runtime: &Runtime) {
    let watched = runtime.clone();
    runtime.writers.spawn("security watch", async move {
        let stopping = watched.writers.stopping();
        loop {
            let over = stopping.is_cancelled();
            if let Err(error) = round(&watched).await {
                tracing::warn!(?error, "the watch could not look; trying again");
            }
            if over {
                return;
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(LOOKS_EVERY) => {}
            }
        }
    });
}

/// Looks at everything that is new.
///
/// # Errors
/// When the database does not answer; what was not committed is looked at again.
pub async fn round(runtime: &Runtime) -> Result<()> {
    let turn = runtime.kept(|_| Turn(Mutex::default()));
    let _turn = turn.0.lock().await;
    doors(runtime).await?;
    let behind: Vec<Behind> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select t.id from tenant t left join security_watch w on w.tenant_id = t.id where exists (select 1 \
                 from event_page p where p.tenant_id = t.id and p.audited and p.last_seq > coalesce(w.event_seq, 0)) \
                 order by t.id limit $1"
            ),
            args![TENANTS_MAX],
        )
        .await?;
    for Behind { id } in behind {
        while step(runtime, id).await? {}
    }
    Ok(())
}

fn judge<T>(runtime: &Runtime, judged: impl FnOnce(&mut Counts) -> T) -> T {
    let counts = runtime.kept(|_| Counted(Held::default()));
    let mut counts = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
    judged(&mut counts)
}

/// What was seen at the doors since the last look.
async fn doors(runtime: &Runtime) -> Result<()> {
    let (seen, now) = (sighting::take(runtime), runtime.clock.now());
    if seen.is_empty() {
        return Ok(());
    }
    let found: Vec<Finding> = judge(runtime, |counts| {
        let watch = &runtime.config.watch;
        seen.iter().flat_map(|(sighting, n)| counts.seen(watch, sighting, *n, now)).collect()
    });
    if found.len() > FINDINGS_MAX {
        tracing::warn!(
            found = found.len(),
            kept = FINDINGS_MAX,
            "more was seen at the doors than is kept in one look"
        );
    }
    for finding in found.iter().take(FINDINGS_MAX) {
        raise_now(runtime, finding).await?;
    }
    Ok(())
}

/// Looks a batch further in a tenant's stream, and gives whether there may be more.
async fn step(runtime: &Runtime, tenant: TenantId) -> Result<bool> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let place: Option<Place> =
        tx.optional(sql!("select event_seq from security_watch where tenant_id = $1"), args![tenant]).await?;
    drop(tx);
    let after = place.map_or(0, |place| place.event_seq);
    let audited = outbox::audited_after(&runtime.db, tenant, after, BATCH).await?;
    if audited.reaches <= after {
        return Ok(false);
    }
    let unwritten = runtime.kept(|_| Unwritten::default());
    let (mut reaches, mut found) = unwritten.held().remove(&tenant).unwrap_or((after, Vec::new()));
    let looked: Result<()> = async {
        let from = reaches;
        for recorded in audited.events.iter().filter(|recorded| recorded.seq > from) {
            let new_place = new_place(runtime, tenant, recorded).await?;
            found.extend(judge(runtime, |counts| counts.heard(&runtime.config.watch, tenant, recorded)));
            found.extend(new_place);
            reaches = recorded.seq;
        }
        write(runtime, tenant, &found, audited.reaches).await
    }
    .await;
    if looked.is_err() {
        // The next look counts nothing a second time.
        unwritten.held().insert(tenant, (reaches, found));
    }
    looked.map(|()| true)
}

/// Keeps findings, and how far the stream was looked at.
async fn write(runtime: &Runtime, tenant: TenantId, found: &[Finding], reaches: i64) -> Result<()> {
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    let mut told = Vec::new();
    for finding in found {
        told.extend(raise(&mut tx, runtime, finding).await?);
    }
    tx.execute(
        sql!(
            "insert into security_watch (tenant_id, event_seq) values ($1, $2) \
             on conflict (tenant_id) do update set event_seq = excluded.event_seq"
        ),
        args![tenant, reaches],
    )
    .await?;
    tx.commit().await?;
    for written in told {
        written.tell(&runtime.live);
    }
    if !found.is_empty() {
        runtime.job_wake.notify_one();
    }
    Ok(())
}

/// A sign-in from a network from which its user never came before.
async fn new_place(runtime: &Runtime, tenant: TenantId, recorded: &Recorded) -> Result<Option<Finding>> {
    let Event::UserSignedIn(access) = &recorded.event else { return Ok(None) };
    let (Some(from), Ok(user)) = (&recorded.from, recorded.actor.parse::<UserId>()) else { return Ok(None) };
    let Some(here) = neighbourhood(from).filter(|_| !is_local(from)) else { return Ok(None) };
    let former = places(runtime, tenant, user, recorded.at).await?;
    if former.is_empty() || former.iter().any(|place| neighbourhood(place).as_ref() == Some(&here)) {
        return Ok(None);
    }
    Ok(Some(Finding {
        tenant,
        kind: Kind::NewNetwork,
        severity: Severity::Low,
        subject: access.who.clone(),
        user: Some(user),
        detail: format!("first sign-in from {from}, in {here}"),
        count: 1,
        at: recorded.at,
    }))
}

fn is_local(from: &str) -> bool {
    from.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Where a user signed in from before an instant.
async fn places(runtime: &Runtime, tenant: TenantId, user: UserId, before: Timestamp) -> Result<Vec<String>> {
    let former: Vec<From> = runtime
        .db
        .read(Tenancy::Tenant(tenant))
        .await?
        .all(
            sql!(
                "select distinct from_address from security_entry where tenant_id = $1 and user_id = $2 \
                 and kind = 'signed_in' and at < $3 and from_address is not null order by from_address limit $4"
            ),
            args![tenant, user, before, PLACES_MAX],
        )
        .await?;
    Ok(former.into_iter().map(|one| one.from_address).collect())
}
