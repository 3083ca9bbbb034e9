//! The check that never ends: every so often a bounded piece of the books of all tenants.
//!
//! Each turn holds the kept sums against what was accepted, the open states against their rows, and the places in memory
//! against the messages that must have one; and it asks the rules of the next few thousand messages, so that in time each
//! is asked. What ended is counted by its index entries alone in `check`, which is for people.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use db::{Tenancy, Tx, args, record, sql};
use runtime::Runtime;
use serde::Serialize;
use types::{Event, MessageId, Result, TenantId, Timestamp, event};

use super::{Discrepancy, apart, claims, look, rules};
use crate::engine::Engine;

/// How the watch stands.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[schema(as = AccountingStanding)]
pub struct Standing {
    /// Whether everything added up at the last turn; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balanced: Option<bool>,
    /// When the last turn was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// Turns since the start.
    pub turns: u64,
    /// Messages whose rules were asked since the start.
    pub asked: u64,
    /// Tenants whose books do not balance, with the first thing that was found; at most 100.
    pub unbalanced: Vec<Unbalanced>,
}

/// A tenant whose books do not balance.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Unbalanced {
    /// Whose.
    pub tenant: TenantId,
    /// The first thing that was found.
    #[serde(flatten)]
    pub first: Discrepancy,
}

/// Where the watch notes how it stands.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Standing>);

