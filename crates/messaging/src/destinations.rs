//! The countries that accounts send to: a burst to one that is new for an account is the sign of stolen credentials, with
//! which somebody sends to numbers that earn by each message.
//!
//! Nothing is done per message. One task reads the newest messages of each tenant every few seconds, a bounded sample where
//! there are more, and keeps the countries of each account. An account that has just begun to send is learnt and not judged.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use db::{Rows, Tenancy, args, record, sql};
use identity::security_event::{self, Finding, Kind, Severity};
use runtime::Runtime;
use types::{AccountId, MessageId, Result, TenantId, Timestamp};

/// How often it is looked.
const LOOKS_EVERY: Duration = Duration::from_secs(5);
/// Messages of a tenant that one look reads.
const SAMPLE_MAX: i64 = 2_000;
/// Tenants that one look finds.
const TENANTS_MAX: i64 = 1_000;
/// Countries of a tenant's accounts that are read.
const KNOWN_MAX: i64 = 100_000;
/// Counts that are held; beyond them the one that began first is dropped.
const COUNTS_MAX: usize = 20_000;
/// Fewer digits are a short code.
const NUMBER_DIGITS_MIN: usize = 8;
/// What stands for messages that came over the API.
const API: i64 = 0;

record! { struct Behind { id: TenantId, after: Option<i64> } }
record! { struct Seen { id: MessageId, account_id: Option<i64>, recipient: String } }
record! { struct Known { account_id: i64, country: String, first_at: Timestamp } }
record! { struct Named { system_id: String } }

/// An account of a tenant, and a country.
type Key = (TenantId, i64, &'static str);

#[derive(Debug)]
struct Count {
    since: Timestamp,
    n: u64,
    told: u64,
}

/// Counts of messages to new countries over a window.
#[derive(Debug, Default)]
struct Counts(HashMap<Key, Count>);

impl Counts {
    /// Counts, and gives how many are to be told once the bound is reached.
    fn hit(&mut self, key: Key, n: u64, now: Timestamp, (window_ms, bound): (i64, u64)) -> Option<u64> {
        if self.0.len() >= COUNTS_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, count| now.since_ms(count.since) <= window_ms);
            let oldest = self.0.iter().min_by_key(|(_, count)| count.since).map(|(key, _)| *key);
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= COUNTS_MAX) {
                self.0.remove(&oldest);
            }
        }
        let new = || Count { since: now, n: 0, told: 0 };
        let count = self.0.entry(key).or_insert_with(new);
        if now.since_ms(count.since) > window_ms {
            *count = new();
        }
        count.n += n;
        if count.n < bound {
            return None;
        }
        let fresh = count.n - count.told;
        count.told = count.n;
        Some(fresh)
    }
}

/// Looks until the program stops.
pub(crate) async fn run(runtime: Runtime) {
    let stopping = runtime.tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(LOOKS_EVERY) => {}
        }
        if let Err(error) = round(&runtime).await {
            tracing::warn!(?error, "destinations could not be looked at; trying again");
        }
    }
}

/// Looks at the messages of every tenant that has new ones.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn round(runtime: &Runtime) -> Result<()> {
    let behind: Vec<Behind> = runtime
        .db
        .read(Tenancy::Every)
        .await?
        .all(
            sql!(
                "select t.id, w.message_id as after from tenant t left join country_watch w on w.tenant_id = t.id \
                 where exists (select 1 from message m where m.tenant_id = t.id and m.id > coalesce(w.message_id, 0)) \
                 order by t.id limit $1"
            ),
            args![TENANTS_MAX],
        )
        .await?;
    for Behind { id, after } in behind {
        for finding in look(runtime, id, after).await? {
            security_event::raise_now(runtime, &finding).await?;
        }
    }
    Ok(())
}

/// Looks at a tenant's newest messages, learns their countries and gives what is suspicious.
async fn look(runtime: &Runtime, tenant: TenantId, after: Option<i64>) -> Result<Vec<Finding>> {
    let mut tx = runtime.db.read(Tenancy::Tenant(tenant)).await?;
    let seen: Vec<Seen> = tx
        .all(
            sql!(
                "select id, account_id, recipient from message where tenant_id = $1 and id > $2 and direction = 'out' \
                 order by id desc limit $3"
            ),
            args![tenant, after.unwrap_or(0), SAMPLE_MAX],
        )
        .await?;
    let known: Vec<Known> = tx
        .all(
            sql!("select account_id, country, first_at from known_country where tenant_id = $1 limit $2"),
            args![tenant, KNOWN_MAX],
        )
        .await?;
    let newest: Option<Seen> = tx
        .optional(
            sql!(
                "select id, account_id, recipient from message where tenant_id = $1 order by id desc limit 1"
            ),
            args![tenant],
        )
        .await?;
    drop(tx);
    let mut sent: HashMap<(i64, &'static str), (u64, Timestamp)> = HashMap::new();
    for message in &seen {
        let is_number = message.recipient.len() >= NUMBER_DIGITS_MIN;
        let country = sms::country::country(&message.recipient).filter(|_| is_number);
        let Some(country) = country else { continue };
        let account = message.account_id.unwrap_or(API);
        let entry = sent.entry((account, country)).or_insert((0, message.id.made_at()));
        *entry = (entry.0 + 1, entry.1.min(message.id.made_at()));
    }
    learn(runtime, tenant, &sent, newest.map_or(0, |message| message.id.raw())).await?;
    let now = runtime.clock.now();
    let mut found = Vec::new();
    for ((account, country), n) in judge(runtime, tenant, &sent, &known, now) {
        found.push(finding(runtime, tenant, (account, country), n, now).await?);
    }
    Ok(found)
}

/// Keeps countries that are new for their accounts, and how far it was looked.
async fn learn(
    runtime: &Runtime,
    tenant: TenantId,
    sent: &HashMap<(i64, &'static str), (u64, Timestamp)>,
    newest: i64,
) -> Result<()> {
    let mut rows = Rows::new();
    for ((account, country), (_, first)) in sent {
        rows.push([(*account).into(), (*country).to_owned().into(), (*first).into()]);
    }
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await?;
    if !sent.is_empty() {
        tx.execute_rows(
            sql!(
                "insert into known_country (tenant_id, account_id, country, first_at) \
                 select $1, r.account, r.country, r.first from rows(account bigint, country text, first bigint) r where true \
                 on conflict (tenant_id, account_id, country) do nothing"
            ),
            args![tenant],
            rows,
        )
        .await?;
    }
    tx.execute(
        sql!(
            "insert into country_watch (tenant_id, message_id) values ($1, $2) \
             on conflict (tenant_id) do update set message_id = excluded.message_id"
        ),
        args![tenant, newest],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

struct Counted(Mutex<Counts>);

/// Which of what was sent is a burst to a country that is new for its account.
fn judge(
    runtime: &Runtime,
    tenant: TenantId,
    sent: &HashMap<(i64, &'static str), (u64, Timestamp)>,
    known: &[Known],
    now: Timestamp,
) -> Vec<((i64, &'static str), u64)> {
    let watch = &runtime.config.watch;
    let new_ms = i64::from(watch.new_country_h) * 3_600_000;
    let is_old = |first: Timestamp| now.since_ms(first) > new_ms;
    let bounds = (i64::from(watch.window_m) * 60_000, watch.new_country_max);
    let counts = runtime.kept(|_| Counted(Mutex::default()));
    let mut counts = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bursts = Vec::new();
    for ((account, country), (n, first)) in sent {
        let mut of_account = known.iter().filter(|known| known.account_id == *account);
        let before = of_account.clone().find(|known| known.country == *country);
        let has_habits = of_account.any(|known| is_old(known.first_at));
        if !has_habits || is_old(before.map_or(*first, |known| known.first_at)) {
            continue;
        }
        if let Some(n) = counts.hit((tenant, *account, country), *n, now, bounds) {
            bursts.push(((*account, *country), n));
        }
    }
    bursts
}

async fn finding(
    runtime: &Runtime,
    tenant: TenantId,
    (account, country): (i64, &'static str),
    n: u64,
    now: Timestamp,
) -> Result<Finding> {
    let named: Option<Named> = runtime
        .db
        .read(Tenancy::Tenant(tenant))
        .await?
        .optional(
            sql!("select system_id from smpp_account where tenant_id = $1 and id = $2"),
            args![tenant, account],
        )
        .await?;
    let name = match (account, named) {
        (API, _) => "the API".to_owned(),
        (_, Some(named)) => named.system_id,
        (id, None) => AccountId::from_raw(id).to_string(),
    };
    Ok(Finding {
        tenant,
        kind: Kind::TollFraud,
        severity: Severity::High,
        subject: format!("{name}, {country}"),
        user: None,
        detail: format!("{name} has never sent to {country} before and sends much there now"),
        count: i64::try_from(n).unwrap_or(i64::MAX),
        at: now,
    })
}

#[cfg(test)]
mod tests;