/// How the watch of this runtime stands.
pub fn standing(runtime: &Runtime) -> Standing {
    runtime.kept(|_| Watch::default()).0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Messages whose rules one turn asks.
const ASKED_MAX: i64 = 5_000;
/// Minutes whose sums may still grow.
const YOUNG_MS: i64 = 600_000;
/// The pause before what looked lost is looked at again: by then the batch that moved it is done.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// How much later than its validity's end a message in memory is looked at, at least.
const IN_MEMORY_MS: i64 = 60_000;
/// A place is younger than its message's row by less than this.
const YOUNG_PLACE_MS: i64 = 60_000;
/// Tenants that are told of.
const TENANTS_TOLD_MAX: usize = 100;
/// Of the time, a twentieth is spent at most.
const REST: u32 = 20;

/// What was accepted and forgotten up to a minute that does not change any more.
#[derive(Debug, Default, Clone, Copy)]
struct Settled {
    until: i64,
    accepted: i64,
    forgotten: i64,
}

/// What the watch remembers between its turns.
#[derive(Debug, Default)]
pub(super) struct Memory {
    settled: HashMap<TenantId, Settled>,
    /// The message that was asked last.
    cursor: i64,
    unbalanced: BTreeMap<TenantId, Discrepancy>,
}

/// Checks until the program stops.
pub(crate) async fn run(engine: Engine) {
    let runtime = engine.runtime().clone();
    let every = Duration::from_secs(runtime.config.messaging.accounting_every_s);
    if every.is_zero() {
        return;
    }
    let stopping = runtime.tasks.stopping();
    let mut memory = Memory::default();
    // The first turn comes soon, so that what a crash has left is known.
    let mut pause = every.min(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let took = one_turn(&engine, &mut memory).await;
        pause = every.max(took * REST);
    }
}

/// One turn, and what it found told. Gives how long it took.
pub(super) async fn one_turn(engine: &Engine, memory: &mut Memory) -> Duration {
    let began = std::time::Instant::now();
    match turn(engine, memory).await {
        Ok((found, asked)) => tell(engine, memory, found, asked, began.elapsed()).await,
        Err(error) => tracing::warn!(?error, "the books could not be checked; tried again later"),
    }
    began.elapsed()
}

/// One turn: the first thing found for each tenant, and how many messages were asked.
async fn turn(engine: &Engine, memory: &mut Memory) -> Result<(BTreeMap<TenantId, Discrepancy>, u64)> {
    let runtime = engine.runtime();
    let mut found: BTreeMap<TenantId, Discrepancy> = BTreeMap::new();
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let now = runtime.clock.now();
    for (tenant, discrepancy) in sums(&mut tx, memory, now).await? {
        found.entry(tenant).or_insert(discrepancy);
    }
    let asked = ask_some(&mut tx, memory, &mut found).await?;
    for (tenant, discrepancy) in claims::look(&mut tx, None).await?.broken {
        found.entry(tenant).or_insert(discrepancy);
    }
    // A wrong sum alone names nobody: who it is about is found out once, and stays while the sum is wrong.
    for (tenant, one) in &mut found {
        if let Some(before) = memory.unbalanced.get(tenant) {
            prefer(one, before);
        }
    }
    let nameless: Vec<TenantId> = found
        .iter()
        .filter(|(tenant, one)| one.message.is_none() && !memory.unbalanced.contains_key(tenant))
        .map(|(tenant, _)| *tenant)
        .collect();
    for tenant in nameless {
        let named =
            look(&mut tx, tenant, now).await?.discrepancies.into_iter().find(|one| one.message.is_some());
        if let Some(named) = named {
            found.insert(tenant, named);
        }
    }
    drop(tx);
    for (tenant, discrepancy) in places(engine, None).await? {
        found.entry(tenant).or_insert(discrepancy);
    }
    Ok((found, asked))
}

record! { struct Kept { tenant_id: TenantId, name: String, n: i64 } }

/// The kept sums of all tenants against what was accepted, and the open states against their rows.
async fn sums(tx: &mut Tx, memory: &mut Memory, now: Timestamp) -> Result<Vec<(TenantId, Discrepancy)>> {
    let kept: Vec<Kept> = tx
        .all(
            sql!("select tenant_id, name, n from tally where bucket = 0 order by tenant_id /* every tenant: the watch serves all */"),
            args![],
        )
        .await?;
    let open: Vec<Kept> = tx
        .all(
            sql!(
                "select tenant_id, state as name, count(*) as n from message where wake_at is not null group by tenant_id, state \
                 /* every tenant: the watch serves all */"
            ),
            args![],
        )
        .await?;
    let open: HashMap<(TenantId, &str), i64> =
        open.iter().map(|one| ((one.tenant_id, one.name.as_str()), one.n)).collect();
    let mut found = Vec::new();
    let wrong = |rule, detail| Discrepancy { rule, message: None, detail };
    let mut tenants: BTreeSet<TenantId> = kept.iter().map(|one| one.tenant_id).collect();
    tenants.extend(open.keys().map(|(tenant, _)| *tenant));
    for tenant in tenants {
        let sum = |name: &str| {
            kept.iter().find(|one| one.tenant_id == tenant && one.name == name).map_or(0, |one| one.n)
        };
        for state in ["scheduled", "queued", "sent", "indeterminate"] {
            let rows = open.get(&(tenant, state)).copied().unwrap_or(0);
            if rows != sum(state) {
                let detail = format!("{rows} messages are {state}, and the kept sum says {}", sum(state));
                found.push((tenant, wrong("sums", detail)));
            }
        }
        let settled = accepted(tx, memory, tenant, now).await?;
        let out: i64 = kept
            .iter()
            .filter(|one| one.tenant_id == tenant && one.name != "received")
            .map(|one| one.n)
            .sum();
        if out + settled.forgotten != settled.accepted {
            let detail = format!(
                "{} messages were accepted; the states' sum is {out} and {} were forgotten",
                settled.accepted, settled.forgotten
            );
            found.push((tenant, wrong("accepted", detail)));
        }
    }
    Ok(found)
}

record! { struct Flowed { bucket: i64, name: String, n: i64 } }

/// What a tenant's messages come to that were accepted and forgotten. Only the minutes since the last turn are read.
async fn accepted(tx: &mut Tx, memory: &mut Memory, tenant: TenantId, now: Timestamp) -> Result<Settled> {
    let old = (now.unix_ms() - YOUNG_MS) / 60_000 * 60_000;
    let settled = memory.settled.entry(tenant).or_default();
    let flows: Vec<Flowed> = tx
        .all(
            sql!(
                "select cast(case when bucket > $3 then 1 else 0 end as bigint) as bucket, name, cast(sum(n) as bigint) as n from tally \
                 where tenant_id = $1 and bucket > $2 and name in ('accepted', 'forgotten') \
                 group by case when bucket > $3 then 1 else 0 end, name"
            ),
            args![tenant, settled.until, old.max(settled.until)],
        )
        .await?;
    let sum = |young: i64, name: &str| {
        flows.iter().filter(|flow| flow.bucket == young && flow.name == name).map(|flow| flow.n).sum::<i64>()
    };
    settled.accepted += sum(0, "accepted");
    settled.forgotten += sum(0, "forgotten");
    settled.until = settled.until.max(old);
    Ok(Settled {
        until: now.unix_ms(),
        accepted: settled.accepted + sum(1, "accepted"),
        forgotten: settled.forgotten + sum(1, "forgotten"),
    })
}

record! { struct Slice { id: i64, tenant_id: TenantId } }

/// Asks the rules of the next messages, and begins again behind the last. Gives how many it asked.
async fn ask_some(
    tx: &mut Tx,
    memory: &mut Memory,
    found: &mut BTreeMap<TenantId, Discrepancy>,
) -> Result<u64> {
    let slice: Vec<Slice> = tx
        .all(
            sql!("select id, tenant_id from message where id > $1 order by id limit $2 /* every tenant: the watch serves all */"),
            args![memory.cursor, ASKED_MAX],
        )
        .await?;
    let end = slice.last().map_or(0, |last| last.id);
    let full = slice.len() as i64 == ASKED_MAX;
    let tenants: BTreeSet<TenantId> = slice.iter().map(|one| one.tenant_id).collect();
    // Behind the last message is nothing that could break a rule but what lost its message.
    let until = if full { end } else { i64::MAX };
    for tenant in tenants {
        if let Some(first) = rules::broken(tx, tenant, (memory.cursor, until)).await?.into_iter().next() {
            found.entry(tenant).and_modify(|one| prefer(one, &first)).or_insert(first);
        }
    }
    // What is wrong stays told until its message is asked again and found right.
    for (tenant, before) in &memory.unbalanced {
        let elsewhere =
            before.message.is_some_and(|message| !(memory.cursor..=until).contains(&message.raw()));
        if elsewhere && !before.rule.ends_with("_place") && before.rule != "claim" {
            found.entry(*tenant).or_insert_with(|| before.clone());
        }
    }
    memory.cursor = if full { end } else { 0 };
    Ok(slice.len() as u64)
}

/// A finding that names a message tells more than one that does not.
fn prefer(one: &mut Discrepancy, other: &Discrepancy) {
    if one.message.is_none() && other.message.is_some() {
        *one = other.clone();
    }
}

record! { struct InMemory { id: MessageId, tenant_id: TenantId } }

/// The messages whose rows say that they are in memory.
async fn said_in_memory(engine: &Engine) -> Result<HashMap<MessageId, TenantId>> {
    let most = engine.queue().places_max() as i64 * 2 + 1_000;
    let mut tx = engine.runtime().db.read(Tenancy::Every).await?;
    let rows: Vec<InMemory> = tx
        .all(
            sql!(
                "select id, tenant_id from message where wake_at is not null and wake_at > $1 and state = 'queued' \
                 and wake_at >= expires_at + $2 limit $3 /* every tenant: the watch serves all */"
            ),
            args![engine.runtime().clock.now(), IN_MEMORY_MS, most],
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.tenant_id)).collect())
}

/// Messages that are in memory by their rows and have no place there, or the other way about; of one tenant, or of all.
/// What looks so is looked at a second time, because a batch may be under way.
pub(super) async fn places(engine: &Engine, of: Option<TenantId>) -> Result<Vec<(TenantId, Discrepancy)>> {
    let first = one_look(engine).await?;
    if first.lost.is_empty() && first.kept.is_empty() {
        return Ok(Vec::new());
    }
    tokio::time::sleep(LOOK_AGAIN).await;
    let second = one_look(engine).await?;
    let both = |then: &[MessageId], now: &[MessageId]| {
        let then: HashSet<MessageId> = then.iter().copied().collect();
        now.iter().copied().filter(|id| then.contains(id)).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for message in both(&first.lost, &second.lost) {
        let Some(tenant) = second.tenants.get(&message) else { continue };
        let detail = "its row says that it is in memory, and it has no place there".to_owned();
        found.push((*tenant, Discrepancy { rule: "lost_place", message: Some(message), detail }));
    }
    let kept = both(&first.kept, &second.kept);
    for (message, tenant) in tenants_of(engine, &kept).await? {
        let detail = "it has a place in memory, and its row says that it is not there".to_owned();
        found.push((tenant, Discrepancy { rule: "kept_place", message: Some(message), detail }));
    }
    found.retain(|(tenant, _)| of.is_none_or(|of| of == *tenant));
    found.truncate(super::TOLD_MAX);
    Ok(found)
}

struct Look {
    lost: Vec<MessageId>,
    kept: Vec<MessageId>,
    tenants: HashMap<MessageId, TenantId>,
}

async fn one_look(engine: &Engine) -> Result<Look> {
    let mut tenants = said_in_memory(engine).await?;
    // Who is out has a place too, whatever its row says of its next look.
    let mut tx = engine.runtime().db.read(Tenancy::Every).await?;
    tenants.extend(claims::look(&mut tx, None).await?.out);
    drop(tx);
    let rows: HashSet<MessageId> = tenants.keys().copied().collect();
    // What has just got a place is not committed yet.
    let old = engine.runtime().clock.now().plus_ms(-YOUNG_PLACE_MS);
    let places: HashSet<MessageId> = engine.queue().places().into_iter().collect();
    let lost = apart(&rows, &places);
    let kept = apart(&places, &rows).into_iter().filter(|id| id.made_at() < old).collect();
    Ok(Look { lost, kept, tenants })
}

async fn tenants_of(engine: &Engine, messages: &[MessageId]) -> Result<Vec<(MessageId, TenantId)>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = engine.runtime().db.read(Tenancy::Every).await?;
    let rows: Vec<InMemory> = tx
        .all_rows(
            sql!(
                "select m.id, m.tenant_id from rows(id bigint) r join message m on m.id = r.id /* every tenant: the watch serves all */"
            ),
            args![],
            messages.iter().take(super::TOLD_MAX).map(|id| [(*id).into()]).collect(),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.tenant_id)).collect())
}

/// Notes what a turn found: for whoever asks, in the metrics, and where it is new in the log and the tenant's stream.
async fn tell(
    engine: &Engine,
    memory: &mut Memory,
    found: BTreeMap<TenantId, Discrepancy>,
    asked: u64,
    took: Duration,
) {
    metrics::gauge!("switchboard_accounting_unbalanced_tenants").set(found.len() as f64);
    metrics::histogram!("switchboard_accounting_check_seconds").record(took.as_secs_f64());
    for (tenant, one) in found.iter().filter(|(tenant, _)| !memory.unbalanced.contains_key(tenant)) {
        let named = one.message.map(|message| message.to_string()).unwrap_or_default();
        tracing::error!(%tenant, rule = one.rule, message = named, detail = one.detail, "the books do not balance");
        let told = event::Accounting {
            rule: Some(one.rule.into()),
            message: one.message,
            detail: one.detail.clone(),
        };
        engine.happened(*tenant, Event::AccountingUnbalanced(told)).await;
    }
    for tenant in memory.unbalanced.keys().filter(|tenant| !found.contains_key(tenant)) {
        tracing::info!(%tenant, "the books balance again");
        let detail = "the sums and the messages agree again".to_owned();
        let told = event::Accounting { rule: None, message: None, detail };
        engine.happened(*tenant, Event::AccountingBalanced(told)).await;
    }
    let unbalanced = found.iter().take(TENANTS_TOLD_MAX);
    let unbalanced =
        unbalanced.map(|(tenant, first)| Unbalanced { tenant: *tenant, first: first.clone() }).collect();
    let watch: Arc<Watch> = engine.runtime().kept(|_| Watch::default());
    let mut standing = watch.0.lock().unwrap_or_else(PoisonError::into_inner);
    *standing = Standing {
        balanced: Some(found.is_empty()),
        checked_at: Some(engine.runtime().clock.now()),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        turns: standing.turns + 1,
        asked: standing.asked + asked,
        unbalanced,
    };
    drop(standing);
    memory.unbalanced = found;
}
